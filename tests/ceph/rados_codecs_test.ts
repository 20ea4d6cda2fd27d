/**
 * What is said to OSDs, held to conversations of Ceph's own client; and where objects belong.
 */

import { assert, assertEquals, assertLess, assertThrows } from "@std/assert";
import { test } from "node:test";
import { Message, MessengerError } from "../../mod.ts";
import { Decoder, Encoder, RadosError } from "../../src/ceph/mod.ts";
import { hashObject, placementSeed } from "../../src/ceph/object_hash.ts";
import {
  comparePositions,
  decodePosition,
  encodePosition,
  FIRST_POSITION,
  type ObjectPosition,
} from "../../src/ceph/object_position.ts";
import { parseOsdMap } from "../../src/ceph/osd_map.ts";
import { BackoffOp, HEAD, MOSDBackoff, MOSDOp, MOSDOpReply, requestMessage } from "../../src/ceph/osd_messages.ts";
import * as osd from "../../src/ceph/osd_operations.ts";
import { readConversation } from "../../src/wire/describe.ts";
import { capture, toHex } from "../wire/golden.ts";

const { OsdOperationCode } = osd;
const MTIME_AT = 91;

/** The messages of a type in a captured conversation. */
function captured(name: string, side: "connector" | "acceptor", wanted: number): Message[] {
  const { connector, acceptor } = capture(name);
  return readConversation(connector, acceptor)[side].flatMap(({ content, bytes }) => {
    if (content.kind !== "message" || content.header.type !== wanted) return [];
    const { type, tid, priority, version, compatVersion, frontLength, middleLength, dataLength } = content.header;
    const dataAt = 54 + frontLength + middleLength;
    const front = bytes.subarray(54, 54 + frontLength), data = bytes.subarray(dataAt, dataAt + dataLength);
    return [new Message(type, { tid, priority, version, compatVersion, front, data })];
  });
}

for (
  const [name, code] of [
    ["rados-none.4", OsdOperationCode.WRITEFULL],
    ["rados-none.10", OsdOperationCode.READ],
    ["rados-cephx.4", OsdOperationCode.WRITEFULL],
    ["rados-cephx.9", OsdOperationCode.READ],
  ] as const
) {
  test(`MOSDOp and its reply are read as Ceph's client and OSD wrote them, and the request is written alike (${name})`, () => {
    const [request] = captured(name, "connector", MOSDOp.type), read = MOSDOp.read(request!);
    const { object, hash, group, operations } = read;
    assertEquals([hash, group.seed, group.shard], [hashObject(object), placementSeed(hashObject(object), 8), -1]);
    assertEquals(operations.map((operation) => operation.code), [code]);
    const written = requestMessage(read, request!.tid);
    // A number of ms does not hold the nanoseconds.
    written.front.set(request!.front.subarray(MTIME_AT, MTIME_AT + 8), MTIME_AT);
    assertEquals(toHex(written.front), toHex(request!.front));
    assertEquals(toHex(written.data), toHex(request!.data));
    const { priority, version, compatVersion } = written;
    assertEquals([priority, version, compatVersion], [request!.priority, request!.version, request!.compatVersion]);
    const [reply] = captured(name, "acceptor", MOSDOpReply.type), answer = MOSDOpReply.read(reply!);
    assertEquals([reply!.tid, answer.object, answer.status, answer.attempt], [request!.tid, object, 0, 0]);
    assertEquals(answer.isRedirect, false);
    assertEquals(answer.outcomes.map((outcome) => outcome.code), [code]);
    assertEquals(toHex(answer.outcomes[0]!.output), toHex(reply!.data));
  });
}

test("a request says who made it, how often it was sent, and which data belongs to which operation", () => {
  const request = {
    group: { pool: 3, seed: 5, shard: 2 },
    hash: 0xfedcba98,
    epoch: 12,
    flags: 0x24,
    id: { client: 4123, tid: 77 },
    mtime: 1_700_000_000_500,
    object: "ä",
    namespace: "n",
    operations: [osd.writeFull(Uint8Array.of(1, 2)), osd.stat, osd.append(Uint8Array.of(3))],
    attempt: 2,
  };
  const { operations, ...rest } = MOSDOp.read(requestMessage(request, 77));
  assertEquals(operations.map(({ code, input }) => [code, [...input!]]), [
    [OsdOperationCode.WRITEFULL, [1, 2]],
    [OsdOperationCode.STAT, []],
    [OsdOperationCode.APPEND, [3]],
  ]);
  assertEquals({ ...rest, operations: request.operations }, request);
  assertEquals(
    requestMessage({ ...request, operations: [osd.writeExtent(0x12345, Uint8Array.of(1))] }, 1).dataOffset,
    0x2345,
  );
});

