/**
 * Real conversations of Ceph's own client with a monitor: our client says the same, byte for byte, and reads all that it is told.
 */

import { assert, assertEquals } from "@std/assert";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { EntityType, Message } from "../../mod.ts";
import { AuthClient } from "../../src/ceph/auth_client.ts";
import {
  AuthName,
  type AuthReply,
  type CephMessageType,
  CryptoKey,
  Decoder,
  MAuth,
  MAuthReply,
  MConfig,
  MMonCommand,
  MMonCommandAck,
  MMonMap,
  MMonSubscribe,
  MOSDMap,
  MPing,
} from "../../src/ceph/mod.ts";
import { readConversation } from "../../src/wire/describe.ts";
import { capture, toHex } from "../wire/golden.ts";

const keys = JSON.parse(readFileSync(new URL("vectors.json", import.meta.url), "utf8")).mon_cephx_keys;
const KEY = CryptoKey.parse(keys["client.admin"]);

/** The messages that a side of a captured conversation sent. */
function messages(name: string, side: "connector" | "acceptor"): Message[] {
  const { connector, acceptor } = capture(name);
  return readConversation(connector, acceptor)[side].flatMap(({ content, bytes }) => {
    if (content.kind !== "message") return [];
    const { type, tid, priority, version, compatVersion, frontLength, dataLength } = content.header;
    const front = bytes.subarray(54, 54 + frontLength), dataAt = 54 + frontLength + content.header.middleLength;
    const data = bytes.subarray(dataAt, dataAt + dataLength);
    return [new Message(type, { tid, priority, version, compatVersion, front, data })];
  });
}

/** What both sides of a captured conversation said to authenticate the client, and what the client drew. */
function authentication(name: string): { said: Message[]; replies: AuthReply[]; challenge: bigint } {
  const said = messages(name, "connector").filter((message) => MAuth.matches(message));
  const replies = messages(name, "acceptor").filter((message) => MAuthReply.matches(message));
  // Behind the request's type and version.
  const challenge = new Decoder(MAuth.read(said[1]!).payload.subarray(3)).u64Big();
  return { said, replies: replies.map((message) => MAuthReply.read(message)), challenge };
}

test("AuthClient says what Ceph's client said, and gets the same tickets", () => {
  const { said, replies, challenge } = authentication("mon-cephx.2");
  const client = new AuthClient(AuthName.parse("client.admin"), KEY, () => challenge);
  assertEquals(toHex(MAuth.message(client.start(0)).front), toHex(said[0]!.front));
  assertEquals(toHex(MAuth.message(client.handle(replies[0]!, 0)!).front), toHex(said[1]!.front));
  assertEquals(client.handle(replies[1]!, 0), undefined);
  assertEquals([client.isAuthenticated, client.globalId], [true, 4098]);
  const { MON, OSD, MGR, AUTH } = EntityType;
  assertEquals(client.services.toSorted((a, b) => a - b), [MON, OSD, MGR, AUTH]);
  // Service tickets are good for an hour.
  assertEquals(client.renewAt, 3_600_000 * 3 / 4);
  assertEquals(client.renew(client.renewAt - 1), undefined);
  assertEquals(MAuth.message(client.renew(client.renewAt)!).frontLength, said[2]!.frontLength);
  // Ceph's client asks for the others separately, though it has got them with the first.
  assertEquals(client.handle(replies[2]!, 1_000_000), undefined);
  assertEquals(client.renewAt, 1_000_000 + 3_600_000 * 3 / 4);
});

test("AuthClient comes back with its number and its ticket, as Ceph's client did", () => {
  let random = 0n;
  const client = new AuthClient(AuthName.parse("client.admin"), KEY, () => random);
  for (const name of ["mon-cephx.0", "mon-cephx.1"]) {
    const { said, replies, challenge } = authentication(name);
    random = challenge;
    // At the end of the one is the epoch of the map that the client has, ours has none; before that in the other, for which services tickets are wanted.
    assertEquals(toHex(MAuth.message(client.start(0)).front.slice(0, -4)), toHex(said[0]!.front.slice(0, -4)));
    const second = MAuth.message(client.handle(replies[0]!, 0)!).front;
    assertEquals(toHex(second.slice(0, -8)), toHex(said[1]!.front.slice(0, -8)));
    client.handle(replies[1]!, 0);
    assertEquals([client.isAuthenticated, client.globalId], [true, 4097]);
  }
});

const types = [MPing, MMonMap, MMonSubscribe, MAuth, MAuthReply, MOSDMap, MMonCommand, MMonCommandAck, MConfig];

for (const name of ["ping-none", "ping-cephx", "mon-none.0", "mon-none.2", "mon-cephx.2", "mondump-none.2"]) {
  test(`every message of ${name} whose type is known is read`, () => {
    let read = 0;
    for (const message of [...messages(name, "connector"), ...messages(name, "acceptor")]) {
      const type = types.find((candidate) => candidate.type === message.type) as CephMessageType<unknown> | undefined;
      // That of the managers' map.
      assert(type !== undefined || message.type === 0x704, `type ${message.type}`);
      if (type === undefined) continue;
      type.read(message);
      read++;
    }
    assert(read > 0);
  });

  test(`what Ceph's client said in ${name} is written again`, () => {
    for (const message of messages(name, "connector")) {
      const type = types.find((candidate) => candidate.type === message.type) as CephMessageType<unknown>;
      const again = type.message(type.read(message));
      assertEquals([again.version, again.compatVersion], [message.version, message.compatVersion]);
      // Ceph names the machine at the end of a subscription; we do not.
      const front = MMonSubscribe.matches(message) ? message.front.subarray(0, again.frontLength - 4) : message.front;
      const ours = MMonSubscribe.matches(message) ? again.front.subarray(0, again.frontLength - 4) : again.front;
      assertEquals(toHex(ours), toHex(front));
    }
  });
}

test("the map of the monitors, the map of the OSDs and the answer to a command hold what Ceph's client was told", () => {
  const told = messages("mon-cephx.2", "acceptor");
  const map = MMonMap.read(told.find((message) => MMonMap.matches(message))!);
  assertEquals([map.fsid, map.epoch], ["d777a1ad-7eb4-47e8-852c-061418119a36", 1]);
  assertEquals(map.monitors.map(({ name, rank, address }) => [name, rank, String(address)]), [
    ["a", 0, "127.0.0.1:6789/0"],
  ]);
  const osds = MOSDMap.read(told.find((message) => MOSDMap.matches(message))!);
  assertEquals([osds.fsid, osds.newest, [...osds.full.keys()], osds.incremental.size], [map.fsid, 1, [1], 0]);
  const acks = told.filter((message) => MMonCommandAck.matches(message)).map((message) => MMonCommandAck.read(message));
  assertEquals(acks.map(({ status }) => status), [0, 0]);
  assert(new TextDecoder().decode(acks[1]!.data).includes(map.fsid));
});
