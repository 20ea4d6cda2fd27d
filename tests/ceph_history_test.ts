/**
 * Mistakes that were made, found and repaired in Ceph's messengers over the years. Each has a test here if no other test would fail on it.
 */

import { assert, assertEquals, assertFalse } from "@std/assert";
import { test } from "node:test";
import {
  type Connection,
  type Dispatcher,
  EntityAddress,
  type Environment,
  losslessClient,
  losslessPeer,
  losslessPeerReuse,
  lossyClient,
  Message,
  Messenger,
  type Policy,
  statefulServer,
  statelessServer,
  systemEnvironment,
} from "../mod.ts";
import { MemoryNetwork } from "../src/net/memory.ts";
import { decodeConnect, decodeConnectReply } from "../src/wire/connect.ts";
import { Tag } from "../src/wire/constants.ts";
import { decodeAck } from "../src/wire/frame.ts";
import { Duo, numbered, range } from "./support/duo.ts";
import { eventually } from "./support/eventually.ts";
import { Step } from "./support/interceptor.ts";
import { networks } from "./support/networks.ts";
import { addressBytes, banner, connectBytes, messageBytes, RawPeer, replyBytes } from "./support/raw_peer.ts";
import { PING, Recorder, roundTrip } from "./support/recorder.ts";

const HERE = { transport: "tcp", hostname: "127.0.0.1", port: 7001 } as const;

