// What a program can watch happen to its connections, and what watching costs.

import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import {
  type Connection,
  losslessPeer,
  lossyClient,
  Message,
  Messenger,
  MessengerError,
  statelessServer,
} from "../mod.ts";
import type { ConnectionStatus, MessengerStatus, StatusEvents } from "../mod.ts";
import { MemoryNetwork } from "../src/net/memory.ts";
import { numbered } from "./support/duo.ts";
import { eventually } from "./support/eventually.ts";
import { PING } from "./support/recorder.ts";
import { VirtualPair } from "./support/virtual_pair.ts";

const ADDRESS = "127.0.0.1:6800";

/** Reads until the events end. */
function collect<Status>(events: StatusEvents<Status>): Status[] {
  const seen: Status[] = [];
  void (async () => {
    for await (const status of events) seen.push(status);
  })();
  return seen;
}

/** What each event says besides whom it concerns; of an error, its code. */
function said(statuses: readonly MessengerStatus[]): Record<string, unknown>[] {
  return statuses.map(({ connection: _connection, peer: _peer, state: _state, error, ...rest }) => (
    { ...rest, ...(error !== undefined && { code: error.code }) }
  ));
}

test("a connection tells of its life on both sides: dialled, opened, broken, opened again, closed", () =>
  VirtualPair.play({ a: { policy: losslessPeer() }, b: { policy: losslessPeer() } }, async (pair) => {
    const connection = pair.dial(), mine = collect(connection.status());
    connection.send(numbered(1));
    await pair.until(() => pair.b.tids.length === 1 && connection.queued === 0);
    const theirs = collect(pair.back.status());
    pair.network.connections[0]!.cut();
    await pair.pass(100);
    connection.send(numbered(2));
    await pair.until(() => pair.b.tids.length === 2 && connection.queued === 0);
    await pair.finish(connection.close());
    await pair.pass(100);
    assertEquals(said(mine), [
      { type: "connecting", attempt: 1 },
      { type: "open", dialled: true, again: false },
      { type: "fault", code: "connection_lost" },
      { type: "standby", canDial: true },
      { type: "connecting", attempt: 1 },
      { type: "open", dialled: true, again: true },
      { type: "closed", dropped: 0 },
    ]);
    assertEquals(said(theirs).filter(({ type }) => type !== "race"), [
      { type: "fault", code: "connection_lost" },
      { type: "standby", canDial: true },
      { type: "replaced" },
      { type: "open", dialled: false, again: true },
      { type: "fault", code: "connection_lost" },
      { type: "closed", dropped: 0, code: "connection_lost" },
    ]);
    assertEquals(mine.every((status) => status.connection === connection), true);
    assertEquals(mine[0]!.peer, pair.b.messenger.address.toString());
  }));

test("where nobody listens, each attempt is told with its number, why it failed, and the pause before the next", () =>
  VirtualPair.play({ b: { bound: false } }, async (pair) => {
    const connection = pair.a.messenger.connectTo("10.0.0.2:6800"), seen = collect(connection.status());
    connection.send(numbered(1));
    await pair.pass(650);
    const failure = { type: "fault", code: "refused" };
    assertEquals(said(seen), [
      { type: "connecting", attempt: 1 },
      failure,
      { type: "backoff", attempt: 2, pause: 200 },
      { type: "connecting", attempt: 2 },
      failure,
      { type: "backoff", attempt: 3, pause: 400 },
      { type: "connecting", attempt: 3 },
      failure,
      { type: "backoff", attempt: 4, pause: 800 },
    ]);
    connection.markDown();
    await pair.pass(1);
    assertEquals(said(seen.slice(9)), [{ type: "closed", dropped: 1 }]);
  }));

test("a session that the peer has lost tells how many messages went with it", () =>
  VirtualPair.play({ a: { policy: losslessPeer() } }, async (pair) => {
    const connection = pair.dial();
    connection.send(numbered(1));
    await pair.until(() => connection.queued === 0);
    const seen = collect(connection.status());
    pair.back.markDown();
    for (const tid of [2, 3]) connection.send(numbered(tid));
    await pair.pass(1000);
    const reset = seen.find((status) => status.type === "session_reset");
    assertEquals([reset?.dropped, pair.a.told.resets[0]?.dropped], [2, 2]);
  }));

