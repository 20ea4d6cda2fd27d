/**
 * What happens when both sides, or two attempts of one side, get in each other's way. The races are those of Ceph's newer messenger tests
 * (`test_msgr.cc` of Pacific), with the steps of a v1 handshake in the place of v2's.
 *
 * Ceph's AnonTest is not among them: it dials the same peer twice without registering the connections, and here a peer has one session.
 */

import { assert, assertEquals } from "@std/assert";
import { test } from "node:test";
import {
  type Connection,
  losslessPeer,
  lossyClient,
  Message,
  Messenger,
  statefulServer,
  statelessServer,
} from "../mod.ts";
import { eventually } from "./support/eventually.ts";
import { Duo, numbered, range, type Side, type SideOptions } from "./support/duo.ts";
import { Step } from "./support/interceptor.ts";
import { networks } from "./support/networks.ts";
import { PING, Recorder, roundTrip } from "./support/recorder.ts";

/** Who has the smaller address, and with it wins. */
const smaller = ["a", "b"] as const;

/** Two sides that can both dial. An address is compared by its nonce first, then by port and host. */
function equals(winner: "a" | "b", options: SideOptions = {}): [SideOptions, SideOptions] {
  const both = { ...options, bound: true };
  return [{ ...both, nonce: winner === "a" ? 1 : 2 }, { ...both, nonce: winner === "b" ? 1 : 2 }];
}

function noResets(...sides: Side[]): void {
  for (const { told } of sides) assertEquals([told.count("reset"), told.count("remote_reset")], [0, 0]);
}

/** One session is left, and nothing of the other attempts. */
async function oneSession(a: Side, b: Side): Promise<void> {
  await eventually(() => [a, b].every(({ messenger }) => messenger.stats().msgr_active_connections === 1));
  for (const side of [a, b]) {
    assert(side.connection.isConnected);
    assertEquals(side.messenger.stats().duplicate_messages, 0);
  }
  noResets(a, b);
}

