/**
 * Captures of packets, as tcpdump writes them, and the TCP streams in them.
 *
 * @module
 */

import { Failure } from "./command.ts";
import { exact } from "./units.ts";

/** How a pcap file begins, read as a little-endian number: in whose order the rest is, and what its fractions of seconds are. */
const MAGIC: ReadonlyMap<number, { readonly little: boolean; readonly perSecond: number }> = new Map([
  [0xa1b2c3d4, { little: true, perSecond: 1e6 }],
  [0xa1b23c4d, { little: true, perSecond: 1e9 }],
  [0xd4c3b2a1, { little: false, perSecond: 1e6 }],
  [0x4d3cb2a1, { little: false, perSecond: 1e9 }],
]);
const PCAPNG_MAGIC = 0x0a0d0d0a;

/** How many bytes the link puts before the IP packet, by its number: null, Ethernet, raw IP, Linux "cooked" 1 and 2. */
const LINK_HEADERS: ReadonlyMap<number, number> = new Map([[0, 4], [1, 14], [12, 0], [14, 0], [101, 0], [113, 16], [
  276,
  20,
]]);
const ETHERNET = 1, VLAN = 0x8100, TCP = 6;
const SYN = 0x02, ACK = 0x10;

/** What one side of a TCP connection sent. */
export interface TcpStream {
  /** Who sent it: address and port. */
  readonly from: string;
  /** All bytes up to the first that is missing. */
  readonly bytes: Uint8Array;
  /** How many bytes come after one that is missing. */
  readonly lost: number;
  /** When the byte at an offset was seen, in ms since 1970. */
  timeOf(offset: number): number;
}

/** A TCP connection. */
export interface TcpConversation {
  /** What the side sent that dialled; where its first packet is missing, the side that was seen first. */
  readonly connector: TcpStream;
  /** What the other side sent. */
  readonly acceptor: TcpStream;
}

/** Whether a file is a capture of packets. */
export function isPcap(bytes: Uint8Array): boolean {
  if (bytes.length < 4) return false;
  const magic = view(bytes).getUint32(0, true);
  return MAGIC.has(magic) || magic === PCAPNG_MAGIC;
}

/**
 * Puts the TCP streams of a capture together.
 *
 * @throws {Failure} For pcapng, and for links that are not known here.
 */
export function readPcap(bytes: Uint8Array): TcpConversation[] {
  const file = view(bytes), format = MAGIC.get(file.getUint32(0, true));
  if (format === undefined) throw new Failure("This is a pcapng file; editcap -F pcap makes a pcap file of it");
  const { little, perSecond } = format, link = file.getUint32(20, little) & 0x0fffffff;
  const conversations: Conversation[] = [], open = new Map<string, Conversation>();
  for (let at = 24; at + 16 <= bytes.length;) {
    const time = exact(1000 * (file.getUint32(at, little) + file.getUint32(at + 4, little) / perSecond));
    const length = file.getUint32(at + 8, little);
    const segment = readSegment(bytes.subarray(at + 16, at + 16 + length), link);
    at += 16 + length;
    if (segment === undefined) continue;
    const { from, to } = segment, key = [from, to].sort().join(" ");
    let conversation = open.get(key);
    const begins = (segment.flags & (SYN | ACK)) === SYN;
    if (conversation === undefined || (begins && conversation.isAnother(segment))) {
      const [connector, acceptor] = (segment.flags & SYN) !== 0 && !begins ? [to, from] : [from, to];
      conversation = new Conversation(connector, acceptor);
      open.set(key, conversation);
      conversations.push(conversation);
    }
    conversation.add(segment, time);
  }
  return conversations.map((conversation) => conversation.finish());
}

interface Segment {
  readonly from: string;
  readonly to: string;
  readonly seq: number;
  readonly flags: number;
  readonly payload: Uint8Array;
}

