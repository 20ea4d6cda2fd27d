/**
 * Requests with contents of a type, and replies of another: what a program defines once and uses on both sides.
 *
 * @module
 */

import { MessengerError } from "./errors.ts";
import { Message, type MessageInit } from "./message.ts";
import type { MessageType, Segments } from "./message_type.ts";
import { REQUEST_FAILED } from "./request_error.ts";

/**
 * A request with what is needed to read its reply. Sent with `send`, it is a message that nobody replies to.
 *
 * @example A request without a `RequestType`
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { bytesCodec, MessageType, RequestMessage } from "@msgr/pipe";
 *
 * const Blob = new MessageType(0x8002, bytesCodec);
 * const request = new RequestMessage(0x8001, { data: Uint8Array.of(1, 2) }, Blob);
 * assertEquals([request.type, request.reply.type], [0x8001, 0x8002]);
 * ```
 */
export class RequestMessage<Reply> extends Message {
  /** The type of the reply. */
  readonly reply: MessageType<Reply>;

  /**
   * Makes a request; {@linkcode RequestType.message} does that with contents of its type.
   *
   * @param type What kind of message it is.
   * @param init Its segments and numbers.
   * @param reply The type of the reply.
   */
  constructor(type: number, init: Omit<MessageInit, "tid">, reply: MessageType<Reply>) {
    super(type, init);
    this.reply = reply;
  }
}

/**
 * A type of message, and the type of message that replies to it.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { jsonCodec, MessageType, Messenger, RequestType } from "@msgr/pipe";
 *
 * const Sum = new RequestType(
 *   new MessageType(0x8001, jsonCodec<{ a: number; b: number }>()),
 *   new MessageType(0x8002, jsonCodec<number>()),
 * );
 *
 * await using server = new Messenger();
 * server.onRequest(Sum, ({ a, b }) => a + b);
 * const address = await server.bind("127.0.0.1:0");
 *
 * await using client = new Messenger();
 * const connection = client.connectTo(address);
 * assertEquals(await connection.request(Sum.message({ a: 1, b: 2 })), 3);
 * ```
 */
export class RequestType<Request, Reply> {
  /** What is asked. */
  readonly request: MessageType<Request>;
  /** What is replied. */
  readonly reply: MessageType<Reply>;

  /**
   * Defines a type of request.
   *
   * @param request What is asked.
   * @param reply What is replied. It needs a number of its own: where both sides ask, a reply must not look like a request.
   * @throws {MessengerError} With code `invalid` if both have one number, or one has 65535, which says that a request has failed.
   */
  constructor(request: MessageType<Request>, reply: MessageType<Reply>) {
    if (request.type === reply.type) {
      throw new MessengerError("invalid", `Bad request type: ${request.type} is also the type of its reply`);
    }
    if (request.type === REQUEST_FAILED || reply.type === REQUEST_FAILED) {
      throw new MessengerError("invalid", `Bad request type: ${REQUEST_FAILED} says that a request has failed`);
    }
    this.request = request;
    this.reply = reply;
  }

  /**
   * Makes a request, for `connection.request`. `init` sets its numbers: `priority`, `version` and so on. Its `tid` is given by the connection.
   *
   * @throws {MessengerError} With code `invalid` for a number out of range; and what the codec throws for a value that it cannot write.
   */
  message(value: Request, init: Omit<MessageInit, keyof Segments | "tid"> = {}): RequestMessage<Reply> {
    return new RequestMessage(this.request.type, { ...init, ...this.request.codec.encode(value) }, this.reply);
  }
}
