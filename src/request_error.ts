/**
 * How a request fails at the other end.
 *
 * @module
 */

import { MessengerError } from "./errors.ts";
import { jsonCodec, MessageType } from "./message_type.ts";

/** The type of the message that takes a reply's place when there is none. It has the request's `tid`. */
export const REQUEST_FAILED = 0xffff;

/**
 * The peer's handler did not answer a request. A handler throws one to say why; whatever else it throws reaches the caller with the reason
 * `"internal"` and no details, and is reported to the option `onDispatchError` where it was thrown.
 *
 * @example
 * ```ts
 * import { assertEquals, assertRejects } from "@std/assert";
 * import { jsonCodec, MessageType, Messenger, RequestError, RequestType, textCodec } from "@msgr/pipe";
 *
 * const Price = new RequestType(new MessageType(0x8001, textCodec), new MessageType(0x8002, jsonCodec<number>()));
 *
 * await using messenger = new Messenger();
 * messenger.onRequest(Price, (article) => {
 *   throw new RequestError("unknown_article", `There is no article ${article}`);
 * });
 * const error = await assertRejects(() => messenger.loopback.request(Price.message("tea")), RequestError);
 * assertEquals([error.code, error.reason], ["request_failed", "unknown_article"]);
 * ```
 */
export class RequestError extends MessengerError {
  /** The class's name. */
  override readonly name = "RequestError";
  /** What kind of error this is: `"request_failed"`. */
  declare readonly code: "request_failed";
  /**
   * Why, in a word of the program's own. The messenger's own words are `"internal"`: the handler failed, or gave a reply that cannot be sent; and
   * `"bad_request"`: the request's contents do not fit its type.
   */
  readonly reason: string;

  /**
   * Makes an error.
   *
   * @param reason Why, for the caller's program: a word.
   * @param message Why, for a reader: a sentence.
   * @param options `cause`: the error below this one. It is not sent.
   */
  constructor(reason: string, message: string, options?: ErrorOptions) {
    super("request_failed", message, options);
    this.reason = reason;
  }
}

/** The failure on its way to the caller. */
export const RequestFailed: MessageType<{ readonly reason: string; readonly message: string }> = new MessageType(
  REQUEST_FAILED,
  jsonCodec((value) => {
    const { reason, message } = value as Record<string, unknown>;
    if (typeof reason === "string" && typeof message === "string") return { reason, message };
    throw new TypeError("Expected a reason and a message");
  }),
);
