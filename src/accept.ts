/**
 * From a peer that dialled to an open session.
 *
 * @module
 */

import type { AuthorizerVerdict } from "./auth.ts";
import { sendAll } from "./byte_sink.ts";
import { MessengerError, NetworkError, ProtocolError } from "./errors.ts";
import {
  BANNER_BYTES,
  encodeAddress,
  encodeSeq,
  entityAddress,
  MAX_AUTHORIZER_BYTES,
  MAX_ROUNDS,
  NO_BYTES,
  readBanner,
  readSeq,
} from "./handshake.ts";
import type { Link } from "./link.ts";
import type { Pipe } from "./pipe.ts";
import { decideExisting } from "./race.ts";
import { EntityAddress } from "./wire/address.ts";
import { type ConnectReply, type ConnectRequest, decodeConnect, encodeConnectReply } from "./wire/connect.ts";
import { ADDRESS_SIZE, CONNECT_LOSSY, CONNECT_SIZE, Feature, Tag } from "./wire/constants.ts";

/**
 * Answers a peer that dialled, until its session is open. Ceph's `Pipe::accept`.
 *
 * @throws {MessengerError} If the handshake failed and the Pipe is now closed.
 */
export async function accept(pipe: Pipe, link: Link): Promise<void> {
  const { environment, handshakeTimeout } = pipe.host.options;
  const timer = environment.setTimer(
    () =>
      link.giveUp(
        new NetworkError("timed_out", `Handshake with ${pipe.peer} took more than ${handshakeTimeout} ms`),
      ),
    handshakeTimeout,
  );
  const handshake = new AcceptHandshake(pipe, link);
  try {
    await handshake.run();
  } catch (error) {
    if (pipe.link !== link) return;
    // A session that took over another's queues survives; one that nobody knew dies.
    if (handshake.replaced || pipe.isQueued) {
      pipe.state = pipe.isQueued && pipe.canDial ? "connecting" : "standby";
    } else {
      pipe.state = "closed";
    }
    pipe.fault(error);
  } finally {
    environment.clearTimer(timer);
  }
  if (pipe.state !== "closed" && !pipe.writer.isRunning) pipe.startWriter();
}

/** What the accepting side says to a request: another round, or the end of the handshake. */
type Answer = { readonly tag: number } & Partial<ConnectReply> & { readonly proof?: Uint8Array };

class AcceptHandshake {
  /** Whether the Pipe has taken over the session of another. */
  replaced = false;

  readonly #pipe: Pipe;
  readonly #link: Link;
  #challenge: Uint8Array | undefined;
  #verdict: AuthorizerVerdict | undefined;

  constructor(pipe: Pipe, link: Link) {
    this.#pipe = pipe;
    this.#link = link;
  }

