/**
 * Who is told of status events.
 *
 * @module
 */

import { MessengerError } from "./errors.ts";
import { Ring } from "./ring.ts";

/** Options of `messenger.status()` and `connection.status()`. */
export interface StatusOptions {
  /**
   * How many events are kept for a reader that is behind, 1 to 1000000.
   *
   * @default {256}
   */
  readonly limit?: number;
}

const LIMIT = 256, LARGEST_LIMIT = 1_000_000;

/**
 * Status events as they happen, from the moment on that this was asked for: `for await (const status of messenger.status())`.
 *
 * It ends with what it tells of, behind the last event. Leaving the loop ends it, too; whoever calls `next()` by hand calls `return()` in the end.
 */
export interface StatusEvents<Status> extends AsyncIterableIterator<Status, undefined>, AsyncDisposable {
  /** How many events were dropped because the reader was behind: it finds the latest. */
  readonly skipped: number;
  /** Ends it; events that were not read are dropped. */
  return(): Promise<IteratorResult<Status, undefined>>;
  /** Itself. */
  [Symbol.asyncIterator](): StatusEvents<Status>;
}

/** One who wants to know. */
class Listener<Status> implements StatusEvents<Status> {
  readonly #limit: number;
  readonly #leave: (listener: Listener<Status>) => void;
  readonly #kept = new Ring<Status>();
  readonly #readers = new Ring<(result: IteratorResult<Status, undefined>) => void>();
  #skipped = 0;
  #isOver = false;

  constructor(limit: number, leave: (listener: Listener<Status>) => void) {
    this.#limit = limit;
    this.#leave = leave;
  }

  get skipped(): number {
    return this.#skipped;
  }

  next(): Promise<IteratorResult<Status, undefined>> {
    const value = this.#kept.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#isOver) return Promise.resolve(OVER);
    return new Promise((resolve) => this.#readers.push(resolve));
  }

  return(): Promise<IteratorResult<Status, undefined>> {
    this.#kept.clear();
    this.end();
    this.#leave(this);
    return Promise.resolve(OVER);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** Something has happened. */
  push(status: Status): void {
    const reader = this.#readers.shift();
    if (reader !== undefined) return reader({ done: false, value: status });
    if (this.#kept.length === this.#limit) {
      this.#kept.shift();
      this.#skipped++;
    }
    this.#kept.push(status);
  }

  /** Nothing more will happen. */
  end(): void {
    this.#isOver = true;
    for (let reader = this.#readers.shift(); reader !== undefined; reader = this.#readers.shift()) reader(OVER);
  }
}

/** Tells whoever wants to know. Nothing is kept while nobody does. */
export class StatusSource<Status> {
  readonly #log: ((status: Status) => void) | undefined;
  readonly #listeners = new Set<Listener<Status>>();

  /** @param log Is told at once of everything. */
  constructor(log?: (status: Status) => void) {
    this.#log = log;
  }

  /** Whether somebody wants to know. */
  get isWatched(): boolean {
    return this.#log !== undefined || this.#listeners.size > 0;
  }

  /**
   * Somebody wants to know, from now on.
   *
   * @throws {MessengerError} With code `invalid` for a limit out of its range.
   */
  listen({ limit = LIMIT }: StatusOptions = {}): StatusEvents<Status> {
    if (!Number.isInteger(limit) || limit < 1 || limit > LARGEST_LIMIT) {
      throw new MessengerError("invalid", `Bad option limit: got ${limit}, expected 1 to ${LARGEST_LIMIT}`);
    }
    const listener = new Listener<Status>(limit, (left) => this.#listeners.delete(left));
    this.#listeners.add(listener);
    return listener;
  }

  /** Tells all of them. */
  tell(status: Status): void {
    this.#log?.(status);
    for (const listener of this.#listeners) listener.push(status);
  }

  /** There is no more to tell. */
  end(): void {
    for (const listener of this.#listeners) listener.end();
    this.#listeners.clear();
  }
}

const OVER: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined });
