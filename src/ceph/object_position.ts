/**
 * Where objects stand in the order in which OSDs keep them.
 *
 * @module
 */

import type { Decoder } from "./decoder.ts";
import type { Encoder } from "./encoder.ts";

const VERSION = 4, COMPAT = 3;

/** An object's place among all objects. Ceph's `hobject_t`. */
export interface ObjectPosition {
  /** Places the object in place of its name, where it is not empty. */
  readonly key: string;
  /** The object's name. */
  readonly name: string;
  /** Which snapshot of it. */
  readonly snapshot: bigint;
  /** The hash that places it. */
  readonly hash: number;
  /** Whether it is behind all objects. */
  readonly isMax: boolean;
  /** The namespace that it is in. */
  readonly namespace: string;
  /** The pool that it is in, in two's complement: a position before all objects has the lowest. */
  readonly pool: bigint;
}

/** Before all objects. */
export const FIRST_POSITION: ObjectPosition = {
  key: "",
  name: "",
  snapshot: 0n,
  hash: 0,
  isMax: false,
  namespace: "",
  pool: 1n << 63n,
};

/** Writes a position. */
export function encodePosition(encoder: Encoder, position: ObjectPosition): Encoder {
  const { key, name, snapshot, hash, isMax, namespace, pool } = position;
  return encoder.struct(VERSION, COMPAT, (e) => {
    e.string(key).string(name).u64Big(snapshot).u32(hash).u8(isMax ? 1 : 0).string(namespace).u64Big(pool);
  });
}

/**
 * Reads a position.
 *
 * @throws {MessengerError} With code `bad_message`.
 */
export function decodePosition(decoder: Decoder): ObjectPosition {
  return decoder.struct("object position", VERSION, () => ({
    key: decoder.string(),
    name: decoder.string(),
    snapshot: decoder.u64Big(),
    hash: decoder.u32(),
    isMax: decoder.bool(),
    namespace: decoder.string(),
    pool: decoder.u64Big(),
  }));
}

/** Negative, 0 or positive: whether `a` is before `b`, the same, or behind it. Ceph's `cmp(hobject_t, hobject_t)`. */
export function comparePositions(a: ObjectPosition, b: ObjectPosition): number {
  if (a.isMax || b.isMax) return Number(a.isMax) - Number(b.isMax);
  return compare(BigInt.asIntN(64, a.pool), BigInt.asIntN(64, b.pool)) ||
    // By the bits of the hash from the lowest on, so that a placement group that splits is cut in two and not riddled.
    compare(reverseBits(a.hash), reverseBits(b.hash)) ||
    compare(a.namespace, b.namespace) ||
    (a.key === "" && b.key === "" ? 0 : compare(a.key || a.name, b.key || b.name)) ||
    compare(a.name, b.name) ||
    compare(a.snapshot, b.snapshot);
}

function compare<T extends string | number | bigint>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function reverseBits(value: number): number {
  let reversed = 0;
  for (let bit = 0; bit < 32; bit++) reversed = (reversed << 1) | ((value >>> bit) & 1);
  return reversed >>> 0;
}
