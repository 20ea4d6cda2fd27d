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

/** Batches with buffers of one size, those that are not in use. */
interface Pool {
  readonly size: number;
  /** How many are kept for later. */
  readonly most: number;
  readonly batches: Batch[];
}

/**
 * From what an idle connection says to a full batch with, on top, the largest message whose parts are all copied. A thousand connections that speak at once
 * take a thousand buffers.
 */
const POOLS: readonly Pool[] = [
  { size: 4 * 1024, most: 64, batches: [] },
  { size: 64 * 1024, most: 16, batches: [] },
  { size: FULL + 3 * BY_REFERENCE + 1024, most: 8, batches: [] },
];

/** What leaves in one write: slices of a buffer that small things are copied into, and large segments from where they lie. */
export class Batch {
  /** Where small things go, at {@linkcode at} and behind. */
  buffer: Uint8Array;
  /** Where the next byte goes. */
  at = 0;
  /** What is to be written, in order, once {@linkcode end} has been called. */
  readonly slices: Uint8Array[] = [];
  #pool: Pool;
  /** Where the slice begins that is being filled. */
  #start = 0;
  #sliced = 0;
  /** The buffer's first slice when it was written last. Where round trips are of one kind it is wanted again and again, and to make one takes a while. */
  #first: Uint8Array | undefined;
  /** Those whose buffers became too small behind a large segment. */
  #outgrown: Batch[] | undefined;
  /** From which size on segments are not copied. */
  #byReference = BY_REFERENCE;

  private constructor(pool: Pool) {
    this.#pool = pool;
    this.buffer = new Uint8Array(pool.size);
  }

  /**
   * Begins one.
   *
   * @param size How many bytes are likely to come.
   * @param gathers Whether the socket writes several slices at once.
   */
  static begin(size: number, gathers: boolean): Batch {
    const batch = Batch.#take(size);
    batch.#byReference = gathers ? GATHERED : BY_REFERENCE;
    return batch;
  }

  /** An empty one with a buffer of at least so many bytes, or of the largest kind. */
  static #take(size: number): Batch {
    let kind = 0;
    while (kind < POOLS.length - 1 && POOLS[kind]!.size < size) kind++;
    const pool = POOLS[kind]!;
    return pool.batches.pop() ?? new Batch(pool);
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
    const other = Batch.#take(this.at + size);
    if (this.slices.length === 0) {
      other.buffer.set(this.buffer.subarray(0, this.at));
      this.#exchangeBuffers(other);
      other.recycle();
    } else {
      this.#cut();
      this.#exchangeBuffers(other);
      (this.#outgrown ??= []).push(other);
      this.at = this.#start = 0;
    }
  }

  #exchangeBuffers(other: Batch): void {
    const buffer = this.buffer, pool = this.#pool;
    this.buffer = other.buffer;
    this.#pool = other.#pool;
    other.buffer = buffer;
    other.#pool = pool;
    this.#first = other.#first = undefined;
  }

  /** Adds a segment of a message, for which there is room. Returns its crc. */
  put(segment: Uint8Array): number {
    if (segment.length < this.#byReference) {
      this.buffer.set(segment, this.at);
      this.at += segment.length;
    } else {
      this.#cut();
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
    this.#cut();
  }

  /**
   * Gives it back with its buffers, once all has been written: it is another one's from now on. After a failure the network may still hold them, and they are left
   * to the garbage collector.
   */
  recycle(): void {
    this.at = this.#start = this.#sliced = 0;
    this.slices.length = 0;
    if (this.#outgrown !== undefined) {
      for (const other of this.#outgrown) other.recycle();
      this.#outgrown = undefined;
    }
    const { batches, most } = this.#pool;
    if (batches.length < most) batches.push(this);
  }

  #cut(): void {
    if (this.at === this.#start) return;
    this.slices.push(this.#start === 0 ? this.#beginning() : this.buffer.subarray(this.#start, this.at));
    this.#sliced += this.at - this.#start;
    this.#start = this.at;
  }

  #beginning(): Uint8Array {
    if (this.#first?.length !== this.at) this.#first = this.buffer.subarray(0, this.at);
    return this.#first;
  }
}
