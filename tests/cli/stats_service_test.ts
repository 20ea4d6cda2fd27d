import { assertEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { Message, Messenger, MessengerError } from "../../mod.ts";
import { topFrame } from "../../src/cli/top_frame.ts";
import { StatsReply, StatsRequest, statsService, type StatsSnapshot } from "../../src/stats_service.ts";
import { MemoryNetwork } from "../../src/testing.ts";
import { Interceptor } from "../support/interceptor.ts";
import { eventually } from "../support/eventually.ts";

const ADDRESS = "127.0.0.1:6800";

/** Asks a process for its numbers. */
async function ask(messenger: Messenger): Promise<StatsSnapshot> {
  const answered = Promise.withResolvers<StatsSnapshot>();
  messenger.on(StatsReply, (snapshot) => answered.resolve(snapshot));
  messenger.connectTo(ADDRESS).send(StatsRequest.message(null));
  return await answered.promise;
}

test("a process with the service tells who it is, what it has done, and of every connection", async () => {
  const network = new MemoryNetwork();
  await using server = new Messenger({ network, name: "client.7", nonce: 9 });
  statsService(server);
  server.addDispatcherTail({ dispatch: () => true });
  await server.bind(ADDRESS);
  await using busy = new Messenger({ network, name: "client.1" });
  await using asking = new Messenger({ network, name: "mon.0" });
  const connection = busy.connectTo(ADDRESS);
  for (let i = 0; i < 5; i++) connection.send(new Message(0x8001, { data: new Uint8Array(100) }));
  await eventually(() => server.stats().msgr_recv_messages === 5);

  const { name, address, stats, connections } = await ask(asking);
  assertEquals([name, address, stats.msgr_recv_messages], ["client.7", `${ADDRESS}/9`, 6]);
  const short = connections.map(({ type, state, received, receivedBytes, reconnects, isAsking }) => (
    { type, state, received, receivedBytes, reconnects, isAsking }
  ));
  assertEquals(short, [
    { type: "client", state: "open", received: 5, receivedBytes: 500, reconnects: 0, isAsking: false },
    { type: "mon", state: "open", received: 1, receivedBytes: 0, reconnects: 0, isAsking: true },
  ]);
});

test("the service counts how often a session came back, and leaves other messages alone", async () => {
  const network = new MemoryNetwork();
  await using server = new Messenger({ network });
  const texts: number[] = [];
  statsService(server);
  server.addDispatcherTail({ dispatch: ({ type }) => void texts.push(type) });
  await server.bind(ADDRESS);
  const line = new Interceptor(network);
  await using client = new Messenger({ network: line });
  const connection = client.connectTo(ADDRESS);
  for (let round = 1; round <= 3; round++) {
    connection.send(new Message(0x8000 + round));
    await eventually(() => texts.length === round);
    if (round < 3) line.cut();
  }
  const { connections } = await ask(client);
  assertEquals(connections.map(({ reconnects, received }) => [reconnects, received]), [[2, 4]]);
  assertEquals(texts, [0x8001, 0x8002, 0x8003]);
});

test("an answer that is no snapshot is refused", () => {
  const good = snapshot();
  assertEquals(StatsReply.codec.decode(StatsReply.message(good)), good);
  const bad = [null, 7, {}, { ...good, name: 1 }, { ...good, stats: { reconnects: "1" } }, {
    ...good,
    connections: {},
  }];
  for (const value of [...bad, { ...good, connections: [{ peer: "a" }] }]) {
    assertThrows(() => StatsReply.read(StatsReply.message(value as StatsSnapshot)), MessengerError);
  }
});

test("a picture has the rates since the last one, and none where the process was restarted", () => {
  const before = snapshot({ time: 1_000, received: 100 }), now = snapshot({ time: 3_000, received: 500 });
  assertEquals(topFrame(now, before)[1], "in   200 messages/s, 39.1 KiB/s; in all 500 messages, 97.7 KiB");
  assertEquals(rows(topFrame(now, before)), [
    ["PEER", "KIND", "STATE", "QUEUE", "IN/S", "BYTES/S", "IN", "BACK"],
    ["127.0.0.1:0/1", "client", "open", "3", "200", "39.1", "KiB", "500", "2"],
  ]);
  for (const first of [undefined, { ...before, since: 7 }]) {
    assertEquals(rows(topFrame(now, first))[1]?.slice(4, 6), ["–", "–"]);
  }
});

test("a picture says which connections a throttle holds", () => {
  assertEquals(rows(topFrame(snapshot({ isHeld: true }), undefined))[1]?.slice(1, 5), ["client", "open,", "held", "3"]);
});

test("a picture gives no orders to the terminal", () => {
  const lines = topFrame({ ...snapshot(), name: "\x1b[2J\nosd.1" }, undefined);
  assertEquals(lines[0]?.startsWith("?[2J?osd.1 at "), true);
});

function snapshot({ time = 1_000, received = 100, isHeld = false } = {}): StatsSnapshot {
  const connection = { peer: "127.0.0.1:0/1", type: "client", state: "open", isHeld, queued: 3, received } as const;
  return {
    ...{ name: "osd.1", address: `${ADDRESS}/1`, time, since: 0 },
    stats: { ...new Messenger().stats(), msgr_recv_messages: received, msgr_recv_bytes: 200 * received },
    connections: [{ ...connection, receivedBytes: 200 * received, reconnects: 2, isAsking: false }],
  };
}

function rows(lines: readonly string[]): string[][] {
  return lines.slice(lines.indexOf("") + 1).map((line) => line.split(/\s+/));
}
