/**
 * Long contents in pieces: cut into chunks, and with several operations under way at once.
 *
 * @module
 */

/** What to write. */
export type ObjectData = string | Uint8Array | ReadableStream<Uint8Array>;

/**
 * Cuts data into chunks of `size` bytes; the last may be shorter.
 *
 * @param data Text goes as UTF-8. A stream is cancelled when the signal is aborted, and when no more chunks are taken.
 * @param size How many bytes a chunk has.
 * @param signal Ends the chunks; the generator then throws its reason.
 */
export async function* chunksOf(data: ObjectData, size: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  if (data instanceof ReadableStream) return yield* chunksOfStream(data, size, signal);
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  for (let at = 0; at < bytes.length; at += size) {
    signal.throwIfAborted();
    yield bytes.subarray(at, at + size);
  }
}

async function* chunksOfStream(
  stream: ReadableStream<Uint8Array>,
  size: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  // A source that says nothing for long would otherwise keep us from hearing of it.
  const aborted = () => void reader.cancel(signal.reason).catch(() => {});
  signal.addEventListener("abort", aborted);
  let chunk = new Uint8Array(0), filled = 0, isDone = false;
  try {
    signal.throwIfAborted();
    for (;;) {
      const { done, value } = await reader.read();
      signal.throwIfAborted();
      if (done) break;
      for (let at = 0; at < value.length;) {
        if (filled === 0) chunk = new Uint8Array(size);
        const part = value.subarray(at, at + size - filled);
        chunk.set(part, filled);
        filled += part.length;
        at += part.length;
        if (filled < size) continue;
        filled = 0;
        yield chunk;
      }
    }
    isDone = true;
    if (filled > 0) yield chunk.subarray(0, filled);
  } finally {
    signal.removeEventListener("abort", aborted);
    if (!isDone) aborted();
    reader.releaseLock();
  }
}

/**
 * Does something with every item, with several under way at once, and gives the results in the order of the items. The first failure ends it; what is
 * under way then is left to the caller's signal.
 *
 * @param items They are taken as room becomes free.
 * @param limit How many may be under way.
 * @param work What to do.
 */
export async function* severalAtOnce<T, R>(
  items: AsyncIterable<T> | Iterable<T>,
  limit: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const underWay: Promise<R>[] = [];
  for await (const item of items) {
    const result = work(item);
    // It is heard of when its turn comes, which may be never.
    result.catch(() => {});
    underWay.push(result);
    if (underWay.length === limit) yield await underWay.shift()!;
  }
  for (const result of underWay) yield await result;
}

/** A signal that is aborted with another, and on its own account. It has to be disposed of. */
export class Abort implements Disposable {
  readonly #own = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #aborted = () => this.#own.abort(this.#outer!.reason);

  /** Follows `outer`, if there is one. */
  constructor(outer: AbortSignal | undefined) {
    this.#outer = outer;
    if (outer?.aborted) this.#aborted();
    else outer?.addEventListener("abort", this.#aborted);
  }

  /** What is aborted. */
  get signal(): AbortSignal {
    return this.#own.signal;
  }

  /** Aborts it. */
  abort(reason: unknown): void {
    this.#own.abort(reason);
  }

  /** Follows no longer. */
  [Symbol.dispose](): void {
    this.#outer?.removeEventListener("abort", this.#aborted);
  }
}
