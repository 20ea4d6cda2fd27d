/**
 * One session's transport: a socket at a time, a Reader and a Writer on it, and what happens when it breaks.
 *
 * ```text
 *                       accept            ┌────────── fault, nothing to send ────────┐
 *   accepting ─────────────────────────▶ open ◀────────────┐                         ▼
 *                                         │ │              │ READY, SEQ           standby
 *         standby ── something to send ──▶│ └── fault ──▶ connecting ◀── to send ──────┘
 *                                         │                │     ▲
 *                        CLOSE ▼          │ lossy: fault   │WAIT │ the winner is gone
 *                      closing ──▶ closed ◀┘               ▼     │
 *                                    ▲                    wait ──┘
 *                                    └── markDown, replaced by the peer's connection, shutdown
 * ```
 *
 * @module
 */

import { assert } from "./assert.ts";
import type { SessionSecurity } from "./auth.ts";
import { MessengerError, NetworkError, ProtocolError } from "./errors.ts";
import { endpointOf } from "./handshake.ts";
import type { Watched } from "./idle_watch.ts";
import { Link } from "./link.ts";
import type { Lease, Message } from "./message.ts";
import type { Socket } from "./net/network.ts";
import type { PipeHost } from "./pipe_host.ts";
import type { Policy } from "./policy.ts";
import { Reader } from "./reader.ts";
import type { PipeState, Session, SessionCarrier } from "./session.ts";
import { SessionLease } from "./session_lease.ts";
import type { ConnectionStatus } from "./status.ts";
import { Feature } from "./wire/constants.ts";
import type { SegmentLimits } from "./wire/frame.ts";
import { Writer } from "./writer.ts";

/** How long an ack may wait for a message to ride with, in ms. */
const ACK_DELAY = 1;
/**
 * The same once so many acks in a row have found a message to ride with, as where every message is answered. A timer that is always about to go off is not
 * free: the operating system sets its clock anew for every wait, which can take longer than all the rest of a round trip.
 */
const RIDING_ACK_DELAY = 20, RIDING_FROM = 16;
/** For how many messages, or bytes of them, an ack may wait. */
const ACK_MESSAGES = 1024, ACK_BYTES = 1024 * 1024;

/** What only the place knows where it happens; the rest is the same for all events of a connection. */
type ConnectionNews = ConnectionStatus extends infer Status
  ? Status extends ConnectionStatus ? Omit<Status, "connection" | "peer" | "state"> : never
  : never;

/**
 * A Pipe. It is created by its Messenger, and creates the Reader and the Writer that live inside it. Ceph's `Pipe`.
 *
 * Where Ceph takes locks, the code between two awaits runs alone; after each await the state has to be looked at again, since the Pipe may
 * have been marked down, or replaced by a newer connection of the same peer.
 */
export class Pipe implements SessionCarrier, Watched {
  readonly host: PipeHost;
  readonly reader: Reader;
  readonly writer: Writer;

  state: PipeState;
  /** What belongs to the session; another Pipe takes it over when it replaces this one. */
  session: Session;
  /** The policy for the peer, with the accepting side's say on whether the session is lossy. */
  policy: Policy;
  /** Whether the peer was dialled without a nonce: whoever answers at that endpoint is the one. */
  anyNonce = false;
  /** How often this session has been connected; 0 is never. Ceph's `connect_seq`. */
  connectSeq = 0;
  /** The highest `global_seq` seen from the peer. */
  peerGlobalSeq = 0;
  /** Attempts to reconnect since the session was open. */
  attempts = 0;
  /** A keepalive is to be sent. */
  keepaliveQueued = false;
  /** The pause before the next attempt to dial is to end. */
  hurry = false;
  /** The time stamp of a peer's keepalive that is to be answered. */
  keepaliveStamp: Uint8Array | undefined;
  /** The session is to end in order: with CLOSE, when everything has been sent. */
  closeRequested = false;
  /** Signs and checks messages. */
  security: SessionSecurity | undefined;
  /** The socket in use. */
  link: Link | undefined;
  /** The attempt to dial that is on its way. */
  dialing: AbortController | undefined;
  /** Whether the peer's side of the session lacks the long footer. */
  oldFooter = false;
  /** Takes back what this Pipe's messages hold of the throttles. */
  lease: Lease;

  /** The ack that the peer is owed must not wait for a message to ride with. */
  ackUrgent = false;
  /** How many acks in a row have left together with a message. */
  acksRidden = 0;

  /** Whether silence of the peer would end the connection; `IdleWatch` sets it. */
  isOnWatch = false;

  /** Ends a session whose peer does not answer CLOSE, or does not come back. */
  #endTimer: unknown;
  #ackTimer: unknown;

