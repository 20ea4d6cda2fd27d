/**
 * One connection to a peer, by hand.
 *
 * @module
 */

import { sendAll } from "../byte_sink.ts";
import { AuthName } from "../ceph/auth_name.ts";
import { NoneAuthorizer } from "../ceph/authorizers.ts";
import { CEPH_FEATURES } from "../ceph/features.ts";
import { systemEnvironment } from "../environment.ts";
import { MessengerError, NetworkError, ProtocolError } from "../errors.ts";
import {
  BANNER_BYTES,
  encodeAddress,
  encodeSeq,
  MAX_AUTHORIZER_BYTES,
  MAX_ROUNDS,
  missingFeatures,
  readBanner,
  readSeq,
  socketAddress,
} from "../handshake.ts";
import { Link } from "../link.ts";
import { defaultNetwork } from "../net/default.ts";
import { EntityAddress } from "../wire/address.ts";
import { type ConnectReply, decodeConnectReply, encodeConnect } from "../wire/connect.ts";
import {
  ADDRESS_SIZE,
  AuthProtocol,
  CONNECT_LOSSY,
  CONNECT_REPLY_SIZE,
  EntityType,
  Feature,
  FooterFlag,
  Priority,
  Protocol,
  Tag,
  tagName,
} from "../wire/constants.ts";
import {
  CONTROL_SIZE,
  decodeMessageHeader,
  emptyMessageFooter,
  emptyMessageHeader,
  encodeAck,
  encodeKeepalive2,
  encodeKeepalive2Ack,
  encodeMessageFooter,
  encodeMessageHeader,
  footerSize,
  TAGGED_HEADER_SIZE,
} from "../wire/frame.ts";
import { now, pause } from "./clock.ts";
import { exact } from "./units.ts";

/** Ceph's `CEPH_MSG_PING`. */
const PING = 2;
/** A monitor answers a ping with the health of its cluster; nothing here needs more. */
const LIMITS = { maxFrontBytes: 1 << 24, maxMiddleBytes: 1 << 24, maxDataBytes: 1 << 24 };

/** How long a peer may take to end the session as well, in ms. */
const CLOSE_PATIENCE = 500;

const PROTOCOL_OWNERS: ReadonlyMap<number, string> = new Map(
  Object.entries(Protocol).map(([owner, version]) => [version, owner.toLowerCase()]),
);

/** What is sent to be answered: a keepalive, or a message of the type PING. */
export type Question = "keepalive" | "message";

/** What is known of a peer once a session with it is open. */
export interface ProbedPeer {
  /** Who it says it is. */
  readonly address: string;
  /** Where it sees us. */
  readonly us: string;
  /** The protocol version that it speaks. */
  readonly protocol: number;
  /** The kind of daemon whose version that is; nothing for programs that are none of Ceph's. */
  readonly kind?: string;
  /** Whether the session ends with the connection. */
  readonly lossy: boolean;
  /** What it supports. */
  readonly features: bigint;
  /** How long it took to open the socket, in ms. */
  readonly connectMs: number;
  /** How long the handshake took after that, in ms. */
  readonly handshakeMs: number;
}

/**
 * A session that does nothing but ask for signs of life. It reads and writes the socket itself: a Messenger tells its program that an answer
 * came, but not exactly when.
 */
export class Probe {
  readonly peer: ProbedPeer;
  readonly #link: Link;
  readonly #oldFooter: boolean;
  readonly #ended: Promise<void>;
  #seq = 0;
  /** The question that waits for its answer. Answers come in order, but one may come when nobody waits for it any more. */
  #waiting:
    | { readonly isAnswer: (tag: number, stamp: Uint8Array) => boolean } & PromiseWithResolvers<number>
    | undefined;
  #broken: unknown;

