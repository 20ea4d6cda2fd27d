/**
 * Answering requests.
 *
 * @module
 */

import { type Connection, sessionOf } from "./connection.ts";
import { MessengerError } from "./errors.ts";
import { keepThrottles, type Message } from "./message.ts";
import { RequestError, RequestFailed } from "./request_error.ts";
import type { RequestType } from "./request_type.ts";

/**
 * Answers a request: what it returns, or its promise, is the reply.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Message, RequestError, type RequestHandler } from "@msgr/pipe";
 *
 * const root: RequestHandler<number, number> = (n) => {
 *   if (n < 0) throw new RequestError("negative", `${n} has no root`);
 *   return Math.sqrt(n);
 * };
 * assertEquals(root(9, new Message(0x8001)), 3);
 * ```
 */
export type RequestHandler<Request, Reply> = (body: Request, message: Message) => Reply | Promise<Reply>;

/**
 * Options of `messenger.onRequest`.
 *
 * @example
 * ```ts
 * import { type RequestHandlerOptions } from "@msgr/pipe";
 *
 * const oneAfterTheOther: RequestHandlerOptions = { concurrency: 1 };
 * void oneAfterTheOther;
 * ```
 */
export interface RequestHandlerOptions {
  /**
   * How many requests of one connection may be answered at once; its next message waits until one of them has been. With 1 they are answered one
   * after the other.
   *
   * @default {64}
   */
  readonly concurrency?: number;
}

/** What a connection has under way. */
interface Running {
  count: number;
  room: PromiseWithResolvers<void> | undefined;
}

/** Gives the requests of one type to their handler, and sends what it returns. */
export class RequestAnswerer<Request, Reply> {
  readonly #type: RequestType<Request, Reply>;
  readonly #handler: RequestHandler<Request, Reply>;
  readonly #concurrency: number;
  readonly #onError: (error: unknown, message: Message) => void;
  /** Only of connections whose handlers returned promises. */
  readonly #running = new WeakMap<Connection, Running>();

  /**
   * @param type The type of request.
   * @param handler Who answers it.
   * @param options How many at once.
   * @param onError Told of what the handler throws that was not meant for the caller.
   * @throws {MessengerError} With code `invalid` for a `concurrency` that is not at least 1.
   */
  constructor(
    type: RequestType<Request, Reply>,
    handler: RequestHandler<Request, Reply>,
    { concurrency = 64 }: RequestHandlerOptions,
    onError: (error: unknown, message: Message) => void,
  ) {
    if (!(concurrency >= 1)) {
      throw new MessengerError("invalid", `Bad option concurrency: got ${concurrency}, expected at least 1`);
    }
    this.#type = type;
    this.#handler = handler;
    this.#concurrency = concurrency;
    this.#onError = onError;
  }

  /** Answers a request. Returns a promise only where the connection's next message has to wait. */
  dispatch(message: Message): void | Promise<void> {
    let body: Request;
    try {
      body = this.#type.request.read(message);
    } catch (error) {
      return this.#refuse(message, new RequestError("bad_request", (error as Error).message));
    }
    try {
      const reply = this.#handler(body, message);
      if (reply instanceof Promise) return this.#wait(message, reply);
      this.#reply(message, reply);
    } catch (error) {
      this.#refuse(message, error);
    }
  }

  #wait(message: Message, reply: Promise<Reply>): void | Promise<void> {
    const { connection } = message;
    let running = this.#running.get(connection);
    if (running === undefined) this.#running.set(connection, running = { count: 0, room: undefined });
    running.count++;
    void this.#finish(message, reply, running);
    if (running.count < this.#concurrency) return;
    running.room ??= Promise.withResolvers();
    return running.room.promise;
  }

  /** The rest of {@linkcode dispatch} for a promise. The message keeps its share of the throttles until that has settled. */
  async #finish(message: Message, reply: Promise<Reply>, running: Running): Promise<void> {
    const session = sessionOf(message.connection), { resets } = session, lease = keepThrottles(message);
    // A peer that has lost the session would take a reply for somebody else's.
    const isLost = () => session.resets !== resets;
    try {
      const value = await reply;
      if (!isLost()) this.#reply(message, value);
    } catch (error) {
      this.#refuse(message, error, isLost());
    }
    running.count--;
    lease?.release(message.byteLength);
    running.room?.resolve();
    running.room = undefined;
  }

  /** Sends a reply, as urgent as the request was. */
  #reply({ connection, tid, priority }: Message, value: Reply): void {
    // Nobody waits for one: it was sent, not asked.
    if (tid === 0) return;
    connection.send(this.#type.reply.message(value, { tid, priority }));
  }

  /** Says that there will be no reply, unless nobody knows of the request any more. */
  #refuse(message: Message, error: unknown, isLost = false): void {
    const { connection, tid, priority } = message;
    const isMeant = error instanceof RequestError;
    const { reason, message: words } = isMeant ? error : new RequestError("internal", "The handler failed");
    if (!isMeant) this.#onError(error, message);
    if (tid === 0 || isLost) return;
    try {
      connection.send(RequestFailed.message({ reason, message: words }, { tid, priority }));
    } catch (tooLong) {
      this.#onError(tooLong, message);
    }
  }
}
