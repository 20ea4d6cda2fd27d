/**
 * What real Ceph peers said to each other: every byte understood, the values those that another program reads, and our encoders
 * writing the same bytes.
 */

import { assertEquals, assertLess } from "@std/assert";
import { test } from "node:test";
import { encodeConnect, encodeConnectReply } from "../../src/wire/connect.ts";
import { ADDRESS_SIZE, BANNER } from "../../src/wire/constants.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import {
  type ConversationRecord,
  describeRecord,
  readConversation,
  type RecordContent,
} from "../../src/wire/describe.ts";
import { entityTypeLabel } from "../../src/wire/entity.ts";
import {
  CONTROL_SIZE,
  encodeAck,
  encodeKeepalive2,
  encodeKeepalive2Ack,
  encodeMessageFooter,
  encodeMessageHeader,
  footerSize,
  TAGGED_HEADER_SIZE,
} from "../../src/wire/frame.ts";
import { getU32, putU64 } from "../../src/wire/integers.ts";
import { capture, conversations, fromHex, goldenText, toHex } from "./golden.ts";

const sides = ["connector", "acceptor"] as const;

for (const name of conversations) {
  test(`readConversation() gives a meaning to every byte of ${name}`, () => {
    const bytes = capture(name), records = readConversation(bytes.connector, bytes.acceptor);
    for (const side of sides) {
      let at = 0;
      for (const record of records[side]) {
        assertEquals([record.from, record.offset], [side, at]);
        at += record.bytes.length;
      }
      // None of the captures ends inside a record, not even those whose connection was killed.
      assertEquals(at, bytes[side].length, `${side}: ${bytes[side].length - at} bytes without a meaning`);
    }
  });

  test(`encoders write the bytes of ${name} again`, () => {
    const bytes = capture(name), records = readConversation(bytes.connector, bytes.acceptor);
    for (const record of [...records.connector, ...records.acceptor]) {
      const again = encodeAgain(record);
      if (record.content.kind === "keepalive2") forgiveNanoseconds(again, record.bytes);
      assertEquals(toHex(again), toHex(record.bytes), describeRecord(record));
    }
  });
}

/** The bytes that our encoders make of a record's decoded content; contents of messages and authorizers are taken from the record. */
function encodeAgain({ content, bytes }: ConversationRecord): Uint8Array {
  const out = new Uint8Array(bytes.length);
  switch (content.kind) {
    case "banner":
      return new TextEncoder().encode(BANNER);
    case "address":
      content.address.encode(out);
      assertEquals(out.length, ADDRESS_SIZE);
      return out;
    case "connect":
      return encodeConnect(content.request);
    case "connect_reply":
      return encodeConnectReply(content.reply);
    case "in_seq":
      putU64(out, 0, content.seq);
      return out;
    case "ack":
      encodeAck(content.seq, out, 0);
      return out;
    case "keepalive2":
      encodeKeepalive2(content.time, out, 0);
      return out;
    case "keepalive2_ack":
      encodeKeepalive2Ack(bytes.subarray(1), out, 0);
      return out;
    case "message": {
      const { header, footer } = content;
      const segments = header.frontLength + header.middleLength + header.dataLength;
      const footerAt = TAGGED_HEADER_SIZE + segments, old = bytes.length - footerAt === footerSize(true);
      out.set(bytes.subarray(TAGGED_HEADER_SIZE, footerAt), TAGGED_HEADER_SIZE);
      out[0] = 7;
      encodeMessageHeader(header, out, 1);
      encodeMessageFooter(footer, out, footerAt, old);
      return out;
    }
    default:
      return bytes;
  }
}

/**
 * A double holds today's milliseconds to about 244 ns, so the last digits of Ceph's nanoseconds are lost where a KEEPALIVE2 is decoded
 * to a number. Nobody decodes and repeats one: its answer repeats the bytes.
 */
function forgiveNanoseconds(again: Uint8Array, original: Uint8Array): void {
  const at = CONTROL_SIZE - 4;
  assertLess(Math.abs(getU32(again, at) - getU32(original, at)), 250);
  again.set(original.subarray(at), at);
}

