/**
 * Time and chance. Everything in this module that waits, reads a clock or draws a random number does it through an
 * {@linkcode Environment}, so that a simulation can put a virtual clock and a seeded generator in its place and replay a failure.
 *
 * @module
 */

/** Where a Messenger gets its time and its random numbers from. */
export interface Environment {
  /** The time in milliseconds since 1970. */
  now(): number;
  /** A random number from 0 up to but not including 1. */
  random(): number;
  /** Calls `callback` once after `ms` milliseconds. Returns a handle for {@linkcode Environment.clearTimer}. */
  setTimer(callback: () => void, ms: number): unknown;
  /** Forgets a timer. One that has fired, or `undefined`, is ignored. */
  clearTimer(handle: unknown): void;
  /** Calls `callback` in the next turn of the event loop: after what is ready now, before any timer. */
  nextTurn(callback: () => void): void;
}

/** The system's clock and random numbers. */
export const systemEnvironment: Environment = {
  now: () => Date.now(),
  random: () => Math.random(),
  setTimer: (callback, ms) => setTimeout(callback, ms),
  clearTimer: (handle) => clearTimeout(handle as number | undefined),
  nextTurn: (callback) => {
    const { setImmediate } = globalThis as { setImmediate?: (callback: () => void) => void };
    if (setImmediate === undefined) setTimeout(callback, 0);
    else setImmediate(callback);
  },
};

/** Waits `ms` milliseconds of the environment's time. */
export function sleep(environment: Environment, ms: number): Promise<void> {
  return new Promise((resolve) => environment.setTimer(resolve, ms));
}
