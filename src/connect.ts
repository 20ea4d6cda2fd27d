/**
 * From a dialled peer to an open session.
 *
 * @module
 */

import type { Authorizer } from "./auth.ts";
import { sendAll } from "./byte_sink.ts";
import { MessengerError, NetworkError, ProtocolError } from "./errors.ts";
import {
  BANNER_BYTES,
  encodeAddress,
  encodeSeq,
  MAX_AUTHORIZER_BYTES,
  MAX_ROUNDS,
  missingFeatures,
  NO_BYTES,
  readBanner,
  readSeq,
  socketAddress,
} from "./handshake.ts";
import type { Link } from "./link.ts";
import type { Pipe } from "./pipe.ts";
import { EntityAddress } from "./wire/address.ts";
import { type ConnectReply, type ConnectRequest, decodeConnectReply, encodeConnect } from "./wire/connect.ts";
import {
  ADDRESS_SIZE,
  AuthProtocol,
  CONNECT_LOSSY,
  CONNECT_REPLY_SIZE,
  Protocol,
  Tag,
  tagName,
} from "./wire/constants.ts";

/**
 * Dials the Pipe's peer and agrees on a session with it. Ceph's `Pipe::connect`. When it returns, the session is open, or waits for the
 * peer's own connection, or the Pipe was taken out of our hands meanwhile.
 *
 * @throws {MessengerError} If the attempt failed.
 */
export async function connect(pipe: Pipe): Promise<void> {
  const { host } = pipe;
  const { environment, handshakeTimeout, tls } = host.options;
  await pipe.reader.stopped;
  const attempt = new AbortController();
  const timer = environment.setTimer(() => {
    const late = new NetworkError("timed_out", `Handshake with ${pipe.peer} took more than ${handshakeTimeout} ms`);
    attempt.abort(late);
    pipe.link?.giveUp(late);
  }, handshakeTimeout);
  // Whoever takes the Pipe out of "connecting" must not wait for a dead address to answer.
  pipe.dialing = attempt;
  try {
    host.counters.connectAttempts++;
    pipe.tell({ type: "connecting", attempt: pipe.attempts });
    const network = await host.network();
    if (pipe.state !== "connecting") return;
    const socket = await network.connect(socketAddress(pipe.session.peerAddress), { signal: attempt.signal, tls });
    if (pipe.state !== "connecting") return socket.abort();
    await new ConnectHandshake(pipe, pipe.attach(socket)).run();
  } finally {
    environment.clearTimer(timer);
    pipe.dialing = undefined;
  }
}

/** Nearly always the peer is of another kind than the one that was dialled: each kind of Ceph's daemons speaks a protocol of its own. */
function otherProtocol(peer: string, spoken: number, ours: number): MessengerError {
  const [kind] = Object.entries(Protocol).find(([, protocol]) => protocol === spoken) ?? [];
  const hint = kind === undefined
    ? ""
    : `: it seems to be of type "${kind.toLowerCase()}", which has to be said to connectTo`;
  return new MessengerError(
    "incompatible",
    `Cannot connect to ${peer}: it speaks protocol ${spoken}, not ${ours}${hint}`,
  );
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
    this.#authorizer = await this.#getAuthorizer();
    if (this.#isSuperseded()) return;
    // Where whoever answers is the right one, and gets no proof of anything, what is to be said does not depend on what is heard: one round trip less.
    const ahead = this.#pipe.anyNonce && this.#authorizer === undefined;
    let request = this.#request();
    // Not awaited before reading: some streams settle a write only when the other end reads, and that one writes first, too.
    const introduced = ahead ? this.#introduce(request) : undefined;
    introduced?.catch(nothing);
    await readBanner(source);
    const addresses = await source.tcpRead(2 * ADDRESS_SIZE);
    if (this.#isSuperseded()) return;
    this.#identify(EntityAddress.decode(addresses, 0), EntityAddress.decode(addresses, ADDRESS_SIZE));
    await (introduced ?? this.#introduce(request));
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (this.#isSuperseded()) return;
      if (round > 0) {
        request = this.#request();
        await sendAll(sink, this.#encode(request));
      }
      const reply = decodeConnectReply(await source.tcpRead(CONNECT_REPLY_SIZE), MAX_AUTHORIZER_BYTES);
      const proof = await source.tcpRead(reply.authorizerLength);
      if (this.#isSuperseded()) return;
      if (await this.#handle(request, reply, proof)) return;
    }
    throw new ProtocolError("handshake", `more than ${MAX_ROUNDS} rounds`, `at most ${MAX_ROUNDS}`);
  }

  /** Says who we are, and what for. Where our own address has no host yet, the peer puts in the one that it sees. */
  #introduce(request: ConnectRequest): Promise<void> {
    const { sink } = this.#link;
    return sendAll(sink, [BANNER_BYTES, encodeAddress(this.#pipe.host.address), ...this.#encode(request)]);
  }

  #encode(request: ConnectRequest): Uint8Array[] {
    return [encodeConnect(request), this.#authorizer?.bytes ?? NO_BYTES];
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
      const authorizer = await this.#link.whileInUse(dispatcher.getAuthorizer?.(session.peerType));
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
        throw otherProtocol(pipe.peer, reply.protocolVersion, request.protocolVersion);
      case Tag.BADAUTHORIZER:
        throw new MessengerError("auth", `Cannot connect to ${pipe.peer}: it refused our authorizer`);
      case Tag.CHALLENGE_AUTHORIZER:
        if (await this.#link.whileInUse(this.#authorizer?.addChallenge?.(proof))) return false;
        throw new MessengerError("auth", `Cannot connect to ${pipe.peer}: no answer to its challenge`);
    }
    if (
      this.#authorizer?.verifyReply !== undefined && !(await this.#link.whileInUse(this.#authorizer.verifyReply(proof)))
    ) {
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
      session.acknowledged();
      await sendAll(this.#link.sink, [encodeSeq(session.inSeq)]);
      if (this.#isSuperseded()) return;
    }
    host.counters.replayed += session.out.requeueSent();
    session.inSeqAcked = session.inSeq;
    pipe.peerGlobalSeq = reply.globalSeq;
    pipe.policy = { ...pipe.policy, lossy: (reply.flags & CONNECT_LOSSY) !== 0 };
    pipe.connectSeq = reply.connectSeq;
    const features = reply.features & request.features;
    pipe.opened(features, this.#authorizer?.session?.(features), true);
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

/** Whoever reads hears of the failure. */
function nothing(): void {}
