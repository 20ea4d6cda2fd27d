/**
 * A captured conversation in words: every byte of both directions, record by record.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";
import { EntityAddress } from "./address.ts";
import { type ConnectReply, type ConnectRequest, decodeConnect, decodeConnectReply } from "./connect.ts";
import {
  ADDRESS_SIZE,
  BANNER,
  BANNER_SIZE,
  CONNECT_REPLY_SIZE,
  CONNECT_SIZE,
  Feature,
  Tag,
  tagName,
} from "./constants.ts";
import { entityTypeLabel } from "./entity.ts";
import {
  checkSegments,
  CONTROL_SIZE,
  decodeAck,
  decodeMessageFooter,
  decodeMessageHeader,
  decodeTimespec,
  emptyMessageFooter,
  emptyMessageHeader,
  footerSize,
  type MessageFooter,
  type MessageHeader,
  TAGGED_HEADER_SIZE,
} from "./frame.ts";
import { getU64, getU64Big } from "./integers.ts";

/** One record of a conversation. */
export interface ConversationRecord {
  /** Which side sent it. */
  readonly from: "connector" | "acceptor";
  /** Where it begins in that side's bytes. */
  readonly offset: number;
  /** All of its bytes. */
  readonly bytes: Uint8Array;
  /** What it is and what it holds. */
  readonly content: RecordContent;
}

/** What a record is and what it holds. */
export type RecordContent =
  | { readonly kind: "banner" }
  | { readonly kind: "address"; readonly of: "connector" | "acceptor"; readonly address: EntityAddress }
  | { readonly kind: "connect"; readonly request: ConnectRequest }
  | { readonly kind: "authorizer" }
  | { readonly kind: "connect_reply"; readonly reply: ConnectReply }
  | { readonly kind: "in_seq"; readonly seq: number }
  | { readonly kind: "message"; readonly header: MessageHeader; readonly footer: MessageFooter }
  | { readonly kind: "ack"; readonly seq: number }
  | { readonly kind: "keepalive2" | "keepalive2_ack"; readonly time: number }
  | { readonly kind: "keepalive" | "close" };

const REPLY_TAGS: ReadonlySet<number> = new Set([
  Tag.READY,
  Tag.RESETSESSION,
  Tag.WAIT,
  Tag.RETRY_SESSION,
  Tag.RETRY_GLOBAL,
  Tag.BADPROTOVER,
  Tag.BADAUTHORIZER,
  Tag.FEATURES,
  Tag.SEQ,
  Tag.CHALLENGE_AUTHORIZER,
]);

const UNLIMITED = { maxFrontBytes: 0xffffffff, maxMiddleBytes: 0xffffffff, maxDataBytes: 0xffffffff };

/**
 * Takes a whole conversation apart, checking every crc. The bytes of either side may end in the middle of a record, as a
 * capture of a broken connection does; that rest is left out.
 *
 * @param connector All bytes that the connecting side sent.
 * @param acceptor All bytes that the accepting side sent.
 * @throws {ProtocolError} At the first byte that means nothing.
 */
export function readConversation(
  connector: Uint8Array,
  acceptor: Uint8Array,
): { connector: ConversationRecord[]; acceptor: ConversationRecord[] } {
  const a = new Cursor("acceptor", acceptor), c = new Cursor("connector", connector);
  readBanner(a);
  readAddress(a, "acceptor");
  readAddress(a, "connector");
  readBanner(c);
  readAddress(c, "connector");
  let request: ConnectRequest | undefined, reply: ConnectReply | undefined;
  do {
    const asked = c.take(CONNECT_SIZE, (bytes) => ({ kind: "connect", request: decodeConnect(bytes, 0xffffffff) }));
    const answered = a.take(CONNECT_REPLY_SIZE, (bytes) => (
      { kind: "connect_reply", reply: readReply(bytes) }
    ));
    request = asked?.kind === "connect" ? asked.request : undefined;
    reply = answered?.kind === "connect_reply" ? answered.reply : undefined;
    if (request !== undefined) c.take(request.authorizerLength, () => ({ kind: "authorizer" }));
    if (reply !== undefined) a.take(reply.authorizerLength, () => ({ kind: "authorizer" }));
  } while (reply !== undefined && reply.tag !== Tag.READY && reply.tag !== Tag.SEQ);
  if (request !== undefined && reply !== undefined) {
    if (reply.tag === Tag.SEQ) {
      for (const side of [a, c]) side.take(8, (bytes) => ({ kind: "in_seq", seq: readInSeq(bytes) }));
    }
    const oldFooter = (request.features & reply.features & Feature.MSG_AUTH) === 0n;
    for (const side of [a, c]) while (readRecord(side, oldFooter));
  }
  return { connector: c.records, acceptor: a.records };
}