test("the option log is told the same events, in the same order", () =>
  VirtualPair.play({ a: { policy: lossyClient() }, b: { policy: statelessServer() } }, async (pair) => {
    const seen = collect(pair.b.messenger.status()), before = pair.b.log.length;
    const connection = pair.dial();
    connection.send(numbered(1));
    await pair.until(() => pair.b.tids.length === 1);
    pair.network.connections[0]!.cut();
    await pair.pass(100);
    assertEquals(seen.map(({ type }) => type), ["open", "fault", "closed"]);
    seen.forEach((status, i) => assertStrictEquals(pair.b.log[before + i], status));
  }));

test("a messenger's events are those of all its connections, and end with its shutdown; a connection's are its own", async () => {
  const network = new MemoryNetwork(), server = new Messenger({ network }), other = new Messenger({ network });
  for (const messenger of [server, other]) messenger.addDispatcherTail({ dispatch: () => {} });
  const client = new Messenger({ network, backoff: () => 0 });
  const all = client.status(), seen = collect(all);
  await server.bind("127.0.0.1:6801");
  await other.bind("127.0.0.1:6802");
  const [one, two] = [client.connectTo("127.0.0.1:6801"), client.connectTo("127.0.0.1:6802")];
  const ofOne = collect(one.status());
  for (const connection of [one, two]) {
    connection.send(new Message(PING));
    await connection.flush();
  }
  await client.shutdown();
  assertEquals(await all.next(), { done: true, value: undefined });
  const count = (statuses: readonly MessengerStatus[], whose: Connection): number =>
    statuses.filter(({ connection }) => connection === whose).length;
  assertEquals([count(seen, one), count(seen, two)], [3, 3]);
  assertEquals(ofOne.map(({ type }) => type), ["connecting", "open", "closed"]);
  assertEquals([(await client.status().next()).done, (await one.status().next()).done], [true, true]);
  await client.start();
  const again = client.status();
  await client.bind(ADDRESS);
  assertEquals((await again.next()).value?.type, "listening");
  for (const messenger of [client, server, other]) await messenger.shutdown();
});

test("who reads late finds the latest events, and how many were skipped", async () => {
  const messenger = new Messenger({ network: new MemoryNetwork() });
  const events = messenger.status({ limit: 3 });
  for (let i = 1; i <= 5; i++) messenger.connectTo(`127.0.0.1:${i}`).markDown();
  const last = messenger.connectTo("127.0.0.1:6");
  last.markDown();
  assertEquals(events.skipped, 3);
  await messenger.shutdown();
  const peers: (string | undefined)[] = [];
  for await (const { peer } of events) peers.push(peer);
  assertEquals(peers, ["127.0.0.1:4/0", "127.0.0.1:5/0", "127.0.0.1:6/0"]);
});

test("leaving the loop ends the events: nothing is kept for them any more", async () => {
  const messenger = new Messenger({ network: new MemoryNetwork() });
  const events = messenger.status({ limit: 1 });
  messenger.connectTo("127.0.0.1:1").markDown();
  for await (const { type } of events) {
    assertEquals(type, "closed");
    break;
  }
  for (let i = 0; i < 3; i++) messenger.connectTo("127.0.0.1:1").markDown();
  assertEquals([events.skipped, await events.next()], [0, { done: true, value: undefined }]);
  // Who waits when it ends is not left waiting.
  const others = messenger.status(), waiting = [others.next(), others.next()];
  await others.return();
  assertEquals((await Promise.all(waiting)).map(({ done }) => done), [true, true]);
  await messenger.shutdown();
});

test("a limit out of its range is refused", () => {
  const messenger = new Messenger({ network: new MemoryNetwork() });
  for (const limit of [0, -1, 1.5, NaN, 1_000_001]) {
    const error = assertThrows(() => messenger.status({ limit }), MessengerError);
    assertEquals([error.code, error.message], ["invalid", `Bad option limit: got ${limit}, expected 1 to 1000000`]);
  }
});

test("a messenger that nobody dispatches for says once that a peer waits, and lets it in when there is a dispatcher", async () => {
  const network = new MemoryNetwork(), log: MessengerStatus[] = [];
  await using server = new Messenger({ network, log: (status) => void log.push(status) });
  await server.bind(ADDRESS);
  await using one = new Messenger({ network });
  await using two = new Messenger({ network });
  const connections = [one, two].map((client) => client.connectTo(ADDRESS));
  for (const connection of connections) connection.send(new Message(PING));
  await eventually(() => log.length > 1);
  assertEquals(log.map(({ type }) => type), ["listening", "no_dispatcher"]);
  const types: number[] = [];
  server.addDispatcherTail({ dispatch: ({ type }) => void types.push(type) });
  for (const connection of connections) await connection.flush();
  await eventually(() => types.length === 2);
  assertEquals(log.filter(({ type }) => type === "no_dispatcher").length, 1);
});

