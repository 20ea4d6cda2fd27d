/**
 * Connections between the operating system, which hands them over when it likes, and a `for await` loop, which takes them when it
 * likes: what the adapters' listeners have in common.
 *
 * @module
 */

import type { Socket } from "./network.ts";

type Taker = PromiseWithResolvers<IteratorResult<Socket, undefined>>;

/** Accepted sockets in order, and the iterations that wait for one. */
export class AcceptQueue implements AsyncIterable<Socket> {
  readonly #limit: number;
  readonly #want: () => void;
  readonly #sockets: Socket[] = [];
  readonly #takers: Taker[] = [];
  #closed = false;

  /**
   * @param limit Sockets that may wait to be taken.
   * @param want Called when an iteration waits and no socket is there, for runtimes that accept on demand.
   */
  constructor(limit: number, want: () => void = () => {}) {
    this.#limit = limit;
    this.#want = want;
  }

  /** Whether an iteration is waiting. */
  get wanted(): boolean {
    return this.#takers.length > 0;
  }

  /** Whether another socket would be turned away. */
  get full(): boolean {
    return this.#closed || (this.#takers.length === 0 && this.#sockets.length >= this.#limit);
  }

  /** Hands a socket to the iteration that has waited longest, or keeps it; one that finds no place is aborted. */
  push(socket: Socket): void {
    if (this.full) return socket.abort();
    const taker = this.#takers.shift();
    if (taker === undefined) this.#sockets.push(socket);
    else taker.resolve({ done: false, value: socket });
  }

  /** Throws an error out of the iteration that has waited longest. The queue stays usable. */
  fail(error: Error): void {
    this.#takers.shift()?.reject(error);
  }

  /** Ends every iteration, and aborts the sockets that nobody took. */
  close(): void {
    this.#closed = true;
    for (const socket of this.#sockets.splice(0)) socket.abort();
    for (const taker of this.#takers.splice(0)) taker.resolve({ done: true, value: undefined });
  }

  /** An iteration takes sockets until the queue is closed. Leaving a loop early ends that iteration only. */
  [Symbol.asyncIterator](): AsyncIterator<Socket, undefined> {
    const mine = new Set<Taker>();
    let over = false;
    return {
      next: (): Promise<IteratorResult<Socket, undefined>> => {
        if (over || this.#closed) return Promise.resolve({ done: true, value: undefined });
        const socket = this.#sockets.shift();
        if (socket !== undefined) return Promise.resolve({ done: false, value: socket });
        const taker: Taker = Promise.withResolvers();
        mine.add(taker);
        const forget = (): boolean => mine.delete(taker);
        taker.promise.then(forget, forget);
        this.#takers.push(taker);
        this.#want();
        return taker.promise;
      },
      return: (): Promise<IteratorResult<Socket, undefined>> => {
        over = true;
        for (const taker of mine) {
          const index = this.#takers.indexOf(taker);
          if (index < 0) continue;
          this.#takers.splice(index, 1);
          taker.resolve({ done: true, value: undefined });
        }
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }
}
