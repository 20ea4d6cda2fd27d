/**
 * The bytes of one write, and the buffers that they are put together in.
 *
 * @module
 */

import { crc32c } from "./wire/crc32c.ts";

/** A batch is full when it has this many bytes: larger ones wake the other end less often, but hold the event loop up, and memory. */
const FULL = 512 * 1024;
/** Segments from this size on are written from where they lie; a smaller one is copied, which costs less than a write of its own. */
const BY_REFERENCE = 128 * 1024;
/** The same where they need no write of their own, since the socket gathers. */
const GATHERED = 32 * 1024;

/** Buffers of one size, those that are not in use. */
interface Pool {
  readonly size: number;
  /** How many are kept for later. */
  readonly most: number;
  readonly buffers: Uint8Array[];
}

/**
 * From what an idle connection says to a full batch with, on top, the largest message whose parts are all copied. A thousand connections that speak at once
 * take a thousand buffers.
 */
const POOLS: readonly Pool[] = [
  { size: 4 * 1024, most: 64, buffers: [] },
  { size: 64 * 1024, most: 16, buffers: [] },
  { size: FULL + 3 * BY_REFERENCE + 1024, most: 8, buffers: [] },
];

/** A buffer of at least so many bytes, or of the largest kind. */
function take(size: number): Uint8Array {
  const pool = POOLS.find((pool) => pool.size >= size) ?? POOLS.at(-1)!;
  return pool.buffers.pop() ?? new Uint8Array(pool.size);
}

function release(buffer: Uint8Array): void {
  const pool = POOLS.find(({ size }) => size === buffer.length)!;
  if (pool.buffers.length < pool.most) pool.buffers.push(buffer);
}

/** What leaves in one write: slices of a buffer that small things are copied into, and large segments from where they lie. */
export class Batch {
  /** Where small things go, at {@linkcode at} and behind. */
  buffer: Uint8Array;
  /** Where the next byte goes. */
  at = 0;
  /** What is to be written, in order, once {@linkcode end} has been called. */
  readonly slices: Uint8Array[] = [];
  /** Where the slice begins that is being filled. */
  #start = 0;
  #sliced = 0;
  /** Buffers that became too small behind a large segment. */
  readonly #outgrown: Uint8Array[] = [];
  /** From which size on segments are not copied. */
  readonly #byReference: number;

  /**
   * @param size How many bytes are likely to come.
   * @param gathers Whether the socket writes several slices at once.
   */
  constructor(size: number, gathers: boolean) {
    this.buffer = take(size);
    this.#byReference = gathers ? GATHERED : BY_REFERENCE;
  }

  /** How many bytes it has. */
  get length(): number {
    return this.#sliced + this.at - this.#start;
  }

  /** Whether it has enough for one write. */
  get isFull(): boolean {
    return this.length >= FULL || this.at >= FULL;
  }

  /** Makes room for `size` bytes and for those of `segments` that are copied. */
  reserve(size: number, ...segments: number[]): void {
    for (const length of segments) if (length < this.#byReference) size += length;
    if (this.at + size <= this.buffer.length) return;
    const small = this.buffer;
    this.buffer = take(this.at + size);
    if (this.slices.length === 0) {
      this.buffer.set(small.subarray(0, this.at));
      release(small);
      return;
    }
    this.#cut(small);
    this.#outgrown.push(small);
    this.at = this.#start = 0;
  }

  /** Adds a segment of a message, for which there is room. Returns its crc. */
  put(segment: Uint8Array): number {
    if (segment.length < this.#byReference) {
      this.buffer.set(segment, this.at);
      this.at += segment.length;
    } else {
      this.#cut(this.buffer);
      this.slices.push(segment);
      this.#sliced += segment.length;
    }
    return crc32c(segment);
  }

  /** Adds bytes, which are copied. */
  append(bytes: Uint8Array): void {
    if (this.at + bytes.length > this.buffer.length) this.reserve(bytes.length);
    this.buffer.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** Ends it: all its bytes are in {@linkcode slices}. */
  end(): void {
    this.#cut(this.buffer);
  }

  /** Gives the buffers back, once all has been written. After a failure the network may still hold them: they are left to the garbage collector. */
  recycle(): void {
    release(this.buffer);
    for (const buffer of this.#outgrown) release(buffer);
  }

  #cut(buffer: Uint8Array): void {
    if (this.at === this.#start) return;
    this.slices.push(buffer.subarray(this.#start, this.at));
    this.#sliced += this.at - this.#start;
    this.#start = this.at;
  }
}
