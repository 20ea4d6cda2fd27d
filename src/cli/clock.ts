/**
 * A clock for what takes less than a millisecond, and waits that Ctrl-C ends.
 *
 * @module
 */

import { systemEnvironment } from "../environment.ts";

/** Milliseconds since 1970, with what a clock can tell behind the point. It never goes back. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

/** Waits `ms` milliseconds, or until the signal is aborted. It never rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const end = () => resolve();
  const timer = systemEnvironment.setTimer(end, ms);
  signal.addEventListener("abort", end);
  await promise;
  systemEnvironment.clearTimer(timer);
  signal.removeEventListener("abort", end);
}

/** Fulfils when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/**
 * Does something that must not take longer than `ms` milliseconds.
 *
 * @param late What it rejects with if it does. The work is told by its signal.
 * @param signal Ends it as well.
 */
export async function within<T>(
  ms: number,
  late: () => Error,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController();
  const timer = systemEnvironment.setTimer(() => deadline.abort(late()), ms);
  const either = AbortSignal.any([signal, deadline.signal]);
  const { promise, reject } = Promise.withResolvers<never>();
  const end = () => reject(either.reason);
  either.addEventListener("abort", end, { once: true });
  if (either.aborted) end();
  try {
    return await Promise.race([work(either), promise]);
  } finally {
    systemEnvironment.clearTimer(timer);
    either.removeEventListener("abort", end);
  }
}
