/**
 * A budget that many share: takers wait in line while it is used up.
 *
 * @module
 */

import { MessengerError } from "./errors.ts";

interface Waiter {
  readonly count: number;
  readonly admit: () => void;
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
  /** In the order of their coming. A set, since any of them may leave, and one who has left must not be kept. */
  readonly #line = new Set<Waiter>();

  /**
   * Makes a throttle.
   *
   * @param max The budget; 0 for none, which lets everything pass and only counts.
   * @throws {MessengerError} With code `invalid` for a number that is no budget.
   */
  constructor(max: number) {
    this.#max = checked(max);
  }

  /** The budget; 0 for none. */
  get max(): number {
    return this.#max;
  }

  /** How much is taken. */
  get current(): number {
    return this.#current;
  }

  /** How much is left; `Infinity` without a budget. */
  get room(): number {
    return this.#max === 0 ? Infinity : Math.max(0, this.#max - this.#current);
  }

  /** How many wait in line. */
  get waiting(): number {
    return this.#line.size;
  }

  /** Takes `count` if that is possible at once and nobody waits in line; says whether it did. Ceph's `get_or_fail`. */
  getOrFail(count: number): boolean {
    if (this.#line.size > 0 || this.#mustWait(count)) return false;
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
        this.#line.delete(waiter);
        this.#admit();
        reject(signal!.reason);
      };
      const waiter: Waiter = {
        count,
        admit: () => {
          signal?.removeEventListener("abort", leave);
          resolve();
        },
      };
      signal?.addEventListener("abort", leave, { once: true });
      this.#line.add(waiter);
    });
  }

  /** Gives `count` back. Ceph's `put`. */
  put(count: number): void {
    this.#current = Math.max(0, this.#current - count);
    this.#admit();
  }

  /**
   * Changes the budget and lets pass who now may. Ceph's `reset_max`.
   *
   * @throws {MessengerError} With code `invalid` for a number that is no budget.
   */
  resetMax(max: number): void {
    this.#max = checked(max);
    this.#admit();
  }

  #mustWait(count: number): boolean {
    return this.#max !== 0 &&
      ((count <= this.#max && this.#current + count > this.#max) || (count >= this.#max && this.#current > this.#max));
  }

  #admit(): void {
    if (this.#line.size === 0) return;
    for (const first of this.#line) {
      if (this.#mustWait(first.count)) return;
      this.#current += first.count;
      this.#line.delete(first);
      first.admit();
    }
  }
}

function checked(max: number): number {
  if (Number.isSafeInteger(max) && max >= 0) return max;
  throw new MessengerError("invalid", `Bad throttle max: got ${max}, expected 0 to ${Number.MAX_SAFE_INTEGER}`);
}