  private constructor(link: Link, peer: ProbedPeer) {
    this.#link = link;
    this.peer = peer;
    this.#oldFooter = (peer.features & Feature.MSG_AUTH) === 0n;
    this.#ended = this.#read().catch((error) => {
      this.#broken = error;
      this.#waiting?.reject(error);
    });
  }

  /**
   * Opens a session with whoever listens there, as a client without a ticket.
   *
   * @throws {NetworkError} If the socket cannot be opened, or breaks.
   * @throws {MessengerError} With code `protocol`, `incompatible` or `auth` if there is somebody, but no session to be had.
   */
  static async dial(address: EntityAddress, signal: AbortSignal): Promise<Probe> {
    const network = await defaultNetwork();
    const start = now();
    const socket = await network.connect(socketAddress(address), { signal });
    const link = new Link(socket, { ...systemEnvironment, now });
    const giveUp = () => link.giveUp(signal.reason);
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      return new Probe(link, await shakeHands(link, address, start));
    } catch (error) {
      link.giveUp(error);
      throw error;
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  /**
   * Asks for one sign of life.
   *
   * @returns How long it took to come, in ms.
   * @throws {NetworkError} If the connection broke.
   */
  async ask(question: Question): Promise<number> {
    if (this.#broken !== undefined) throw this.#broken;
    const start = now();
    if (question === "keepalive") {
      const record = new Uint8Array(CONTROL_SIZE);
      encodeKeepalive2(start, record, 0);
      this.#wait((tag, stamp) => tag === Tag.KEEPALIVE2_ACK && stamp.every((byte, i) => byte === record[1 + i]));
      await sendAll(this.#link.sink, [record]);
    } else {
      this.#wait((tag) => tag === Tag.MSG);
      await sendAll(this.#link.sink, [this.#pingMessage()]);
    }
    return await this.#waiting!.promise - start;
  }

  /** Ends the session in order, so that the peer does not keep it for us. A peer that does not answer is not waited for. */
  async close(): Promise<void> {
    try {
      await sendAll(this.#link.sink, [Uint8Array.of(Tag.CLOSE)]);
    } catch {
      // Then there is nothing to end in order.
    }
    const patience = new AbortController();
    await Promise.race([this.#ended, pause(CLOSE_PATIENCE, patience.signal)]);
    patience.abort();
    this.#link.giveUp(new MessengerError("closed", "The probe was closed"));
  }

  #wait(isAnswer: (tag: number, stamp: Uint8Array) => boolean): void {
    this.#waiting = { isAnswer, ...Promise.withResolvers<number>() };
    // Whoever asked may have stopped to listen.
    this.#waiting.promise.catch(() => {});
  }

  #arrived(tag: number, stamp: Uint8Array): void {
    if (this.#waiting?.isAnswer(tag, stamp)) this.#waiting.resolve(this.#link.source.lastReadAt);
  }

  async #read(): Promise<never> {
    const { source, sink } = this.#link;
    for (;;) {
      const [tag] = await source.tcpRead(1);
      switch (tag) {
        case Tag.MSG:
          await this.#readMessage();
          break;
        case Tag.KEEPALIVE:
          break;
        case Tag.ACK:
        case Tag.KEEPALIVE2_ACK:
          this.#arrived(tag, await source.tcpRead(CONTROL_SIZE - 1));
          break;
        case Tag.KEEPALIVE2: {
          const record = new Uint8Array(CONTROL_SIZE);
          encodeKeepalive2Ack(await source.tcpRead(CONTROL_SIZE - 1), record, 0);
          await sendAll(sink, [record]);
          break;
        }
        case Tag.CLOSE:
          throw new NetworkError("connection_lost", "The peer closed the session");
        default:
          throw new ProtocolError("tag", tagName(tag!), "a tag of an open session");
      }
    }
  }

  async #readMessage(): Promise<void> {
    const { source, sink } = this.#link;
    const header = emptyMessageHeader();
    decodeMessageHeader(await source.tcpRead(TAGGED_HEADER_SIZE - 1), 0, header, LIMITS);
    const { frontLength, middleLength, dataLength } = header;
    await source.tcpRead(frontLength + middleLength + dataLength + footerSize(this.#oldFooter));
    const ack = new Uint8Array(CONTROL_SIZE);
    encodeAck(header.seq, ack, 0);
    await sendAll(sink, [ack]);
    if (header.type === PING) this.#arrived(Tag.MSG, ack);
  }

  #pingMessage(): Uint8Array {
    const bytes = new Uint8Array(TAGGED_HEADER_SIZE + footerSize(this.#oldFooter));
    const seq = ++this.#seq;
    const sender = { sourceType: EntityType.CLIENT, sourceNum: -1 };
    bytes[0] = Tag.MSG;
    const header = { ...emptyMessageHeader(), seq, type: PING, version: 1, compatVersion: 1, ...sender };
    encodeMessageHeader({ ...header, priority: Priority.DEFAULT }, bytes, 1);
    const footer = { ...emptyMessageFooter(), flags: FooterFlag.COMPLETE };
    encodeMessageFooter(footer, bytes, TAGGED_HEADER_SIZE, this.#oldFooter);
    return bytes;
  }
}

async function shakeHands(link: Link, address: EntityAddress, start: number): Promise<ProbedPeer> {
  const { source, sink } = link, connected = now();
  await readBanner(source);
  await sendAll(sink, [BANNER_BYTES], true);
  const addresses = await source.tcpRead(2 * ADDRESS_SIZE);
  const claimed = EntityAddress.decode(addresses), seen = EntityAddress.decode(addresses, ADDRESS_SIZE);
  // The nonce keeps us apart from every other client of this machine.
  const us = EntityAddress.from("", 0, Math.floor(systemEnvironment.random() * 2 ** 32)).withHostOf(seen);
  await sendAll(sink, [encodeAddress(us)], true);
  const reply = await agree(link, address);
  if (reply.tag === Tag.SEQ) {
    await readSeq(source);
    await sendAll(sink, [encodeSeq(0)]);
  }
  const kind = PROTOCOL_OWNERS.get(reply.protocolVersion);
  return {
    address: claimed.toString(),
    us: us.toString(),
    protocol: reply.protocolVersion,
    ...(kind === undefined ? {} : { kind }),
    lossy: (reply.flags & CONNECT_LOSSY) !== 0,
    features: reply.features,
    connectMs: exact(connected - start),
    handshakeMs: exact(now() - connected),
  };
}

/** Asks for a session until the peer agrees, as what kind of peer it wants to be asked. */
async function agree({ source, sink }: Link, address: EntityAddress): Promise<ConnectReply> {
  let protocolVersion = 0, globalSeq = 1, authorizer: NoneAuthorizer | undefined;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const request = {
      features: CEPH_FEATURES,
      hostType: EntityType.CLIENT,
      globalSeq,
      connectSeq: 0,
      protocolVersion,
      authorizerProtocol: authorizer?.protocol ?? AuthProtocol.UNKNOWN,
      authorizerLength: authorizer?.bytes.length ?? 0,
      flags: CONNECT_LOSSY,
    };
    await sendAll(
      sink,
      authorizer === undefined ? [encodeConnect(request)] : [encodeConnect(request), authorizer.bytes],
    );
    const reply = decodeConnectReply(await source.tcpRead(CONNECT_REPLY_SIZE), MAX_AUTHORIZER_BYTES);
    await source.tcpRead(reply.authorizerLength);
    switch (reply.tag) {
      case Tag.READY:
      case Tag.SEQ:
        return { ...reply, protocolVersion };
      case Tag.BADPROTOVER:
        // It says which one it speaks: that is how we learn what it is.
        if (reply.protocolVersion === protocolVersion) break;
        protocolVersion = reply.protocolVersion;
        continue;
      case Tag.RETRY_GLOBAL:
        globalSeq = reply.globalSeq + 1;
        continue;
      case Tag.FEATURES:
        throw missingFeatures(address.endpoint, reply.features & ~request.features, "it requires");
      case Tag.BADAUTHORIZER:
      case Tag.CHALLENGE_AUTHORIZER:
        if (authorizer === undefined && reply.tag === Tag.BADAUTHORIZER) {
          // An OSD of a cluster without authentication only wants to hear a name.
          authorizer = new NoneAuthorizer(AuthName.parse("client.ping"), 0);
          continue;
        }
        throw new MessengerError("auth", `Cannot ask ${address.endpoint}: it wants a key, which ping has not`);
    }
    throw new ProtocolError("reply tag", tagName(reply.tag), "READY");
  }
  throw new ProtocolError("handshake", `more than ${MAX_ROUNDS} rounds`, `at most ${MAX_ROUNDS}`);
}
