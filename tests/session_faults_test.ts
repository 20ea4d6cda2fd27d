// What breaks a session's connection, when it is noticed, and what follows; in virtual time.

import { assert, assertEquals, assertGreater } from "@std/assert";
import { test } from "node:test";
import { losslessClient, losslessPeer, Message } from "../mod.ts";
import { numbered, range } from "./support/duo.ts";
import { VirtualPair } from "./support/virtual_pair.ts";

test("a keepalive finds out that the peer's host is gone, and its session comes back for what is queued", () =>
  VirtualPair.play({ a: { policy: losslessPeer() } }, async (pair) => {
    const { a, network } = pair, connection = pair.dial();
    connection.send(numbered(1));
    await pair.until(() => connection.queued === 0);
    for (const link of network.connections) link.cut("nobody");
    await pair.pass(60_000);
    assert(connection.isConnected, "nobody has noticed yet");
    connection.sendKeepalive();
    await pair.until(() => a.log.some(({ type }) => type === "fault"));
    await pair.pass(1000);
    connection.send(numbered(2));
    await pair.until(() => connection.queued === 0);
    assertEquals(pair.b.tids, [1, 2]);
  }));

test("keepalives that are answered keep a quiet connection from the read time-out", () =>
  VirtualPair.play({ a: { readTimeout: 1000 }, b: { readTimeout: 1000 } }, async (pair) => {
    const connection = pair.dial();
    connection.send(numbered(1));
    await pair.pass(100);
    for (let i = 0; i < 10; i++) {
      connection.sendKeepalive();
      await pair.pass(900);
    }
    assertEquals([pair.network.attempts, connection.isConnected], [1, true]);
    assertGreater(connection.lastKeepaliveAck, pair.environment.now() - 1000);
    await pair.pass(1100);
    assertEquals(connection.isConnected, false);
  }));

for (const unread of [false, true]) {
  test(`a dead peer's socket is torn down hard${unread ? ", with a write that will never end" : ""}`, () =>
    VirtualPair.play(
      { a: { readTimeout: 5000, policy: losslessClient() }, network: { capacity: 4096 } },
      async (pair) => {
        const { network } = pair, connection = pair.dial();
        connection.send(numbered(1));
        await pair.until(() => connection.queued === 0);
        const [link] = network.connections;
        // Nothing gets through in either direction, and neither side is told.
        for (const to of ["dialler", "acceptor"] as const) link!.inflict({ kind: "black_hole", to, afterBytes: 0 });
        if (unread) {
          for (let tid = 2; tid <= 100; tid++) connection.send(new Message(1, { tid, data: new Uint8Array(1000) }));
        }
        await pair.pass(4000);
        assertEquals(link!.openEnds, 2);
        await pair.pass(2000);
        assertEquals([link!.openEnds, network.attempts], [0, 2]);
        await pair.until(() => connection.isConnected && connection.queued === 0);
        assertEquals(pair.b.tids, unread ? range(1, 100) : [1]);
      },
    ));
}

for (const what of ["getAuthorizer", "addChallenge", "verifyReply", "verifyAuthorizer"] as const) {
  test(`a ${what}() that never settles costs its handshake's time, and neither the session nor the shutdown`, () =>
    VirtualPair.play({ a: { handshakeTimeout: 500 }, b: { handshakeTimeout: 500 } }, async (pair) => {
      const { a, b } = pair;
      let calls = 0;
      const hangOnce = <T>(name: string, value: T): T | Promise<T> =>
        name === what && calls++ < 1 ? new Promise<T>(() => {}) : value;
      a.messenger.addDispatcherHead({
        getAuthorizer: () =>
          hangOnce("getAuthorizer", {
            protocol: 1,
            bytes: Uint8Array.of(1),
            addChallenge: () => hangOnce("addChallenge", true),
            verifyReply: () => hangOnce("verifyReply", true),
          }),
      });
      b.messenger.addDispatcherHead({
        verifyAuthorizer: ({ challenge }) =>
          hangOnce("verifyAuthorizer", challenge ? { valid: true } : { valid: false, challenge: Uint8Array.of(1) }),
      });
      const connection = pair.dial();
      connection.send(numbered(1));
      const waited = await pair.until(() => connection.queued === 0);
      assert(waited > 400 && waited < 2000, `it took ${waited} ms`);
      assertEquals(b.tids, [1]);
      calls = 0;
      connection.markDown();
      pair.dial().send(numbered(2));
      // The shutdown finds a handshake that waits.
      await pair.pass(100);
      assertEquals(calls, 1);
    }));
}