/** The TCP segment in a packet; nothing if there is none, or not all of its headers. */
function readSegment(packet: Uint8Array, link: number): Segment | undefined {
  const before = LINK_HEADERS.get(link);
  if (before === undefined) throw new Failure(`Packets of link type ${link} are not known here`);
  const tagged = link === ETHERNET && packet.length > 14 && view(packet).getUint16(12) === VLAN;
  const ip = packet.subarray(tagged ? before + 4 : before);
  const isV6 = ip.length > 0 && ip[0]! >> 4 === 6, headerLength = isV6 ? 40 : 4 * (ip[0]! & 15);
  if (ip.length < Math.max(headerLength, 20) || (!isV6 && ip[0]! >> 4 !== 4)) return undefined;
  const header = view(ip);
  const isFragment = !isV6 && (header.getUint16(6) & 0x1fff) !== 0;
  if (ip[isV6 ? 6 : 9] !== TCP || isFragment) return undefined;
  const total = isV6 ? 40 + header.getUint16(4) : header.getUint16(2);
  // Packets that the network card is to take apart have no length.
  const tcp = ip.subarray(headerLength, total === 0 ? ip.length : total);
  if (tcp.length < 20) return undefined;
  const fields = view(tcp);
  const host = (at: number): string => isV6 ? `[${ip6(ip, at)}]` : Array.from(ip.subarray(at, at + 4)).join(".");
  return {
    from: `${host(isV6 ? 8 : 12)}:${fields.getUint16(0)}`,
    to: `${host(isV6 ? 24 : 16)}:${fields.getUint16(2)}`,
    seq: fields.getUint32(4),
    flags: tcp[13]!,
    payload: tcp.subarray(4 * (tcp[12]! >> 4)),
  };
}

function ip6(ip: Uint8Array, at: number): string {
  return Array.from({ length: 8 }, (_, i) => view(ip).getUint16(at + 2 * i).toString(16)).join(":");
}

class Conversation {
  readonly #connector: Stream;
  readonly #acceptor: Stream;

  constructor(connector: string, acceptor: string) {
    this.#connector = new Stream(connector);
    this.#acceptor = new Stream(acceptor);
  }

  /** Whether a first packet is that of another connection between the same two ports. */
  isAnother({ seq }: Segment): boolean {
    return this.#connector.start !== undefined && this.#connector.start !== (seq + 1) >>> 0;
  }

  add(segment: Segment, time: number): void {
    (segment.from === this.#connector.from ? this.#connector : this.#acceptor).add(segment, time);
  }

  finish(): TcpConversation {
    return { connector: this.#connector.finish(), acceptor: this.#acceptor.finish() };
  }
}

class Stream {
  readonly from: string;
  /** The number of the first byte. */
  start: number | undefined;
  readonly #parts: { readonly at: number; readonly bytes: Uint8Array; readonly time: number }[] = [];

  constructor(from: string) {
    this.from = from;
  }

  add({ seq, flags, payload }: Segment, time: number): void {
    if ((flags & SYN) !== 0) seq = (seq + 1) >>> 0;
    this.start ??= seq;
    // The numbers begin at 0 again after 2^32: what is meant is the place near the others.
    const last = this.#parts.at(-1)?.at ?? 0, at = last + ((seq - this.start - last) | 0);
    if (payload.length > 0 && at + payload.length > 0) this.#parts.push({ at, bytes: payload, time });
  }

  finish(): TcpStream {
    const parts = this.#parts.toSorted((a, b) => a.at - b.at || a.time - b.time), pieces: Uint8Array[] = [];
    const ends: { readonly end: number; readonly time: number }[] = [];
    let length = 0, lost = 0;
    for (const { at, bytes, time } of parts) {
      if (at > length) lost += bytes.length;
      else if (at + bytes.length > length) {
        pieces.push(bytes.subarray(length - at));
        length = at + bytes.length;
        ends.push({ end: length, time });
      }
    }
    const all = new Uint8Array(length);
    let filled = 0;
    for (const piece of pieces) {
      all.set(piece, filled);
      filled += piece.length;
    }
    return { from: this.from, bytes: all, lost, timeOf: (offset) => ends.find(({ end }) => end > offset)?.time ?? 0 };
  }
}

function view({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
