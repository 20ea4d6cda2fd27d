/**
 * Writing Ceph's encoded structures.
 *
 * @module
 */

import { putU16, putU32, putU64, putU64Big } from "../wire/integers.ts";

const utf8 = new TextEncoder();

/** Collects encoded fields. Every method returns the encoder, so that fields can be written one after the other. */
export class Encoder {
  #bytes = new Uint8Array(64);
  #length = 0;

  /** What was written so far. */
  finish(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** Bytes as they are. */
  raw(bytes: Uint8Array): this {
    const at = this.#grow(bytes.length);
    this.#bytes.set(bytes, at);
    return this;
  }

  /** A byte. */
  u8(value: number): this {
    const at = this.#grow(1);
    this.#bytes[at] = value;
    return this;
  }

  /** A number of 16 bits, in two's complement if it is negative. */
  u16(value: number): this {
    const at = this.#grow(2);
    putU16(this.#bytes, at, value);
    return this;
  }

  /** A number of 32 bits, in two's complement if it is negative. */
  u32(value: number): this {
    const at = this.#grow(4);
    putU32(this.#bytes, at, value);
    return this;
  }

  /** A safe integer in 64 bits, in two's complement if it is negative. */
  u64(value: number): this {
    const at = this.#grow(8);
    putU64(this.#bytes, at, value);
    return this;
  }

  /** Any unsigned number of 64 bits. */
  u64Big(value: bigint): this {
    const at = this.#grow(8);
    putU64Big(this.#bytes, at, value);
    return this;
  }

  /** Bytes with their length before them. */
  bytes(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes);
  }

  /** Text with its length before it. */
  string(text: string): this {
    return this.bytes(utf8.encode(text));
  }

  /** A time or a duration given in ms. Ceph's `utime_t`. */
  time(ms: number): this {
    const seconds = Math.floor(ms / 1000);
    return this.u32(seconds).u32(Math.round((ms - seconds * 1000) * 1e6));
  }

  /** A list with its count before it. */
  list<T>(elements: Iterable<T>, element: (value: T) => void): this {
    const all = [...elements];
    this.u32(all.length);
    for (const value of all) element(value);
    return this;
  }

  /** A structure with its version and length before it, which older decoders may skip. Ceph's `ENCODE_START`, `ENCODE_FINISH`. */
  struct(version: number, compat: number, write: (body: Encoder) => void): this {
    const body = new Encoder();
    write(body);
    return this.u8(version).u8(compat).bytes(body.finish());
  }

  /** Where the next `size` bytes go. It has to be asked before `#bytes` is looked at, which may be another array afterwards. */
  #grow(size: number): number {
    const at = this.#length, length = at + size;
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#bytes.length));
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#length = length;
    return at;
  }
}
