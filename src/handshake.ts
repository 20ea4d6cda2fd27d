/**
 * From a connected socket to an open session: both sides of the handshake.
 *
 * @module
 */

import type { Authorizer, AuthorizerVerdict } from "./auth.ts";
import { sendAll } from "./byte_sink.ts";
import type { ByteSource } from "./byte_source.ts";
import { MessengerError, NetworkError, ProtocolError } from "./errors.ts";
import type { SocketAddress } from "./net/network.ts";
import type { Link, Pipe } from "./pipe.ts";
import { decideExisting } from "./race.ts";
import { EntityAddress } from "./wire/address.ts";
import {
  type ConnectReply,
  type ConnectRequest,
  decodeConnect,
  decodeConnectReply,
  encodeConnect,
  encodeConnectReply,
} from "./wire/connect.ts";
import {
  ADDRESS_SIZE,
  AuthProtocol,
  BANNER,
  BANNER_SIZE,
  BANNER_V2,
  CONNECT_LOSSY,
  CONNECT_REPLY_SIZE,
  CONNECT_SIZE,
  Feature,
  Tag,
  tagName,
} from "./wire/constants.ts";
import { getU64, putU64 } from "./wire/integers.ts";

/** The longest authorizer or answer to one, in bytes. A cephx authorizer with its ticket takes a few hundred. */
const MAX_AUTHORIZER_BYTES = 64 * 1024;
/** How often one handshake may go round. Each honest round settles one thing, and there are only so many. */
const MAX_ROUNDS = 16;

const BANNER_BYTES = new TextEncoder().encode(BANNER);
const NO_BYTES = new Uint8Array(0);

// ---------------------------------------------------------------- connecting

/**
 * Dials the Pipe's peer and agrees on a session with it. Ceph's `Pipe::connect`. When it returns, the session is open, or waits for the
 * peer's own connection, or the Pipe was taken out of our hands meanwhile.
 *
 * @throws {MessengerError} If the attempt failed.
 */
export async function connect(pipe: Pipe): Promise<void> {
  const { host } = pipe;
  const { environment, handshakeTimeout } = host.options;
  await pipe.reader.stopped;
  const attempt = new AbortController();
  const timer = environment.setTimer(() => {
    const late = new NetworkError("timed_out", `Handshake with ${pipe.peer} took more than ${handshakeTimeout} ms`);
    attempt.abort(late);
    pipe.link?.socket.abort(late);
  }, handshakeTimeout);
  // Whoever takes the Pipe out of "connecting" must not wait for a dead address to answer.
  pipe.dialing = attempt;
  try {
    host.counters.connectAttempts++;
    pipe.log("connecting");
    const network = await host.network();
    if (pipe.state !== "connecting") return;
    const socket = await network.connect(socketAddress(pipe.session.peerAddress), { signal: attempt.signal });
    if (pipe.state !== "connecting") return socket.abort();
    await new ConnectHandshake(pipe, pipe.attach(socket)).run();
  } finally {
    environment.clearTimer(timer);
    pipe.dialing = undefined;
  }
}

class ConnectHandshake {
  readonly #pipe: Pipe;
  readonly #link: Link;
  #authorizer: Authorizer | undefined;
  #globalSeq: number;
  #connectSeq: number;

  constructor(pipe: Pipe, link: Link) {
    this.#pipe = pipe;
    this.#link = link;
    this.#globalSeq = pipe.host.nextGlobalSeq();
    this.#connectSeq = pipe.connectSeq;
  }