for (const { name, open } of networks) {
  test(`acks go on after a reset: the sender's list of unacknowledged messages empties (${name})`, async () => {
    // The number acknowledged last kept its old, higher value, so nothing was acknowledged until the new session had caught up.
    await using duo = await Duo.open(await open(), { bound: true });
    const { a, b } = duo;
    const connection = a.to(b);
    for (let tid = 1; tid <= 100; tid++) connection.send(numbered(tid));
    await eventually(() => connection.queued === 0);
    b.connection.markDown();
    await eventually(() => connection.state === "standby");
    connection.send(numbered(101));
    await a.told.until(() => a.told.count("remote_reset") === 1);
    for (let tid = 102; tid <= 104; tid++) connection.send(numbered(tid));
    await eventually(() => connection.queued === 0);
    assertEquals(b.tids, [...range(1, 100), ...range(102, 104)]);
  });

  test(`what the peer has and could not acknowledge is not sent again, in either direction (${name})`, async () => {
    // Both sides had requeued before they heard what the other has, and did not look at it.
    await using duo = await Duo.open(await open());
    const { a, b } = duo;
    const connection = a.to(b);
    connection.send(numbered(1));
    await eventually(() => b.messenger.connections.length === 1 && connection.queued === 0);
    const acked = a.network.breakAt(1, { received: Step.afterReply.received + 9 });
    for (let tid = 2; tid <= 6; tid++) connection.send(numbered(tid));
    await b.has(6);
    await acked.reached;
    assertEquals(connection.queued, 5);
    await acked.cut();
    await eventually(() => connection.queued === 0);
    assertEquals(a.messenger.stats().replayed_messages, 0);

    // The same with the acks for what B sent.
    await eventually(() => b.connection.isConnected);
    const held = a.network.breakAt(2, { sent: Step.afterRequest.sent + 8 });
    for (let tid = 1; tid <= 5; tid++) b.connection.send(numbered(tid));
    await a.has(5);
    await held.cut();
    connection.send(numbered(7));
    await eventually(() => b.connection.queued === 0 && connection.queued === 0);
    assertEquals([a.tids, b.tids], [range(1, 5), range(1, 7)]);
    for (const { messenger } of [a, b]) {
      assertEquals([messenger.stats().replayed_messages, messenger.stats().duplicate_messages], [0, 0]);
    }
  });

  test(`a peer that marked the session down while we still had it begins anew, and so do we (${name})`, async () => {
    await using duo = await Duo.open(await open(), { bound: true });
    const { a, b } = duo;
    const connection = a.to(b);
    for (let tid = 1; tid <= 10; tid++) connection.send(numbered(tid));
    await b.has(10);
    for (let tid = 1; tid <= 3; tid++) b.connection.send(numbered(tid));
    await a.has(3);
    await eventually(() => b.connection.queued === 0);
    // B hears nothing of it: to B the old connection is still open.
    a.network.silent = true;
    connection.markDown();
    assert(b.connection.isConnected);
    b.connection.send(numbered(4));
    const again = a.to(b);
    assert(again !== connection);
    for (let tid = 11; tid <= 15; tid++) again.send(numbered(tid));
    await b.told.until(() => b.told.count("remote_reset") === 1);
    assertEquals(b.told.resets[0]!.dropped, 1);
    await b.has(15);
    for (let tid = 5; tid <= 6; tid++) b.connection.send(numbered(tid));
    await a.has(5);
    assertEquals([a.tids, b.tids], [[1, 2, 3, 5, 6], range(1, 15)]);
    await eventually(() => again.queued === 0 && b.connection.queued === 0);
    assertEquals(a.messenger.stats().duplicate_messages + b.messenger.stats().duplicate_messages, 0);
  });

  test(`the winner of a race that fails before it is through goes on dialling: the loser waits for it (${name})`, async () => {
    await using duo = await Duo.open(
      await open(),
      { nonce: 1, bound: true },
      { nonce: 2, bound: true },
    );
    const { a, b } = duo;
    const stop = a.network.breakAt(1, Step.request);
    a.to(b).sendKeepalive();
    await stop.reached;
    const loser = b.to(a);
    loser.send(numbered(1));
    await eventually(() => loser.state === "wait");
    await stop.cut();
    await a.has(1);
    assertEquals(a.tids, [1]);
    assertEquals([a.told.count("connect"), b.told.count("accept")], [1, 1]);
    assert(loser.isConnected);
  });

  test(`a connection that was made and never used does not keep its peer out (${name})`, async () => {
    // RETRY_SESSION with 1, RESETSESSION to that, and so on for ever.
    await using duo = await Duo.open(await open(), { bound: true });
    const { a, b } = duo;
    const unused = b.to(a);
    assertEquals(unused.state, "standby");
    a.to(b).send(numbered(1));
    await b.has(1);
    assertEquals(a.messenger.stats().connect_attempts, 1);
    assert(unused.isConnected, "it is the same session");
    unused.send(numbered(2));
    await a.has(1);
    assertEquals([a.told.count("remote_reset"), b.told.count("remote_reset")], [0, 0]);
  });

  test(`a peer that accept() was told to mark down is not kept, and may come back (${name})`, async () => {
    await using duo = await Duo.open(await open(), {}, { answers: true });
    const { a, b } = duo;
    const turnedAway: Connection[] = [];
    b.messenger.addDispatcherHead({
      handleFastAccept: (connection) => {
        if (turnedAway.length === 2) return;
        turnedAway.push(connection);
        connection.markDown();
      },
    });
    const connection = a.to(b);
    connection.send(numbered(1));
    await a.has(1);
    assertEquals(b.tids, [1]);
    assert(turnedAway.every(({ isClosed }) => isClosed));
    assertEquals(b.messenger.stats().msgr_active_connections, 1);
    assertFalse(turnedAway.includes(b.connection));
  });

  for (
    const where of ["dispatch", "fastDispatch", "handleConnect", "handleFastConnect", "handleRemoteReset"] as const
  ) {
    test(`markDown() in the connection's own ${where}() returns, and nothing of it follows (${name})`, async () => {
      // A side that listens may sleep, and hears of a reset only when it wakes.
      await using duo = await Duo.open(await open(), { bound: where === "handleRemoteReset" }, { answers: true });
      const { a, b } = duo;
      let calls = 0;
      const dead: unknown[] = [];
      const markDown = (connection: Connection): void => {
        calls++;
        connection.markDown();
        assertFalse(connection.isConnected);
        assertFalse(connection.send(numbered(9)), "the session takes no more");
      };
      const first = a.to(b);
      if (where === "handleRemoteReset") {
        await roundTrip(first, a.told);
        await eventually(() => first.queued === 0 && b.connection.queued === 0);
        b.connection.markDown();
        await eventually(() => first.state === "standby");
      }
      a.told.clear();
      const dispatcher: Dispatcher = {
        canFastDispatch: () => where === "fastDispatch",
        fastDispatch: ({ connection }) => calls === 0 ? markDown(connection) : void dead.push("message"),
        dispatch: ({ connection }) => {
          if (where === "dispatch" && calls === 0) markDown(connection);
          else if (connection.isClosed) dead.push("message");
        },
        ...(where === "dispatch" || where === "fastDispatch" ? {} : { [where]: markDown }),
        handleReset: () => void dead.push("reset"),
      };
      a.messenger.addDispatcherHead(dispatcher);
      for (let tid = 1; tid <= 20; tid++) first.send(numbered(tid));
      await eventually(() => calls === 1 && a.messenger.stats().msgr_active_connections === 0);
      assertEquals(calls, 1);
      // What had been received before may still come; a fast dispatch is the latest there is.
      if (where === "fastDispatch") assertEquals(dead, []);
      assertFalse(dead.includes("reset"), "nobody is told of what it did itself");
      const again = a.to(b);
      assert(again !== first);
      assertEquals(b.messenger.stats().dispatch_throttle_bytes, 0);
    });
  }

  test(`markDown() of another connection in handleReset() tells nobody twice (${name})`, async () => {
    const network = await open();
    await using client = new Messenger({ network });
    client.setPolicy(lossyClient());
    const told: Connection[] = [];
    const servers = [new Messenger({ network }), new Messenger({ network })];
    const recorders = servers.map((server) => {
      const recorder = new Recorder();
      server.addDispatcherTail(recorder);
      server.setPolicy(statelessServer());
      return recorder;
    });
    const connections: Connection[] = [];
    client.addDispatcherTail({
      handleReset: (connection) => {
        told.push(connection);
        connection.markDown();
        for (const other of connections) other.markDown();
      },
    });
    for (const server of servers) connections.push(client.connectTo(await server.bind("127.0.0.1:0")));
    for (const connection of connections) connection.send(new Message(PING));
    for (const recorder of recorders) await recorder.until(() => recorder.messages.length === 1);
    recorders[0]!.messages[0]!.connection.markDown();
    await eventually(() => client.stats().msgr_active_connections === 0);
    assertEquals(told.length, 1);
    assert(told[0] === connections[0]);
    for (const server of servers) await server.shutdown();
  });

  test(`a message larger than the dispatch throttle passes alone, and the others wait their turn (${name})`, async () => {
    await using duo = await Duo.open(await open(), {}, { dispatchThrottleBytes: 1000 });
    const { a, b } = duo;
    const held: number[] = [];
    const gate = Promise.withResolvers<void>();
    b.messenger.addDispatcherHead({
      dispatch: async ({ tid }) => {
        held.push(tid);
        await gate.promise;
        return false;
      },
    });
    const connection = a.to(b);
    for (let tid = 1; tid <= 3; tid++) connection.send(new Message(1000, { tid, data: new Uint8Array(5000) }));
    await eventually(() => held.length === 1 && connection.queued === 2);
    assertEquals(b.messenger.stats().dispatch_throttle_bytes, 5000);
    gate.resolve();
    await b.has(3);
    assertEquals(b.tids, [1, 2, 3]);
  });
}

