/**
 * Giving up on promises that cannot be called off.
 *
 * @module
 */

/**
 * What a promise gives, or the signal's reason if that comes first. The promise itself goes on.
 *
 * @param promise What to wait for.
 * @param signal Ends the wait.
 */
export function abortable<Value>(promise: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (signal === undefined) return promise;
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener("abort", onAbort));
}
