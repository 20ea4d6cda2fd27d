/**
 * More mistakes of Ceph's messengers: those about the lives of connections, listeners and budgets. See ceph_history_test.ts.
 */

import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { test } from "node:test";
import {
  EntityAddress,
  losslessClient,
  losslessPeer,
  losslessPeerReuse,
  lossyClient,
  Message,
  Messenger,
  MESSENGER_FEATURES,
  NetworkError,
  statefulServer,
  statelessServer,
  Throttle,
} from "../mod.ts";
import { MemoryNetwork } from "../src/net/memory.ts";
import type { Listener, Network, Socket } from "../src/net/network.ts";
import type { End } from "../src/testing.ts";
import { decodeConnect, decodeConnectReply } from "../src/wire/connect.ts";
import { Feature, Tag } from "../src/wire/constants.ts";
import { numbered, range } from "./support/duo.ts";
import { eventually } from "./support/eventually.ts";
import { addressBytes, banner, connectBytes, messageBytes, RawPeer, replyBytes } from "./support/raw_peer.ts";
import { Recorder } from "./support/recorder.ts";
import { VirtualPair } from "./support/virtual_pair.ts";

const HERE = { transport: "tcp", hostname: "127.0.0.1", port: 7001 } as const;

test("a stream that ends is a fault, once: reading on would turn round and round", async () => {
  const network = new MemoryNetwork(), faults: string[] = [];
  await using server = new Messenger({
    network,
    log: ({ type, error }) => type === "fault" && faults.push(error!.code),
  });
  const recorder = new Recorder();
  server.addDispatcherTail(recorder);
  server.setPolicy(statefulServer());
  await server.bind("127.0.0.1:7001");
  const peer = await RawPeer.dial(network, HERE);
  await peer.open();
  await peer.write(messageBytes(Uint8Array.of(1)));
  await recorder.until(() => recorder.messages.length === 1);
  await peer.end();
  await peer.readToEnd();
  assertEquals([faults, recorder.messages[0]!.connection.state], [["connection_lost"], "standby"]);
});

test("a lossy connection that breaks takes what it brought and nobody was given with it, and no budget", () => {
  const handled = Promise.withResolvers<void>(), throttlerMessages = new Throttle(100);
  return VirtualPair.play(
    { a: { policy: lossyClient() }, b: { policy: statelessServer({ throttlerMessages }) } },
    async (pair) => {
      const { a, b } = pair;
      b.messenger.addDispatcherHead({ dispatch: () => handled.promise.then(() => false) });
      const connection = pair.dial();
      for (let tid = 1; tid <= 10; tid++) connection.send(numbered(tid));
      await pair.until(() => throttlerMessages.current === 10);
      pair.network.cut(a.host, b.host);
      await pair.until(() => b.told.count("reset") === 1);
      // The one that is being handled keeps its share until that is done.
      assertEquals([throttlerMessages.current, b.messenger.stats().dispatch_queue_len], [1, 0]);
      handled.resolve();
      await pair.pass(100);
      assertEquals([b.tids, throttlerMessages.current, b.messenger.stats().dispatch_throttle_bytes], [[1], 0, 0]);
    },
  );
});

test("messages that a program keeps when it has handled them hold nothing of a throttle", () => {
  const throttlerMessages = new Throttle(3), throttlerBytes = new Throttle(5000);
  const policy = losslessPeerReuse({ throttlerMessages, throttlerBytes });
  return VirtualPair.play({ b: { policy } }, async (pair) => {
    const connection = pair.dial();
    for (let tid = 1; tid <= 100; tid++) connection.send(new Message(1, { tid, data: new Uint8Array(1000) }));
    await pair.until(() => pair.b.told.messages.length === 100);
    assertEquals([throttlerMessages.current, throttlerBytes.current], [0, 0]);
    assert(pair.b.told.messages.every(({ data }) => data.length === 1000));
  });
});

test("acks go to peers of lossless sessions only: on a lossy one nobody waits for them", async () => {
  for (const [policy, expected] of [[statefulServer(), 1], [statelessServer(), 0]] as const) {
    let acks = 0;
    const tap = (_: unknown, from: End, bytes: Uint8Array): void => {
      if (from === "acceptor" && bytes[0] === Tag.ACK) acks++;
    };
    await VirtualPair.play({ a: { bound: false }, b: { policy }, network: { tap } }, async (pair) => {
      pair.dial().send(numbered(1));
      await pair.pass(1000);
      assertEquals([pair.b.tids, acks], [[1], expected]);
    });
  }
});

test("only a peer that can read a challenge is said to be one that may be challenged", async () => {
  for (const features of [MESSENGER_FEATURES & ~Feature.CEPHX_V2, MESSENGER_FEATURES | Feature.CEPHX_V2]) {
    const network = new MemoryNetwork(), asked: boolean[] = [];
    await using server = new Messenger({ network });
    server.addDispatcherTail({
      verifyAuthorizer: ({ canChallenge }) => {
        asked.push(canChallenge);
        return { valid: true };
      },
    });
    await server.bind("127.0.0.1:7001");
    const peer = await RawPeer.dial(network, HERE);
    await peer.open({ features });
    assertEquals(asked, [(features & Feature.CEPHX_V2) !== 0n]);
    peer.socket.abort();
  }
});

