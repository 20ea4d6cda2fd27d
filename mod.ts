/**
 * Ceph's SimpleMessenger for Deno, Bun and Node: messages between programs, in order and exactly once per session, across any number of
 * broken TCP connections, with no broker between them. The wire is Ceph's own (msgr v1), so the other end may be a real Ceph daemon.
 *
 * @example A server and a client
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { jsonCodec, MessageType, Messenger } from "@msgr/pipe";
 *
 * const Question = new MessageType(0x8001, jsonCodec<{ name: string }>());
 * const Answer = new MessageType(0x8002, jsonCodec<{ text: string }>());
 *
 * await using server = new Messenger();
 * server.on(Question, ({ name }, message) => void message.connection.send(Answer.message({ text: `Hello, ${name}` })));
 * const address = await server.bind("127.0.0.1:0");
 *
 * await using client = new Messenger();
 * const { promise, resolve } = Promise.withResolvers<string>();
 * client.on(Answer, ({ text }) => resolve(text));
 *
 * client.connectTo(address).send(Question.message({ name: "world" }));
 * assertEquals(await promise, "Hello, world");
 * ```
 *
 * @module
 */

export * from "./src/auth.ts";
export { Connection, type ConnectionDescription } from "./src/connection.ts";
export type { Dispatcher, ResetInfo } from "./src/dispatcher.ts";
export { type Environment, systemEnvironment } from "./src/environment.ts";
export * from "./src/errors.ts";
export { Message, type MessageInit } from "./src/message.ts";
export * from "./src/message_type.ts";
export { type BindOptions, type ConnectToOptions, Messenger } from "./src/messenger.ts";
export * from "./src/net/duplex.ts";
export type * from "./src/net/network.ts";
export * from "./src/net/web_socket.ts";
export { type Backoff, exponentialBackoff, type MessengerOptions } from "./src/options.ts";
export * from "./src/policy.ts";
export { RequestError } from "./src/request_error.ts";
export type { RequestHandler, RequestHandlerOptions } from "./src/request_handlers.ts";
export { RequestMessage, RequestType } from "./src/request_type.ts";
export type { RequestOptions } from "./src/requests.ts";
export type { PipeState } from "./src/session.ts";
export type { MessengerStats } from "./src/stats.ts";
export type * from "./src/status.ts";
export type { StatusEvents, StatusOptions } from "./src/status_events.ts";
export { Throttle } from "./src/throttle.ts";
export { EntityAddress } from "./src/wire/address.ts";
export { EntityType, Feature, MESSENGER_FEATURES, Priority } from "./src/wire/constants.ts";
export { EntityName } from "./src/wire/entity.ts";
export type { MessageFooter, MessageHeader } from "./src/wire/frame.ts";
