/**
 * What a program gives a messenger to be told of messages and of what happens to connections.
 *
 * @module
 */

import type { Authorizer, AuthorizerCheck, AuthorizerVerdict } from "./auth.ts";
import type { Connection } from "./connection.ts";
import type { MessengerError } from "./errors.ts";
import type { Message } from "./message.ts";

/** Why a session ended or began anew, and what that cost. */
export interface ResetInfo {
  /** Messages of ours that were dropped: not yet sent, or sent and not acknowledged. The latter may have arrived. */
  readonly dropped: number;
  /** What broke, where something did. */
  readonly error?: MessengerError | undefined;
}

/**
 * A program's side of a messenger. Ceph's `Dispatcher`; each method is Ceph's `ms_` method of that name. All are optional.
 *
 * A messenger asks its dispatchers in order. A method that throws or rejects is reported, and ends neither the process nor the
 * connection.
 *
 * @example A server that answers
 * ```ts
 * import { type Dispatcher, Message } from "@msgr/pipe";
 *
 * const echo: Dispatcher = {
 *   dispatch: (message) => void message.connection.send(new Message(message.type, { data: message.data })),
 *   handleReset: (connection, { dropped }) => console.log(`${connection.peerAddress} is gone, ${dropped} dropped`),
 * };
 * void echo;
 * ```
 */
export interface Dispatcher {
  /**
   * Handles a message. The next message of the same connection waits until a returned promise settles; those of other
   * connections do not.
   *
   * @returns `false` to leave it to the next dispatcher; anything else, or nothing, means that it was handled.
   */
  dispatch?(message: Message): boolean | void | Promise<boolean | void>;
  /** Whether {@linkcode Dispatcher.fastDispatch} will take this message. It is asked for every message, and must not depend on anything else. */
  canFastDispatch?(message: Message): boolean;
  /**
   * Handles a message at once, in the middle of reading, ahead of messages that wait for `dispatch`. It must be quick and synchronous.
   */
  fastDispatch?(message: Message): void;
  /** Sees every message in the order of its arrival, before it is queued. */
  fastPreprocess?(message: Message): void;

  /** A connection that we dialled is open, for the first time or again. */
  handleConnect?(connection: Connection): void | Promise<void>;
  /** The same, at once and before any message of that connection. */
  handleFastConnect?(connection: Connection): void;
  /** A peer's connection was accepted, for the first time or again. */
  handleAccept?(connection: Connection): void | Promise<void>;
  /** The same, at once and before any message of that connection. */
  handleFastAccept?(connection: Connection): void;
  /**
   * The connection is dead and stays so: it was lossy and broke, or it was marked down by address or by the shutdown. Messages may have
   * been lost; what matters has to be sent again on a new connection.
   */
  handleReset?(connection: Connection, info: ResetInfo): void | Promise<void>;
  /**
   * The peer has lost the session (it restarted, or marked it down). What we had queued was dropped; the connection goes on with a new
   * session.
   */
  handleRemoteReset?(connection: Connection, info: ResetInfo): void | Promise<void>;
  /** Nobody listens at the peer's address. Told each time; the messenger keeps trying. */
  handleRefused?(connection: Connection): void | Promise<void>;

  /** What proves our identity to a kind of peer; nothing to leave the question to the next dispatcher. */
  getAuthorizer?(peerType: number): Authorizer | undefined | Promise<Authorizer | undefined>;
  /** Checks a peer's proof; nothing to leave the question to the next dispatcher. Where nobody answers, everyone is let in. */
  verifyAuthorizer?(check: AuthorizerCheck): AuthorizerVerdict | undefined | Promise<AuthorizerVerdict | undefined>;
}
