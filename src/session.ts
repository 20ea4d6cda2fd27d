/**
 * What outlives a socket: the state that one Pipe hands to the next.
 *
 * @module
 */

import type { Connection } from "./connection.ts";
import { MessengerError } from "./errors.ts";
import { Flushes, isReached } from "./flushes.ts";
import type { IncomingData } from "./incoming_data.ts";
import type { Message } from "./message.ts";
import type { IncomingMessages, OutgoingMessages } from "./message_streams.ts";
import { OutQueue } from "./out_queue.ts";
import { type OutgoingData, takeData } from "./outgoing_data.ts";
import type { PipeHost } from "./pipe_host.ts";
import type { Requests } from "./requests.ts";
import type { ConnectionStatus } from "./status.ts";
import type { StatusSource } from "./status_events.ts";
import { EntityAddress } from "./wire/address.ts";

/**
 * The states of a Pipe, by Ceph's names:
 *
 * - `accepting`: a peer dialled; the handshake is on its way.
 * - `connecting`: dialling, for the first time or again.
 * - `open`: messages flow.
 * - `standby`: the session has no socket, and waits for something to send or for the peer.
 * - `wait`: both dialled at once and the peer's connection won; it will replace this one.
 * - `closing`: the peer said that it closes; the same is being said to it.
 * - `closed`: dead.
 */
export type PipeState = "accepting" | "connecting" | "open" | "standby" | "wait" | "closing" | "closed";

/** What a session asks of the Pipe that carries it. */
export interface SessionCarrier {
  /** The messenger. */
  readonly host: Pick<PipeHost, "options" | "counters" | "dispatchQueue" | "streamedTypes" | "messageTaken">;
  readonly state: PipeState;
  /** Whether nobody acknowledges what is sent. */
  readonly isLossy: boolean;
  /** Queues a message; false if the Pipe is dead. */
  enqueue(message: Message): boolean;
  /** Asks for a sign of life, which brings a sleeping session's connection back. */
  sendKeepalive(): void;
  /** Ends the session from this side. */
  markDown(): void;
  /** Ends the session once everything has been sent and acknowledged. */
  close(): void;
  /** Lets the next fault end the session. */
  markDisposable(): void;
}

/**
 * The part of a session that belongs to exactly one carrier at a time. When another connection takes over, it is moved as a whole: queues,
 * numbers, and the {@linkcode Connection} that callers hold.
 */
export class Session {
  /** Under which class its messages wait for dispatch. Ceph's `conn_id`. */
  readonly id: number;
  /** What callers hold. */
  connection!: Connection;
  /** Who carries it now; nobody once it is dead. */
  carrier: SessionCarrier | undefined;
  /** Messages on their way out. */
  readonly out: OutQueue = new OutQueue();
  /** The number of the last message that arrived. Ceph's `in_seq`. */
  inSeq = 0;
  /** The last number that was acknowledged to the peer. Ceph's `in_seq_acked`. */
  inSeqAcked = 0;

  /** Where the peer is. */
  peerAddress: EntityAddress = EntityAddress.from("", 0);
  /** What kind of entity the peer is; 0 until it has said so. */
  peerType = 0;
  /** Whether the program has seen the Connection. */
  isAnnounced = false;
  /** Features in common with the peer; none while not connected yet. */
  features = 0n;
  /** When the peer's latest keepalive arrived. Ceph's `last_keepalive`. */
  lastKeepalive = 0;
  /** When we sent the keepalive that the peer answered last. Ceph's `last_keepalive_ack`. */
  lastKeepaliveAck = 0;

  /** Messages that arrived and are not handled yet, and their bytes: what the session holds of throttles that it shares with others. */
  heldMessages = 0;
  /** See {@linkcode heldMessages}. */
  heldBytes = 0;
  #handled: (() => void) | undefined;

  /** The number up to which messages have been handed to the network. */
  written = 0;
  /** Whether the peer has said that nothing more will come. */
  peerClosed = false;

  /** How often the peer has lost the session. What was received before is not to be answered. */
  resets = 0;

  /** Requests to the peer, once there was one. */
  requests: Requests | undefined;
  /** Who gets the messages that no request waits for, if that is not the dispatchers. */
  incoming: IncomingMessages | undefined;
  /** A stream whose messages are sent. */
  outgoing: OutgoingMessages | undefined;
  #flushes: Flushes | undefined;
  /** Who is told of what happens to it, besides those who are told of everything; nobody yet if there is none. */
  status: StatusSource<ConnectionStatus> | undefined;
  /** The message whose data are arriving as a stream, or have begun to before the connection broke. */
  arriving: IncomingData | undefined;
  /** The peer is to be told that the message will not come whose data it has begun to receive. */
  hasAbandoned = false;
  /** Streams of data that were not sent to their end yet. */
  #sources: Set<OutgoingData> | undefined;

  /** Above this many queued bytes the session is not ready for more. */
  readonly highWaterMark: number;
  #isHeld = false;
  #ready: PromiseWithResolvers<void> | undefined;
  #ended: PromiseWithResolvers<void> | undefined;

  constructor(id: number, highWaterMark: number) {
    this.id = id;
    this.highWaterMark = highWaterMark;
  }

  /** Whether there is no room for more messages now. */
  get isFull(): boolean {
    return !this.#hasRoom(this.highWaterMark);
  }

  /** Whether there will still be room behind a message of so many bytes. */
  hasRoomFor(bytes: number): boolean {
    return this.out.bytes + bytes < this.highWaterMark;
  }

  /** Fulfils when there is room for more messages. */
  get ready(): Promise<void> {
    if (!this.isFull) return READY;
    this.#ready ??= Promise.withResolvers();
    return this.#ready.promise;
  }

