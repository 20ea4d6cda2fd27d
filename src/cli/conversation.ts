/**
 * From captured bytes to records in the order in which they were sent, as far as that can be known.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";
import { EntityAddress } from "../wire/address.ts";
import { encodeConnect, encodeConnectReply } from "../wire/connect.ts";
import { ADDRESS_SIZE, BANNER, EntityType, Feature, Tag } from "../wire/constants.ts";
import { type ConversationRecord, readConversation } from "../wire/describe.ts";

/** What could be read. */
export interface Reading {
  readonly records: readonly ConversationRecord[];
  /** Bytes behind the last whole record, of either side. */
  readonly rest: number;
  /** Why it stopped there, if not for the end of the bytes. */
  readonly error?: ProtocolError;
}

type Side = "connector" | "acceptor";

/** Reads both sides of a conversation, up to the first byte that means nothing. */
export function readBoth(connector: Uint8Array, acceptor: Uint8Array): Reading {
  const parsed = parse(connector, acceptor);
  if (!(parsed instanceof ProtocolError)) return reading(parsed, connector.length + acceptor.length);
  // Which side it came from nobody says; the right one to shorten is that which leaves more to read.
  const a = longest(connector.length, (length) => parse(connector.subarray(0, length), acceptor));
  const b = longest(acceptor.length, (length) => parse(connector, acceptor.subarray(0, length)));
  const best = [a, b].toSorted((x, y) => (y?.length ?? 0) - (x?.length ?? 0))[0] ?? [];
  return { ...reading(best, connector.length + acceptor.length), error: parsed };
}

/**
 * Reads one side of a conversation, with its handshake or without. What the other side said is tried out: only with the right answers
 * do the bytes mean something to their end.
 */
export function readOne(bytes: Uint8Array): Reading {
  const candidates = guesses(bytes).map(({ side, before, other }): Reading => {
    const whole = before.length === 0 ? bytes : join(before, bytes);
    const { records, error } = side === "connector" ? readBoth(whole, other) : readBoth(other, whole);
    const own = records.filter((record) =>
      record.from === side && record.offset >= before.length && isPlausible(record)
    )
      .map((record) => ({ ...record, offset: record.offset - before.length }));
    return { ...reading(own, bytes.length), ...(error === undefined ? {} : { error }) };
  });
  return candidates.reduce((best, next) => next.rest < best.rest ? next : best);
}

/** An open session's records mean the same from either side, but a handshake's do not. */
interface Guess {
  readonly side: Side;
  /** The handshake that was not captured. */
  readonly before: Uint8Array;
  /** What the other side said. */
  readonly other: Uint8Array;
}

function guesses(bytes: Uint8Array): Guess[] {
  const hasHandshake = new TextDecoder("latin1").decode(bytes.subarray(0, BANNER.length)) === BANNER;
  const found: Guess[] = [];
  for (const features of [ALL_FEATURES, ALL_FEATURES & ~Feature.MSG_AUTH]) {
    if (!hasHandshake) {
      found.push({
        side: "connector",
        before: connectorSays(1, features, false),
        other: acceptorSays(1, features, false),
      });
      continue;
    }
    for (const withSeq of [false, true]) {
      for (let rounds = 1; rounds <= MOST_ROUNDS; rounds++) {
        found.push({ side: "connector", before: NO_BYTES, other: acceptorSays(rounds, features, withSeq) });
        found.push({ side: "acceptor", before: NO_BYTES, other: connectorSays(rounds, features, withSeq) });
      }
    }
  }
  return found;
}

const NO_BYTES = new Uint8Array(0);
const ALL_FEATURES = 2n ** 64n - 1n;
/** A handshake with a challenge and a lost session takes four. */
const MOST_ROUNDS = 5;
const IN_SEQ = new Uint8Array(8);

function connectorSays(rounds: number, features: bigint, withSeq: boolean): Uint8Array {
  const connect = encodeConnect({
    ...{ features, hostType: EntityType.CLIENT, globalSeq: 1, connectSeq: 0, protocolVersion: 0 },
    ...{ authorizerProtocol: 0, authorizerLength: 0, flags: 0 },
  });
  return join(BANNER_BYTES, ADDRESS, ...Array<Uint8Array>(rounds).fill(connect), withSeq ? IN_SEQ : NO_BYTES);
}

function acceptorSays(rounds: number, features: bigint, withSeq: boolean): Uint8Array {
  const numbers = { features, globalSeq: 1, connectSeq: 1, protocolVersion: 0, authorizerLength: 0, flags: 0 };
  const again = encodeConnectReply({ tag: Tag.RETRY_GLOBAL, ...numbers });
  const last = encodeConnectReply({ tag: withSeq ? Tag.SEQ : Tag.READY, ...numbers });
  const others = Array<Uint8Array>(rounds - 1).fill(again);
  return join(BANNER_BYTES, ADDRESS, ADDRESS, ...others, last, withSeq ? IN_SEQ : NO_BYTES);
}