for (const { name, open } of networks) {
  for (const winner of smaller) {
    for (const first of ["both", "a", "b"] as const) {
      test(`ConnectionRaceTest: ${winner} has the smaller address, ${first} may go on first (${name})`, async () => {
        await using duo = await Duo.open(await open(), ...equals(winner));
        const { a, b } = duo;
        const stops = { a: a.network.breakAt(1, Step.request), b: b.network.breakAt(1, Step.request) };
        const connections = { a: a.to(b), b: b.to(a) };
        connections.a.send(numbered(1));
        connections.b.send(numbered(2));
        await Promise.all([stops.a.reached, stops.b.reached]);
        if (first !== "both") {
          stops[first].release();
          // It wins there and then, or it is told to wait for the other.
          await eventually(() => connections[first].state !== "connecting");
          assertEquals(connections[first].state, first === winner ? "open" : "wait");
        }
        stops.a.release();
        stops.b.release();
        await Promise.all([a.has(1), b.has(1)]);
        await oneSession(a, b);
        assertEquals([a.tids, b.tids], [[2], [1]]);
        const loser = winner === "a" ? b : a;
        assertEquals((winner === "a" ? a : b).told.events, ["connect"]);
        assertEquals(loser.told.events, ["accept"]);
        assert(connections.a.isConnected && connections.b.isConnected, "the handles that callers hold go on");
      });
    }

    test(`ConnectionRaceReuseBannerTest: a half-open attempt gives way to the peer's; ${winner} is smaller (${name})`, async () => {
      await using duo = await Duo.open(await open(), ...equals(winner));
      const { a, b } = duo;
      const late = a.network.breakAt(1, Step.banner), early = b.network.breakAt(1, Step.request);
      const toB = a.to(b), toA = b.to(a);
      toB.send(numbered(1));
      toA.send(numbered(2));
      await Promise.all([late.reached, early.reached]);
      early.release();
      if (winner === "b") {
        await Promise.all([a.has(1), b.has(1)]);
        late.release();
      } else {
        await eventually(() => toA.state === "wait");
        late.release();
        await Promise.all([a.has(1), b.has(1)]);
      }
      await oneSession(a, b);
      assertEquals([a.tids, b.tids], [[2], [1]]);
      assertEquals([a.messenger.stats().reconnects, b.messenger.stats().reconnects], [0, 0]);
      assertEquals([a.network.dials, b.network.dials], [1, 1]);
    });

    for (const first of ["both", "a", "b"] as const) {
      test(`ReconnectRaceTest: both come back at once, ${winner} is smaller, ${first} may go on first (${name})`, async () => {
        // With equal connect_seq one side is told to wait. In Ceph it once waited for ever.
        await using duo = await Duo.open(await open(), ...equals(winner, { policy: losslessPeer() }));
        const { a, b } = duo;
        const stops = { a: a.network.breakAt(2, Step.request), b: b.network.breakAt(1, Step.request) };
        const hold = a.network.breakAt(1, { sent: Step.afterRequest.sent + 1 });
        const connection = a.to(b);
        connection.send(numbered(1));
        // B has opened the session; A's message is on its way and neither side has acknowledged anything.
        await b.told.until(() => b.told.count("accept") === 1);
        b.connection.send(numbered(2));
        await hold.cut();
        await Promise.all([stops.a.reached, stops.b.reached]);
        if (first !== "both") {
          stops[first].release();
          const state = () => (first === "a" ? a : b).connection.state;
          await eventually(() => state() === (first === winner ? "open" : "wait"));
        }
        stops.a.release();
        stops.b.release();
        await Promise.all([a.has(1), b.has(1)]);
        for (let tid = 3; tid <= 10; tid++) (tid % 2 === 0 ? b : a).connection.send(numbered(tid));
        await Promise.all([a.has(5), b.has(5)]);
        await oneSession(a, b);
        assertEquals([a.tids, b.tids], [[2, 4, 6, 8, 10], [1, 3, 5, 7, 9]]);
        assertEquals(a.messenger.stats().reconnects + b.messenger.stats().reconnects, 2);
      });
    }
  }

  test(`MissingServerIdenTest: READY is lost, and what the server had queued with it is told (${name})`, async () => {
    await using duo = await Duo.open(await open(), { policy: lossyClient() }, { policy: statefulServer() });
    const { a, b } = duo;
    let first = true;
    b.messenger.addDispatcherHead({
      handleFastAccept: (connection) => {
        if (first) connection.send(numbered(9));
        first = false;
      },
    });
    const stop = a.network.breakAt(1, Step.reply);
    const connection = a.to(b);
    connection.send(numbered(1));
    await stop.cut();
    await b.has(1);
    // To the server, a client that asks for a new session has lost the one it had. (v2 has a cookie to tell otherwise.)
    assertEquals(b.told.events, ["accept", "remote_reset", "accept"]);
    assertEquals(b.told.resets[0]!.dropped, 1);
    b.connection.send(numbered(2));
    await a.has(1);
    assertEquals([a.tids, b.tids], [[2], [1]]);
    assertEquals(a.told.events, ["connect"]);
  });

  test(`MissingServerIdenTest2: READY is lost, and a server with something to say dials itself (${name})`, async () => {
    await using duo = await Duo.open(await open(), { policy: losslessPeer(), bound: true }, { policy: losslessPeer() });
    const { a, b } = duo;
    const stop = a.network.breakAt(1, Step.reply);
    a.network.breakAt(2, Step.banner);
    const connection = a.to(b);
    connection.sendKeepalive();
    await stop.reached;
    await b.told.until(() => b.told.count("accept") === 1);
    b.connection.send(numbered(1));
    await stop.cut();
    await a.has(1);
    await oneSession(a, b);
    assertEquals([a.tids, b.tids], [[1], []]);
    assert(connection.isConnected);
    assertEquals(b.network.dials, 1);
  });

  test(`ReconnectTest: a client that breaks in the middle of an answer comes back once (${name})`, async () => {
    await using duo = await Duo.open(await open(), { policy: losslessPeer() }, {
      policy: statefulServer(),
      answers: true,
    });
    const { a, b } = duo;
    const connection = a.to(b);
    await roundTrip(connection, a.told);
    await eventually(() => connection.queued === 0 && b.connection.queued === 0);
    // One round trip took 307 bytes and an answer and two acks' worth at most; the next answer breaks off.
    const stop = a.network.breakAt(1, { received: 307 + 75 + 9 + 40 });
    connection.send(numbered(2));
    await stop.reached;
    connection.send(numbered(3));
    await stop.cut();
    await a.has(3);
    assertEquals([a.tids, b.tids], [[0, 2, 3], [0, 2, 3]]);
    assertEquals([a.told.events, b.told.events], [["connect", "connect"], ["accept", "accept"]]);
    assertEquals([a.messenger.stats().reconnects, b.messenger.stats().reconnects], [1, 1]);
    assertEquals(a.messenger.stats().duplicate_messages + b.messenger.stats().duplicate_messages, 0);
  });

  test(`MarkdownTest: servers that mark down each other's connections while they dispatch (${name})`, async () => {
    const network = await open();
    const rounds = 100;
    const servers = [new Messenger({ network, name: "osd.0" }), new Messenger({ network, name: "osd.1" })];
    const known = new Set<Connection>();
    let dispatched = 0;
    for (const server of servers) {
      server.setPolicy(statelessServer());
      server.addDispatcherTail({
        handleFastAccept: (connection) => void known.add(connection),
        dispatch: ({ connection }) => {
          dispatched++;
          known.add(connection);
          for (const other of known) {
            if (other === connection) continue;
            other.markDown();
            known.delete(other);
            break;
          }
        },
        handleReset: (connection) => void known.delete(connection),
      });
      await server.bind("127.0.0.1:0");
    }
    const client = new Messenger({ network });
    client.setPolicy(lossyClient());
    client.addDispatcherTail(new Recorder());
    for (let round = 0; round < rounds; round++) {
      const before = dispatched;
      const connections = servers.map(({ address }) => client.connectTo(address, { type: "osd" }));
      let sent = 0;
      for (const connection of connections) if (connection.send(new Message(PING))) sent++;
      // Every message arrives, or the client sees that its connection is gone.
      await eventually(() => dispatched - before + connections.filter((c) => c.isClosed).length >= sent);
    }
    // A message is lost only by being marked down, which takes another one's dispatch.
    assert(dispatched >= rounds, `${dispatched} of ${2 * rounds} messages were dispatched`);
    await client.shutdown();
    for (const server of servers) {
      await server.shutdown();
      assertEquals(server.stats().dispatch_queue_len, 0);
    }
  });
}

