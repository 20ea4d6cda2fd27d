/**
 * Whole records written out by hand, byte for byte: what a client without an address and a monitor say to each other.
 */

import { assertEquals } from "@std/assert";
import { test } from "node:test";
import { EntityAddress } from "../../src/wire/address.ts";
import { encodeConnect, encodeConnectReply } from "../../src/wire/connect.ts";
import { ADDRESS_SIZE, BANNER, FOOTER_SIZE, FooterFlag, Tag } from "../../src/wire/constants.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import { describeRecord, readConversation } from "../../src/wire/describe.ts";
import {
  emptyMessageFooter,
  emptyMessageHeader,
  encodeMessageFooter,
  encodeMessageHeader,
  type MessageHeader,
  TAGGED_HEADER_SIZE,
} from "../../src/wire/frame.ts";
import { fromHex, toHex } from "./golden.ts";

/** What a 16.2.5 client offers. */
const FEATURES = 0x3f01cfb9fffdffffn;

const banner = "63 65 70 68 20 76 30 32 37";
const zeros = (count: number) => "00".repeat(count);
const monitor = `00 00 00 00  00 00 00 00  00 02 1a 85 c0 a8 01 0a ${zeros(120)}`;
const clientAsSeen = `00 00 00 00  00 00 00 00  00 02 9c 40 c0 a8 01 14 ${zeros(120)}`;
const client = `00 00 00 00  ef be ad de  00 02 00 00 c0 a8 01 14 ${zeros(120)}`;
const request =
  "ff ff fd ff b9 cf 01 3f  08 00 00 00  01 00 00 00  00 00 00 00  0f 00 00 00  00 00 00 00  00 00 00 00  01";
const reply = "0d  ff ff fd ff b9 cf 01 3f  07 00 00 00  01 00 00 00  0f 00 00 00  00 00 00 00  01";

const ping = `07
  01 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  02 00  7f 00  01 00
  00 00 00 00  00 00 00 00  00 00 00 00  00 00
  08 ff ff ff ff ff ff ff ff  01 00  00 00  e0 92 24 2d
  00 00 00 00  00 00 00 00  00 00 00 00  00 00 00 00 00 00 00 00  01`;
const hello = `07
  02 00 00 00 00 00 00 00  ${zeros(8)}  02 00  7f 00  01 00
  00 00 00 00  00 00 00 00  05 00 00 00  00 00
  08 92 10 00 00 00 00 00 00  01 00  00 00  db be 11 7e
  68 65 6c 6c 6f
  00 00 00 00  00 00 00 00  79 cd 03 df  ${zeros(8)}  01`;
const authFront = `${zeros(8)}  ff ff  ${zeros(8)}  00 00 00 00  22 00 00 00
  01  02 00 00 00  02 00 00 00  01 00 00 00  08 00 00 00  05 00 00 00 61 64 6d 69 6e  ${zeros(8)}
  00 00 00 00`;
const auth = `07
  01 ${zeros(7)}  ${zeros(8)}  11 00 7f 00 01 00  40 00 00 00 ${zeros(4)} ${zeros(4)}  00 00
  08 ff ff ff ff ff ff ff ff  01 00 00 00  93 77 46 ba
  ${authFront}
  d7 6e 5b ef ${zeros(4)} ${zeros(4)} ${zeros(8)} 01`;

function addressHex(text: string): string {
  const bytes = new Uint8Array(ADDRESS_SIZE);
  EntityAddress.parse(text).encode(bytes);
  return toHex(bytes);
}

function squeeze(hex: string): string {
  return hex.replaceAll(/\s+/g, "");
}

const NOTHING = new Uint8Array(0);

/** A message with a front and data, as our encoders write it. */
function messageHex(header: Partial<MessageHeader>, front: Uint8Array = NOTHING, data: Uint8Array = NOTHING): string {
  const segments = front.length + data.length, out = new Uint8Array(TAGGED_HEADER_SIZE + segments + FOOTER_SIZE);
  const lengths = { frontLength: front.length, dataLength: data.length };
  out[0] = Tag.MSG;
  encodeMessageHeader({ ...emptyMessageHeader(), ...header, ...lengths }, out, 1);
  out.set(front, TAGGED_HEADER_SIZE);
  out.set(data, TAGGED_HEADER_SIZE + front.length);
  const footer = { frontCrc: crc32c(front), dataCrc: crc32c(data), flags: FooterFlag.COMPLETE };
  encodeMessageFooter({ ...emptyMessageFooter(), ...footer }, out, TAGGED_HEADER_SIZE + segments);
  return toHex(out);
}