/** A messenger that dials a server which is played by the test. */
async function dialler(policy: Policy) {
  const network = new MemoryNetwork();
  const listener = await network.listen(HERE);
  const sockets = listener[Symbol.asyncIterator]();
  const client = new Messenger({ network, backoff: () => 0 });
  client.setPolicy(policy);
  client.addDispatcherTail(new Recorder());
  return {
    client,
    connection: client.connectTo("127.0.0.1:7001/0"),
    /** The next connection and what it asks for. */
    async accept() {
      const peer = new RawPeer((await sockets.next()).value!);
      await peer.write(banner(), addressBytes(EntityAddress.parse("127.0.0.1:7001/0")));
      await peer.write(addressBytes(EntityAddress.parse("127.0.0.1:4000/0")));
      await peer.read(9 + 136);
      return { peer, request: decodeConnect(await peer.read(33), 0) };
    },
    async [Symbol.asyncDispose]() {
      await client.shutdown();
      await listener.close();
      assertEquals(network.openSockets, 0);
    },
  };
}

/** A messenger that is dialled by a client which is played by the test. */
async function listening(policy: Policy) {
  const network = new MemoryNetwork();
  const server = new Messenger({ network });
  const recorder = new Recorder();
  server.setPolicy(policy);
  server.addDispatcherTail(recorder);
  await server.bind("127.0.0.1:7001");
  return { network, server, recorder };
}

