// `connection.flush()`: when it fulfils, when it must not yet, and what ends the wait.

import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { lossyClient, Message, MessengerError, statelessServer } from "../mod.ts";
import { Duo, numbered, range, type SideOptions } from "./support/duo.ts";
import { Step } from "./support/interceptor.ts";
import { networks } from "./support/networks.ts";

const LOW = 100, HIGH = 200;
/** Where the second message begins, if the first is `numbered(1)`: behind the handshake, a tag, a header, a byte of data and a footer. */
const BEHIND_FIRST = Step.afterRequest.sent + 1 + 53 + 1 + 21;
const lossy: SideOptions = { policy: lossyClient() }, stateless: SideOptions = { policy: statelessServer() };

async function rejectsWith(code: string, promise: Promise<void>): Promise<void> {
  assertEquals((await assertRejects(() => promise, MessengerError)).code, code);
}

/** Lets all go on that can. */
function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

for (const { name, open } of networks) {
  test(`flush() fulfils when the peer has acknowledged all, the first time and each time after (${name})`, async () => {
    await using duo = await Duo.open(await open());
    const connection = duo.a.to(duo.b);
    for (const first of [1, 101, 201]) {
      for (const tid of range(first, first + 99)) connection.send(numbered(tid));
      assertEquals(connection.queued, 100);
      await connection.flush();
      assertEquals(connection.queued, 0);
      assertEquals(duo.b.tids, range(1, first + 99));
    }
    await connection.flush();
  });

  test(`flush() waits for a message that later ones overtake (${name})`, async () => {
    await using duo = await Duo.open(await open());
    const hold = duo.a.network.breakAt(1, { sent: 0 }), connection = duo.a.to(duo.b);
    connection.send(new Message(1, { tid: 1, priority: LOW }));
    const flushed = connection.flush();
    for (const tid of range(2, 3000)) connection.send(new Message(1, { tid, priority: HIGH }));
    hold.release();
    await flushed;
    assertEquals(duo.b.tids, [...range(2, 3000), 1]);
  });

  test(`flush() does not wait for messages that follow (${name})`, async () => {
    await using duo = await Duo.open(await open());
    const hold = duo.a.network.breakAt(1, { sent: BEHIND_FIRST }), connection = duo.a.to(duo.b);
    connection.send(numbered(1));
    const flushed = connection.flush();
    connection.send(numbered(2));
    await flushed;
    assertEquals([duo.b.tids, connection.queued], [[1], 1]);
    hold.release();
    await connection.flush();
    assertEquals(duo.b.tids, [1, 2]);
  });

  test(`flush() outlives broken connections (${name})`, async () => {
    await using duo = await Duo.open(await open());
    const connection = duo.a.to(duo.b);
    for (let round = 0; round < 20; round++) {
      for (const tid of range(50 * round + 1, 50 * round + 50)) connection.send(numbered(tid));
      const flushed = connection.flush();
      if (round % 2 === 0) await turn();
      duo.a.network.cut();
      await flushed;
      assertEquals(duo.b.tids, range(1, 50 * round + 50));
    }
  });

  test(`flush() rejects when the peer has lost the session, and works in the next one (${name})`, async () => {
    await using duo = await Duo.open(await open());
    const connection = duo.a.to(duo.b);
    connection.send(numbered(1));
    await connection.flush();
    duo.b.connection.markDown();
    for (const tid of range(2, 5)) connection.send(numbered(tid));
    await rejectsWith("session_reset", connection.flush());
    assertEquals(duo.a.told.resets.map(({ dropped }) => dropped), [4]);
    connection.send(numbered(6));
    await connection.flush();
    assertEquals(duo.b.tids, [1, 6]);
  });

  test(`flush() of a lossy session fulfils when all was handed to the network (${name})`, async () => {
    await using duo = await Duo.open(await open(), lossy, stateless);
    const connection = duo.a.to(duo.b);
    for (const tid of range(1, 500)) connection.send(numbered(tid));
    await connection.flush();
    await connection.flush();
    assertEquals(connection.queued, 0);
    await duo.b.has(500);
  });

  test(`flush() of a lossy session rejects when it breaks (${name})`, async () => {
    await using duo = await Duo.open(await open(), lossy, stateless);
    const connection = duo.a.to(duo.b);
    connection.send(numbered(1));
    await duo.b.has(1);
    const hold = duo.a.network.breakAt(1, { sent: BEHIND_FIRST });
    connection.send(new Message(1, { data: new Uint8Array(100_000) }));
    const flushed = connection.flush();
    await hold.cut();
    await rejectsWith("session_reset", flushed);
    await rejectsWith("closed", connection.flush());
  });
}

test("flush() rejects when the session is ended here, and when it was over before", async () => {
  await using duo = await Duo.open(await networks[0]!.open());
  const hold = duo.a.network.breakAt(1, { sent: 0 }), connection = duo.a.to(duo.b);
  connection.send(numbered(1));
  const flushed = connection.flush();
  await hold.reached;
  connection.markDown();
  await rejectsWith("closed", flushed);
  await rejectsWith("closed", connection.flush());
  hold.release();
});

test("flush() gives up when its signal says so; the message is sent all the same", async () => {
  await using duo = await Duo.open(await networks[0]!.open());
  const hold = duo.a.network.breakAt(1, { sent: 0 }), connection = duo.a.to(duo.b);
  connection.send(numbered(1));
  const controller = new AbortController(), { signal } = controller, reason = new Error("no more");
  const given = assertRejects(() => connection.flush({ signal })), other = connection.flush();
  controller.abort(reason);
  assertStrictEquals(await given, reason);
  assertStrictEquals(await assertRejects(() => connection.flush({ signal })), reason);
  hold.release();
  await other;
  assertEquals(duo.b.tids, [1]);
});

test("flush() of the connection to oneself has nothing to wait for", async () => {
  await using duo = await Duo.open(await networks[0]!.open());
  duo.a.messenger.loopback.send(numbered(1));
  await duo.a.messenger.loopback.flush();
});
