/**
 * The dispatcher behind `messenger.on`: one handler for each type of message.
 *
 * @module
 */

import type { Connection } from "./connection.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { MessengerError } from "./errors.ts";
import type { Message } from "./message.ts";
import type { MessageType } from "./message_type.ts";
import { RequestAnswerer, type RequestHandler, type RequestHandlerOptions } from "./request_handlers.ts";
import type { RequestType } from "./request_type.ts";

type Handler = (message: Message) => void | Promise<void>;

/** Reads messages by their type and gives them to the handler for it. */
export class TypeHandlers implements Dispatcher {
  readonly #handlers = new Map<number, Handler>();
  readonly #onBadMessage: (connection: Connection, error: MessengerError) => void;
  readonly #onError: (error: unknown, message: Message) => void;

  /**
   * @param onBadMessage Told of a message whose contents do not fit its type.
   * @param onError Told of what handlers of requests throw.
   */
  constructor(
    onBadMessage: (connection: Connection, error: MessengerError) => void,
    onError: (error: unknown, message: Message) => void,
  ) {
    this.#onBadMessage = onBadMessage;
    this.#onError = onError;
  }

  /** How many types have a handler. */
  get size(): number {
    return this.#handlers.size;
  }

  /** Sets the handler for a type. */
  set<T>(type: MessageType<T>, handler: (body: T, message: Message) => void | Promise<void>): void {
    this.#handlers.set(type.type, (message) => {
      let body: T;
      try {
        body = type.read(message);
      } catch (error) {
        return this.#onBadMessage(message.connection, error as MessengerError);
      }
      return handler(body, message);
    });
  }

  /** Sets who answers a type of request. */
  setRequest<Request, Reply>(
    type: RequestType<Request, Reply>,
    handler: RequestHandler<Request, Reply>,
    options: RequestHandlerOptions,
  ): void {
    const answerer = new RequestAnswerer(type, handler, options, this.#onError);
    this.#handlers.set(type.request.type, (message) => answerer.dispatch(message));
  }

  dispatch(message: Message): boolean | void | Promise<void> {
    const handler = this.#handlers.get(message.type);
    return handler === undefined ? false : handler(message);
  }
}
