/**
 * What the demo's programs send each other, and how they prove afterwards that it arrived.
 *
 * @module
 */

import { createHash } from "node:crypto";

/** The longest message, in bytes. */
export const LONGEST = 256 * 1024;

/** How many messages there were, how many bytes they had, and a hash chained over all of them in their order. */
export interface Sum {
  readonly count: number;
  readonly bytes: number;
  readonly hash: string;
}

/**
 * The contents of so many messages, the same for the same seed: one of 0 bytes, one of the longest, and then whatever comes. Where the longest has
 * 256 KiB, half of them have less than 30 bytes, and one in ten has more than 20 KiB.
 */
export function* traffic(count: number, seed: number, longest = LONGEST): Generator<Uint8Array<ArrayBuffer>> {
  const random = randomNumbers(seed);
  const words = Uint32Array.from({ length: LONGEST / 2 }, () => random() * 2 ** 32);
  const pool = new Uint8Array(words.buffer);
  for (let i = 0; i < count; i++) {
    const size = i === 0 ? 0 : i === 1 ? longest : Math.floor(longest ** (random() ** 2)) - 1;
    const start = Math.floor(random() * (pool.length - size));
    yield pool.subarray(start, start + size);
  }
}

/** Adds messages up. */
export class Tally {
  count = 0;
  bytes = 0;
  readonly #hash = createHash("sha256");

  add(data: Uint8Array): void {
    this.count++;
    this.bytes += data.length;
    // With the lengths in it, the same bytes cut into other messages have another hash.
    this.#hash.update(Uint32Array.of(data.length));
    this.#hash.update(data);
  }

  sum(): Sum {
    return { count: this.count, bytes: this.bytes, hash: this.#hash.copy().digest("hex") };
  }
}

/** A generator of numbers from 0 up to 1 (xorshift32). */
export function randomNumbers(seed: number): () => number {
  // Neighbouring seeds must not begin alike, and 0 is the one state that goes nowhere.
  let state = Math.imul(seed, 0x9e3779b1) || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