test("a messenger that nobody dispatches for can be shut down, and bound again, while a peer waits", async () => {
  const network = new MemoryNetwork(), log: string[] = [];
  const server = new Messenger({ network, log: ({ type }) => void log.push(type) });
  await server.bind(ADDRESS);
  await using client = new Messenger({ network });
  client.connectTo(ADDRESS).sendKeepalive();
  await eventually(() => log.includes("no_dispatcher"));
  await server.rebind({ ports: [6801, 6802] });
  assertEquals(server.stats().msgr_created_connections, 0);
  client.connectTo(server.address).sendKeepalive();
  await server.shutdown();
  assertEquals([server.stats().msgr_created_connections, log.filter((type) => type === "no_dispatcher").length], [
    0,
    1,
  ]);
});

test("answers that nobody dispatches for are told one by one, and why only once", async () => {
  const network = new MemoryNetwork();
  await using server = new Messenger({ network });
  server.addDispatcherTail({ dispatch: ({ type, connection }) => void connection.send(new Message(type)) });
  await server.bind(ADDRESS);
  const log: MessengerStatus[] = [];
  await using client = new Messenger({ network, log: (status) => void log.push(status) });
  const connection = client.connectTo(ADDRESS), own = collect(connection.status());
  for (const type of [7, 8, 9]) connection.send(new Message(type));
  const unhandled = (): ConnectionStatus[] => own.filter(({ type }) => type === "unhandled_message");
  await eventually(() => unhandled().length === 3);
  assertEquals(said(unhandled()).map(({ messageType }) => messageType), [7, 8, 9]);
  const why = log.filter(({ type }) => type === "no_dispatcher");
  assertEquals(why.map((status) => [status.connection === connection, status.peer]), [[true, `${server.address}`]]);
});

for (const [by, extra] of [["share", 0], ["dispatchThrottleBytes", 1]] as const) {
  test(`a connection that a throttle holds for a second says so once, and when it is read again (${by})`, async () => {
    const gate = Promise.withResolvers<void>();
    await VirtualPair.play({ b: { dispatchThrottleBytes: 1000 } }, async (pair) => {
      pair.b.messenger.addDispatcherHead({ dispatch: () => gate.promise.then(() => false) });
      const data = new Uint8Array(900),
        other = new Messenger({
          network: pair.network.host("10.0.0.3"),
          environment: pair.environment,
        });
      if (extra > 0) other.connectTo(pair.b.messenger.address).send(new Message(1, { data }));
      await pair.pass(100);
      const connection = pair.dial();
      for (let tid = 1; tid <= 2; tid++) connection.send(new Message(1, { data, tid }));
      await pair.until(() => pair.b.messenger.connections.some((connection) => connection.describe().isHeld));
      const held = pair.b.messenger.connections.find((connection) => connection.describe().isHeld)!;
      const seen = collect(held.status());
      const from = pair.b.log.length, news = (): MessengerStatus[] => pair.b.log.slice(from);
      await pair.pass(999);
      assertEquals(news(), []);
      await pair.pass(60_000);
      const messages = 1 - extra;
      assertEquals(said(news()), [{ type: "held", by, messages, bytes: messages * 900 }]);
      gate.resolve();
      await pair.until(() => pair.b.tids.length === 2 + extra);
      assertEquals(said(seen), said(news()));
      assertEquals(said(news().slice(1)), [{ type: "released", heldFor: 60_999 }]);
      assertEquals(pair.b.messenger.connections.some((connection) => connection.describe().isHeld), false);
      await pair.finish(other.shutdown());
    });
  });
}

test("a hold costs no timer where nobody watches", async () => {
  const gate = Promise.withResolvers<void>();
  await VirtualPair.play({}, async (pair) => {
    const server = new Messenger({
      network: pair.network.host("10.0.0.3"),
      environment: pair.environment,
      dispatchThrottleBytes: 1000,
      readTimeout: 0,
    });
    server.addDispatcherTail({ dispatch: () => gate.promise });
    await pair.finish(server.bind("10.0.0.3:6800"));
    const connection = pair.a.messenger.connectTo(server.address), data = new Uint8Array(900);
    connection.send(new Message(1, { data }));
    await pair.pass(100);
    const { timers } = pair.environment;
    connection.send(new Message(1, { data }));
    await pair.until(() => server.connections[0]!.describe().isHeld);
    await pair.pass(100);
    assertEquals(pair.environment.timers, timers);
    gate.resolve();
    await pair.finish(server.shutdown());
  });
});