test("waking from standby asks for the session with the number it had", async () => {
  // With a higher one, a peer that had restarted took it for a session it should know.
  await using script = await dialler(losslessPeerReuse());
  await script.client.bind("127.0.0.1:7002");
  script.connection.sendKeepalive();
  const first = await script.accept();
  assertEquals(first.request.connectSeq, 0);
  await first.peer.write(replyBytes({ connectSeq: 1 }));
  await first.peer.read(9);
  first.peer.socket.abort();
  await eventually(() => script.connection.state === "standby");
  script.connection.send(new Message(PING));
  const second = await script.accept();
  assertEquals(second.request.connectSeq, 1);
  await second.peer.write(replyBytes({ tag: Tag.RETRY_SESSION, connectSeq: 2 }));
  assertEquals(decodeConnect(await second.peer.read(33), 0).connectSeq, 2);
});

test("only a fault of an open session counts it up: failed attempts do not", async () => {
  // Counted up by a handshake that broke, a first attempt looked like that of a session which the server had lost.
  await using script = await dialler(losslessClient());
  for (let tid = 1; tid <= 3; tid++) script.connection.send(numbered(tid));
  for (let attempt = 0; attempt < 3; attempt++) {
    const { peer, request } = await script.accept();
    assertEquals(request.connectSeq, 0);
    peer.socket.abort();
  }
  const open = await script.accept();
  await open.peer.write(replyBytes({ connectSeq: 1 }));
  assertEquals((await open.peer.read(1))[0], Tag.MSG);
  open.peer.socket.abort();
  let last = 0;
  for (let attempt = 0; attempt < 3; attempt++) {
    const { peer, request } = await script.accept();
    assertEquals(request.connectSeq, 2);
    assert(request.globalSeq > last, "every attempt has a number of its own");
    last = request.globalSeq;
    peer.socket.abort();
  }
  await script.accept();
});

test("numbers go on where the peer is when it has everything that was sent", async () => {
  // A session without anything left to replay began again at 1, and the peer dropped all that came as old.
  await using script = await dialler(losslessPeer());
  for (let tid = 1; tid <= 3; tid++) script.connection.send(new Message(PING, { tid }));
  const first = await script.accept();
  await first.peer.write(replyBytes());
  await first.peer.read(3 * 75);
  first.peer.socket.abort();
  const { peer } = await script.accept();
  await peer.write(replyBytes({ tag: Tag.SEQ, connectSeq: 3 }), Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0));
  await peer.read(8);
  script.connection.send(new Message(PING, { tid: 4 }));
  const next = await peer.read(75);
  assertEquals([next[1], next[9]], [4, 4]);
});

test("the accepting side's numbers go on where the peer is, too", async () => {
  const { network, server, recorder } = await listening(statefulServer());
  const first = await RawPeer.dial(network, HERE);
  await first.open();
  await first.write(messageBytes(Uint8Array.of(1)));
  await recorder.until(() => recorder.messages.length === 1);
  const { connection } = recorder.messages[0]!;
  for (let tid = 1; tid <= 3; tid++) connection.send(new Message(PING, { tid }));
  assertEquals((await first.read(9 + 3 * 75))[0], Tag.ACK);
  first.socket.abort();
  await eventually(() => !connection.isConnected);

  const second = await RawPeer.dial(network, HERE);
  await second.introduce();
  await second.write(connectBytes({ connectSeq: 2, globalSeq: 2 }));
  const reply = decodeConnectReply(await second.read(26), 0);
  assertEquals([reply.tag, reply.connectSeq], [Tag.SEQ, 3]);
  assertEquals(await second.read(8), Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0));
  await second.write(Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0));
  connection.send(new Message(PING, { tid: 4 }));
  const next = await second.read(75);
  assertEquals([next[1], next[9]], [4, 4]);
  await server.shutdown();
  await second.readToEnd();
});

for (const policy of [losslessPeer, losslessPeerReuse, losslessClient, statefulServer, lossyClient, statelessServer]) {
  test(`a peer that speaks of a session nobody knows is told so, whatever the policy: ${policy.name}`, async () => {
    const { network, server, recorder } = await listening(policy());
    const peer = await RawPeer.dial(network, HERE);
    await peer.introduce();
    await peer.write(connectBytes({ connectSeq: 5 }));
    assertEquals(decodeConnectReply(await peer.read(26), 0).tag, Tag.RESETSESSION);
    await peer.write(connectBytes({ connectSeq: 0 }));
    const reply = decodeConnectReply(await peer.read(26), 0);
    assertEquals([reply.tag, reply.connectSeq], [Tag.READY, 1]);
    await peer.write(messageBytes(Uint8Array.of(1)));
    await recorder.until(() => recorder.messages.length === 1);
    await server.shutdown();
    await peer.readToEnd();
  });
}

