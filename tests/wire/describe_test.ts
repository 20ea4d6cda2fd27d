import { assertEquals, assertThrows } from "@std/assert";
import * as fc from "fast-check";
import { test } from "node:test";
import { ProtocolError } from "../../src/errors.ts";
import { EntityAddress } from "../../src/wire/address.ts";
import { encodeConnect, encodeConnectReply } from "../../src/wire/connect.ts";
import { ADDRESS_SIZE, BANNER, Feature, MESSENGER_FEATURES, Tag } from "../../src/wire/constants.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import { type ConversationRecord, describeRecord, readConversation } from "../../src/wire/describe.ts";
import {
  emptyMessageFooter,
  emptyMessageHeader,
  encodeAck,
  encodeMessageFooter,
  encodeMessageHeader,
  footerSize,
  TAGGED_HEADER_SIZE,
} from "../../src/wire/frame.ts";
import { putU64 } from "../../src/wire/integers.ts";
import { capture, conversations, fromHex, toHex } from "./golden.ts";

const SEED = { seed: 27 };
const BANNER_HEX = toHex(new TextEncoder().encode(BANNER));
const NUMBERS = { features: MESSENGER_FEATURES, globalSeq: 1, connectSeq: 0, protocolVersion: 0, flags: 0 };

function addressHex(text: string): string {
  const bytes = new Uint8Array(ADDRESS_SIZE);
  EntityAddress.parse(text).encode(bytes);
  return toHex(bytes);
}

function connectHex(authorizer = "", features = MESSENGER_FEATURES): string {
  const lengths = { authorizerProtocol: 0, authorizerLength: authorizer.length / 2 };
  return toHex(encodeConnect({ ...NUMBERS, ...lengths, features, hostType: 8 })) + authorizer;
}

function replyHex(tag: number, authorizer = ""): string {
  return toHex(encodeConnectReply({ ...NUMBERS, tag, authorizerLength: authorizer.length / 2 })) + authorizer;
}

function messageHex(text: string, old = false): string {
  const data = new TextEncoder().encode(text);
  const out = new Uint8Array(TAGGED_HEADER_SIZE + data.length + footerSize(old));
  out[0] = Tag.MSG;
  encodeMessageHeader({ ...emptyMessageHeader(), seq: 1, dataLength: data.length }, out, 1);
  out.set(data, TAGGED_HEADER_SIZE);
  const footer = { ...emptyMessageFooter(), dataCrc: crc32c(data), flags: 1 };
  encodeMessageFooter(footer, out, TAGGED_HEADER_SIZE + data.length, old);
  return toHex(out);
}

function ackHex(seq: number): string {
  const out = new Uint8Array(9);
  encodeAck(seq, out, 0);
  return toHex(out);
}

const CONNECTOR_START = BANNER_HEX + addressHex("127.0.0.1:0/7");
const ACCEPTOR_START = BANNER_HEX + addressHex("127.0.0.1:6789/0") + addressHex("127.0.0.1:40000/0");

/** The kinds of the records that are found in two sides' bytes. */
function kinds(connector: string, acceptor: string): { connector: string[]; acceptor: string[] } {
  const found = readConversation(fromHex(connector), fromHex(acceptor));
  const kindsOf = (records: ConversationRecord[]) => records.map(({ content }) => content.kind);
  return { connector: kindsOf(found.connector), acceptor: kindsOf(found.acceptor) };
}

function refused(connector: string, acceptor: string): [string, string] {
  const { field, value } = assertThrows(() => kinds(connector, acceptor), ProtocolError);
  return [field, value];
}

test("readConversation() finds nothing in nothing", () => {
  assertEquals(kinds("", ""), { connector: [], acceptor: [] });
});

test("readConversation() reads a session opened with READY, which exchanges no in_seq", () => {
  const found = kinds(
    CONNECTOR_START + connectHex() + messageHex("hi") + "09" + "06",
    ACCEPTOR_START + replyHex(Tag.READY) + ackHex(1),
  );
  assertEquals(found.connector, ["banner", "address", "connect", "message", "keepalive", "close"]);
  assertEquals(found.acceptor, ["banner", "address", "address", "connect_reply", "ack"]);
});

test("readConversation() reads footers of 13 bytes where one side lacks MSG_AUTH", () => {
  const found = kinds(
    CONNECTOR_START + connectHex("", MESSENGER_FEATURES & ~Feature.MSG_AUTH) + messageHex("hi", true) + ackHex(1),
    ACCEPTOR_START + replyHex(Tag.READY) + messageHex("ho", true) + ackHex(1),
  );
  assertEquals(found.connector.slice(3), ["message", "ack"]);
  assertEquals(found.acceptor.slice(4), ["message", "ack"]);
});

test("readConversation() follows a handshake of several rounds", () => {
  const found = kinds(
    CONNECTOR_START + connectHex("aabb") + connectHex("ccddee") + connectHex() + "00".repeat(8) + messageHex("hi"),
    ACCEPTOR_START + replyHex(Tag.CHALLENGE_AUTHORIZER, "ff") + replyHex(Tag.RETRY_GLOBAL) + replyHex(Tag.SEQ) +
      "00".repeat(8),
  );
  assertEquals(found.connector.slice(2), [
    "connect",
    "authorizer",
    "connect",
    "authorizer",
    "connect",
    "in_seq",
    "message",
  ]);
  assertEquals(found.acceptor.slice(3), [
    "connect_reply",
    "authorizer",
    "connect_reply",
    "connect_reply",
    "in_seq",
  ]);
});

test("readConversation() reads a handshake that was refused to its end", () => {
  const found = kinds(CONNECTOR_START + connectHex(), ACCEPTOR_START + replyHex(Tag.BADPROTOVER));
  assertEquals(found.connector, ["banner", "address", "connect"]);
  assertEquals(found.acceptor, ["banner", "address", "address", "connect_reply"]);
});