  async run(): Promise<void> {
    const { source, sink } = this.#link;
    await readBanner(source);
    await sendAll(sink, [BANNER_BYTES], true);
    const addresses = await source.tcpRead(2 * ADDRESS_SIZE);
    if (this.#isSuperseded()) return;
    this.#identify(EntityAddress.decode(addresses, 0), EntityAddress.decode(addresses, ADDRESS_SIZE));
    await sendAll(sink, [encodeAddress(this.#pipe.host.address)], true);
    this.#authorizer = await this.#getAuthorizer();
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (this.#isSuperseded()) return;
      const request = this.#request();
      await sendAll(sink, [encodeConnect(request), this.#authorizer?.bytes ?? NO_BYTES]);
      const reply = decodeConnectReply(await source.tcpRead(CONNECT_REPLY_SIZE), MAX_AUTHORIZER_BYTES);
      const proof = await source.tcpRead(reply.authorizerLength);
      if (this.#isSuperseded()) return;
      if (await this.#handle(request, reply, proof)) return;
    }
    throw new ProtocolError("handshake", `more than ${MAX_ROUNDS} rounds`, `at most ${MAX_ROUNDS}`);
  }

  /** Whether somebody took the Pipe out of our hands. */
  #isSuperseded(): boolean {
    return this.#pipe.state !== "connecting" || this.#pipe.link !== this.#link;
  }

  /** Makes sure that the right entity answered, and learns from it where we are ourselves. */
  #identify(claimed: EntityAddress, seen: EntityAddress): void {
    const { session, host, anyNonce } = this.#pipe;
    const dialled = session.peerAddress;
    const sameHost = claimed.isBlank || claimed.endpoint === dialled.endpoint;
    if (!sameHost || claimed.port !== dialled.port || (claimed.nonce !== dialled.nonce && !anyNonce)) {
      throw new ProtocolError("peer address", claimed.toString(), anyNonce ? dialled.endpoint : dialled.toString());
    }
    if (claimed.nonce !== dialled.nonce) {
      host.unregister(this.#pipe);
      session.peerAddress = dialled.withNonce(claimed.nonce);
      host.register(this.#pipe);
    }
    host.learnAddress(seen);
  }

  async #getAuthorizer(): Promise<Authorizer | undefined> {
    const { session, host } = this.#pipe;
    for (const dispatcher of host.dispatchQueue.dispatchers) {
      const authorizer = await dispatcher.getAuthorizer?.(session.peerType);
      if (authorizer !== undefined) return authorizer;
    }
    return undefined;
  }

  #request(): ConnectRequest {
    const { host, policy, session } = this.#pipe;
    return {
      features: policy.featuresSupported,
      hostType: host.name.type,
      globalSeq: this.#globalSeq,
      connectSeq: this.#connectSeq,
      protocolVersion: host.protocolVersion(session.peerType, "connect"),
      authorizerProtocol: this.#authorizer?.protocol ?? AuthProtocol.UNKNOWN,
      authorizerLength: this.#authorizer?.bytes.length ?? 0,
      flags: policy.lossy ? CONNECT_LOSSY : 0,
    };
  }

  /** Does what the reply asks for. True when the handshake is over. */
  async #handle(request: ConnectRequest, reply: ConnectReply, proof: Uint8Array): Promise<boolean> {
    const pipe = this.#pipe, { host } = pipe;
    switch (reply.tag) {
      case Tag.FEATURES:
        throw missingFeatures(pipe.peer, reply.features & ~request.features, "it requires");
      case Tag.BADPROTOVER:
        throw new MessengerError(
          "incompatible",
          `Cannot connect to ${pipe.peer}: it speaks protocol ${reply.protocolVersion}, not ${request.protocolVersion}`,
        );
      case Tag.BADAUTHORIZER:
        throw new MessengerError("auth", `Cannot connect to ${pipe.peer}: it refused our authorizer`);
      case Tag.CHALLENGE_AUTHORIZER:
        if (await this.#authorizer?.addChallenge?.(proof)) return false;
        throw new MessengerError("auth", `Cannot connect to ${pipe.peer}: no answer to its challenge`);
    }
    if (this.#authorizer?.verifyReply !== undefined && !(await this.#authorizer.verifyReply(proof))) {
      throw new MessengerError("auth", `Cannot connect to ${pipe.peer}: it failed to prove its identity`);
    }
    if (this.#isSuperseded()) return true;
    switch (reply.tag) {
      case Tag.RESETSESSION:
        pipe.wasSessionReset();
        this.#connectSeq = 0;
        return false;
      case Tag.RETRY_GLOBAL:
        this.#globalSeq = host.nextGlobalSeq(reply.globalSeq);
        return false;
      case Tag.RETRY_SESSION:
        if (reply.connectSeq <= pipe.connectSeq) {
          throw new ProtocolError("connect_seq", reply.connectSeq, `more than ${pipe.connectSeq}`);
        }
        this.#connectSeq = pipe.connectSeq = reply.connectSeq;
        return false;
      case Tag.WAIT:
        pipe.state = "wait";
        this.#watchWhileWaiting();
        return true;
      case Tag.READY:
      case Tag.SEQ:
        await this.#open(request, reply);
        return true;
      default:
        throw new ProtocolError("reply tag", tagName(reply.tag), "a tag of a connect reply");
    }
  }

  async #open(request: ConnectRequest, reply: ConnectReply): Promise<void> {
    const pipe = this.#pipe, { host, session } = pipe;
    const missing = pipe.policy.featuresRequired & ~reply.features;
    if (missing !== 0n) throw missingFeatures(pipe.peer, missing, "we require");
    if (reply.connectSeq !== this.#connectSeq + 1) {
      throw new ProtocolError("connect_seq", reply.connectSeq, this.#connectSeq + 1);
    }
    if (reply.tag === Tag.SEQ) {
      const acked = await readSeq(this.#link.source);
      if (this.#isSuperseded()) return;
      session.out.discardRequeuedUpTo(acked);
      session.drained();
      await sendAll(this.#link.sink, [encodeSeq(session.inSeq)]);
      if (this.#isSuperseded()) return;
    }
    host.counters.replayed += session.out.requeueSent();
    session.inSeqAcked = session.inSeq;
    pipe.peerGlobalSeq = reply.globalSeq;
    pipe.policy = { ...pipe.policy, lossy: (reply.flags & CONNECT_LOSSY) !== 0 };
    pipe.connectSeq = reply.connectSeq;
    const features = reply.features & request.features;
    pipe.opened(features, this.#authorizer?.session?.(features));
    pipe.log("connected", { detail: tagName(reply.tag) });
    host.dispatchQueue.event("handleConnect", session.connection);
    host.dispatchQueue.fastEvent("handleFastConnect", session.connection);
    // A dispatcher may have marked it down just now.
    if (pipe.link === this.#link) pipe.startReader();
  }

  /**
   * The peer's own connection will replace this Pipe. If the peer dies first, its socket ends, and dialling begins again; without this the
   * session would wait for ever.
   */
  #watchWhileWaiting(): void {
    const pipe = this.#pipe, link = this.#link;
    const again = (error: unknown) => {
      if (pipe.state !== "wait" || pipe.link !== link) return;
      pipe.state = "connecting";
      pipe.fault(error);
    };
    link.source.tcpReadWait().then(
      () => again(new ProtocolError("bytes while waiting", "some", "none")),
      again,
    );
  }
}

// ----------------------------------------------------------------- accepting

/**
 * Answers a peer that dialled, until its session is open. Ceph's `Pipe::accept`.
 *
 * @throws {MessengerError} If the handshake failed and the Pipe is now closed.
 */
export async function accept(pipe: Pipe, link: Link): Promise<void> {
  const { environment, handshakeTimeout } = pipe.host.options;
  const timer = environment.setTimer(
    () =>
      link.socket.abort(
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
    for (const dispatcher of verifiers) {
      verdict = await dispatcher.verifyAuthorizer!({
        connection: session.connection,
        peerType: request.hostType,
        protocol: request.authorizerProtocol,
        authorizer,
        challenge: this.#challenge,
        canChallenge: (request.features & Feature.CEPHX_V2) !== 0n,
      });
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
    const existing = host.findPipe(session.peerAddress);
    if (session.peerAddress.equals(host.address)) {
      throw new ProtocolError("peer address", session.peerAddress.toString(), "an address other than ours");
    }
    if (existing === undefined || existing === pipe) {
      return request.connectSeq > 0 ? { tag: Tag.RESETSESSION } : this.#openingTag(request, false);
    }
    const decision = decideExisting({
      globalSeq: request.globalSeq,
      connectSeq: request.connectSeq,
      resetcheck: pipe.policy.resetcheck,
      peerIsSmaller: session.peerAddress.compare(host.address) < 0,
      existing: {
        state: existing.state,
        lossy: existing.policy.lossy,
        server: existing.policy.server,
        connectSeq: existing.connectSeq,
        peerGlobalSeq: existing.peerGlobalSeq,
      },
    });
    pipe.log("accepted", { detail: `row ${decision.row}` });
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
    pipe.log("replaced");
  }

  /** SEQ where the peer knows of it; what each side received last then decides what is sent again. */
  #openingTag(request: ConnectRequest, resetFromPeer: boolean): number {
    const canExchange = (request.features & Feature.RECONNECT_SEQ) !== 0n;
    return canExchange && this.replaced && !resetFromPeer ? Tag.SEQ : Tag.READY;
  }

  async #open(request: ConnectRequest, tag: number): Promise<void> {
    const pipe = this.#pipe, { host, session } = pipe;
    const features = pipe.policy.featuresSupported & request.features;
    pipe.connectSeq = request.connectSeq + 1;
    pipe.peerGlobalSeq = request.globalSeq;
    pipe.opened(features, this.#verdict?.session?.(features));
    pipe.log("accepted", { detail: tagName(tag) });
    const inSeq = session.inSeq;
    session.isAnnounced = true;
    // Before the reply is written: what the dispatchers hear of the connection must come before its first message.
    host.dispatchQueue.event("handleAccept", session.connection);
    host.dispatchQueue.fastEvent("handleFastAccept", session.connection);
    if (pipe.link !== this.#link) return;
    host.register(pipe);
    await this.#reply(request, { tag, proof: this.#verdict?.reply ?? NO_BYTES }, tag === Tag.SEQ ? inSeq : undefined);
    if (tag === Tag.SEQ) {
      const acked = await readSeq(this.#link.source);
      if (pipe.link !== this.#link) return;
      session.out.discardRequeuedUpTo(acked);
      session.drained();
    }
    host.counters.replayed += session.out.requeueSent();
  }

  async #reply(request: ConnectRequest, answer: Answer, inSeq?: number): Promise<void> {
    const { host, policy, connectSeq } = this.#pipe;
    const final = answer.tag === Tag.READY || answer.tag === Tag.SEQ;
    const proof = answer.proof ?? NO_BYTES;
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

// -------------------------------------------------------------------- shared

/** Reads a banner, and says what else it was if it was something known. */
async function readBanner(source: ByteSource): Promise<void> {
  // One byte at a time is enough to tell a stranger: it may send less than a banner and then wait for us.
  const bytes = new Uint8Array(BANNER_SIZE);
  for (let filled = 0; filled < BANNER_SIZE;) {
    await source.tcpReadWait();
    filled += source.tcpReadNonblocking(bytes, filled, BANNER_SIZE - filled);
    const text = String.fromCharCode(...bytes.subarray(0, filled));
    if (BANNER.startsWith(text)) continue;
    const hint = BANNER_V2.startsWith(text.slice(0, BANNER_V2.length))
      ? " (a msgr v2 port: dial the v1 port, 6789 at a monitor)"
      : /^(GET|HEAD|POST|PUT|HTTP)/.test(text)
      ? " (HTTP)"
      : "";
    throw new ProtocolError("banner", `${JSON.stringify(text)}${hint}`, JSON.stringify(BANNER));
  }
}

async function readSeq(source: ByteSource): Promise<number> {
  const seq = getU64(await source.tcpRead(8), 0);
  if (seq !== seq) throw new ProtocolError("in_seq", "more than 2^53 - 1", "at most 2^53 - 1");
  return seq;
}

function encodeSeq(seq: number): Uint8Array {
  const bytes = new Uint8Array(8);
  putU64(bytes, 0, seq);
  return bytes;
}

function encodeAddress(address: EntityAddress): Uint8Array {
  const bytes = new Uint8Array(ADDRESS_SIZE);
  address.encode(bytes);
  return bytes;
}

/** Where to open a socket for an entity. */
export function socketAddress(address: EntityAddress): SocketAddress {
  if (address.kind === "unix") return { transport: "unix", path: address.host };
  return { transport: "tcp", hostname: address.host, port: address.port };
}

/** A socket's address as an entity's, nonce 0. */
export function entityAddress(address: SocketAddress): EntityAddress {
  if (address.transport === "unix") return EntityAddress.from(`unix:${address.path}`, 0);
  return EntityAddress.from(address.hostname, address.port);
}

function missingFeatures(peer: string, missing: bigint, who: string): MessengerError {
  return new MessengerError("incompatible", `Cannot connect to ${peer}: ${who} features 0x${missing.toString(16)}`);
}