test("messages that arrive together are acknowledged together", async () => {
  const { network, server, recorder } = await listening(losslessPeer());
  const peer = await RawPeer.dial(network, HERE);
  await peer.open();
  for (const [first, last] of [[1, 10], [11, 17]] as const) {
    await peer.write(...range(first, last).map((seq) => messageBytes(Uint8Array.of(seq), { seq })));
    await recorder.until(() => recorder.messages.length === last);
    const ack = await peer.read(9);
    assertEquals([ack[0], decodeAck(ack, 1)], [Tag.ACK, last]);
  }
  await server.shutdown();
  await peer.readToEnd();
});

test("a keepalive that was answered says when it was sent, in this side's time", async () => {
  const network = new MemoryNetwork();
  let now = 1_700_000_000_123;
  await using server = new Messenger({ network });
  server.addDispatcherTail(new Recorder());
  await using client = new Messenger({ network, environment: { ...systemEnvironment, now: () => now } });
  const connection = client.connectTo(await server.bind("127.0.0.1:7001"));
  const sentAt = now;
  connection.sendKeepalive();
  await eventually(() => server.connections[0]?.lastKeepalive !== undefined && server.connections[0].lastKeepalive > 0);
  now += 60_000;
  await eventually(() => connection.lastKeepaliveAck > 0);
  assertEquals(connection.lastKeepaliveAck, sentAt);
});

test("attempts are made at once, and then after 0.2 s, 0.4 s and so on up to 15 s, begun anew by every session", async () => {
  const clock = new FakeClock();
  const network = new MemoryNetwork();
  const attempts: number[] = [];
  const client = new Messenger({
    network,
    environment: clock,
    log: ({ type }) => type === "connecting" && attempts.push(clock.now()),
  });
  client.setPolicy(losslessClient());
  const recorder = new Recorder();
  client.addDispatcherTail(recorder);
  const connection = client.connectTo("127.0.0.1:7001");
  connection.send(new Message(PING));
  const waits = (): number[] => attempts.map((at, i) => at - (attempts[i - 1] ?? at));
  for (let refused = 1; refused <= 10; refused++) {
    await recorder.until(() => recorder.count("refused") === refused);
    // A new message is no reason to try earlier: somebody who sends all the time would never let go.
    connection.send(new Message(PING));
    await eventually(() => clock.next !== undefined);
    clock.tick();
  }
  await eventually(() => attempts.length === 11);
  assertEquals(waits(), [0, 200, 400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000, 15_000]);

  const server = new Messenger({ network });
  server.addDispatcherTail(new Recorder());
  await server.bind("127.0.0.1:7001");
  await eventually(() => clock.next !== undefined);
  clock.tick();
  await recorder.until(() => recorder.count("connect") === 1);
  attempts.length = 0;
  await server.shutdown();
  await recorder.until(() => recorder.count("refused") === 12);
  await eventually(() => clock.next !== undefined);
  clock.tick();
  await eventually(() => attempts.length === 2);
  assertEquals(waits(), [0, 200]);
  await client.shutdown();
});

/** A clock that moves from one timer to the next when it is told to. */
class FakeClock implements Environment {
  #now = 1_000_000;
  readonly #timers = new Map<symbol, { readonly at: number; readonly callback: () => void }>();

  now(): number {
    return this.#now;
  }

  random(): number {
    return 0;
  }

  setTimer(callback: () => void, ms: number): unknown {
    const handle = Symbol();
    this.#timers.set(handle, { at: this.#now + ms, callback });
    return handle;
  }

  clearTimer(handle: unknown): void {
    this.#timers.delete(handle as symbol);
  }

  nextTurn(callback: () => void): void {
    systemEnvironment.nextTurn(callback);
  }

  /** When the next timer is due. */
  get next(): number | undefined {
    return this.#timers.size === 0 ? undefined : Math.min(...[...this.#timers.values()].map(({ at }) => at));
  }

  /** Lets the next timer fire. */
  tick(): void {
    const [handle, timer] = [...this.#timers].find(([, { at }]) => at === this.next)!;
    this.#timers.delete(handle);
    this.#now = timer.at;
    timer.callback();
  }
}
