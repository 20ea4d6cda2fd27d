import { assert, assertEquals, assertGreater, assertInstanceOf } from "@std/assert";
import { test } from "node:test";
import { readBoth, readOne } from "../../src/cli/conversation.ts";
import type { ConversationRecord } from "../../src/wire/describe.ts";
import { capture, conversations } from "../wire/golden.ts";

const sides = ["connector", "acceptor"] as const;

/** Where in the handshake or behind it a record is: all that the order of two of them can be held to. */
function inShort({ from, content }: ConversationRecord): string {
  return `${from === "connector" ? "→" : "←"} ${content.kind === "message" ? content.header.type : content.kind}`;
}

for (const name of conversations) {
  test(`both sides of ${name} are put into one order, and nobody answers what was not said yet`, () => {
    const { connector, acceptor } = capture(name), { records, rest, error } = readBoth(connector, acceptor);
    assertEquals([rest, error], [0, undefined]);
    const said = { connector: { seq: 0, stamps: [] as number[] }, acceptor: { seq: 0, stamps: [] as number[] } };
    for (const { from, content } of records) {
      const other = said[from === "connector" ? "acceptor" : "connector"];
      if (content.kind === "message") said[from].seq = content.header.seq;
      if (content.kind === "keepalive2") said[from].stamps.push(content.time);
      if (content.kind === "ack") assert(content.seq <= other.seq, `ack ${content.seq} before message`);
      if (content.kind === "keepalive2_ack") {
        assert(other.stamps.includes(content.time), "an answer before its question");
      }
    }
    assertEquals(records.slice(0, 4).map(inShort), ["← banner", "← address", "← address", "→ banner"]);
  });

  for (const side of sides) {
    test(`one side of ${name}, the ${side}'s, is understood without the other, from any record on`, () => {
      const bytes = capture(name)[side], whole = readOne(bytes);
      assertEquals([whole.rest, whole.error], [0, undefined]);
      assert(whole.records.every(({ from }) => from === side));
      const handshake = ["banner", "address", "connect", "connect_reply", "authorizer", "in_seq"];
      const session = whole.records.filter(({ content }) => !handshake.includes(content.kind));
      const first = session[0];
      if (first === undefined) return;
      const part = readOne(bytes.subarray(first.offset));
      assertEquals(part.records.map(({ content }) => content), session.map(({ content }) => content));
      assertEquals([part.rest, part.records[0]?.offset], [0, 0]);
    });
  }
}

test("questions and answers take turns", () => {
  const { connector, acceptor } = capture("mon-none.2"), records = readBoth(connector, acceptor).records.map(inShort);
  assertEquals(records.slice(6, 15), [
    ...["← connect_reply", "← in_seq", "→ in_seq", "→ keepalive2", "← keepalive2_ack"],
    ...["→ 17", "← 18", "→ 15", "← 4"],
  ]);
});

test("a damaged byte ends the reading there, and says what is wrong with it", () => {
  for (const side of sides) {
    const both = capture("peer-lossy-echo"), all = readBoth(both.connector, both.acceptor).records;
    const bytes = both[side].slice(), last = all.findLast(({ from }) => from === side)!;
    bytes[last.offset + 60]! ^= 1;
    const { records, rest, error } = readBoth(
      side === "connector" ? bytes : both.connector,
      side === "acceptor" ? bytes : both.acceptor,
    );
    assertInstanceOf(error, Error);
    assertEquals(error.field, "front_crc");
    assertEquals(records.length, all.length - 1);
    assertEquals(rest, last.bytes.length);
    assertEquals(readOne(bytes).records.length, all.filter(({ from }) => from === side).length - 1);
  }
});

test("bytes that end in the middle of a record are read up to it", () => {
  const { connector, acceptor } = capture("peer-lossy-echo");
  const { records, rest, error } = readBoth(connector, acceptor.subarray(0, acceptor.length - 3));
  assertEquals([records.length, error], [14, undefined]);
  assertGreater(rest, 3);
});

test("what msgr v1 never says is no conversation", () => {
  const { records, error } = readOne(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  assertEquals(records, []);
  assertInstanceOf(error, Error);
  assertEquals(readOne(new Uint8Array(0)).records, []);
});
