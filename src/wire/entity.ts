/**
 * Who an entity is: its name (`osd.3`). Where it is: `address.ts`.
 *
 * @module
 */

import { MessengerError } from "../errors.ts";
import { EntityType } from "./constants.ts";

const labels = new Map<number, string>(Object.entries(EntityType).map(([label, type]) => [type, label.toLowerCase()]));
const types = new Map<string, number>([...labels].map(([type, label]) => [label, type]));

/** The word for a kind of entity: `"osd"`; `"type64"` for a number that is none of Ceph's. */
export function entityTypeLabel(type: number): string {
  return labels.get(type) ?? `type${type}`;
}

/** The number of a kind of entity, given as its word or as itself. */
export function parseEntityType(type: string | number): number {
  const value = typeof type === "number" ? type : types.get(type) ?? Number(/^type(\d+)$/.exec(type)?.[1] ?? NaN);
  if (Number.isInteger(value) && value >= 1 && value <= 255) return value;
  throw new MessengerError(
    "invalid",
    `Bad entity type: got ${type}, expected 1 to 255 or one of ${[...types.keys()].join(", ")}`,
  );
}

/**
 * The name of an entity: what it is and its number. Ceph's `entity_name_t`.
 *
 * Programs that are none of Ceph's may call themselves `client`, or take a type of their own between 64 and 127.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { EntityName } from "@msgr/pipe";
 *
 * assertEquals(EntityName.parse("osd.3").num, 3);
 * assertEquals(new EntityName(64, 1).toString(), "type64.1");
 * assertEquals(EntityName.parse("client.?").num, -1);
 * ```
 */
export class EntityName {
  /** What kind of entity: one of {@linkcode EntityType}, or any other number from 1 to 255. */
  readonly type: number;
  /** Which one; -1 while it is not known, as a Ceph client's before it has authenticated. */
  readonly num: number;

  /**
   * Makes a name.
   *
   * @param type The kind of entity, as a number or a word.
   * @param num Which one; -1 for "not known yet".
   * @throws {MessengerError} With code `invalid` for a type or number out of range.
   */
  constructor(type: number | string, num: number = -1) {
    this.type = parseEntityType(type);
    if (!Number.isSafeInteger(num)) {
      throw new MessengerError("invalid", `Bad entity number: got ${num}, expected a safe integer`);
    }
    this.num = num;
  }

  /**
   * Reads a name as people write it: `"mon.0"`, `"client.?"`, `"type64.7"`.
   *
   * @throws {MessengerError} With code `invalid`.
   */
  static parse(text: string): EntityName {
    const match = /^([a-z]+\d*)\.(\d+|\?)$/.exec(text);
    if (match === null) throw new MessengerError("invalid", `Bad entity name: got "${text}", expected "type.number"`);
    return new EntityName(match[1]!, match[2] === "?" ? -1 : Number(match[2]));
  }

  /** The name as people write it. */
  toString(): string {
    return `${entityTypeLabel(this.type)}.${this.num < 0 ? "?" : this.num}`;
  }
}
