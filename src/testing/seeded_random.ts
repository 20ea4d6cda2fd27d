/**
 * Random numbers that come again: the same seed gives the same numbers on every runtime.
 *
 * @module
 */

/**
 * A generator of random numbers from a seed (sfc32, 128 bits of state).
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { SeededRandom } from "@msgr/pipe/testing";
 *
 * const [a, b] = [new SeededRandom(7), new SeededRandom(7)];
 * assertEquals([a.int(1, 6), a.int(1, 6)], [b.int(1, 6), b.int(1, 6)]);
 * ```
 */
export class SeededRandom {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /**
   * Makes a generator.
   *
   * @param seed Where it begins: any number; its lower 32 bits and its part above 2^32 count.
   * @param stream Tells generators of one seed apart.
   */
  constructor(seed: number, stream = 0) {
    this.#a = seed >>> 0;
    this.#b = Math.floor(seed / 2 ** 32) >>> 0;
    this.#c = stream >>> 0;
    for (let i = 0; i < 12; i++) this.#word();
  }

  /** A number from 0 up to but not including 1. */
  next(): number {
    return this.#word() / 2 ** 32;
  }

  /** A whole number from `least` to `most`, both included. */
  int(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  /** Whether something happens that has this probability, 0 to 1. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** One of the items. There must be one. */
  pick<T>(items: readonly T[]): T {
    return items[this.int(0, items.length - 1)]!;
  }

  /** A generator of its own, so that drawing from one does not shift what another gives. */
  fork(): SeededRandom {
    return new SeededRandom(this.#word() + this.#word() * 2 ** 20, this.#word());
  }

  #word(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }
}