  /** Lets callers go on that wait for room, if there is some again. */
  drained(): void {
    if (this.#ready === undefined || !this.#hasRoom(this.highWaterMark / 2)) return;
    this.#ready.resolve();
    this.#ready = undefined;
  }

  /**
   * While a throttle keeps the Reader from reading, acks wait unread behind messages, and a handler that waits for room before it answers would wait
   * for itself. Until they can be read, what the network has taken counts little.
   */
  #hasRoom(mark: number): boolean {
    const { bytes, unsent } = this.out;
    return bytes < mark || this.carrier === undefined ||
      (this.#isHeld && unsent === 0 && bytes < this.highWaterMark + UNREAD_ACKS);
  }

  /** Whether a throttle keeps the Reader from reading. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  set isHeld(isHeld: boolean) {
    this.#isHeld = isHeld;
    if (isHeld) this.drained();
  }

  /** A message of `bytes` bytes takes its share of the throttles. */
  hold(bytes: number): void {
    this.heldMessages++;
    this.heldBytes += bytes;
  }

  /** A message of `bytes` bytes has given its share back. */
  letGo(bytes: number): void {
    this.heldMessages--;
    this.heldBytes -= bytes;
    this.#handled?.();
  }

  /** Fulfils when a message that is held now has been handled, or the signal aborts. One Reader waits at a time. */
  handled(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        if (this.#handled === done) this.#handled = undefined;
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#handled = done;
      signal.addEventListener("abort", done, { once: true });
    });
  }

  /** Fulfils when the session is over for good. */
  get ended(): Promise<void> {
    if (this.carrier === undefined) return READY;
    this.#ended ??= Promise.withResolvers();
    return this.#ended.promise;
  }

  /** Whether somebody else than the dispatchers takes a message that has arrived. */
  take(message: Message): boolean {
    return (this.requests !== undefined && this.requests.take(message)) ||
      (this.incoming !== undefined && this.incoming.push(message));
  }

  /** Fulfils when all that is queued now has been acknowledged, or where nobody does that, handed to the network. */
  flush(signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.carrier === undefined) return Promise.reject(this.#endError());
    const mark = this.out.mark();
    if (isReached(mark, this.carrier.isLossy ? this.written : this.out.acknowledged)) return READY;
    return (this.#flushes ??= new Flushes()).add(mark, signal);
  }

  /** A message whose data are a stream is about to be queued. @throws {MessengerError} With code `invalid` if it cannot be sent. */
  takeData(message: Message): void {
    const sources = this.#sources ??= new Set();
    sources.add(takeData(message, (data) => sources.delete(data)));
  }

  /** The message with number `outSeq` cannot be sent to its end. Its number goes to the next one, if the session is one that replays. */
  abandon(message: Message, error: MessengerError): void {
    const seq = this.out.outSeq;
    if (this.out.abandon(message)) this.hasAbandoned = true;
    this.lose(message, seq, error);
  }

  /** The message with number `seq` will not arrive: tells who waits for that, or for a reply to it. */
  lose(message: Message, seq: number, error: MessengerError): void {
    this.drained();
    this.#flushes?.rejectAbove(seq - 1, error);
    this.requests?.reject(message.tid, error);
  }

  /** The rest of the data that are arriving will not come. */
  endArriving(error: MessengerError): void {
    this.arriving?.fail(error);
    this.arriving = undefined;
  }

  /** The peer has acknowledged messages. */
  acknowledged(): void {
    this.drained();
    if (!this.carrier?.isLossy) this.#flushes?.settle(this.out.acknowledged);
  }

  /** Messages up to number `seq` have been handed to the network. */
  handedOver(seq: number): void {
    this.written = seq;
    if (this.carrier?.isLossy) this.#flushes?.settle(seq);
  }

  /** The peer has lost the session, and what was under way in it. It goes on with a new one. */
  reset(): void {
    this.resets++;
    this.hasAbandoned = false;
    this.drained();
    this.#giveUp(
      new MessengerError("session_reset", `${this.peerAddress} has lost the session: it restarted, or ended it`),
      false,
    );
  }

  /**
   * Takes the session from `carrier` for good, if it still has it. Ceph's `clear_pipe`.
   *
   * @param error What ended it, unless that was the program.
   */
  release(carrier: SessionCarrier, error?: MessengerError): boolean {
    if (this.carrier !== carrier) return false;
    this.carrier = undefined;
    this.drained();
    this.#ended?.resolve();
    this.status?.end();
    this.#giveUp(this.#endError(error), this.peerClosed || error === undefined || error.code === "closed");
    return true;
  }

  #endError(error?: MessengerError): MessengerError {
    return error === undefined || error.code === "closed"
      ? new MessengerError("closed", `The connection to ${this.peerAddress} was closed`)
      : new MessengerError("session_reset", `The session with ${this.peerAddress} has ended: ${error.message}`, {
        cause: error,
      });
  }

  /** Tells all who wait for something of the session that it will not come. */
  #giveUp(reason: MessengerError, inOrder: boolean): void {
    this.requests?.rejectAll(reason);
    this.#flushes?.rejectAll(reason);
    this.outgoing?.fail(reason);
    this.endArriving(reason);
    for (const source of this.#sources ?? []) source.cancel(reason);
    this.incoming?.end(inOrder ? undefined : reason);
  }
}

const READY = Promise.resolve();
/**
 * How many bytes more may be sent and not acknowledged while acks cannot be read. An honest peer's acks come behind what it and the systems between had
 * under way, which is some MiB, and answers may be longer than questions; one that never acknowledges anything is stopped here.
 */
const UNREAD_ACKS = 32 * 1024 * 1024;