  private constructor(host: PipeHost, state: PipeState, session: Session) {
    this.host = host;
    this.state = state;
    this.session = session;
    session.carrier = this;
    this.policy = host.policies.get(session.peerType);
    this.lease = this.#newLease();
    this.reader = new Reader(this);
    this.writer = new Writer(this);
  }

  /** A Pipe that dials once there is something to send. */
  static connecting(host: PipeHost, session: Session, anyNonce: boolean): Pipe {
    const pipe = new Pipe(host, "standby", session);
    pipe.anyNonce = anyNonce;
    pipe.startWriter();
    return pipe;
  }

  /** A Pipe for a socket that a peer opened. */
  static accepting(host: PipeHost, session: Session, socket: Socket): Pipe {
    const pipe = new Pipe(host, "accepting", session);
    pipe.attach(socket);
    pipe.startReader();
    return pipe;
  }

  /** Who is at the other end: its address, or that of its socket while it has not said who it is. */
  get peer(): string {
    if (this.session.peerAddress.host !== "") return this.session.peerAddress.toString();
    return this.link === undefined ? "?" : endpointOf(this.link.socket);
  }

  /** Whether something wants to be sent that would justify a connection. Ceph's `is_queued`. */
  get isQueued(): boolean {
    return this.session.out.unsent > 0 || this.keepaliveQueued || this.keepaliveStamp !== undefined ||
      this.session.hasAbandoned;
  }

  /**
   * Whether the peer is owed an ack. On a lossy session nobody waits for one, and Ceph's daemons (unlike its old Pipe) send none.
   */
  get ackDue(): boolean {
    return this.session.inSeq !== this.session.inSeqAcked && !this.policy.lossy;
  }

