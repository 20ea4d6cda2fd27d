/**
 * What outlives a socket: the state that one Pipe hands to the next.
 *
 * @module
 */

import type { Connection } from "./connection.ts";
import type { Message } from "./message.ts";
import { OutQueue } from "./out_queue.ts";
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
  readonly state: PipeState;
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

  /** Above this many queued bytes the session is not ready for more. */
  readonly highWaterMark: number;
  #ready: PromiseWithResolvers<void> | undefined;
  #ended: PromiseWithResolvers<void> | undefined;

  constructor(id: number, highWaterMark: number) {
    this.id = id;
    this.highWaterMark = highWaterMark;
  }

  /** Fulfils when there is room for more messages. */
  get ready(): Promise<void> {
    if (this.out.bytes < this.highWaterMark || this.carrier === undefined) return READY;
    this.#ready ??= Promise.withResolvers();
    return this.#ready.promise;
  }

  /** Lets callers go on that wait for room, if there is some again. */
  drained(): void {
    if (this.#ready === undefined || (this.out.bytes >= this.highWaterMark / 2 && this.carrier !== undefined)) return;
    this.#ready.resolve();
    this.#ready = undefined;
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

  /** Takes the session from `carrier` for good, if it still has it. Ceph's `clear_pipe`. */
  release(carrier: SessionCarrier): boolean {
    if (this.carrier !== carrier) return false;
    this.carrier = undefined;
    this.drained();
    this.#ended?.resolve();
    return true;
  }
}

const READY = Promise.resolve();
