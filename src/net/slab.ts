/**
 * Memory that a socket reads into, where the runtime lets the reader choose it.
 *
 * @module
 */

import { RawBuffer } from "../raw_buffer.ts";

/** A connection that is kept busy reads into this much. */
const LARGEST = 256 * 1024;
/** After this many reads in a row of less than 1/64 of the slab, the connection has gone quiet and gets a smaller one. */
const QUIET_READS = 32;

/** One connection's slabs: what was read is given away, so that the next bytes go behind it or into a new slab. */
export class Slab {
  readonly #allocate: (length: number) => Uint8Array;
  readonly #smallest: number;
  #raw: RawBuffer | undefined;
  #used = 0;
  #size: number;
  #quietReads = 0;

  /**
   * @param allocate Where they come from; what is in them does not matter.
   * @param smallest How many bytes the first one has, and one of a connection that has gone quiet.
   */
  constructor(allocate: (length: number) => Uint8Array, smallest: number) {
    this.#allocate = allocate;
    this.#size = this.#smallest = smallest;
  }

  /** Whether the connection has been quiet for so long that the smallest slab is too large for it. */
  get isQuiet(): boolean {
    return this.#size === this.#smallest && this.#quietReads === QUIET_READS;
  }

  /** Where the next bytes go. It is never empty. */
  room(): Uint8Array {
    const size = this.#raw?.bytes.byteLength ?? 0;
    if (this.#quietReads === QUIET_READS && this.#size > this.#smallest) {
      this.#size /= 4;
      this.#quietReads = 0;
    }
    if (size - this.#used < size / 4 || size > this.#size || size === 0) {
      this.#raw?.put();
      this.#raw = RawBuffer.allocate(this.#size, this.#allocate);
      this.#used = 0;
    }
    return this.#raw!.bytes.subarray(this.#used);
  }

  /** The first `count` bytes of that room have been read: they belong to the caller, and so does one need of their {@linkcode RawBuffer}. */
  take(count: number): Uint8Array {
    const from = this.#used, raw = this.#raw!, { byteLength } = raw.bytes;
    this.#used += count;
    this.#quietReads = count < byteLength / 64 ? Math.min(this.#quietReads + 1, QUIET_READS) : 0;
    if (this.#used === byteLength && this.#size < LARGEST) this.#size *= 4;
    raw.get();
    return raw.bytes.subarray(from, this.#used);
  }
}
