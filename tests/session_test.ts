/**
 * Sessions between two messengers: order, faults, replay, throttles, orderly ends.
 */

import { assert, assertEquals, assertFalse, assertRejects, assertThrows } from "@std/assert";
import { test } from "node:test";
import {
  type Connection,
  EntityAddress,
  jsonCodec,
  losslessPeer,
  lossyClient,
  Message,
  MessageType,
  Messenger,
  MessengerError,
  type MessengerOptions,
  statelessServer,
  systemEnvironment,
  Throttle,
} from "../mod.ts";
import type { Network, Socket } from "../src/net/network.ts";
import { eventually } from "./support/eventually.ts";
import { networks } from "./support/networks.ts";
import { PING, Recorder } from "./support/recorder.ts";

/** A network whose sockets can be broken by the test. */
function breakable(network: Network): Network & { cut(): void; readonly dialled: Socket[] } {
  const dialled: Socket[] = [];
  return {
    name: network.name,
    flush: network.flush,
    dialled,
    listen: (address, options) => network.listen(address, options),
    async connect(address, options) {
      const socket = await network.connect(address, options);
      dialled.push(socket);
      return socket;
    },
    cut: () => dialled.at(-1)?.abort(new Error("cut by the test")),
  };
}

async function pair(network: Network, options: MessengerOptions = {}) {
  const server = new Messenger({ network, name: "osd.0", ...options });
  const client = new Messenger({ network, backoff: () => 0, ...options });
  const onServer = new Recorder(), onClient = new Recorder();
  server.addDispatcherTail(onServer);
  client.addDispatcherTail(onClient);
  await server.bind("127.0.0.1:0");
  const connection = client.connectTo(server.address, { type: "osd" });
  return {
    server,
    client,
    onServer,
    onClient,
    connection,
    async [Symbol.asyncDispose]() {
      await client.shutdown();
      await server.shutdown();
      for (const messenger of [client, server]) {
        const { dispatch_queue_len, dispatch_throttle_bytes, msgr_active_connections } = messenger.stats();
        assertEquals([dispatch_queue_len, dispatch_throttle_bytes, msgr_active_connections], [0, 0, 0]);
      }
    },
  };
}

const numbered = (tid: number) => new Message(1000, { tid, data: new Uint8Array(tid % 300).fill(tid) });

