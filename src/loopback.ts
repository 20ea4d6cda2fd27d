/**
 * The connection to oneself.
 *
 * @module
 */

import { type DataSource, deliverLocally, type Lease, type Message } from "./message.ts";
import { claim } from "./outgoing_data.ts";
import type { PipeHost } from "./pipe_host.ts";
import type { PipeState, Session, SessionCarrier } from "./session.ts";

/**
 * Carries the session with ourselves: messages go straight to the dispatch queue, neither encoded nor throttled. Ceph's
 * `local_connection` and `local_delivery`.
 */
export class Loopback implements SessionCarrier {
  readonly host: PipeHost;
  /** The session that it carries. */
  readonly session: Session;
  state: PipeState = "open";
  readonly isLossy = false;

  /** @param host The messenger. */
  constructor(host: PipeHost) {
    this.host = host;
    this.session = host.newSession();
    this.restart();
  }

  /** Carries the session again after {@linkcode stop}. */
  restart(): void {
    this.state = "open";
    this.session.carrier = this;
    this.session.peerType = this.host.name.type;
  }

  /** Ends the session, at the messenger's shutdown. */
  stop(): void {
    this.state = "closed";
    this.session.release(this);
  }

  enqueue(message: Message): boolean {
    const { dispatchQueue, options, name, address } = this.host;
    if (this.state === "closed") return false;
    this.session.peerAddress = address;
    const priority = message.priority || options.defaultSendPriority;
    const data = message.isStreamed ? new LocalData(claim(message.dataStream)) : undefined;
    const received = deliverLocally(message, this.session.connection, name, options.environment.now(), data);
    if (!this.session.take(received)) dispatchQueue.deliver(received, this.session.id, priority);
    return true;
  }

  sendKeepalive(): void {
    this.session.lastKeepalive = this.session.lastKeepaliveAck = this.host.options.environment.now();
  }

  /** One cannot lose the connection to oneself. */
  markDown(): void {}

  /** Ends only with the messenger. */
  close(): void {}

  markDisposable(): void {}
}

/** A stream that goes from the sender to the receiver as it is. */
class LocalData implements DataSource, Lease {
  readonly #stream: ReadableStream<Uint8Array>;
  #isTaken = false;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#stream = stream;
  }

  get stream(): ReadableStream<Uint8Array> {
    this.#isTaken = true;
    return this.#stream;
  }

  release(): void {
    if (!this.#isTaken) this.#stream.cancel().catch(() => {});
  }
}
