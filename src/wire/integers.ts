/**
 * Little-endian integers in plain byte stores and loads.
 *
 * Byte by byte rather than through a DataView: JavaScriptCore does not inline DataView's setters, and these run several
 * times per message. 64-bit numbers are `number`s, since a `bigint` per message costs an allocation; whoever reads one must
 * expect {@linkcode NOT_SAFE}.
 *
 * @module
 */

const TWO_32 = 2 ** 32;

/** What {@linkcode getU64} and {@linkcode getS64} return for a number that a `number` cannot hold exactly. */
export const NOT_SAFE: number = NaN;

/** Writes an unsigned 16-bit number. */
export function putU16(out: Uint8Array, at: number, value: number): void {
  out[at] = value;
  out[at + 1] = value >>> 8;
}

/** Writes an unsigned 32-bit number (or a signed one, in two's complement). */
export function putU32(out: Uint8Array, at: number, value: number): void {
  out[at] = value;
  out[at + 1] = value >>> 8;
  out[at + 2] = value >>> 16;
  out[at + 3] = value >>> 24;
}

/** Writes a 64-bit number, two's complement where it is negative. `value` must be a safe integer. */
export function putU64(out: Uint8Array, at: number, value: number): void {
  putU32(out, at, value >>> 0);
  putU32(out, at + 4, Math.floor(value / TWO_32) >>> 0);
}

/** Reads an unsigned 16-bit number. */
export function getU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

/** Reads an unsigned 32-bit number. */
export function getU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

/** Reads an unsigned 64-bit number; {@linkcode NOT_SAFE} above 2^53 - 1. */
export function getU64(bytes: Uint8Array, at: number): number {
  const high = getU32(bytes, at + 4);
  return high > 0x1fffff ? NOT_SAFE : high * TWO_32 + getU32(bytes, at);
}

/** An unsigned 64-bit number of its two halves, be these signed or not; {@linkcode NOT_SAFE} above 2^53 - 1. */
export function toU64(low: number, high: number): number {
  return high >>> 0 > 0x1fffff ? NOT_SAFE : high * TWO_32 + (low >>> 0);
}

/** Reads a signed 64-bit number; {@linkcode NOT_SAFE} outside ±(2^53 - 1). */
export function getS64(bytes: Uint8Array, at: number): number {
  const value = (getU32(bytes, at + 4) | 0) * TWO_32 + getU32(bytes, at);
  return Number.isSafeInteger(value) ? value : NOT_SAFE;
}

/** Reads an unsigned 64-bit number without loss. For handshakes and error texts, not for every message. */
export function getU64Big(bytes: Uint8Array, at: number): bigint {
  return (BigInt(getU32(bytes, at + 4)) << 32n) | BigInt(getU32(bytes, at));
}

/** Writes an unsigned 64-bit number given as a bigint. */
export function putU64Big(out: Uint8Array, at: number, value: bigint): void {
  putU32(out, at, Number(value & 0xffffffffn));
  putU32(out, at + 4, Number((value >> 32n) & 0xffffffffn));
}
