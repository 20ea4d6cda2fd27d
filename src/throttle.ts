/**
 * A budget that many share: takers wait in line while it is used up.
 *
 * @module
 */

import { Ring } from "./ring.ts";

interface Waiter {
  readonly count: number;
  readonly admit: () => void;
  gone: boolean;
}

/**
 * A counting semaphore over messages or bytes. Ceph's `Throttle`.
 *
 * A request larger than the whole budget passes alone, as soon as no more than the budget is taken: it can never wait forever.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Throttle } from "@msgr/pipe";
 *
 * const throttle = new Throttle(100);
 * assertEquals(throttle.getOrFail(80), true);
 * assertEquals(throttle.getOrFail(30), false);
 * const later = throttle.get(30);
 * throttle.put(80);
 * await later;
 * assertEquals(throttle.current, 30);
 * ```
 */
export class Throttle {
  #max: number;
  #current = 0;
  #waiting = 0;
  readonly #line = new Ring<Waiter>();

  /** Makes a throttle with a budget; 0 for none, which lets everything pass and counts nothing. */
  constructor(max: number) {
    this.#max = max;
  }

  /** The budget; 0 for none. */
  get max(): number {
    return this.#max;
  }

  /** How much is taken. */
  get current(): number {
    return this.#current;
  }

  /** How many wait in line. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Takes `count` if that is possible at once and nobody waits in line; says whether it did. Ceph's `get_or_fail`. */
  getOrFail(count: number): boolean {
    if (this.#max === 0) return true;
    if (this.#waiting > 0 || this.#mustWait(count)) return false;
    this.#current += count;
    return true;
  }

  /**
   * Takes `count`, in line behind those who came before. Ceph's `get`.
   *
   * @param count How much to take.
   * @param signal Leaves the line: the promise then rejects with the signal's reason, and nothing is taken.
   */
  get(count: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.getOrFail(count)) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const leave = () => {
        waiter.gone = true;
        this.#waiting--;
        this.#admit();
        reject(signal!.reason);
      };
      const waiter: Waiter = {
        count,
        gone: false,
        admit: () => {
          signal?.removeEventListener("abort", leave);
          resolve();
        },
      };
      signal?.addEventListener("abort", leave, { once: true });
      this.#line.push(waiter);
      this.#waiting++;
    });
  }

  /** Gives `count` back. Ceph's `put`. */
  put(count: number): void {
    if (this.#max === 0) return;
    this.#current = Math.max(0, this.#current - count);
    if (this.#waiting > 0) this.#admit();
  }

  /** Changes the budget and lets pass who now may. Ceph's `reset_max`. */
  resetMax(max: number): void {
    this.#max = max;
    this.#admit();
  }

  #mustWait(count: number): boolean {
    return this.#max !== 0 &&
      ((count <= this.#max && this.#current + count > this.#max) || (count >= this.#max && this.#current > this.#max));
  }

  #admit(): void {
    for (let first = this.#line.at(0); first !== undefined; first = this.#line.at(0)) {
      if (!first.gone) {
        if (this.#mustWait(first.count)) return;
        if (this.#max !== 0) this.#current += first.count;
        this.#waiting--;
        first.admit();
      }
      this.#line.shift();
    }
  }
}
