/**
 * Reading Ceph's encoded structures. Nothing is read beyond the end of the bytes, whatever their lengths and counts say.
 *
 * @module
 */

import { MessengerError } from "../errors.ts";
import { getS64, getU16, getU32, getU64, getU64Big } from "../wire/integers.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A cursor over encoded bytes. Every method throws a `MessengerError` with code `bad_message` where they end too early. */
export class Decoder {
  readonly #bytes: Uint8Array;
  #at: number;
  #end: number;

  /** Reads `bytes` from their beginning; what it returns may be views of them. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#at = 0;
    this.#end = bytes.length;
  }

  /** How many bytes are left. */
  get remaining(): number {
    return this.#end - this.#at;
  }

  /** The next `length` bytes, as a view. */
  raw(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  /** An unsigned byte. */
  u8(): number {
    return this.#bytes[this.#take(1)]!;
  }

  /** A byte that is 0 or not. */
  bool(): boolean {
    return this.u8() !== 0;
  }

  /** An unsigned number of 16 bits. */
  u16(): number {
    return getU16(this.#bytes, this.#take(2));
  }

  /** An unsigned number of 32 bits. */
  u32(): number {
    return getU32(this.#bytes, this.#take(4));
  }

  /** A signed number of 32 bits. */
  s32(): number {
    return this.u32() | 0;
  }

  /** An unsigned number of 64 bits that a `number` holds. */
  u64(): number {
    return safe(getU64(this.#bytes, this.#take(8)));
  }

  /** A signed number of 64 bits that a `number` holds. */
  s64(): number {
    return safe(getS64(this.#bytes, this.#take(8)));
  }

  /** Any unsigned number of 64 bits. */
  u64Big(): bigint {
    return getU64Big(this.#bytes, this.#take(8));
  }

  /** Bytes with their length before them, as a view. Ceph's `bufferlist`. */
  bytes(): Uint8Array {
    return this.raw(this.u32());
  }

  /** Text with its length before it. */
  string(): string {
    const bytes = this.bytes();
    try {
      return utf8.decode(bytes);
    } catch {
      throw bad("text", "bytes that are no UTF-8", "UTF-8");
    }
  }

  /** A time or a duration in ms. Ceph's `utime_t`. */
  time(): number {
    const seconds = this.u32();
    return seconds * 1000 + this.u32() / 1e6;
  }

  /** A list with its count before it. Elements take at least `least` bytes each, so that no count can make us allocate more than was sent. */
  list<T>(element: () => T, least = 1): T[] {
    const count = this.u32();
    if (count * least > this.remaining) throw bad("count", count, `at most ${Math.floor(this.remaining / least)}`);
    return Array.from({ length: count }, element);
  }

  /** A map with its count before it. */
  map<K, V>(key: () => K, value: () => V, least = 1): Map<K, V> {
    return new Map(this.list(() => [key(), value()], least));
  }

  /**
   * A structure that says its version and length: what a newer version has added is skipped. Ceph's `DECODE_START`, `DECODE_FINISH`.
   *
   * @param what Its name, for the error.
   * @param known The newest version that `read` knows.
   * @param read Reads the fields, given the version.
   */
  struct<T>(what: string, known: number, read: (version: number) => T): T {
    const version = this.u8(), compat = this.u8(), length = this.u32();
    if (compat > known) throw bad(`${what} version`, `one that needs a decoder of ${compat}`, `at most ${known}`);
    if (length > this.remaining) throw bad(`${what} length`, length, `at most ${this.remaining}`);
    const outer = this.#end, end = this.#at + length;
    this.#end = end;
    const value = read(version);
    this.#end = outer;
    this.#at = end;
    return value;
  }

  #take(length: number): number {
    const at = this.#at;
    if (length > this.#end - at) throw bad("length", `${length} bytes at ${at}`, `at most ${this.#end - at}`);
    this.#at = at + length;
    return at;
  }
}

function safe(value: number): number {
  if (value === value) return value;
  throw bad("number", "more than 2^53 - 1", "at most 2^53 - 1");
}

/** The error for a field that cannot be. */
export function bad(field: string, got: string | number | bigint, expected: string | number | bigint): MessengerError {
  return new MessengerError("bad_message", `Bad ${field}: got ${got}, expected ${expected}`);
}