// ------------------------------------------------- breaking at every step

/** Every byte of a handshake with SEQ, and a little more. */
const everyByte = [...range(0, 190).map((sent) => ({ sent })), ...range(0, 320).map((received) => ({ received }))];
/** The first and last byte of each of its parts. */
const everyStep = [
  ...[0, 8, 9, 144, 145, 177, 178, 185, 186].map((sent) => ({ sent })),
  ...[0, 8, 9, 280, 281, 306, 307, 314, 315].map((received) => ({ received })),
];

/** Somebody always listens, so nothing is gained by waiting. */
const backoff = (): number => 0;

for (const { name, open } of networks) {
  const places = name === "memory" ? everyByte : everyStep;
  const how = name === "memory" ? "byte" : "step";

  test(`a first handshake that breaks at any ${how} loses nothing of the client's (${name})`, async () => {
    for (const place of places) {
      await using duo = await Duo.open(await open(), { backoff }, { answers: true });
      const { a, b } = duo;
      const stop = a.network.breakAt(1, place);
      const connection = a.to(b);
      for (let tid = 1; tid <= 3; tid++) connection.send(numbered(tid));
      await stop.cut();
      for (let tid = 4; tid <= 6; tid++) connection.send(numbered(tid));
      await a.has(6);
      const at = JSON.stringify(place);
      assertEquals([a.tids, b.tids], [range(1, 6), range(1, 6)], at);
      assertEquals([a.told.count("remote_reset"), a.told.count("reset"), b.told.count("reset")], [0, 0, 0], at);
      // A server that had opened a session whose READY got lost takes the next attempt for another one.
      assert(b.told.resets.every(({ dropped }) => dropped === 0), at);
      assertEquals(a.messenger.stats().duplicate_messages + b.messenger.stats().duplicate_messages, 0, at);
    }
  });

  test(`a reconnect that breaks at any ${how} loses and repeats nothing (${name})`, async () => {
    for (const place of places) {
      await using duo = await Duo.open(await open(), { backoff }, { answers: true });
      const { a, b } = duo;
      const stop = a.network.breakAt(2, place);
      const connection = a.to(b);
      for (let tid = 1; tid <= 3; tid++) connection.send(numbered(tid));
      await a.has(1);
      a.network.cut();
      for (let tid = 4; tid <= 6; tid++) connection.send(numbered(tid));
      await stop.cut();
      for (let tid = 7; tid <= 9; tid++) connection.send(numbered(tid));
      await a.has(9);
      const at = JSON.stringify(place);
      assertEquals([a.tids, b.tids], [range(1, 9), range(1, 9)], at);
      noResets(a, b);
      assertEquals(a.messenger.stats().duplicate_messages + b.messenger.stats().duplicate_messages, 0, at);
    }
  });

  test(`a reconnect between equals that breaks at any ${how} loses and repeats nothing (${name})`, async () => {
    for (const place of places) {
      // Both can dial: whoever comes first repairs it.
      await using duo = await Duo.open(await open(), { bound: true, backoff }, { answers: true, backoff });
      const { a, b } = duo;
      const stop = a.network.breakAt(2, place);
      const connection = a.to(b);
      for (let tid = 1; tid <= 3; tid++) connection.send(numbered(tid));
      await a.has(1);
      a.network.cut();
      for (let tid = 4; tid <= 6; tid++) connection.send(numbered(tid));
      // The peer's own connection may be through before this one comes to the place.
      await Promise.race([stop.cut(), a.has(6)]);
      for (let tid = 7; tid <= 9; tid++) connection.send(numbered(tid));
      await a.has(9);
      const at = JSON.stringify(place);
      assertEquals([a.tids, b.tids], [range(1, 9), range(1, 9)], at);
      noResets(a, b);
      assertEquals(a.messenger.stats().duplicate_messages + b.messenger.stats().duplicate_messages, 0, at);
      stop.release();
    }
  });
}
