/**
 * A capture as `tcpdump` would have made it, of what a proxy saw.
 *
 * @module
 */

import type { Tap, Way } from "./proxy.ts";

const SNAP_LENGTH = 0x40000;
/** Packets begin with an IP header. */
const LINKTYPE_RAW = 101;
/** What a packet carries at most: the length of an IP packet has 16 bits. */
const SEGMENT = 32_768;
const FIN = 0x01, SYN = 0x02, PUSH = 0x08, ACK = 0x10;
const LOOPBACK = [127, 0, 0, 1];

interface Conversation {
  /** The port of either side. */
  readonly ports: Readonly<Record<Way, number>>;
  /** The number of the byte that either side sends next. */
  readonly next: Record<Way, number>;
}

/** Makes packets of the bytes that pass a proxy. Nobody has to be root for that. */
export class Pcap {
  readonly #records: Uint8Array<ArrayBuffer>[] = [];
  readonly #conversations = new Map<number, Conversation>();
  readonly #servers = new Set<number>();

  /** Sees what passes a proxy. */
  readonly tap: Tap = (clientPort, serverPort, from, bytes) => {
    const conversation = this.#conversations.get(clientPort) ?? this.#open(clientPort, serverPort);
    for (let start = 0; start < bytes.length; start += SEGMENT) {
      const segment = bytes.subarray(start, start + SEGMENT);
      this.#packet(conversation, from, PUSH | ACK, segment);
      conversation.next[from] += segment.length;
    }
  };

  /** Whether a server has that port. */
  isServer(port: number): boolean {
    return this.#servers.has(port);
  }

  /** The file. */
  async file(): Promise<Uint8Array<ArrayBuffer>> {
    for (const conversation of this.#conversations.values()) {
      for (const from of ["client", "server"] as const) this.#packet(conversation, from, FIN | ACK);
    }
    this.#conversations.clear();
    const header = new DataView(new ArrayBuffer(24));
    header.setUint32(0, 0xa1b2c3d4, true);
    header.setUint16(4, 2, true);
    header.setUint16(6, 4, true);
    header.setUint32(16, SNAP_LENGTH, true);
    header.setUint32(20, LINKTYPE_RAW, true);
    return new Uint8Array(await new Blob([header, ...this.#records]).arrayBuffer());
  }

  #open(clientPort: number, serverPort: number): Conversation {
    const conversation: Conversation = {
      ports: { client: clientPort, server: serverPort },
      next: { client: 0, server: 0 },
    };
    this.#conversations.set(clientPort, conversation);
    this.#servers.add(serverPort);
    this.#packet(conversation, "client", SYN);
    conversation.next.client++;
    this.#packet(conversation, "server", SYN | ACK);
    conversation.next.server++;
    this.#packet(conversation, "client", ACK);
    return conversation;
  }

  #packet({ ports, next }: Conversation, from: Way, flags: number, payload: Uint8Array = new Uint8Array()): void {
    const length = 40 + payload.length, record = new Uint8Array(16 + length), view = new DataView(record.buffer);
    const now = performance.timeOrigin + performance.now();
    view.setUint32(0, Math.floor(now / 1000), true);
    view.setUint32(4, Math.floor(now % 1000 * 1000), true);
    view.setUint32(8, length, true);
    view.setUint32(12, length, true);
    // IP: version 4, a header of 20 bytes, 64 hops, TCP.
    view.setUint8(16, 0x45);
    view.setUint16(18, length);
    view.setUint8(24, 64);
    view.setUint8(25, 6);
    record.set([...LOOPBACK, ...LOOPBACK], 28);
    // TCP: a header of 20 bytes.
    const to = from === "client" ? "server" : "client";
    view.setUint16(36, ports[from]);
    view.setUint16(38, ports[to]);
    view.setUint32(40, next[from]);
    view.setUint32(44, next[to]);
    view.setUint8(48, 5 << 4);
    view.setUint8(49, flags);
    view.setUint16(50, 0xffff);
    record.set(payload, 56);
    this.#records.push(record);
  }
}
