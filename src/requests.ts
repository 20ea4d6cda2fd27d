/**
 * Requests of ours that one peer has not replied to yet.
 *
 * @module
 */

import type { Environment } from "./environment.ts";
import { MessengerError } from "./errors.ts";
import { copyOf, type Message, releaseThrottles } from "./message.ts";
import type { MessageType } from "./message_type.ts";
import { REQUEST_FAILED, RequestError, RequestFailed } from "./request_error.ts";
import type { RequestMessage } from "./request_type.ts";
import type { SessionCarrier } from "./session.ts";
import type { Counters } from "./stats.ts";

/**
 * What ends the wait for a reply.
 *
 * @example
 * ```ts
 * import { type RequestOptions } from "@msgr/pipe";
 *
 * const patient: RequestOptions = { timeout: 0, signal: AbortSignal.timeout(3_600_000) };
 * void patient;
 * ```
 */
export interface RequestOptions {
  /** Gives the request up: it then rejects with the signal's reason. The peer is not told. */
  readonly signal?: AbortSignal | undefined;
  /**
   * After how many ms to give it up, with code `timed_out`; 0 for never. Time-outs are looked at every 10 ms.
   *
   * @default {30000}
   */
  readonly timeout?: number | undefined;
}

const DEFAULT_TIMEOUT = 30_000, LONGEST_TIMEOUT = 0x7fffffff;
/** How often time-outs are looked at: at most, so that many of them cost one timer, and at least, so that it does not outlive them for long. In ms. */
const SHORTEST_TICK = 10, LONGEST_TICK = 1000;
/** A peer that restarted must not take replies to its predecessor for its own: every connection counts from elsewhere. */
const FIRST_TIDS = 2 ** 48;

interface Pending {
  readonly reply: MessageType<unknown>;
  readonly resolve: (reply: never) => void;
  readonly reject: (reason: unknown) => void;
  readonly timeout: number;
  readonly deadline: number;
  readonly signal: AbortSignal | undefined;
  readonly onAbort: (() => void) | undefined;
}

/**
 * Gives requests their `tid`, and finds the request for each reply.
 *
 * All time-outs of a connection share one timer, and only a request with a signal listens to it.
 */
export class Requests {
  readonly #environment: Environment;
  readonly #counters: Counters;
  /** By `tid` less the first one. */
  readonly #pending = new Map<number, Pending>();
  readonly #first: number;
  #count = 0;
  /** Replies look like this. Others with a `tid` of ours are the peer's own messages. */
  readonly #replyTypes = new Set<number>([REQUEST_FAILED]);
  #timer: unknown;
  /** When the timer fires; `Infinity` while there is none. */
  #timerAt = Infinity;

  /**
   * @param environment Time and chance.
   * @param counters Where pending requests and late replies are counted.
   */
  constructor(environment: Environment, counters: Counters) {
    this.#environment = environment;
    this.#counters = counters;
    this.#first = 1 + Math.floor(environment.random() * FIRST_TIDS);
  }

  /** Whether a reply is waited for. */
  get isWaiting(): boolean {
    return this.#pending.size > 0;
  }

  /** Sends a request. */
  send<Reply>(carrier: SessionCarrier, message: RequestMessage<Reply>, options: RequestOptions): Promise<Reply> {
    const { signal, timeout = DEFAULT_TIMEOUT } = options;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      if (!(timeout >= 0 && timeout <= LONGEST_TIMEOUT)) return reject(badTimeout(timeout));
      const index = this.#count++, { reply } = message;
      const onAbort = signal === undefined ? undefined : () => this.#abort(index, signal);
      const deadline = timeout === 0 ? Infinity : this.#environment.now() + timeout;
      this.#replyTypes.add(reply.type);
      this.#pending.set(index, { reply, resolve, reject, timeout, deadline, signal, onAbort });
      this.#counters.pendingRequests++;
      signal?.addEventListener("abort", onAbort!);
      if (deadline < this.#timerAt) this.#watch(deadline);
      try {
        if (reply.isStreamed) carrier.host.streamedTypes.add(reply.type);
        // The message itself stays as it is: it may be sent on other connections too.
        if (!carrier.enqueue(copyOf(message, this.#first + index))) throw closing();
      } catch (error) {
        this.#settle(index)?.reject(error);
      }
    });
  }

  /** Takes a message if it is a reply, whether somebody waits for it or not. */
  take(message: Message): boolean {
    const index = message.tid - this.#first;
    if (index < 0 || index >= this.#count || !this.#replyTypes.has(message.type)) return false;
    const pending = this.#pending.get(index);
    if (pending === undefined) {
      this.#counters.lateReplies++;
    } else {
      if (message.type !== pending.reply.type && message.type !== REQUEST_FAILED) return false;
      this.#settle(index);
      try {
        if (message.type === REQUEST_FAILED) pending.reject(failure(message));
        else pending.resolve(pending.reply.read(message) as never);
      } catch (error) {
        pending.reject(error);
      }
    }
    releaseThrottles(message);
    return true;
  }

  /** Gives one up: it was not sent. */
  reject(tid: number, reason: MessengerError): void {
    this.#settle(tid - this.#first)?.reject(reason);
  }

  /** Gives all requests up. */
  rejectAll(reason: MessengerError): void {
    for (const index of this.#pending.keys()) this.#settle(index)!.reject(reason);
    this.#rest();
  }

  #abort(index: number, signal: AbortSignal): void {
    this.#settle(index)?.reject(signal.reason);
    if (!this.isWaiting) this.#rest();
  }

  /** Nothing is waited for. After a reply the timer just runs out: setting another for each request would cost more. */
  #rest(): void {
    this.#environment.clearTimer(this.#timer);
    this.#timerAt = Infinity;
  }

  /** Takes a request out: it is about to be settled. */
  #settle(index: number): Pending | undefined {
    const pending = this.#pending.get(index);
    if (pending === undefined) return undefined;
    this.#pending.delete(index);
    this.#counters.pendingRequests--;
    if (pending.onAbort !== undefined) pending.signal!.removeEventListener("abort", pending.onAbort);
    return pending;
  }

  /** Sees to it that somebody looks when the next time-out is due, or before. */
  #watch(deadline: number): void {
    const now = this.#environment.now();
    const wait = Math.min(Math.max(deadline - now, SHORTEST_TICK), LONGEST_TICK);
    if (this.#timerAt <= now + wait) return;
    this.#environment.clearTimer(this.#timer);
    this.#timerAt = now + wait;
    this.#timer = this.#environment.setTimer(this.#tick, wait);
  }

  readonly #tick = (): void => {
    this.#timerAt = Infinity;
    const now = this.#environment.now();
    let next = Infinity;
    for (const [index, { deadline, timeout }] of this.#pending) {
      if (deadline > now) next = Math.min(next, deadline);
      else this.#settle(index)!.reject(new MessengerError("timed_out", `No reply came within ${timeout} ms`));
    }
    if (next < Infinity) this.#watch(next);
  };
}

function failure(message: Message): RequestError {
  const failed = RequestFailed.read(message);
  return new RequestError(failed.reason, failed.message);
}

function badTimeout(timeout: number): MessengerError {
  return new MessengerError("invalid", `Bad option timeout: got ${timeout}, expected 0 to ${LONGEST_TIMEOUT}`);
}

function closing(): MessengerError {
  return new MessengerError("closed", "Cannot request: the connection is closing");
}