const decoded = [
  "ping-none",
  "ping-cephx",
  "mon-none.0",
  "mon-none.2",
  "mon-cephx.1",
  "mon-cephx.2",
  "rados-none.4",
  "rados-none.10",
  "rados-cephx.4",
  "rados-cephx.9",
  "peer-lossy-echo",
  "peer-lossy-empty-4k",
  "peer-oneway-acks",
  "peer-stateful-reconnect.0",
  "peer-stateful-reconnect.1",
  "peer-stateful-reconnect.2",
];

for (const name of decoded) {
  test(`readConversation() reads the values of ${name} that another decoder reads`, () => {
    const bytes = capture(name), records = readConversation(bytes.connector, bytes.acceptor);
    const theirs = readDecodedText(name);
    for (const side of sides) {
      const ours = records[side].filter(({ content }) => !["banner", "authorizer"].includes(content.kind)).map(plain);
      assertEquals(ours, theirs[side]);
    }
  });
}

/** A record's values in the words of the other decoder. */
function plain({ offset, content }: ConversationRecord): string {
  return [offset, ...values(content)].join(" ");
}

function values(content: RecordContent): (string | number | bigint)[] {
  switch (content.kind) {
    case "address":
      return ["address", content.address.toString()];
    case "connect": {
      const r = content.request, features = `0x${r.features.toString(16)}`, type = entityTypeLabel(r.hostType);
      const auth = [r.authorizerProtocol, r.authorizerLength];
      return ["connect", features, type, r.globalSeq, r.connectSeq, r.protocolVersion, ...auth, r.flags];
    }
    case "connect_reply": {
      const r = content.reply, features = `0x${r.features.toString(16)}`;
      return ["reply", r.tag, features, r.globalSeq, r.connectSeq, r.protocolVersion, r.authorizerLength, r.flags];
    }
    case "in_seq":
    case "ack":
      return [content.kind, content.seq];
    case "keepalive2":
    case "keepalive2_ack":
      return [content.kind, content.time];
    case "message": {
      const h = content.header, f = content.footer, source = `${entityTypeLabel(h.sourceType)}.${h.sourceNum}`;
      const kind = [h.seq, h.tid, h.type, h.priority, h.version];
      const lengths = [h.frontLength, h.middleLength, h.dataLength, h.dataOffset];
      const crcs = [f.frontCrc, f.middleCrc, f.dataCrc].map(hex32);
      const signature = hex32(f.signatureHigh) + hex32(f.signatureLow);
      return ["message", ...kind, ...lengths, source, h.compatVersion, "/", ...crcs, signature, f.flags];
    }
    default:
      return [content.kind];
  }
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, "0");
}

const address = /(?:addr).*nonce=(\d+) family=2\(BE\) ([\d.]+:\d+)/;
const connect =
  /connect: features=(0x\w+) host_type=\d+\((\w+)\) global_seq=(\d+) connect_seq=(\d+) proto=(\d+) authorizer_protocol=(\d+)\S* authorizer_len=(\d+) flags=(\d+)/;
const reply =
  /connect_reply: tag=(\d+)\(\w+\) features=(0x\w+) global_seq=(\d+) connect_seq=(\d+) proto=(\d+) authorizer_len=(\d+) flags=(\d+)/;
const inSeq = /in_seq of .* = (\d+)/;
const ack = /tag 8 ACK seq=(\d+)/;
const keepalive = /tag \d+ (KEEPALIVE2(?:_ACK)?) stamp=(\d+)\.(\d{9})/;
const header =
  /MSG header seq=(\d+) tid=(\d+) type=(\d+)\S* prio=(\d+) ver=(\d+) front=(\d+) middle=(\d+) data=(\d+) data_off=(\d+) src=(\S+) compat=(\d+) reserved=0/;
const footer = /footer front=(\w+) OK middle=(\w+) OK data=(\w+) OK sig=(\w+) flags=(\d+)/;

