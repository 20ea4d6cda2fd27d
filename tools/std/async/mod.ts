/**
 * Stand-in for `@std/async` 1.5 where JSR cannot be reached: the functions this repository calls, with the same names and
 * signatures. Users of the package get the real one.
 *
 * @module
 */

/** Options of {@linkcode delay}. */
export interface DelayOptions {
  /** Ends the delay early: it then rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Options of {@linkcode deadline}. */
export interface DeadlineOptions {
  /** Gives up early: the promise then rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** Fulfils after `ms` milliseconds, and leaves neither timer nor listener behind. */
export function delay(ms: number, options: DelayOptions = {}): Promise<void> {
  const { signal } = options;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  if (signal?.aborted) {
    reject(signal.reason);
    return promise;
  }
  const onAbort = (): void => {
    clearTimeout(timer);
    reject(signal?.reason);
  };
  const timer = setTimeout(() => {
    signal?.removeEventListener("abort", onAbort);
    resolve();
  }, ms);
  signal?.addEventListener("abort", onAbort, { once: true });
  return promise;
}

/** The outcome of `p`, or a rejection with the signal's reason if that comes first. */
export function abortable<T>(p: Promise<T>, signal: AbortSignal): Promise<T>;
/** The items of `p`, or an error with the signal's reason as soon as it aborts. */
export function abortable<T>(p: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T>;
export function abortable<T>(
  p: Promise<T> | AsyncIterable<T>,
  signal: AbortSignal,
): Promise<T> | AsyncGenerator<T> {
  return p instanceof Promise ? raced(p, signal) : abortableItems(p, signal);
}

/** The outcome of `p`; a `DOMException` named `TimeoutError` if that takes longer than `ms` milliseconds. */
export async function deadline<T>(p: Promise<T>, ms: number, options: DeadlineOptions = {}): Promise<T> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new DOMException("Signal timed out.", "TimeoutError")), ms);
  const signal = options.signal === undefined ? late.signal : AbortSignal.any([late.signal, options.signal]);
  try {
    return await raced(p, signal);
  } finally {
    clearTimeout(timer);
  }
}

async function raced<T>(p: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([aborted.promise, p]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

async function* abortableItems<T>(items: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  signal.throwIfAborted();
  const iterator = items[Symbol.asyncIterator]();
  while (true) {
    const next = await raced(iterator.next(), signal);
    if (next.done) return;
    yield next.value;
  }
}
