/**
 * Requests that monitors have not answered yet.
 *
 * @module
 */

import type { Environment } from "../environment.ts";
import { type MessengerError, NetworkError } from "../errors.ts";
import type { Message } from "../message.ts";

interface Pending {
  readonly message: Message;
  readonly replyType: number;
  readonly resolve: (reply: Message) => void;
  readonly reject: (reason: unknown) => void;
}

/** How long a request may take, and what gives it up. */
export interface RequestLimits {
  /** Gives the request up. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds until it is given up; 0 for never. */
  readonly timeout: number;
}

/** Requests by their number, in the order in which they were made. */
export class MonRequests {
  readonly #environment: Environment;
  readonly #pending = new Map<number, Pending>();
  #lastTid = 0;

  /** @param environment Time. */
  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** The messages to be sent, or sent again to another monitor. */
  get messages(): Message[] {
    return [...this.#pending.values()].map(({ message }) => message);
  }

  /**
   * Waits for the answer to a request.
   *
   * @param make Makes the message, given its number.
   * @param replyType The type of the answer.
   * @param what What was asked, for the error.
   * @param limits When to stop waiting.
   * @returns The message, to be sent, and the answer.
   */
  add(
    make: (tid: number) => Message,
    replyType: number,
    what: string,
    { signal, timeout }: RequestLimits,
  ): { message: Message; reply: Promise<Message> } {
    const tid = ++this.#lastTid, message = make(tid);
    const { promise, resolve, reject } = Promise.withResolvers<Message>();
    const aborted = () => reject(signal!.reason);
    const timer = timeout === 0 ? undefined : this.#environment.setTimer(
      () => reject(new NetworkError("timed_out", `No monitor answered ${what} within ${timeout} ms`)),
      timeout,
    );
    signal?.addEventListener("abort", aborted);
    this.#pending.set(tid, { message, replyType, resolve, reject });
    const reply = promise.finally(() => {
      this.#pending.delete(tid);
      this.#environment.clearTimer(timer);
      signal?.removeEventListener("abort", aborted);
    });
    return { message, reply };
  }

  /** Takes an answer; `false` if it is none that somebody waits for. */
  handle(message: Message): boolean {
    const pending = this.#pending.get(message.tid);
    if (pending === undefined || pending.replyType !== message.type) return false;
    pending.resolve(message);
    return true;
  }

  /** Gives all requests up. */
  rejectAll(reason: MessengerError): void {
    for (const { reject } of this.#pending.values()) reject(reason);
  }
}
