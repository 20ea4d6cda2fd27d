/**
 * The bytes of one write, and the buffers that they are put together in.
 *
 * @module
 */

import { crc32c } from "./wire/crc32c.ts";

/** A batch is full when it has this many bytes, so that a long queue does not hold the event loop up. */
const FULL = 128 * 1024;
/** Segments from this size on are written from where they lie; smaller ones are copied. */
const BY_REFERENCE = 32 * 1024;
/** A buffer for what an idle connection says, and for single messages. A thousand connections that answer a keepalive at once take a thousand of them. */
const SMALL = 4 * 1024;
/** A buffer for a full batch, and the largest message on top whose parts are all copied. */
const LARGE = FULL + 3 * BY_REFERENCE + 1024;

const smallBuffers: Uint8Array[] = [], largeBuffers: Uint8Array[] = [];
/** How many buffers of each kind are kept for later. */
const SMALL_KEPT = 64, LARGE_KEPT = 8;

function release(buffer: Uint8Array): void {
  if (buffer.length === LARGE) {
    if (largeBuffers.length < LARGE_KEPT) largeBuffers.push(buffer);
  } else if (smallBuffers.length < SMALL_KEPT) {
    smallBuffers.push(buffer);
  }
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
  /** A buffer that became too small behind a large segment. */
  #outgrown: Uint8Array | undefined;

  /** @param isLong Whether much is to come. */
  constructor(isLong: boolean) {
    this.buffer = isLong ? largeBuffers.pop() ?? new Uint8Array(LARGE) : smallBuffers.pop() ?? new Uint8Array(SMALL);
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
    for (const length of segments) if (length < BY_REFERENCE) size += length;
    if (this.at + size <= this.buffer.length) return;
    const small = this.buffer;
    this.buffer = largeBuffers.pop() ?? new Uint8Array(LARGE);
    if (this.slices.length === 0) {
      this.buffer.set(small.subarray(0, this.at));
      release(small);
      return;
    }
    this.#cut(small);
    this.#outgrown = small;
    this.at = this.#start = 0;
  }

  /** Adds a segment of a message, for which there is room. Returns its crc. */
  put(segment: Uint8Array): number {
    if (segment.length < BY_REFERENCE) {
      this.buffer.set(segment, this.at);
      this.at += segment.length;
    } else {
      this.#cut(this.buffer);
      this.slices.push(segment);
      this.#sliced += segment.length;
    }
    return crc32c(segment);
  }

  /** Ends it: all its bytes are in {@linkcode slices}. */
  end(): void {
    this.#cut(this.buffer);
  }

  /** Gives the buffers back, once all has been written. After a failure the network may still hold them: they are left to the garbage collector. */
  recycle(): void {
    release(this.buffer);
    if (this.#outgrown !== undefined) release(this.#outgrown);
  }

  #cut(buffer: Uint8Array): void {
    if (this.at === this.#start) return;
    this.slices.push(buffer.subarray(this.#start, this.at));
    this.#sliced += this.at - this.#start;
    this.#start = this.at;
  }
}