for (const { name, open } of networks) {
  test(`messages arrive once and in order across cuts at any moment (${name})`, async () => {
    const network = breakable(await open());
    await using both = await pair(network);
    const { connection, onServer, client, server } = both;
    const count = 3000, every = 100;
    for (let tid = 1; tid <= count; tid++) {
      connection.send(numbered(tid));
      if (tid % every !== 0) continue;
      // Somewhere in the middle of what is on its way, and sometimes in the middle of a handshake.
      await onServer.until(() => onServer.messages.length >= tid - tid / every);
      network.cut();
    }
    await eventually(() => onServer.messages.length >= count && connection.queued === 0);
    assertEquals(onServer.messages.map(({ tid }) => tid), Array.from({ length: count }, (_, i) => i + 1));
    assert(onServer.messages.every(({ tid, data }) => data.length === tid % 300 && data.every((b) => b === tid % 256)));
    assert(network.dialled.length > 5, "connections were cut");
    assertEquals(client.stats().dropped_messages + server.stats().dropped_messages, 0);
    assertEquals(both.onClient.count("remote_reset") + onServer.count("remote_reset"), 0);
    assertEquals(both.onClient.count("reset") + onServer.count("reset"), 0);
  });

  test(`a client that listens nowhere comes back for what the server has to say, with nothing to say itself (${name})`, async () => {
    const network = breakable(await open());
    await using both = await pair(network);
    await roundTripTo(both.connection, both.onServer);
    const accepted = both.onServer.messages[0]!.connection;
    for (let cuts = 0; cuts < 3; cuts++) {
      await eventually(() => both.connection.queued === 0 && accepted.isConnected);
      network.cut();
      for (let tid = cuts * 20 + 1; tid <= cuts * 20 + 20; tid++) assert(accepted.send(numbered(tid)));
      await both.onClient.until(() => both.onClient.messages.length === cuts * 20 + 20);
    }
    assertEquals(both.onClient.messages.map(({ tid }) => tid), Array.from({ length: 60 }, (_, i) => i + 1));
  });

  test(`two peers that dial each other at once share one session (${name})`, async () => {
    const network = await open();
    for (let round = 0; round < 20; round++) {
      const a = new Messenger({ network }), b = new Messenger({ network });
      const onA = new Recorder(), onB = new Recorder();
      a.addDispatcherTail(onA);
      b.addDispatcherTail(onB);
      await a.bind("127.0.0.1:0");
      await b.bind("127.0.0.1:0");
      // Every other round without nonces, as people write addresses.
      const [toA, toB] = round % 2 === 0 ? [a.address, b.address] : [a.address.endpoint, b.address.endpoint];
      for (let i = 1; i <= 10; i++) {
        a.connectTo(toB).send(numbered(i));
        b.connectTo(toA).send(numbered(i));
      }
      await onA.until(() => onA.messages.length >= 10);
      await onB.until(() => onB.messages.length >= 10);
      const ten = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
      assertEquals([onA.messages.map((m) => m.tid), onB.messages.map((m) => m.tid)], [ten, ten]);
      assertEquals([a.connections.length, b.connections.length], [1, 1]);
      assertEquals([onA.count("reset"), onB.count("reset")], [0, 0]);
      assertEquals([onA.count("remote_reset"), onB.count("remote_reset")], [0, 0]);
      await a.shutdown();
      await b.shutdown();
    }
  });

  test(`a peer that restarts under its address is noticed, and what it missed is counted (${name})`, async () => {
    const network = await open();
    const { client, onClient, connection, server, onServer } = await pair(network);
    await roundTripTo(connection, onServer);
    const where = server.address;
    await eventually(() => connection.queued === 0);
    await server.shutdown();
    for (let tid = 1; tid <= 5; tid++) connection.send(numbered(tid));
    const again = new Messenger({ network, name: "osd.0", nonce: where.nonce });
    const onAgain = new Recorder();
    again.addDispatcherTail(onAgain);
    await again.bind(EntityAddress.from(where.host, where.port));
    await onClient.until(() => onClient.count("remote_reset") === 1);
    assertEquals(onClient.resets[0]!.dropped, 5);
    connection.send(numbered(6));
    await onAgain.until(() => onAgain.messages.length === 1);
    assertEquals(onAgain.messages[0]!.tid, 6);
    await client.shutdown();
    await again.shutdown();
  });

  test(`a lossy connection ends with its socket, says what was dropped, and sends nothing twice (${name})`, async () => {
    const network = breakable(await open());
    await using both = await pair(network);
    both.server.setPolicy(statelessServer());
    both.client.setPolicy(lossyClient());
    const connection = both.client.connectTo(both.server.address.withNonce(both.server.address.nonce), { type: "osd" });
    connection.markDown();
    const lossy = both.client.connectTo(both.server.address, { type: "osd" });
    await roundTripTo(lossy, both.onServer);
    lossy.send(numbered(1));
    lossy.send(numbered(2));
    network.cut();
    await both.onClient.until(() => both.onClient.count("reset") === 1);
    assertFalse(lossy.send(numbered(3)));
    assert(lossy.isClosed);
    await both.onServer.until(() => both.onServer.count("reset") === 1);
    assertEquals(both.client.stats().replayed_messages, 0);
  });

  test(`close() sends and waits for all that is queued, and the peer hears of the end (${name})`, async () => {
    await using both = await pair(await open());
    for (let tid = 1; tid <= 500; tid++) both.connection.send(numbered(tid));
    await both.connection.close();
    assertEquals(both.onServer.messages.length, 500);
    assert(both.connection.isClosed);
    await both.onServer.until(() => both.onServer.count("reset") === 1);
    assertEquals(both.onServer.resets[0]!.dropped, 0);
    assertEquals(both.onClient.count("reset"), 0);
  });

  test(`higher priorities overtake what waits, and keep their order (${name})`, async () => {
    await using both = await pair(await open());
    const priorities = [127, 10, 196, 64, 127, 255, 196, 10];
    priorities.forEach((priority, tid) => both.connection.send(new Message(1000, { tid, priority })));
    await both.onServer.until(() => both.onServer.messages.length === priorities.length);
    assertEquals(both.onServer.messages.map(({ tid }) => tid), [5, 2, 6, 0, 4, 3, 1, 7]);
  });

  test(`a dispatcher that never settles stops only its own connection's sender (${name})`, async () => {
    const network = await open();
    const limit = 64 * 1024;
    await using server = new Messenger({ network, name: "osd.0" });
    const never: Connection[] = [];
    const onServer = new Recorder();
    server.addDispatcherTail({
      dispatch(message) {
        if (message.type !== 666) return false;
        never.push(message.connection);
        return new Promise<void>(() => {});
      },
    });
    server.addDispatcherTail(onServer);
    server.setPolicy({ ...losslessPeer(), throttlerBytes: new Throttle(limit) }, "mds");
    await server.bind("127.0.0.1:0");
    await using stuck = new Messenger({ network, name: "mds.0", sendHighWaterMark: 1 << 20 });
    await using free = new Messenger({ network });
    const blocked = stuck.connectTo(server.address, { type: "osd" });
    const data = new Uint8Array(16 * 1024);
    const isHeld = () => server.connections.some((connection) => connection.describe().isHeld);
    const isFull = () => blocked.describe().queuedBytes >= 1 << 20;
    let sent = 0;
    for (; !isHeld() || !isFull(); sent++) {
      if (isFull()) await eventually(() => isHeld() || !isFull());
      else blocked.send(new Message(666, { data }));
    }
    assert(sent < 2000, "the sender was stopped");
    assertEquals(never.length, 1);
    assert(server.stats().dispatch_throttle_bytes <= limit, `${server.stats().dispatch_throttle_bytes} bytes are held`);

    const other = free.connectTo(server.address, { type: "osd" });
    for (let tid = 1; tid <= 1000; tid++) other.send(numbered(tid));
    await onServer.until(() => onServer.messages.length === 1000);
  });

  test(`a message is limited on the sender's side as on the receiver's (${name})`, async () => {
    await using both = await pair(await open(), { maxDataBytes: 1000 });
    const error = assertThrows(
      () => both.connection.send(new Message(1000, { data: new Uint8Array(1001) })),
      MessengerError,
    );
    assertEquals([error.code, error.message], ["invalid", "Bad message data: got 1001 bytes, expected at most 1000"]);
  });

  test(`contents that do not fit their type end that connection (${name})`, async () => {
    await using both = await pair(await open());
    const Typed = new MessageType(1001, jsonCodec<{ n: number }>());
    const bodies: unknown[] = [];
    both.server.on(Typed, (body) => void bodies.push(body));
    both.onServer.dispatch = () => false;
    both.connection.send(Typed.message({ n: 1 }));
    both.connection.send(new Message(1001, { front: Uint8Array.of(0xff, 0xfe) }));
    await both.onServer.until(() => both.onServer.count("reset") === 1);
    assertEquals(bodies, [{ n: 1 }]);
    assertEquals(both.onServer.resets[0]!.error?.code, "bad_message");
  });

  test(`the same message goes to many peers, and a received one is sent on (${name})`, async () => {
    const network = await open();
    await using hub = new Messenger({ network });
    const peers = [new Messenger({ network }), new Messenger({ network }), new Messenger({ network })];
    const recorders = peers.map((peer) => {
      const recorder = new Recorder();
      peer.addDispatcherTail(recorder);
      return recorder;
    });
    const message = new Message(1000, { data: Uint8Array.of(1, 2, 3), tid: 9 });
    for (const peer of peers) hub.connectTo(await peer.bind("127.0.0.1:0")).send(message);
    for (const recorder of recorders) {
      await recorder.until(() => recorder.messages.length === 1);
      assertEquals([recorder.messages[0]!.tid, recorder.messages[0]!.data], [9, Uint8Array.of(1, 2, 3)]);
    }
    recorders[0]!.messages[0]!.connection.send(recorders[0]!.messages[0]!);
    peers[0]!.connectTo(peers[1]!.address).send(recorders[0]!.messages[0]!);
    await recorders[1]!.until(() => recorders[1]!.messages.length === 2);
    assertEquals(recorders[1]!.messages[1]!.data, Uint8Array.of(1, 2, 3));
    for (const peer of peers) await peer.shutdown();
  });

  test(`refused connections are told and tried again until somebody listens (${name})`, async () => {
    const network = await open();
    const free = await network.listen({ transport: "tcp", hostname: "127.0.0.1", port: 0 });
    const { port } = free.address as { port: number };
    await free.close();
    await using client = new Messenger({ network, backoff: () => 5 });
    const onClient = new Recorder();
    client.addDispatcherTail(onClient);
    const connection = client.connectTo(`127.0.0.1:${port}`);
    connection.send(numbered(1));
    await onClient.until(() => onClient.count("refused") >= 2);
    await using server = new Messenger({ network });
    const onServer = new Recorder();
    server.addDispatcherTail(onServer);
    await server.bind(`127.0.0.1:${port}`);
    await onServer.until(() => onServer.messages.length === 1);
  });

  test(`a bind that a shutdown or another bind overtakes leaves no listener (${name})`, async () => {
    const network = await open();
    const messenger = new Messenger({ network });
    messenger.addDispatcherTail(new Recorder());
    const [first, second] = await Promise.allSettled([messenger.bind("127.0.0.1:0"), messenger.bind("127.0.0.1:0")]);
    assertEquals([first.status, second.status], ["fulfilled", "rejected"]);
    const { port } = messenger.address;
    await messenger.shutdown();
    const late = new Messenger({ network });
    const binding = assertRejects(() => late.bind(`127.0.0.1:${port}`), MessengerError, "shut down");
    await late.shutdown();
    await binding;
    await using free = new Messenger({ network });
    assertEquals((await free.bind(`127.0.0.1:${port}`)).port, port);
  });

  test(`a keepalive ends the pause before the next attempt once, and no more than that (${name})`, async () => {
    const network = await open();
    const free = await network.listen({ transport: "tcp", hostname: "127.0.0.1", port: 0 });
    const { port } = free.address as { port: number };
    await free.close();
    // Time stands still: no pause ever ends by itself.
    const environment = { ...systemEnvironment, setTimer: () => undefined };
    await using client = new Messenger({ network, environment });
    const onClient = new Recorder();
    client.addDispatcherTail(onClient);
    const connection = client.connectTo(`127.0.0.1:${port}`);
    connection.send(numbered(1));
    // The first attempt and the first after a fault are made at once.
    for (let attempts = 2; attempts < 5; attempts++) {
      await onClient.until(() => onClient.count("refused") === attempts - 1);
      connection.sendKeepalive();
    }
    await onClient.until(() => onClient.count("refused") === 4);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => systemEnvironment.nextTurn(() => resolve(0)));
    assertEquals(client.stats().connect_attempts, 4);
  });

  test(`options that fail when they are called stop nothing (${name})`, async () => {
    const printed: unknown[] = [];
    const { error } = console;
    console.error = (...args: unknown[]) => void printed.push(args[0]);
    try {
      const broken = () => {
        throw new Error("a bug in the program");
      };
      await using both = await pair(await open(), { log: broken, onDispatchError: broken, backoff: () => NaN });
      both.server.addDispatcherHead({ dispatch: (message) => message.tid === 1 ? broken() : false });
      both.server.addDispatcherHead({ dispatch: (message) => message.tid === 2 ? Promise.reject(new Error()) : false });
      for (const tid of [1, 2, 3]) both.connection.send(numbered(tid));
      await both.onServer.until(() => both.onServer.messages.length === 1);
      assertEquals(both.onServer.messages[0]!.tid, 3);
    } finally {
      console.error = error;
    }
    assertEquals(
      new Set(printed),
      new Set(["The option log failed:", "A dispatcher failed:", "And the option onDispatchError failed:"]),
    );
  });

  test(`a peer that does not come back and cannot be dialled is given up, and told (${name})`, async () => {
    const network = breakable(await open());
    await using both = await pair(network, { absenceTimeout: 30 });
    await roundTripTo(both.connection, both.onServer);
    const accepted = both.onServer.messages[0]!.connection;
    await eventually(() => both.connection.queued === 0);
    both.connection.markDown();
    accepted.send(numbered(1));
    await both.onServer.until(() => both.onServer.count("reset") === 1);
    assertEquals([both.onServer.resets[0]!.dropped, both.onServer.resets[0]!.error?.code], [1, "timed_out"]);
    assert(accepted.isClosed);
    await eventually(() => both.server.stats().msgr_active_connections === 0);
  });

  test(`bind() and connectTo() say what is wrong with their arguments (${name})`, async () => {
    const network = await open();
    await using messenger = new Messenger({ network });
    const { port } = await messenger.bind("127.0.0.1:0");
    await using other = new Messenger({ network });
    assertEquals((await assertRejects(() => other.bind(`127.0.0.1:${port}`), MessengerError)).code, "address_in_use");
    assertEquals((await assertRejects(() => messenger.bind("127.0.0.1:0"), MessengerError)).code, "invalid");
    assertThrows(() => other.connectTo("127.0.0.1:0"), MessengerError, "nobody can listen there");
    assertThrows(() => other.connectTo("0.0.0.0:1"), MessengerError, "nobody can listen there");
    assertThrows(() => other.connectTo("example.com:1"), MessengerError, "an IPv4 or IPv6 address");
    other.setPolicy(statelessServer(), "osd");
    assertThrows(() => other.connectTo(`127.0.0.1:${port}`, { type: "osd" }), MessengerError, "never dials");
    await other.shutdown();
    assertThrows(() => other.connectTo(`127.0.0.1:${port}`), MessengerError, "shut down");
    await assertRejects(() => other.bind("127.0.0.1:0"), MessengerError, "shut down");
  });
}

/** Sends one message and waits until the other side has it. */
async function roundTripTo(connection: Connection, recorder: Recorder): Promise<void> {
  const before = recorder.messages.length;
  connection.send(new Message(PING));
  await recorder.until(() => recorder.messages.length > before);
}