  async run(): Promise<void> {
    const { source, sink, socket } = this.#link;
    const remote = entityAddress(socket.remoteAddress);
    await sendAll(sink, [BANNER_BYTES, encodeAddress(this.#pipe.host.address), encodeAddress(remote)]);
    await readBanner(source);
    const claimed = EntityAddress.decode(await source.tcpRead(ADDRESS_SIZE));
    this.#pipe.session.peerAddress = claimed.isBlank ? claimed.withHostOf(remote) : claimed;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const request = decodeConnect(await source.tcpRead(CONNECT_SIZE), MAX_AUTHORIZER_BYTES);
      const authorizer = await source.tcpRead(request.authorizerLength);
      this.#check();
      this.#pipe.adoptPolicy(request.hostType);
      const refusal = this.#checkRequest(request) ?? await this.#checkAuthorizer(request, authorizer);
      this.#check();
      const answer = refusal ?? this.#checkExisting(request);
      if (typeof answer === "number") return await this.#open(request, answer);
      await this.#reply(request, answer);
    }
    throw new ProtocolError("handshake", `more than ${MAX_ROUNDS} rounds`, `at most ${MAX_ROUNDS}`);
  }

  /** After waiting: the Pipe may have been marked down, or the messenger be on its way out. */
  #check(): void {
    if (this.#pipe.state === "accepting" && !this.#pipe.host.dispatchQueue.isStopped) return;
    throw new MessengerError("closed", "The messenger is shutting down");
  }

  /** What is wrong with the request itself. */
  #checkRequest(request: ConnectRequest): Answer | undefined {
    const { host, policy } = this.#pipe;
    if (request.hostType < 1 || request.hostType > 255) {
      throw new ProtocolError("host_type", request.hostType, "1 to 255");
    }
    if (request.protocolVersion !== host.protocolVersion(request.hostType, "accept")) return { tag: Tag.BADPROTOVER };
    if ((policy.featuresRequired & ~request.features) !== 0n) return { tag: Tag.FEATURES };
    return undefined;
  }

  /** What is wrong with the peer's proof of who it is. */
  async #checkAuthorizer(request: ConnectRequest, authorizer: Uint8Array): Promise<Answer | undefined> {
    const { host, session } = this.#pipe;
    const verifiers = host.dispatchQueue.dispatchers.filter((d) => d.verifyAuthorizer !== undefined);
    let verdict: AuthorizerVerdict | undefined;
    this.#verdict = undefined;
    for (const dispatcher of verifiers) {
      verdict = await this.#link.whileInUse(dispatcher.verifyAuthorizer!({
        connection: session.connection,
        peerType: request.hostType,
        protocol: request.authorizerProtocol,
        authorizer,
        challenge: this.#challenge,
        canChallenge: (request.features & Feature.CEPHX_V2) !== 0n,
      }));
      if (verdict !== undefined) break;
    }
    if (verifiers.length === 0 || verdict?.valid) {
      this.#verdict = verdict;
      return undefined;
    }
    if (verdict?.challenge !== undefined && this.#challenge === undefined) {
      this.#challenge = verdict.challenge;
      return { tag: Tag.CHALLENGE_AUTHORIZER, proof: verdict.challenge };
    }
    return { tag: Tag.BADAUTHORIZER };
  }

  /** What a session that exists already has to say. A number is the tag to open the session with. */
  #checkExisting(request: ConnectRequest): Answer | number {
    const pipe = this.#pipe, { host, session } = pipe;
    let existing = host.findPipe(session.peerAddress);
    if (session.peerAddress.equals(host.address)) {
      throw new ProtocolError("peer address", session.peerAddress.toString(), "an address other than ours");
    }
    if (existing?.state === "closing") {
      // One side has said CLOSE, so that session is over, whatever became of the answer. It must not be continued, and what it has brought is
      // still to be dispatched.
      existing.fault(new NetworkError("connection_lost", `${pipe.peer} has begun anew`));
      existing = undefined;
    }
    if (existing === undefined || existing === pipe) {
      return request.connectSeq > 0 ? { tag: Tag.RESETSESSION } : this.#openingTag(request, false);
    }
    const decision = decideExisting({
      globalSeq: request.globalSeq,
      connectSeq: request.connectSeq,
      resetcheck: pipe.policy.resetcheck,
      canExchangeSeq: canExchangeSeq(request),
      peerIsSmaller: session.peerAddress.compare(host.address) < 0,
      existing: {
        state: existing.state,
        lossy: existing.policy.lossy,
        server: existing.policy.server,
        connectSeq: existing.connectSeq,
        peerGlobalSeq: existing.peerGlobalSeq,
      },
    });
    existing.tell({ type: "race", row: decision.row });
    if (decision.action === "reply") {
      if (decision.keepalive) existing.sendKeepalive();
      return { tag: decision.tag, globalSeq: decision.globalSeq, connectSeq: decision.connectSeq };
    }
    this.#replace(existing, decision.resetFromPeer, decision.resetSession);
    return this.#openingTag(request, decision.resetFromPeer);
  }

  /** Puts this Pipe in the place of another to the same peer. */
  #replace(existing: Pipe, resetFromPeer: boolean, resetSession: boolean): void {
    const pipe = this.#pipe, { peerAddress, peerType } = pipe.session;
    const replaced = new MessengerError("closed", `Replaced by a newer connection of ${pipe.peer}`);
    if (existing.policy.lossy) {
      existing.markDownWithReset(replaced);
      return;
    }
    if (resetSession) existing.wasSessionReset();
    existing.stop(replaced);
    pipe.takeOver(existing, resetFromPeer);
    pipe.session.peerAddress = peerAddress;
    pipe.session.peerType = peerType;
    this.replaced = true;
    pipe.tell({ type: "replaced" });
  }

  /** SEQ where the peer knows of it; what each side received last then decides what is sent again. */
  #openingTag(request: ConnectRequest, resetFromPeer: boolean): number {
    return canExchangeSeq(request) && this.replaced && !resetFromPeer ? Tag.SEQ : Tag.READY;
  }

  async #open(request: ConnectRequest, tag: number): Promise<void> {
    const pipe = this.#pipe, { host, session } = pipe;
    const features = pipe.policy.featuresSupported & request.features;
    pipe.connectSeq = request.connectSeq + 1;
    pipe.peerGlobalSeq = request.globalSeq;
    pipe.opened(features, this.#verdict?.session?.(features), false);
    const inSeq = session.inSeq;
    session.isAnnounced = true;
    // Before the reply is written: what the dispatchers hear of the connection must come before its first message.
    host.dispatchQueue.event("handleAccept", session.connection);
    host.dispatchQueue.fastEvent("handleFastAccept", session.connection);
    if (pipe.link !== this.#link) return;
    host.register(pipe);
    await this.#reply(request, { tag }, tag === Tag.SEQ ? inSeq : undefined);
    if (tag === Tag.SEQ) {
      const acked = await readSeq(this.#link.source);
      if (pipe.link !== this.#link) return;
      session.out.discardRequeuedUpTo(acked);
      session.acknowledged();
    }
    host.counters.replayed += session.out.requeueSent();
  }

  async #reply(request: ConnectRequest, answer: Answer, inSeq?: number): Promise<void> {
    const { host, policy, connectSeq } = this.#pipe;
    const final = answer.tag === Tag.READY || answer.tag === Tag.SEQ;
    // With every answer: a peer that checks it does so before it does what the answer says, such as to begin anew.
    const proof = answer.proof ?? this.#verdict?.reply ?? NO_BYTES;
    const reply: ConnectReply = {
      tag: answer.tag,
      features: final
        ? policy.featuresSupported
        : (request.features & policy.featuresSupported) | policy.featuresRequired,
      globalSeq: final ? host.nextGlobalSeq() : answer.globalSeq ?? 0,
      connectSeq: final ? connectSeq : answer.connectSeq ?? 0,
      protocolVersion: host.protocolVersion(request.hostType, "accept"),
      authorizerLength: proof.length,
      flags: policy.lossy ? CONNECT_LOSSY : 0,
    };
    const parts = [encodeConnectReply(reply), proof];
    if (inSeq !== undefined) parts.push(encodeSeq(inSeq));
    await sendAll(this.#link.sink, parts);
  }
}

/** Whether the peer understands SEQ. */
function canExchangeSeq(request: ConnectRequest): boolean {
  return (request.features & Feature.RECONNECT_SEQ) !== 0n;
}
