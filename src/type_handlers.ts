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

type Handler = (message: Message) => void | Promise<void>;

/** Reads messages by their type and gives them to the handler for it. */
export class TypeHandlers implements Dispatcher {
  readonly #handlers = new Map<number, Handler>();
  readonly #onBadMessage: (connection: Connection, error: MessengerError) => void;

  /** @param onBadMessage Told of a message whose contents do not fit its type. */
  constructor(onBadMessage: (connection: Connection, error: MessengerError) => void) {
    this.#onBadMessage = onBadMessage;
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

  dispatch(message: Message): boolean | void | Promise<void> {
    const handler = this.#handlers.get(message.type);
    return handler === undefined ? false : handler(message);
  }
}