test("rebind() ends every session and lets nobody in at the old address; peers see another entity", () =>
  VirtualPair.play({ a: { policy: losslessClient(), bound: false }, b: { policy: statefulServer() } }, async (pair) => {
    const { a, b } = pair, connection = pair.dial();
    connection.send(numbered(1));
    await pair.until(() => connection.queued === 0);
    const { back } = pair, before = b.messenger.address;
    // One that is about to be let in when the listener goes.
    const late = new RawPeer(
      await pair.finish(pair.network.host("10.0.0.3").connect({ ...HERE, hostname: b.host, port: 6800 })),
    );
    const after = await pair.finish(b.messenger.rebind());
    assertNotEquals([after.endpoint, after.nonce], [before.endpoint, before.nonce]);
    assert(back.isClosed && after.port !== before.port && after.nonce !== before.nonce);
    assertEquals(b.told.count("reset"), 1);
    await pair.finish(late.readToEnd());
    late.socket.abort();
    await pair.pass(1000);
    assertEquals([connection.isConnected, b.messenger.connections.length], [false, 0]);
    assert(a.told.count("refused") > 0);
    connection.markDown();
    pair.dial().send(numbered(2));
    await pair.until(() => b.tids.length === 2);
  }));

test("who comes while a messenger shuts down is turned away, and nothing of it stays", async () => {
  const network = new MemoryNetwork();
  const server = new Messenger({ network });
  server.addDispatcherTail(new Recorder());
  await server.bind("127.0.0.1:7001");
  const early = await RawPeer.dial(network, HERE), half = await RawPeer.dial(network, HERE);
  await half.introduce();
  const late = RawPeer.dial(network, HERE), gone = server.shutdown();
  const peers = [early, half, await late.catch(() => undefined)];
  await gone;
  for (const peer of peers) await peer?.readToEnd();
  for (const peer of peers) peer?.socket.abort();
  await eventually(() => network.openSockets === 0);
  assertEquals([network.openListeners, server.stats().msgr_active_connections], [0, 0]);
});

test("a listener that fails is told of, and listened to again after a pause", async () => {
  const inner = new MemoryNetwork(), log: (string | undefined)[] = [];
  let failures = 3;
  const network: Network = {
    name: "failing",
    flush: inner.flush,
    connect: (address, options) => inner.connect(address, options),
    listen: async (address, options): Promise<Listener> => {
      const listener = await inner.listen(address, options);
      return {
        address: listener.address,
        close: () => listener.close(),
        [Symbol.asyncDispose]: () => listener.close(),
        async *[Symbol.asyncIterator](): AsyncGenerator<Socket> {
          if (failures-- > 0) throw new NetworkError("network", "too many open files");
          for await (const socket of listener) yield socket;
        },
      };
    },
  };
  await using server = new Messenger({
    network,
    log: ({ type, error }) => type === "listen_error" && log.push(error?.message),
  });
  const recorder = new Recorder();
  server.addDispatcherTail(recorder);
  await using client = new Messenger({ network: inner });
  client.addDispatcherTail({});
  client.connectTo(await server.bind("127.0.0.1:7001")).send(numbered(1));
  await recorder.until(() => recorder.messages.length === 1);
  assertEquals(log, Array(3).fill("too many open files"));
});

test("the winner of a race keeps dialling though a reset has left it nothing to send: the loser waits for it", async () => {
  const network = new MemoryNetwork(), there = EntityAddress.parse("127.0.0.1:7001/9");
  const listener = await network.listen(HERE), sockets = listener[Symbol.asyncIterator]();
  const winner = new Messenger({ network, nonce: 1, backoff: () => 0 });
  winner.addDispatcherTail(new Recorder());
  await winner.bind("127.0.0.1:7002");
  const accept = async (): Promise<RawPeer> => {
    const peer = new RawPeer((await sockets.next()).value!);
    await peer.write(banner(), addressBytes(there), addressBytes(EntityAddress.parse("127.0.0.1:4000/0")));
    await peer.read(9 + 136);
    return peer;
  };
  const connection = winner.connectTo(there);
  connection.send(numbered(1));
  const first = await accept();
  await first.read(33);
  await first.write(replyBytes({ connectSeq: 1 }));
  await first.read(1);
  first.socket.abort();
  // The peer has restarted: there is nothing left to send, and the attempt goes on.
  const second = await accept();
  assertEquals(decodeConnect(await second.read(33), 0).connectSeq, 2);
  await second.write(replyBytes({ tag: Tag.RESETSESSION }));
  assertEquals(decodeConnect(await second.read(33), 0).connectSeq, 0);
  assertEquals(connection.queued, 0);
  // It dials at the same time, and is told to wait.
  const loser = await RawPeer.dial(network, { ...HERE, port: 7002 });
  await loser.introduce(there);
  await loser.write(connectBytes());
  assertEquals(decodeConnectReply(await loser.read(26), 0).tag, Tag.WAIT);
  second.socket.abort();
  const third = await accept();
  await third.read(33);
  await third.write(replyBytes({ connectSeq: 1 }));
  await eventually(() => connection.isConnected);
  loser.socket.abort();
  await winner.shutdown();
  third.socket.abort();
  await listener.close();
  await eventually(() => network.openSockets === 0);
});

test("a peer that begins anew and sends as much as before is acknowledged", () =>
  VirtualPair.play({ a: { policy: losslessPeer() }, b: { policy: losslessPeer() } }, async (pair) => {
    let connection = pair.dial();
    for (let round = 0; round < 3; round++) {
      for (let tid = 1; tid <= 5; tid++) connection.send(numbered(round * 5 + tid));
      await pair.until(() => pair.b.tids.length === round * 5 + 5);
      await pair.pass(100);
      assertEquals(connection.queued, 0);
      connection.markDown();
      connection = pair.dial();
    }
    assertEquals(pair.b.tids, range(1, 15));
  }));