const BANNER_BYTES = new TextEncoder().encode(BANNER);
const ADDRESS = new Uint8Array(ADDRESS_SIZE);
EntityAddress.from("", 0).encode(ADDRESS);

/** Any 33 bytes are a request to connect; not any are one that somebody makes. */
function isPlausible({ content }: ConversationRecord): boolean {
  return content.kind !== "connect" || (content.request.hostType > 0 && content.request.hostType < 256);
}

function parse(connector: Uint8Array, acceptor: Uint8Array): ConversationRecord[] | ProtocolError {
  try {
    const records = readConversation(connector, acceptor);
    return inOrder(records.connector, records.acceptor);
  } catch (error) {
    if (error instanceof ProtocolError) return error;
    throw error;
  }
}

/** The most that can be read of so many bytes, without the record that breaks off the reading. */
function longest(
  length: number,
  attempt: (length: number) => ConversationRecord[] | ProtocolError,
): ConversationRecord[] | undefined {
  let found: ConversationRecord[] | undefined, good = 0, bad = length;
  while (bad - good > 1 || found === undefined) {
    const middle = found === undefined ? 0 : Math.floor((good + bad) / 2), result = attempt(middle);
    if (result instanceof ProtocolError) {
      if (middle === 0) return undefined;
      bad = middle;
    } else {
      found = result;
      good = middle;
    }
  }
  return found;
}

function reading(records: readonly ConversationRecord[], length: number): Reading {
  return { records, rest: length - records.reduce((sum, { bytes }) => sum + bytes.length, 0) };
}

/** Puts the two sides' records into an order that can have been: nobody answers what was not said yet. */
function inOrder(
  connector: readonly ConversationRecord[],
  acceptor: readonly ConversationRecord[],
): ConversationRecord[] {
  const queues = { connector: withKeys(connector), acceptor: withKeys(acceptor) };
  const unsaid = new Set([...queues.connector, ...queues.acceptor].flatMap(({ says }) => says));
  const ordered: ConversationRecord[] = [], next = { connector: 0, acceptor: 0 };
  const isBlocked = (side: Side): boolean => {
    const record = queues[side][next[side]];
    return record === undefined || record.needs.some((key) => unsaid.has(key));
  };
  let side: Side = "acceptor";
  while (ordered.length < connector.length + acceptor.length) {
    const other: Side = side === "acceptor" ? "connector" : "acceptor";
    if (isBlocked(side) && (!isBlocked(other) || next[side] === queues[side].length)) side = other;
    const { record, says } = queues[side][next[side]++]!;
    for (const key of says) unsaid.delete(key);
    ordered.push(record);
    // Most conversations are questions and answers.
    side = side === "acceptor" ? "connector" : "acceptor";
  }
  return ordered;
}

/** A record, what it says, and what has to be said before it. */
interface KeyedRecord {
  readonly record: ConversationRecord;
  readonly says: readonly string[];
  readonly needs: readonly string[];
}

function withKeys(records: readonly ConversationRecord[]): KeyedRecord[] {
  let rounds = 0;
  return records.map((record) => {
    if (record.content.kind === "connect" || record.content.kind === "connect_reply") rounds++;
    return { record, ...keysOf(record, rounds) };
  });
}

/** @param rounds How many rounds of the handshake this side has begun. */
function keysOf({ from, content }: ConversationRecord, rounds: number): Pick<KeyedRecord, "says" | "needs"> {
  const isConnector = from === "connector", other: Side = isConnector ? "acceptor" : "connector";
  switch (content.kind) {
    case "banner":
      return { says: [], needs: isConnector ? ["acceptor knows connector"] : [] };
    case "address":
      return { says: [`${from} knows ${content.of}`], needs: [] };
    case "connect":
      return { says: [`connect ${rounds}`], needs: [`reply ${rounds - 1}`, `proof ${rounds - 1}`] };
    case "connect_reply":
      return { says: [`reply ${rounds}`], needs: [`connect ${rounds}`, `authorizer ${rounds}`] };
    case "authorizer":
      return { says: [`${isConnector ? "authorizer" : "proof"} ${rounds}`], needs: [] };
    case "in_seq":
      return { says: [`${from} in_seq`], needs: isConnector ? ["acceptor in_seq"] : [] };
    case "ack":
      return { says: [], needs: [`${other} message ${content.seq}`] };
    case "keepalive2_ack":
      return { says: [], needs: [`${other} keepalive2 ${content.time}`] };
    case "keepalive2":
      return { says: [`${from} keepalive2 ${content.time}`], needs: isConnector ? [`reply ${rounds}`] : [] };
    case "message": {
      const { seq, tid } = content.header, says = [`${from} message ${seq}`, `${from} tid ${tid}`];
      if (isConnector) return { says, needs: [`reply ${rounds}`, "acceptor in_seq"] };
      // Whoever dials asks, and an answer has its question's number, where it has one.
      return { says, needs: tid === 0 ? ["connector message 1"] : [`connector tid ${tid}`] };
    }
    default:
      return { says: [], needs: isConnector ? [`reply ${rounds}`] : [] };
  }
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
