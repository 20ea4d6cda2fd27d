/**
 * The handle that callers keep.
 *
 * @module
 */

import type { Message } from "./message.ts";
import { MessengerError } from "./errors.ts";
import { IncomingMessages, OutgoingMessages } from "./message_streams.ts";
import type { RequestMessage } from "./request_type.ts";
import { type RequestOptions, Requests } from "./requests.ts";
import type { PipeState, Session } from "./session.ts";
import type { ConnectionStatus } from "./status.ts";
import { type StatusEvents, type StatusOptions, StatusSource } from "./status_events.ts";
import type { EntityAddress } from "./wire/address.ts";
import { entityTypeLabel } from "./wire/entity.ts";

let sessionOf: (connection: Connection) => Session;

/** What {@linkcode Connection.describe} tells: plain values, as they are at that moment. */
export interface ConnectionDescription {
  /** Where the peer is. */
  readonly peer: string;
  /** What kind of entity it is: `"client"`, `"osd"`; what it was dialled as until it has said so, or `"unknown"`. */
  readonly type: string;
  /** What the connection is doing. */
  readonly state: PipeState;
  /** Whether the session ends with its socket. */
  readonly isLossy: boolean;
  /** Whether a throttle keeps it from being read: what has come is handled too slowly. */
  readonly isHeld: boolean;
  /** Messages that wait to be sent, those to be replayed included. */
  readonly unsent: number;
  /** Messages that were sent and not acknowledged. */
  readonly unacknowledged: number;
  /** What both weigh, in bytes, each with 256 bytes on top. */
  readonly queuedBytes: number;
  /** The number of the message that was sent last. A session may begin anywhere. Ceph's `out_seq`. */
  readonly lastSent: number;
  /** The number of the last message that arrived; 0 for none. Ceph's `in_seq`. */
  readonly lastReceived: number;
}

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

  static {
    sessionOf = (connection) => connection.#session;
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
   * What the connection is doing, for logs and for people.
   *
   * @example
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Message, Messenger } from "@msgr/pipe";
   * import { MemoryNetwork } from "@msgr/pipe/testing";
   *
   * await using messenger = new Messenger({ network: new MemoryNetwork() });
   * const connection = messenger.connectTo("127.0.0.1:6800");
   * connection.send(new Message(0x8001, { data: new Uint8Array(100) }));
   * const { peer, state, unsent } = connection.describe();
   * assertEquals([peer, state, unsent], ["127.0.0.1:6800/0", "standby", 1]);
   * ```
   */
  describe(): ConnectionDescription {
    const { peerAddress, peerType, carrier, out, inSeq, isHeld } = this.#session;
    return {
      peer: peerAddress.toString(),
      type: peerType === 0 ? "unknown" : entityTypeLabel(peerType),
      state: this.state,
      isLossy: carrier?.isLossy ?? false,
      isHeld,
      unsent: out.unsent,
      unacknowledged: out.unacknowledged,
      queuedBytes: out.bytes,
      lastSent: out.outSeq,
      lastReceived: inSeq,
    };
  }

  /**
   * What happens to the connection, as it happens. It ends behind `closed`, or with the messenger.
   *
   * @param options How much to keep for a reader that is behind.
   * @throws {MessengerError} With code `invalid` for an option out of its range.
   *
   * @example
   * ```ts
   * import type { Connection } from "@msgr/pipe";
   *
   * export async function watch(connection: Connection): Promise<void> {
   *   for await (const status of connection.status()) {
   *     switch (status.type) {
   *       case "fault":
   *         console.log(`${status.peer} broke: ${status.error.message}`);
   *         break;
   *       case "backoff":
   *         console.log(`${status.peer}: attempt ${status.attempt} comes in ${status.pause} ms`);
   *         break;
   *       case "closed":
   *         console.log(`${status.peer} is gone, and ${status.dropped} messages with it`);
   *     }
   *   }
   * }
   * ```
   */
  status(options: StatusOptions = {}): StatusEvents<ConnectionStatus> {
    const session = this.#session, source = session.status ?? new StatusSource<ConnectionStatus>();
    const events = source.listen(options);
    if (this.isClosed) source.end();
    else session.status = source;
    return events;
  }

  /**
   * Queues a message and returns at once; it connects if that is needed. See {@linkcode ready} for when to stop.
   *
   * @returns Whether the session took it. `false` means that the session is over: the message will not be sent.
   * @throws {MessengerError} With code `invalid` for a message longer than the messenger's limits, or a stream of data that was sent before.
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
   * Waits until the peer's messenger has all messages that are queued now, whatever is sent after them. Where the session is lossy nobody says so,
   * and it waits until they have been handed to the network.
   *
   * The promise rejects with the signal's reason, and with a {@linkcode MessengerError} whose code is
   * - `session_reset`: the session was lost, by the peer or because it was lossy and broke, and some of the messages with it, perhaps;
   * - `aborted`: a message was given up, because its stream of data failed or was not as long as it should be;
   * - `closed`: it was ended on this side.
   *
   * @param options `signal` gives up waiting; the messages are sent all the same.
   *
   * @example
   * ```ts
   * import { type Connection, Message } from "@msgr/pipe";
   *
   * export async function save(connection: Connection, records: Iterable<Uint8Array>): Promise<void> {
   *   for (const data of records) connection.send(new Message(0x8001, { data }));
   *   await connection.flush({ signal: AbortSignal.timeout(5000) });
   * }
   * ```
   */
  flush(options: { readonly signal?: AbortSignal | undefined } = {}): Promise<void> {
    return this.#session.flush(options.signal);
  }

  /**
   * Sends a request, and waits for its reply. The request is given a `tid` that its reply repeats; a reply goes to who waits for it and not to the
   * dispatchers, ahead of messages that wait there. The request is sent again after a reconnect as every message is, and is answered once.
   *
   * The promise rejects with the signal's reason, and with a {@linkcode MessengerError} whose code is
   * - `request_failed`: the peer's handler threw, and a `RequestError` says why;
   * - `timed_out`: no reply came in time. One that comes later is dropped and counted, in `stats().late_replies`;
   * - `session_reset`: the session was lost, by the peer or because it was lossy and broke. The request may have been carried out;
   * - `closed`: the session was ended on this side;
   * - `bad_message`: the reply's contents do not fit its type;
   * - `invalid`: the message is longer than the messenger's limits, or the time-out out of its range.
   *
   * A peer that has no handler for the type stays silent.
   *
   * @param message What is asked: made by a `RequestType`.
   * @param options When to give up.
   * @returns The contents of the reply.
   *
   * @example
   * ```ts
   * import { type Connection, jsonCodec, MessageType, RequestType, textCodec } from "@msgr/pipe";
   *
   * const Load = new RequestType(new MessageType(0x8001, textCodec), new MessageType(0x8002, jsonCodec<{ load: number }>()));
   *
   * export async function loadOf(connection: Connection, host: string): Promise<number> {
   *   const { load } = await connection.request(Load.message(host), { timeout: 2000 });
   *   return load;
   * }
   * ```
   */
  request<Reply>(message: RequestMessage<Reply>, options: RequestOptions = {}): Promise<Reply> {
    const session = this.#session, { carrier } = session;
    if (carrier === undefined) {
      return Promise.reject(
        new MessengerError("closed", `Cannot request: the session with ${this.peerAddress} is over`),
      );
    }
    session.requests ??= new Requests(carrier.host.options.environment, carrier.host.counters);
    return session.requests.send(carrier, message, options);
  }

  /**
   * The messages that arrive on this connection and are no replies. While somebody has this stream they do not go to the dispatchers; those that have
   * arrived and were not dispatched yet come first.
   *
   * What is not read yet keeps its share of the throttles, and the message that was read last does until the next is asked for: a slow reader slows
   * its peer, and nothing is dropped. So read the stream to its end, or cancel it. Cancelling, which is what leaving a `for await` does, hands
   * all messages back to the dispatchers that were not read; the next use of `readable` is another stream.
   *
   * It ends when the session does, behind the last message that arrived. It fails with a {@linkcode MessengerError} with code `session_reset` if the
   * peer has lost the session, or a lossy one broke; messages that were not read are then dropped, as those are that wait for dispatchers.
   *
   * @example
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Message, Messenger } from "@msgr/pipe";
   *
   * await using messenger = new Messenger();
   * const { loopback } = messenger, { readable } = loopback;
   * for (let tid = 1; tid <= 3; tid++) loopback.send(new Message(0x8001, { tid }));
   * const tids: number[] = [];
   * for await (const message of readable) if (tids.push(message.tid) === 3) break;
   * assertEquals(tids, [1, 2, 3]);
   * ```
   */
  get readable(): ReadableStream<Message> {
    const incoming = this.#session.incoming ?? new IncomingMessages(this.#session);
    if (!this.isClosed) this.#session.incoming = incoming;
    return incoming.stream;
  }

  /**
   * A stream that sends what is written to it. It waits while the connection is not {@linkcode ready}.
   *
   * Closing it waits as {@linkcode flush} does, and does not close the connection: the next use of `writable` is another stream. Aborting it drops
   * what waits in the stream; what the connection has taken is sent. It fails with a {@linkcode MessengerError} with code `session_reset`
   * or `closed` when the session is lost or over.
   *
   * {@linkcode send} is up to twice as fast where messages are small, and a writer several times as fast as `pipeTo`.
   *
   * @example Sending a file
   * ```ts
   * import { type Connection, Message } from "@msgr/pipe";
   *
   * export async function sendAll(connection: Connection, file: ReadableStream<Uint8Array>): Promise<void> {
   *   const messages = new TransformStream<Uint8Array, Message>({
   *     transform: (data, controller) => controller.enqueue(new Message(0x8001, { data })),
   *   });
   *   await file.pipeThrough(messages).pipeTo(connection.writable); // The peer has all of it.
   * }
   * ```
   */
  get writable(): WritableStream<Message> {
    const outgoing = this.#session.outgoing ?? new OutgoingMessages(this.#session);
    if (!this.isClosed) this.#session.outgoing = outgoing;
    return outgoing.stream;
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

export {
  /** What is behind a connection, for the messenger's own parts. */
  sessionOf,
};
