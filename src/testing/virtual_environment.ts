/**
 * A clock that stands still while anything can be done, and jumps to the next timer when nothing can.
 *
 * @module
 */

import { type Environment, systemEnvironment } from "../environment.ts";
import { SeededRandom } from "./seeded_random.ts";

/** Options of {@linkcode VirtualEnvironment}. */
export interface VirtualEnvironmentOptions {
  /**
   * Where the random numbers begin.
   *
   * @default {0}
   */
  readonly seed?: number;
  /**
   * The time at the start, in ms since 1970.
   *
   * @default {1_000_000_000_000}
   */
  readonly startTime?: number;
}

/** How long {@linkcode VirtualEnvironment.run} goes on. */
export interface RunOptions {
  /**
   * Ends the run after this many ms of virtual time.
   *
   * @default {Infinity}
   */
  readonly ms?: number;
  /** Ends the run once it returns true; asked whenever nothing is left to do at the present time. */
  readonly until?: () => boolean;
  /**
   * Ends the run, with an error, after so many timers and turns: a simulation that never comes to rest is a bug.
   *
   * @default {1_000_000}
   */
  readonly maxSteps?: number;
}

interface Timer {
  readonly at: number;
  readonly order: number;
  callback: (() => void) | undefined;
}

/**
 * Virtual time and seeded chance. Time advances in {@linkcode run} only, and only to the next timer, when every promise and every
 * stream has come to rest; timers of one moment fire in the order in which they were set. A program that gets all its time, chance and
 * sockets from here does the same thing every time it is run.
 *
 * @example An hour in a moment
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { VirtualEnvironment } from "@msgr/pipe/testing";
 *
 * const environment = new VirtualEnvironment();
 * let fired = false;
 * environment.setTimer(() => fired = true, 3_600_000);
 * await environment.run();
 * assertEquals([fired, environment.elapsed, environment.timers], [true, 3_600_000, 0]);
 * ```
 */
export class VirtualEnvironment implements Environment {
  /** The random numbers that {@linkcode random} gives. */
  readonly chance: SeededRandom;
  /** Timers that fired and turns that were taken. */
  steps = 0;

  readonly #startTime: number;
  #now: number;
  #order = 0;
  #armed = 0;
  /** A heap: the earliest timer first, among equals the one set first. Cleared timers leave when they come to the top. */
  readonly #heap: Timer[] = [];
  readonly #turns: (() => void)[] = [];

  /** Makes an environment in which nothing has happened. */
  constructor(options: VirtualEnvironmentOptions = {}) {
    this.chance = new SeededRandom(options.seed ?? 0);
    this.#startTime = this.#now = options.startTime ?? 1_000_000_000_000;
  }

  /** Virtual ms since the start. */
  get elapsed(): number {
    return this.#now - this.#startTime;
  }

  /** Timers that are set and have not fired. */
  get timers(): number {
    return this.#armed;
  }

  /** The virtual time. */
  now(): number {
    return this.#now;
  }

  /** The next random number of the seed. */
  random(): number {
    return this.chance.next();
  }

  /** Calls `callback` when virtual time has advanced by `ms`. */
  setTimer(callback: () => void, ms: number): unknown {
    const timer: Timer = { at: this.#now + Math.max(0, ms), order: this.#order++, callback };
    this.#armed++;
    this.#push(timer);
    return timer;
  }

  /** Forgets a timer. */
  clearTimer(handle: unknown): void {
    const timer = handle as Timer | undefined;
    if (timer?.callback === undefined) return;
    timer.callback = undefined;
    this.#armed--;
  }

  /** Calls `callback` when everything has come to rest, before time advances. */
  nextTurn(callback: () => void): void {
    this.#turns.push(callback);
  }

  /** Waits `ms` of virtual time: somebody else has to {@linkcode run} it. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.setTimer(resolve, ms));
  }

  /** Fulfils when every promise and stream has come to rest; time stands still. */
  async rest(): Promise<void> {
    // A turn of the real event loop: it begins when the microtasks of the one before are used up, however many those were. Promises and Web
    // Streams in memory run on microtasks alone, so there is nothing to guess and no number of turns to choose.
    await new Promise<void>((resolve) => systemEnvironment.nextTurn(resolve));
  }

  /**
   * Lets things happen, one at a time and each to its end, and advances time when nothing is left to do.
   *
   * @returns Whether `until` held. Without it: whether no timer is left.
   * @throws {Error} After `maxSteps`.
   */
  async run(options: RunOptions = {}): Promise<boolean> {
    const { ms = Infinity, until, maxSteps = 1_000_000 } = options;
    const end = this.#now + ms, last = this.steps + maxSteps;
    while (true) {
      await this.rest();
      if (until?.()) return true;
      if (++this.steps > last) throw new Error(`The simulation did not come to rest in ${maxSteps} steps`);
      const turn = this.#turns.shift();
      if (turn !== undefined) {
        turn();
        continue;
      }
      const timer = this.#first();
      if (timer === undefined || timer.at > end) {
        if (timer !== undefined) this.#now = end;
        return timer === undefined && until === undefined;
      }
      this.#pop();
      this.#now = timer.at;
      const { callback } = timer;
      timer.callback = undefined;
      this.#armed--;
      callback!();
    }
  }

  #first(): Timer | undefined {
    while (this.#heap.length > 0 && this.#heap[0]!.callback === undefined) this.#pop();
    return this.#heap[0];
  }

  #push(timer: Timer): void {
    const heap = this.#heap;
    let index = heap.length;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(timer, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = timer;
  }

  #pop(): void {
    const heap = this.#heap, last = heap.pop()!;
    if (heap.length === 0) return;
    let index = 0;
    for (let child = 1; child < heap.length; child = 2 * index + 1) {
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