  /**
   * Sees to it that the peer gets its ack soon: with the next message, or after {@linkcode ACK_DELAY}, or at once when it is owed one for much. An
   * ack for every chunk would cost a system call for each, on both sides.
   */
  ackSoon(): void {
    if (!this.ackDue || this.ackUrgent || this.link === undefined) return;
    if (this.session.inSeq - this.session.inSeqAcked >= ACK_MESSAGES || this.reader.bytesSinceAck >= ACK_BYTES) {
      this.ackUrgent = true;
      this.writer.wake();
      return;
    }
    this.#ackTimer ??= this.host.options.environment.setTimer(() => {
      this.#ackTimer = undefined;
      this.ackUrgent = this.ackDue;
      if (this.ackUrgent) this.writer.wake(true);
    }, this.acksRidden < RIDING_FROM ? ACK_DELAY : RIDING_ACK_DELAY);
  }

  /** Whether nobody acknowledges what is sent. */
  get isLossy(): boolean {
    return this.policy.lossy;
  }

  /** Whether this side may dial: Ceph's rule, and nobody listens at port 0. */
  get canDial(): boolean {
    return !this.policy.server && this.session.peerAddress.isListening;
  }

  /**
   * Whether a session with nothing to send may sleep. A side that listens nowhere must not, whatever its policy: its peer may have something to send,
   * and cannot dial it. One that waits for a reply must find out whether the peer still knows of it.
   */
  get canSleep(): boolean {
    return this.policy.standby && !this.isQueued && !(this.canDial && !this.host.address.isListening) &&
      !this.session.requests?.isWaiting;
  }

  /** Starts the Reader on the current socket, once an earlier run of it has ended. Ceph's `start_reader`. */
  startReader(): void {
    assert(!this.reader.isRunning, "the Reader is running");
    this.reader.start();
  }

  /** Starts the Writer. Ceph's `start_writer`. */
  startWriter(): void {
    assert(!this.writer.isRunning, "the Writer is running");
    this.writer.start();
  }

  /** Sets what the peer is, and takes the policy for its kind. */
  adoptPolicy(peerType: number): void {
    this.session.peerType = peerType;
    this.policy = this.host.policies.get(peerType);
    this.lease = this.#newLease();
  }

  /** Takes a socket into use. */
  attach(socket: Socket): Link {
    assert(this.link === undefined, "a socket is in use");
    this.link = new Link(socket, this.host.options.environment);
    return this.link;
  }

  /** Queues a message; false if the Pipe is dead, or has said CLOSE: behind that nothing can be sent. */
  enqueue(message: Message): boolean {
    if (this.state === "closed" || this.state === "closing") return false;
    const { options } = this.host;
    const maxDataBytes = message.isStreamed ? options.maxStreamedDataBytes : options.maxDataBytes;
    if (
      message.frontLength > options.maxFrontBytes || message.middleLength > options.maxMiddleBytes ||
      message.dataLength > maxDataBytes
    ) throw tooLarge(message, { ...options, maxDataBytes });
    if (message.isStreamed) this.session.takeData(message);
    this.session.out.push(message, message.priority || options.defaultSendPriority);
    this.writer.wake();
    return true;
  }

  /** Asks for a sign of life. Ceph's `_send_keepalive`. */
  sendKeepalive(): void {
    this.keepaliveQueued = true;
    this.hurry = true;
    this.writer.wake(true);
  }

  /** Ends the session from this side. Ceph's `mark_down`. */
  markDown(): void {
    if (this.state === "closed") return;
    this.stop(new MessengerError("closed", `The connection to ${this.peer} was marked down`));
    this.#dropSession();
  }

  /** Ends the session from this side and tells the dispatchers. */
  markDownWithReset(error: MessengerError): void {
    if (this.state === "closed") return;
    this.stop(error);
    this.#dropSession(error);
  }

  /** Ends the session from this side once everything has been sent and, where it is lossless, acknowledged. */
  close(): void {
    if (this.state === "closed") return;
    this.closeRequested = true;
    this.writer.wake(true);
  }

  /** CLOSE is about to be sent: the peer has as long to answer it as it has for a handshake. */
  startClosing(): void {
    const { environment, handshakeTimeout } = this.host.options;
    this.state = "closing";
    this.host.idleWatch.delete(this);
    this.#endTimer = environment.setTimer(() => this.markDown(), handshakeTimeout);
  }

  /** The peer has sent CLOSE: answers it, or if it is an answer itself, is done. */
  closeReceived(): void {
    this.session.peerClosed = true;
    if (this.closeRequested) {
      // Both sides close at once: what this one had yet to send stays behind, and that has to be told.
      const { unsent, unacknowledged } = this.session.out;
      const left = unsent + unacknowledged > 0;
      const closed = new MessengerError("closed", `The connection to ${this.peer} was closed`);
      this.stop(closed);
      this.#dropSession(left ? closed : undefined);
      return;
    }
    this.state = "closing";
    this.writer.wake(true);
  }

  /** Lets the next fault end the session. Ceph's `mark_disposable`. */
  markDisposable(): void {
    this.policy = { ...this.policy, lossy: true };
  }

  /**
   * Opens the session, once the handshake has agreed on everything.
   *
   * @param features Those in common with the peer.
   * @param security What signs messages, where something does.
   * @param dialled Whether this side did.
   */
  opened(features: bigint, security: SessionSecurity | undefined, dialled: boolean): void {
    const again = this.connectSeq > 1;
    this.state = "open";
    if (again) this.host.counters.reconnects++;
    this.attempts = 0;
    const { featuresSupported } = this.policy;
    // The same object for all who have as many: a bigint takes memory of its own.
    this.session.features = features === featuresSupported ? featuresSupported : features;
    this.session.written = this.session.out.outSeq;
    this.oldFooter = (features & Feature.MSG_AUTH) === 0n;
    this.security = security;
    this.host.idleWatch.add(this);
    this.tell({ type: "open", dialled, again });
  }

  /** When the latest byte of the peer's arrived; silence while a throttle keeps the Reader from reading is not the peer's. */
  heardAt(now: number): number {
    return Math.max(this.link?.source.lastReadAt ?? 0, Math.min(this.reader.heldUntil, now));
  }

  /** Nothing has arrived for too long. */
  silent(): void {
    const { readTimeout } = this.host.options;
    this.fault(new NetworkError("timed_out", `Nothing arrived from ${this.peer} for ${readTimeout} ms`));
  }

  /**
   * Repairs or ends the session after its socket has failed. Ceph's `fault`.
   *
   * @param error What failed.
   * @param onRead Whether the Reader found out: it has nothing to say about a connection attempt.
   */
  fault(error: unknown, onRead = false): void {
    const cause = asMessengerError(error);
    this.writer.wake(true);
    if (onRead && this.state === "connecting") return;
    if (cause instanceof ProtocolError) this.host.counters.protocolErrors++;
    this.tell({ type: "fault", error: cause });
    if (this.state === "closed" || this.state === "closing") {
      this.stop(cause);
      this.#dropSession(this.closeRequested ? undefined : cause);
      return;
    }
    this.shutdownSocket(cause);
    if (this.policy.lossy && this.state !== "connecting") {
      this.stop(cause);
      this.host.dispatchQueue.discard(this.session.id);
      this.#dropSession(cause);
      return;
    }
    this.session.out.requeueSent();
    if (this.canSleep) {
      this.state = "standby";
      this.attempts = 0;
    } else if (this.state !== "connecting") {
      if (this.canDial) {
        this.connectSeq++;
        this.state = "connecting";
      } else {
        this.state = "standby";
      }
      this.attempts = 0;
    }
    if (this.state !== "standby") return;
    if (!this.canDial) this.#watchAbsence();
    this.tell({ type: "standby", canDial: this.canDial });
  }

  /** Ends the Pipe: its Reader and Writer find out by themselves. Ceph's `stop`. */
  stop(reason: MessengerError): void {
    this.state = "closed";
    this.dialing?.abort(reason);
    this.host.unregister(this);
    this.shutdownSocket(reason);
    this.writer.wake(true);
    this.reapIfDone();
  }

  /** Gives the socket up. What was read ahead is lost with it. Ceph's `shutdown_socket`. */
  shutdownSocket(reason: MessengerError): void {
    const { link } = this;
    this.link = undefined;
    this.host.idleWatch.delete(this);
    this.host.options.environment.clearTimer(this.#endTimer);
    this.host.options.environment.clearTimer(this.#ackTimer);
    this.#ackTimer = undefined;
    this.ackUrgent = false;
    // An answer that comes by another connection says nothing about this one.
    this.keepaliveStamp = undefined;
    if (link === undefined) return;
    link.giveUp(reason);
  }

  /** The peer has lost the session: drops what was queued, says so, and begins anew. Ceph's `was_session_reset`. */
  wasSessionReset(): void {
    const { session, host } = this;
    host.dispatchQueue.discard(session.id);
    const dropped = session.out.clear();
    host.counters.dropped += dropped;
    session.reset();
    host.dispatchQueue.event("handleRemoteReset", session.connection, { dropped });
    this.tell({ type: "session_reset", dropped });
    session.out.outSeq = (session.features & Feature.MSG_AUTH) === 0n
      ? 0
      : Math.floor(host.options.environment.random() * 0x80000000);
    session.inSeq = session.inSeqAcked = 0;
    this.connectSeq = 0;
  }

  /** Takes over the session of a Pipe that this one replaces. */
  takeOver(existing: Pipe, resetFromPeer: boolean): void {
    const { session } = existing;
    existing.session = this.session;
    this.session = session;
    session.carrier = this;
    this.lease = this.#newLease();
    this.anyNonce = existing.anyNonce;
    this.keepaliveQueued = existing.keepaliveQueued;
    this.closeRequested = existing.closeRequested;
    if (resetFromPeer) {
      session.inSeq = 0;
      session.endArriving(new MessengerError("session_reset", `${this.peer} has lost the session`));
    }
    session.inSeqAcked = session.inSeq;
    session.out.requeueSent();
  }

  /** Forgets the Pipe once nothing of it runs any more. Ceph's `unlock_maybe_reap`. */
  reapIfDone(): void {
    if (this.state === "closed" && !this.reader.isRunning && !this.writer.isRunning) this.host.reap(this);
  }

  /** Whether somebody wants to know what happens. */
  get isWatched(): boolean {
    return this.host.status.isWatched || (this.session.status?.isWatched ?? false);
  }

  /** Tells whoever wants to know. */
  tell(news: ConnectionNews): void {
    if (!this.isWatched) return;
    const { session, host, peer, state } = this;
    const status = { ...news, connection: session.connection, peer, state };
    host.status.tell(status);
    session.status?.tell(status);
  }

  /** Lets go of the session for good, if it is still this Pipe's; with an error, the dispatchers are told. */
  #dropSession(error?: MessengerError): void {
    const { session, host } = this;
    if (session.carrier !== this) return;
    const dropped = session.out.clear();
    host.counters.dropped += dropped;
    this.tell({ type: "closed", dropped, error });
    session.release(this, error);
    // Nobody has to be told of the end of a connection that nobody has seen.
    if (error !== undefined && session.isAnnounced) {
      host.dispatchQueue.event("handleReset", session.connection, { dropped, error });
    }
  }

  /**
   * Ends a session whose peer does not come back, and cannot be dialled. Otherwise every client that crashed, and every stranger that said a few
   * words, would leave a session behind for ever.
   */
  #watchAbsence(): void {
    const { environment, absenceTimeout } = this.host.options;
    if (absenceTimeout === 0) return;
    environment.clearTimer(this.#endTimer);
    this.#endTimer = environment.setTimer(() => {
      const why = `${this.peer} has not come back for ${absenceTimeout} ms`;
      if (this.state === "standby") this.markDownWithReset(new NetworkError("timed_out", why));
    }, absenceTimeout);
  }

  #newLease(): Lease {
    return new SessionLease(this.session, this.policy, this.host.dispatchThrottle);
  }
}

function tooLarge(message: Message, limits: SegmentLimits): MessengerError {
  const [segment, length, most] = message.frontLength > limits.maxFrontBytes
    ? ["front", message.frontLength, limits.maxFrontBytes]
    : message.middleLength > limits.maxMiddleBytes
    ? ["middle", message.middleLength, limits.maxMiddleBytes]
    : ["data", message.dataLength, limits.maxDataBytes];
  return new MessengerError("invalid", `Bad message ${segment}: got ${length} bytes, expected at most ${most}`);
}

function asMessengerError(error: unknown): MessengerError {
  if (error instanceof MessengerError) return error;
  return new NetworkError("network", error instanceof Error ? error.message : String(error), { cause: error });
}