test("EntityAddress.encode() writes family and port big-endian and the nonce little-endian", () => {
  assertEquals(addressHex("192.168.1.10:6789/0"), squeeze(monitor));
  assertEquals(addressHex("192.168.1.20:40000/0"), squeeze(clientAsSeen));
  assertEquals(addressHex("192.168.1.20:0/3735928559"), squeeze(client));
});

test("EntityAddress.encode() writes IPv6 behind four bytes of flow label", () => {
  const start = "00000000 00000000 000a 1a85 00000000 fd000000000000000000000000000001 00000000";
  assertEquals(addressHex("[fd00::1]:6789/0"), squeeze(start) + zeros(ADDRESS_SIZE - 36));
});

test("encodeConnect() writes a client's first request to a monitor", () => {
  const bytes = encodeConnect({
    features: FEATURES,
    hostType: 8,
    globalSeq: 1,
    connectSeq: 0,
    protocolVersion: 15,
    authorizerProtocol: 0,
    authorizerLength: 0,
    flags: 1,
  });
  assertEquals(toHex(bytes), squeeze(request));
});

test("encodeConnectReply() writes a monitor's answer", () => {
  const bytes = encodeConnectReply({
    tag: Tag.SEQ,
    features: FEATURES,
    globalSeq: 7,
    connectSeq: 1,
    protocolVersion: 15,
    authorizerLength: 0,
    flags: 1,
  });
  assertEquals(toHex(bytes), squeeze(reply));
});

const pingFields = { type: 2, priority: 127, version: 1, compatVersion: 1, sourceType: 8, sourceNum: -1 };

test("encodeMessageHeader() and encodeMessageFooter() write an empty ping in 75 bytes", () => {
  const bytes = messageHex({ ...pingFields, seq: 1 });
  assertEquals(bytes, squeeze(ping));
  assertEquals(bytes.length / 2, 75);
});

test("encodeMessageHeader() and encodeMessageFooter() write a ping with data in 80 bytes", () => {
  const data = new TextEncoder().encode("hello");
  const bytes = messageHex({ ...pingFields, seq: 2, sourceNum: 4242 }, undefined, data);
  assertEquals(bytes, squeeze(hello));
  assertEquals(bytes.length / 2, 80);
});

test("encodeMessageHeader() and encodeMessageFooter() write the first message of a Ceph client, with its front", () => {
  assertEquals(messageHex({ ...pingFields, type: 17, seq: 1 }, fromHex(authFront)), squeeze(auth));
  assertEquals(crc32c(fromHex(authFront)), 0xef5b6ed7);
});

test("readConversation() reads the whole example, from the banner to the last message", () => {
  const { connector, acceptor } = readConversation(
    fromHex(banner + client + request + zeros(8) + auth + hello),
    fromHex(banner + monitor + clientAsSeen + reply + zeros(8) + ping),
  );
  assertEquals(connector.map(describeRecord), [
    `banner "${BANNER}"`,
    "address of the connector: 192.168.1.20:0/3735928559",
    "connect as client: global_seq 1, connect_seq 0, protocol 15, auth 0, flags 1, features 0x3f01cfb9fffdffff",
    "in_seq 0",
    "message 1: type 17, tid 0, priority 127, version 1, 64 + 0 + 0 bytes, from client.-1",
    "message 2: type 2, tid 0, priority 127, version 1, 0 + 0 + 5 bytes, from client.4242",
  ]);
  assertEquals(acceptor.map(describeRecord), [
    `banner "${BANNER}"`,
    "address of the acceptor: 192.168.1.10:6789/0",
    "address of the connector: 192.168.1.20:40000/0",
    "SEQ: global_seq 7, connect_seq 1, protocol 15, flags 1, features 0x3f01cfb9fffdffff",
    "in_seq 0",
    "message 1: type 2, tid 0, priority 127, version 1, 0 + 0 + 0 bytes, from client.-1",
  ]);
});