/** A record in one line of words. */
export function describeRecord({ content, bytes }: ConversationRecord): string {
  switch (content.kind) {
    case "banner":
      return `banner "${BANNER}"`;
    case "address":
      return `address of the ${content.of}: ${content.address}`;
    case "connect": {
      const r = content.request;
      return `connect as ${entityTypeLabel(r.hostType)}: global_seq ${r.globalSeq}, connect_seq ${r.connectSeq}, ` +
        `protocol ${r.protocolVersion}, auth ${r.authorizerProtocol}, flags ${r.flags}, features 0x${
          r.features.toString(16)
        }`;
    }
    case "connect_reply": {
      const r = content.reply;
      return `${
        tagName(r.tag)
      }: global_seq ${r.globalSeq}, connect_seq ${r.connectSeq}, protocol ${r.protocolVersion}, ` +
        `flags ${r.flags}, features 0x${r.features.toString(16)}`;
    }
    case "authorizer":
      return `authorizer, ${bytes.length} bytes`;
    case "in_seq":
    case "ack":
      return `${content.kind} ${content.seq}`;
    case "message": {
      const h = content.header;
      return `message ${h.seq}: type ${h.type}, tid ${h.tid}, priority ${h.priority}, version ${h.version}, ` +
        `${h.frontLength} + ${h.middleLength} + ${h.dataLength} bytes, from ${
          entityTypeLabel(h.sourceType)
        }.${h.sourceNum}`;
    }
    case "keepalive2":
    case "keepalive2_ack":
      return `${content.kind} ${new Date(content.time).toISOString()}`;
    default:
      return content.kind;
  }
}

/** One side's bytes and the records found in them. */
class Cursor {
  readonly records: ConversationRecord[] = [];
  readonly from: "connector" | "acceptor";
  #bytes: Uint8Array;
  #at = 0;

  constructor(from: "connector" | "acceptor", bytes: Uint8Array) {
    this.from = from;
    this.#bytes = bytes;
  }

  /** The bytes from here on. */
  get rest(): Uint8Array {
    return this.#bytes.subarray(this.#at);
  }

  /** Records the next `length` bytes as what `read` makes of them; nothing if they are not all there, or none are asked for. */
  take(length: number, read: (bytes: Uint8Array) => RecordContent): RecordContent | undefined {
    if (length === 0) return undefined;
    if (this.rest.length < length) {
      // The bytes of an incomplete record must not be read as whatever would come behind it.
      this.#bytes = this.#bytes.subarray(0, this.#at);
      return undefined;
    }
    const bytes = this.rest.subarray(0, length);
    const content = read(bytes);
    this.records.push({ from: this.from, offset: this.#at, bytes, content });
    this.#at += length;
    return content;
  }
}

function readBanner(side: Cursor): void {
  side.take(BANNER_SIZE, (bytes) => {
    const text = new TextDecoder().decode(bytes);
    if (text !== BANNER) throw new ProtocolError("banner", JSON.stringify(text), JSON.stringify(BANNER));
    return { kind: "banner" };
  });
}

function readAddress(side: Cursor, of: "connector" | "acceptor"): void {
  side.take(ADDRESS_SIZE, (bytes) => ({ kind: "address", of, address: EntityAddress.decode(bytes) }));
}

function readReply(bytes: Uint8Array): ConnectReply {
  const reply = decodeConnectReply(bytes, 0xffffffff);
  if (!REPLY_TAGS.has(reply.tag)) throw new ProtocolError("reply tag", reply.tag, "a tag of a connect reply");
  return reply;
}

function readInSeq(bytes: Uint8Array): number {
  const seq = getU64(bytes, 0);
  if (seq !== seq) throw new ProtocolError("in_seq", getU64Big(bytes, 0), "at most 2^53 - 1");
  return seq;
}

/** Reads one record of an open session; false at the end of the bytes. */
function readRecord(side: Cursor, oldFooter: boolean): boolean {
  const tag = side.rest[0];
  switch (tag) {
    case undefined:
      return false;
    case Tag.MSG:
      return readMessage(side, oldFooter);
    case Tag.ACK:
      return side.take(CONTROL_SIZE, (bytes) => ({ kind: "ack", seq: decodeAck(bytes, 1) })) !== undefined;
    case Tag.KEEPALIVE2:
    case Tag.KEEPALIVE2_ACK: {
      const kind = tag === Tag.KEEPALIVE2 ? "keepalive2" : "keepalive2_ack";
      return side.take(CONTROL_SIZE, (bytes) => ({ kind, time: decodeTimespec(bytes, 1) })) !== undefined;
    }
    case Tag.KEEPALIVE:
    case Tag.CLOSE:
      return side.take(1, () => ({ kind: tag === Tag.KEEPALIVE ? "keepalive" : "close" })) !== undefined;
    default:
      throw new ProtocolError("tag", tag, "MSG, ACK, KEEPALIVE, KEEPALIVE2, KEEPALIVE2_ACK or CLOSE");
  }
}

function readMessage(side: Cursor, oldFooter: boolean): boolean {
  if (side.rest.length < TAGGED_HEADER_SIZE) return false;
  const header = emptyMessageHeader(), footer = emptyMessageFooter();
  decodeMessageHeader(side.rest, 1, header, UNLIMITED);
  const segments = header.frontLength + header.middleLength + header.dataLength;
  const taken = side.take(TAGGED_HEADER_SIZE + segments + footerSize(oldFooter), (bytes) => {
    decodeMessageFooter(bytes, TAGGED_HEADER_SIZE + segments, footer, oldFooter);
    checkSegments(bytes, TAGGED_HEADER_SIZE, header, footer);
    return { kind: "message", header, footer };
  });
  return taken !== undefined;
}