/** The other decoder's lines, in the form of {@linkcode plain}. */
function readDecodedText(name: string): Record<(typeof sides)[number], string[]> {
  // The three connections of a reconnect share one file.
  const reconnect = /^(peer-stateful-reconnect)\.(\d)$/.exec(name);
  const text = goldenText(`${reconnect?.[1] ?? name}.decode.txt`);
  const part = reconnect === null ? text : text.split(/^== tcp connection \d+\n/m)[Number(reconnect[2]) + 1]!;
  const found: Record<(typeof sides)[number], string[]> = { connector: [], acceptor: [] };
  for (const line of part.split("\n")) {
    const start = /^([CS])>[CS] +(\d+) \+\d+ +(.*)$/.exec(line);
    if (start === null) continue;
    const lines = found[start[1] === "C" ? "connector" : "acceptor"], at = Number(start[2]), rest = start[3]!;
    const match = (pattern: RegExp) => pattern.exec(rest)?.slice(1);
    let m: string[] | undefined;
    if ((m = match(address)) !== undefined) lines.push(`${at} address ${m[1]}/${m[0]}`);
    else if ((m = match(connect)) !== undefined) lines.push(`${at} connect ${m.join(" ")}`);
    else if ((m = match(reply)) !== undefined) lines.push(`${at} reply ${m.join(" ")}`);
    else if ((m = match(inSeq)) !== undefined) lines.push(`${at} in_seq ${m[0]}`);
    else if ((m = match(ack)) !== undefined) lines.push(`${at} ack ${m[0]}`);
    else if ((m = match(keepalive)) !== undefined) {
      lines.push(`${at} ${m[0]!.toLowerCase()} ${Number(m[1]) * 1000 + Number(m[2]) / 1e6}`);
    } else if ((m = match(header)) !== undefined) lines.push(`${at - 1} message ${m.join(" ")}`);
    else if ((m = match(footer)) !== undefined) lines.push(`${lines.pop()} / ${m.join(" ")}`);
  }
  return found;
}

test("describeRecord() tells a whole conversation in words", () => {
  const { connector, acceptor } = capture("rados-cephx.9"), records = readConversation(connector, acceptor);
  assertEquals(records.connector.map(describeRecord), [
    'banner "ceph v027"',
    "address of the connector: 127.0.0.1:0/522546350",
    "connect as client: global_seq 2, connect_seq 0, protocol 24, auth 2, flags 1, features 0x3f01cfbdfffdffff",
    "authorizer, 174 bytes",
    "connect as client: global_seq 2, connect_seq 0, protocol 24, auth 2, flags 1, features 0x3f01cfbdfffdffff",
    "authorizer, 174 bytes",
    "in_seq 0",
    "message 1: type 42, tid 1, priority 63, version 8, 213 + 0 + 0 bytes, from client.4121",
  ]);
  assertEquals(records.acceptor.map(describeRecord).slice(3, 7), [
    "CHALLENGE_AUTHORIZER: global_seq 0, connect_seq 0, protocol 24, flags 0, features 0x3f01cfbdfffdffff",
    "authorizer, 32 bytes",
    "SEQ: global_seq 5, connect_seq 1, protocol 24, flags 1, features 0x3f01cfbdfffdffff",
    "authorizer, 36 bytes",
  ]);
});

test("describeRecord() tells acks and keepalives in words", () => {
  const acks = capture("peer-oneway-acks"), ping = capture("ping-none");
  const lines = readConversation(acks.connector, acks.acceptor).acceptor.map(describeRecord);
  assertEquals(lines.at(-1), "ack 10");
  const kept = readConversation(ping.connector, ping.acceptor).connector.map(describeRecord);
  assertEquals(kept.find((line) => line.startsWith("keepalive2")), "keepalive2 2026-11-22T16:46:18.216Z");
});

test("crc32c() agrees with every vector", () => {
  const vectors: { name: string; hex: string; seed: number; crc32c: number }[] = JSON.parse(
    goldenText("crc-vectors.json"),
  );
  assertEquals(vectors.length, 79);
  for (const vector of vectors) assertEquals(crc32c(fromHex(vector.hex), vector.seed), vector.crc32c, vector.name);
});