test("readConversation() tells at the first byte that means nothing what it expected", () => {
  assertEquals(refused(toHex(new TextEncoder().encode("GET / HTTP")), ""), ["banner", '"GET / HTT"']);
  assertEquals(refused("", BANNER_HEX + "01" + "00".repeat(135)), ["address marker", "1"]);
  assertEquals(refused(CONNECTOR_START + connectHex() + "2a", ACCEPTOR_START + replyHex(Tag.READY)), ["tag", "42"]);
  const broken = messageHex("hi").replace(toHex(new TextEncoder().encode("hi")), "0000");
  assertEquals(refused(CONNECTOR_START + connectHex() + broken, ACCEPTOR_START + replyHex(Tag.READY))[0], "data_crc");
});

// A record that is cut off must end its side: bytes of an authorizer read as a request would be nonsense told as a fact.
for (const name of ["ping-none", "rados-cephx.4", "peer-oneway-acks", "peer-stateful-reconnect.1"]) {
  test(`readConversation() of ${name} cut off anywhere finds a beginning of the same records`, () => {
    const whole = capture(name), all = readConversation(whole.connector, whole.acceptor);
    const lines = { connector: all.connector.map(describeRecord), acceptor: all.acceptor.map(describeRecord) };
    for (const side of ["connector", "acceptor"] as const) {
      for (let length = 0; length < Math.min(whole[side].length, 700); length++) {
        const found = readConversation(
          side === "connector" ? whole.connector.subarray(0, length) : whole.connector,
          side === "acceptor" ? whole.acceptor.subarray(0, length) : whole.acceptor,
        );
        for (const each of ["connector", "acceptor"] as const) {
          const ours = found[each].map(describeRecord);
          assertEquals(ours, lines[each].slice(0, ours.length), `${each}, with the ${side} cut off at ${length}`);
        }
        const complete = all[side].filter((record) => record.offset + record.bytes.length <= length).length;
        assertEquals(found[side].length <= complete, true);
      }
    }
  });
}

test("readConversation() of one changed byte throws ProtocolError or finds records within the bytes", () => {
  const names = conversations.filter((name) => capture(name).acceptor.length < 5000);
  fc.assert(
    fc.property(
      fc.constantFrom(...names),
      fc.boolean(),
      fc.nat(5000),
      fc.integer({ min: 1, max: 255 }),
      (name, inAcceptor, at, change) => {
        const bytes = capture(name), changed = inAcceptor ? bytes.acceptor : bytes.connector;
        changed[at % changed.length]! ^= change;
        onlyProtocolErrors(bytes.connector, bytes.acceptor);
      },
    ),
    { ...SEED, numRuns: 500 },
  );
});

test("readConversation() of random bytes behind a good handshake throws ProtocolError or nothing", () => {
  const connector = fromHex(CONNECTOR_START + connectHex()), acceptor = fromHex(ACCEPTOR_START + replyHex(Tag.READY));
  const tags = fc.constantFrom(6, 7, 8, 9, 14, 15, 42);
  const records = fc.array(fc.tuple(tags, fc.uint8Array({ maxLength: 100 })), { maxLength: 5 });
  fc.assert(
    fc.property(records, records, (a, b) => {
      const bytes = [a, b].map((list) => list.flatMap(([tag, rest]) => [tag, ...rest]));
      onlyProtocolErrors(Uint8Array.of(...connector, ...bytes[0]!), Uint8Array.of(...acceptor, ...bytes[1]!));
    }),
    { ...SEED, numRuns: 500 },
  );
});

test("readConversation() of random bytes throws ProtocolError or nothing", () => {
  const bytes = fc.uint8Array({ maxLength: 400 }), banner = fromHex(BANNER_HEX);
  fc.assert(
    fc.property(bytes, bytes, fc.boolean(), (connector, acceptor, withBanner) => {
      if (withBanner) {
        connector = Uint8Array.of(...banner, ...connector);
        acceptor = Uint8Array.of(...banner, ...acceptor);
      }
      onlyProtocolErrors(connector, acceptor);
    }),
    { ...SEED, numRuns: 500 },
  );
});

function onlyProtocolErrors(connector: Uint8Array, acceptor: Uint8Array): void {
  let found: ReturnType<typeof readConversation>;
  try {
    found = readConversation(connector, acceptor);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return;
  }
  for (const [records, bytes] of [[found.connector, connector], [found.acceptor, acceptor]] as const) {
    let at = 0;
    for (const record of records) {
      assertEquals([record.offset, record.bytes.buffer === bytes.buffer], [at, true]);
      at += record.bytes.length;
      describeRecord(record);
    }
    assertEquals(at <= bytes.length, true);
  }
}

test("readConversation() refuses an in_seq that a double cannot hold", () => {
  const start = [CONNECTOR_START + connectHex(), ACCEPTOR_START + replyHex(Tag.SEQ)] as const;
  const seq = new Uint8Array(8);
  putU64(seq, 0, Number.MAX_SAFE_INTEGER);
  assertEquals(kinds(start[0], start[1] + toHex(seq)).acceptor.at(-1), "in_seq");
  assertEquals(refused(start[0], start[1] + "ffffffffffffffff"), ["in_seq", "18446744073709551615"]);
});

test("readConversation() refuses a reply with a tag that no reply has", () => {
  assertEquals(refused(CONNECTOR_START + connectHex(), ACCEPTOR_START + replyHex(99)), ["reply tag", "99"]);
  assertEquals(refused(CONNECTOR_START + connectHex(), ACCEPTOR_START + replyHex(Tag.MSG)), ["reply tag", "7"]);
});
