/**
 * Who somebody is to the monitors: a kind of entity and a word.
 *
 * @module
 */

import { MessengerError } from "../errors.ts";
import { entityTypeLabel, parseEntityType } from "../wire/entity.ts";
import type { Decoder } from "./decoder.ts";
import type { Encoder } from "./encoder.ts";

/**
 * The name that a key belongs to: `client.admin`, `osd.3`. Ceph's `EntityName`. What the messenger calls an entity name has a number in
 * place of the word; a client's number is that which the monitors gave it.
 */
export class AuthName {
  /** What kind of entity, one of `EntityType`. */
  readonly type: number;
  /** Which one: `"admin"`, `"3"`. */
  readonly id: string;

  /**
   * Makes a name of its parts.
   *
   * @throws {MessengerError} With code `invalid`.
   */
  constructor(type: number | string, id: string) {
    this.type = parseEntityType(type);
    this.id = id;
  }

  /**
   * Reads a name as people write it.
   *
   * @throws {MessengerError} With code `invalid`.
   */
  static parse(text: string): AuthName {
    const dot = text.indexOf(".");
    if (dot < 0) throw new MessengerError("invalid", `Bad name: got "${text}", expected "client.admin" or the like`);
    return new AuthName(text.slice(0, dot), text.slice(dot + 1));
  }

  /** Reads an encoded name. */
  static decode(decoder: Decoder): AuthName {
    return new AuthName(decoder.u32(), decoder.string());
  }

  /** Writes the name. */
  encode(encoder: Encoder): Encoder {
    return encoder.u32(this.type).string(this.id);
  }

  /** The name as people write it. */
  toString(): string {
    return `${entityTypeLabel(this.type)}.${this.id}`;
  }
}
