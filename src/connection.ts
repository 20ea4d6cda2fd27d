/**
 * The handle that callers keep.
 *
 * @module
 */

import type { Message } from "./message.ts";
import type { PipeState, Session } from "./session.ts";
import type { EntityAddress } from "./wire/address.ts";

/**
 * A session with one peer. It outlives every socket: a lossless session's Connection stays the same object however often the
 * network breaks. Ceph's `Connection`.
 *
 * Connections come from `messenger.connectTo()`, from a dispatcher's methods, and from `message.connection`.
 */
export class Connection {
  readonly #session: Session;
  /** For the program's own use. Ceph's `priv`. */
  context: unknown;

  /** Connections are made by their messenger, around what it knows of the session. */
  constructor(session: Session) {
    this.#session = session;
  }

  /** Where the peer is. */
  get peerAddress(): EntityAddress {
    return this.#session.peerAddress;
  }

  /** What kind of entity the peer is, one of `EntityType`; 0 until it has said so. */
  get peerType(): number {
    return this.#session.peerType;
  }

  /** Features in common with the peer; none before the session was first open. */
  get features(): bigint {
    return this.#session.features;
  }

  /** Whether messages can flow right now. A connection that is not may be on its way back; see {@linkcode isClosed}. */
  get isConnected(): boolean {
    return this.#session.carrier?.state === "open";
  }

  /** Whether the session is over for good. */
  get isClosed(): boolean {
    return this.#session.carrier === undefined;
  }

  /** What the connection is doing. */
  get state(): PipeState {
    return this.#session.carrier?.state ?? "closed";
  }

  /** When the peer's latest keepalive arrived, in milliseconds since 1970; 0 for never. Ceph's `last_keepalive`. */
  get lastKeepalive(): number {
    return this.#session.lastKeepalive;
  }

  /**
   * When we sent the latest keepalive that the peer has answered, in milliseconds since 1970; 0 for never. Ceph's
   * `last_keepalive_ack`.
   */
  get lastKeepaliveAck(): number {
    return this.#session.lastKeepaliveAck;
  }

  /** Messages that were not acknowledged yet (lossless), or not handed to the network yet. */
  get queued(): number {
    return this.#session.out.unsent + this.#session.out.unacknowledged;
  }

  /**
   * Queues a message and returns at once; it connects if that is needed. See {@linkcode ready} for when to stop.
   *
   * @returns Whether the session took it. `false` means that the session is over: the message will not be sent.
   */
  send(message: Message): boolean {
    return this.#session.carrier?.enqueue(message) ?? false;
  }

  /**
   * Fulfils while less than the messenger's `sendHighWaterMark` is queued, or when it has fallen to half of that. It also fulfils when the session
   * ends, after which `send` returns `false`.
   *
   * @example Sending much, in little memory
   * ```ts
   * import { type Connection, Message } from "@msgr/pipe";
   *
   * export async function sendAll(connection: Connection, parts: Iterable<Uint8Array>): Promise<void> {
   *   for (const data of parts) {
   *     await connection.ready;
   *     if (!connection.send(new Message(0x8001, { data }))) throw new Error("The session is over");
   *   }
   * }
   * ```
   */
  get ready(): Promise<void> {
    return this.#session.ready;
  }

  /**
   * Sends a sign of life, which the peer answers: see {@linkcode lastKeepaliveAck}. It wakes a session that has no connection right now.
   *
   * @returns Whether the session still exists.
   */
  sendKeepalive(): boolean {
    this.#session.carrier?.sendKeepalive();
    return this.#session.carrier !== undefined;
  }

  /**
   * Ends the session from this side at once; what is queued is dropped. No `handleReset` follows. The peer sees a broken
   * connection, and on its next attempt that the session is gone. Ceph's `mark_down`.
   */
  markDown(): void {
    this.#session.carrier?.markDown();
  }

  /**
   * Ends the session in order: sends what is queued, waits where the session is lossless until the peer has acknowledged it, and tells the peer
   * with CLOSE, whose `handleReset` then has nothing to report as dropped. Messages that arrive meanwhile are still dispatched.
   *
   * @returns A promise that fulfils when the session is over. A peer that cannot be reached keeps it waiting; {@linkcode markDown} ends that.
   */
  close(): Promise<void> {
    this.#session.carrier?.close();
    return this.#session.ended;
  }

  /** Lets the next fault end the session instead of repairing it. Ceph's `mark_disposable`. */
  markDisposable(): void {
    this.#session.carrier?.markDisposable();
  }
}