test("objects are placed where Ceph places them", () => {
  const hashes = [["", 0xbd49d10d], ["foo", 0x7fc1f406], ["object-name", 0xbebaf5d8], [
    "rbd_data.abcdef0123456789",
    0xb9daeba1,
  ]];
  assertEquals(hashes.map(([name]) => [name, hashObject(name as string)]), hashes);
  assertEquals(hashObject("b", "a"), hashObject("a\x1fb"));
  assertEquals([1, 8, 12, 1000].map((pgNum) => placementSeed(0x7fc1f406, pgNum)), [0, 6, 6, 6]);
  for (const pgNum of [1, 2, 3, 5, 12, 100]) {
    for (let i = 0; i < 200; i++) assertLess(placementSeed(hashObject(String(i)), pgNum), pgNum);
  }
});

test("while the placement groups become more, an object moves to a new one or stays", () => {
  for (let pgNum = 8; pgNum < 32; pgNum++) {
    for (let i = 0; i < 100; i++) {
      const hash = hashObject(`object-${i}`),
        before = placementSeed(hash, pgNum),
        after = placementSeed(hash, pgNum + 1);
      assert(after === before || after === pgNum);
    }
  }
});

const at = (fields: Partial<ObjectPosition>): ObjectPosition => ({
  ...FIRST_POSITION,
  pool: 1n,
  snapshot: HEAD,
  ...fields,
});

test("positions stand in the order of OSDs, and survive being written and read", () => {
  const ordered = [
    FIRST_POSITION,
    at({ hash: 0 }),
    at({ hash: 0x80000000 }),
    at({ hash: 2 }),
    at({ hash: 1 }),
    at({ hash: 1, namespace: "n" }),
    at({ hash: 3, name: "a" }),
    at({ hash: 3, name: "b" }),
    at({ hash: 3, name: "a", key: "c" }),
    at({ pool: 2n }),
    at({ isMax: true }),
  ];
  ordered.forEach((a, i) => {
    ordered.forEach((b, j) => assertEquals(Math.sign(comparePositions(a, b)), Math.sign(i - j), `${i} and ${j}`));
    assertEquals(decodePosition(new Decoder(encodePosition(new Encoder(), a).finish())), a);
  });
});

test("MOSDBackoff survives being written and read", () => {
  const backoff = {
    group: { pool: 1, seed: 6, shard: -1 },
    epoch: 9,
    op: BackoffOp.BLOCK,
    id: 3,
    begin: at({ hash: 6 }),
    end: at({ hash: 0xffffffff, isMax: true }),
  };
  assertEquals(MOSDBackoff.read(MOSDBackoff.message(backoff)), backoff);
});

test("a reply or a backoff that ends too early, or promises more than it has, is refused with code bad_message", () => {
  const [reply] = captured("rados-none.10", "acceptor", MOSDOpReply.type);
  const { front, data, version, compatVersion } = reply!;
  for (let length = 0; length < front.length - 24; length++) {
    const cut = new Message(MOSDOpReply.type, { front: front.subarray(0, length), data, version, compatVersion });
    assertEquals(assertThrows(() => MOSDOpReply.read(cut), MessengerError).code, "bad_message");
  }
  const short = new Message(MOSDOpReply.type, { front, data: data.subarray(1), version, compatVersion });
  assertThrows(() => MOSDOpReply.read(short), MessengerError, "Bad length");
  const whole = MOSDBackoff.message({
    group: { pool: 1, seed: 6, shard: -1 },
    epoch: 9,
    op: 1,
    id: 3,
    begin: FIRST_POSITION,
    end: FIRST_POSITION,
  });
  for (let length = 0; length < whole.front.length; length++) {
    const cut = new Message(MOSDBackoff.type, { front: whole.front.subarray(0, length), version: 1 });
    assertThrows(() => MOSDBackoff.read(cut), MessengerError);
  }
});

test("an osd dump that is none is refused, and one that has an OSD without msgr v1 is not", () => {
  for (const nonsense of [null, 5, {}, { pools: [] }, { pools: [1], osds: [1] }]) {
    assertEquals(assertThrows(() => parseOsdMap(nonsense), MessengerError).code, "bad_message");
  }
  const addrvec = [{ type: "v2", addr: "10.0.0.1:3300", nonce: 1 }];
  const up = { osd: 1, up: 1, public_addrs: { addrvec } }, down = { osd: 2, up: 0, public_addrs: { addrvec } };
  const v1 = { osd: 3, up: 1, public_addrs: { addrvec: [...addrvec, { type: "v1", addr: "[::1]:6800", nonce: 7 }] } };
  const { osds } = parseOsdMap({ epoch: 1, flags: "", pools: [], osds: [up, down, v1] });
  assertEquals([...osds].map(([osd, address]) => [osd, String(address)]), [[1, "undefined"], [3, "[::1]:6800/7"]]);
});

test("RadosError says what failed, with the error's name, and a missing object has a code of its own", () => {
  const missing = new RadosError('read "a" in pool "p"', -2), full = new RadosError('write "a" in pool "p"', -28);
  assertEquals([missing.code, missing.status, missing.message], [
    "not_found",
    -2,
    'Cannot read "a" in pool "p": ENOENT (-2)',
  ]);
  assertEquals([full.code, full.status, full.message], [
    "operation",
    -28,
    'Cannot write "a" in pool "p": ENOSPC (-28)',
  ]);
});
