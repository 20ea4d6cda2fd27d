// What becomes of a stream of data when something breaks in the middle of it; in virtual time, or against a peer that is played byte by byte.

import { assert, assertEquals, assertGreater, assertLess, assertRejects } from "@std/assert";
import { test } from "node:test";
import {
  type Connection,
  type HeldStatus,
  jsonCodec,
  losslessClient,
  losslessPeer,
  losslessPeerReuse,
  lossyClient,
  Message,
  MessageType,
  Messenger,
  MessengerError,
  type MessengerOptions,
  type Policy,
  RequestType,
  type SessionSecurity,
  statefulServer,
  statelessServer,
  streamCodec,
  textCodec,
} from "../mod.ts";
import { WINDOW } from "../src/incoming_data.ts";
import { MemoryNetwork, SeededRandom } from "../src/testing.ts";
import { Feature, MESSENGER_FEATURES, Tag } from "../src/wire/constants.ts";
import { anySize, pattern, readAll, Source } from "./support/byte_streams.ts";
import { eventually } from "./support/eventually.ts";
import { connectBytes, messageBytes, RawPeer } from "./support/raw_peer.ts";
import { VirtualPair } from "./support/virtual_pair.ts";

const FILE = 0x8001;
const STREAMED = { streamedTypes: [FILE] };

/** What arrived: the number of each message, and its data or what its stream failed with. */
function receive(messenger: Messenger): [tid: number, result: Uint8Array | string][] {
  const received: [number, Uint8Array | string][] = [];
  messenger.addDispatcherHead({
    dispatch: async ({ tid, dataStream }) => {
      received.push([tid, await readAll(dataStream).catch((error: MessengerError) => error.code)]);
    },
  });
  return received;
}

function streamed(tid: number, source: Source, dataLength: number): Message {
  return new Message(FILE, { tid, data: source.stream, dataLength });
}

const lossless: readonly (readonly [name: string, a: Policy, b: Policy])[] = [
  ["losslessPeerReuse", losslessPeerReuse(), losslessPeerReuse()],
  ["losslessPeer", losslessPeer(), losslessPeer()],
  ["losslessClient and statefulServer", losslessClient(), statefulServer()],
];

for (const [name, a, b] of lossless) {
  test(`connections that are cut anywhere lose no byte of a stream and repeat none (${name})`, async () => {
    let reconnects = 0;
    for (let seed = 1; seed <= 12; seed++) {
      const random = new SeededRandom(seed);
      // Each connection brings less than a message: a stream goes on over many of them.
      const faults = () =>
        random.chance(0.8)
          ? [{
            kind: "cut",
            to: random.chance(0.8) ? "acceptor" : "dialler",
            afterBytes: anySize(random, 600_000),
            notice: random.chance(0.5) ? "both" : "dialler",
          }] as const
          : [];
      await VirtualPair.play(
        { a: { policy: a }, b: { ...STREAMED, policy: b }, network: { seed, faults }, seed },
        async (pair) => {
          const received = receive(pair.b.messenger), connection = pair.dial(), sent: [number, Uint8Array][] = [];
          for (let tid = 1; tid <= 6; tid++) {
            const data = pattern(random.int(0, 400_000), tid);
            sent.push([tid, data]);
            const source = new Source(data, () => anySize(random, 100_000));
            connection.send(
              random.chance(0.3) ? new Message(FILE, { tid, data }) : streamed(tid, source, data.length),
            );
          }
          await pair.until(() => received.length === sent.length && connection.queued === 0);
          assert(
            sent.every(([tid, data], i) =>
              received[i]![0] === tid && received[i]![1].length === data.length &&
              data.every((byte, at) => byte === received[i]![1][at])
            ),
            `seed ${seed}: ${received.map(([tid, { length }]) => `${tid}: ${length}`)}`,
          );
          reconnects += pair.a.messenger.stats().reconnects;
          assertEquals(pair.b.messenger.stats().dispatch_throttle_bytes, 0);
        },
      );
    }
    assertGreater(reconnects, 12, "connections were cut in the middle of things");
  });
}

test("a stream that nobody reads stops its source one window behind, and its connection stays", () =>
  VirtualPair.play(
    { b: { ...STREAMED, readTimeout: 1000 }, network: { capacity: 65_536 } },
    async (pair) => {
      const length = 8 * WINDOW, source = new Source(new Uint8Array(length), 10_000);
      const opened: ReadableStream<Uint8Array>[] = [];
      pair.b.messenger.addDispatcherHead({ dispatch: ({ dataStream }) => void opened.push(dataStream) });
      const connection = pair.dial();
      connection.send(streamed(1, source, length));
      await pair.pass(60_000);
      assertGreater(source.taken, 0.9 * WINDOW);
      assertLess(source.taken, 1.3 * WINDOW);
      assertEquals(pair.b.messenger.stats().dispatch_throttle_bytes, WINDOW);
      assertEquals(pair.network.attempts, 1, "its own slowness is no silence of the peer's");
      const held = pair.b.log.find(({ type }) => type === "held") as HeldStatus;
      assertEquals([held.by, held.messages], ["stream", 1]);
      const read = readAll(opened[0]!);
      await pair.until(() => connection.queued === 0);
      assertEquals((await read).length, length);
      assertEquals(pair.b.messenger.stats().dispatch_throttle_bytes, 0);
    },
  ));

test("a lossy session that breaks ends the stream and the source with it", () =>
  VirtualPair.play(
    { a: { policy: lossyClient(), bound: false }, b: { ...STREAMED, policy: statelessServer() } },
    async (pair) => {
      const received = receive(pair.b.messenger), length = 10 * WINDOW;
      const source = new Source(new Uint8Array(length), 100_000, 3 * WINDOW);
      pair.dial().send(streamed(1, source, length));
      await pair.until(() => source.taken >= 3 * WINDOW);
      pair.network.connections[0]!.inflict({ kind: "cut", to: "acceptor", afterBytes: 0, notice: "both" });
      await pair.until(() => received.length === 1 && source.isCancelled);
      assertEquals(received, [[1, "session_reset"]]);
      assertEquals((source.reason as MessengerError).code, "session_reset");
    },
  ));

test("a peer that has lost the session ends the stream", () =>
  VirtualPair.play({ a: {}, b: STREAMED }, async (pair) => {
    const received = receive(pair.b.messenger), length = 10 * WINDOW;
    const source = new Source(new Uint8Array(length), 100_000, 3 * WINDOW);
    pair.dial().send(streamed(1, source, length));
    await pair.until(() => source.taken >= 3 * WINDOW);
    // Its next session has nothing of this one.
    pair.dial().markDown();
    assert(source.isCancelled);
    pair.dial().send(new Message(FILE, { tid: 2, data: pattern(10) }));
    await pair.until(() => received.length === 2);
    assertEquals(received, [[1, "session_reset"], [2, pattern(10)]]);
  }));

for (
  const [what, make, words] of [
    ["fails", () => failing(), "no such disk"],
    ["is too short", () => new Source(pattern(2_999_999)).stream, "ended after 2999999 of 3000000 bytes"],
    ["is too long", () => new Source(pattern(3_000_001)).stream, "longer than 3000000 bytes"],
    ["is empty", () => new Source(new Uint8Array(0)).stream, "ended after 0 of 3000000 bytes"],
    ["has no bytes", () => new Blob(["text"]).stream().pipeThrough(new TextDecoderStream()), "no bytes"],
  ] as const
) {
  test(`a source that ${what} gives its message up, and the session goes on`, () =>
    VirtualPair.play({ b: STREAMED }, async (pair) => {
      const received = receive(pair.b.messenger), connection = pair.dial();
      connection.send(new Message(FILE, { tid: 1, data: pattern(10) }));
      connection.send(
        new Message(FILE, { tid: 2, data: make() as ReadableStream<Uint8Array>, dataLength: 3_000_000 }),
      );
      const flushed = connection.flush().catch((error: MessengerError) => error.code);
      connection.send(new Message(FILE, { tid: 3, data: pattern(20) }));
      connection.send(streamed(4, new Source(pattern(3_000_000)), 3_000_000));
      await pair.until(() => received.some(([tid]) => tid === 4) && connection.queued === 0);
      assertEquals(await flushed, "aborted");
      const others = received.filter(([tid]) => tid !== 2);
      assertEquals(others.map(([tid, { length }]) => [tid, length]), [[1, 10], [3, 20], [4, 3_000_000]]);
      // The peer may have heard nothing of it; if it has, then not all.
      for (const [tid, result] of received) if (tid === 2) assertEquals(result, "aborted");
      assertEquals(pair.a.messenger.stats().dropped_messages, 1);
      const fault = pair.a.log.find(({ type, error }) => type === "fault" && error?.code === "aborted");
      assert(fault?.error?.message.includes(words), String(fault?.error));
    }));
}

test("a request whose data fail rejects with what became of them, and other requests go on", () =>
  VirtualPair.play({ b: STREAMED }, async (pair) => {
    const Store = new RequestType(
      new MessageType(FILE, streamCodec(textCodec)),
      new MessageType(FILE + 1, jsonCodec<number>()),
    );
    pair.b.messenger.addDispatcherHead({
      dispatch: async ({ dataStream, connection, tid }) => {
        connection.send(Store.reply.message((await readAll(dataStream)).length, { tid }));
      },
    });
    const connection = pair.dial(),
      ask = (head: string, stream: ReadableStream<Uint8Array>) =>
        connection.request(Store.message({ head, stream, length: 3_000_000 }));
    const broken = assertRejects(() => ask("broken", failing()), MessengerError);
    const whole = ask("whole", new Source(pattern(3_000_000)).stream);
    assertEquals((await pair.finish(broken)).code, "aborted");
    assertEquals(await pair.finish(whole), 3_000_000);
  }));

function failing(): ReadableStream<Uint8Array> {
  let chunks = 0;
  return new ReadableStream({
    pull: (controller) =>
      chunks++ < 20 ? controller.enqueue(pattern(100_000)) : controller.error(new Error("no such disk")),
  });
}

test("a receiver learns that a message was given up behind which nothing comes", () =>
  VirtualPair.play({ b: STREAMED }, async (pair) => {
    const received = receive(pair.b.messenger), connection = pair.dial();
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>(), writer = writable.getWriter();
    connection.send(new Message(FILE, { tid: 1, data: readable, dataLength: 1000 }));
    await pair.finish(writer.write(pattern(500)));
    await pair.until(() => pair.b.messenger.stats().msgr_recv_messages === 1);
    void writer.abort(new Error("no such disk"));
    await pair.until(() => received.length === 1);
    assertEquals(received, [[1, "aborted"]]);
    assertEquals([connection.isClosed, connection.queued], [false, 0]);
    connection.send(new Message(FILE, { tid: 2, data: pattern(10) }));
    await pair.until(() => received.length === 2);
    assertEquals(received[1], [2, pattern(10)]);
  }));

test("an orderly close waits for a source, on a lossy session too", async () => {
  for (const [a, b] of [[losslessPeerReuse(), losslessPeerReuse()], [lossyClient(), statelessServer()]] as const) {
    await VirtualPair.play({ a: { policy: a }, b: { ...STREAMED, policy: b } }, async (pair) => {
      const received = receive(pair.b.messenger), connection = pair.dial();
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>(), writer = writable.getWriter();
      connection.send(new Message(FILE, { tid: 1, data: readable, dataLength: 6 }));
      const closed = connection.close(), first = writer.write(pattern(3));
      await pair.pass(60_000);
      assert(!connection.isClosed);
      await first;
      void writer.write(pattern(3));
      void writer.close();
      await pair.finish(closed);
      assertEquals(received.map(([tid, { length }]) => [tid, length]), [[1, 6]]);
    });
  }
});

test("a shutdown in the middle of streams leaves nothing, on either side", () =>
  VirtualPair.play({ a: STREAMED, b: STREAMED }, async (pair) => {
    const connections: Connection[] = [pair.dial()], sources: Source[] = [];
    const results = [receive(pair.a.messenger), receive(pair.b.messenger)];
    connections[0]!.send(new Message(FILE));
    await pair.until(() => results[1]!.length === 1);
    connections.push(pair.back);
    for (const connection of connections) {
      sources.push(new Source(new Uint8Array(10 * WINDOW), 100_000, 3 * WINDOW), new Source(new Uint8Array(10)));
      connection.send(streamed(1, sources.at(-2)!, 10 * WINDOW));
      connection.send(streamed(2, sources.at(-1)!, 10));
    }
    await pair.until(() => sources[0]!.taken > WINDOW && sources[2]!.taken > WINDOW);
    await pair.finish(Promise.all([pair.a.messenger.shutdown(), pair.b.messenger.shutdown()]));
    for (const { isCancelled } of sources) assert(isCancelled);
    await pair.until(() => results[0]!.length === 1 && results[1]!.length === 2);
    for (const { messenger } of [pair.a, pair.b]) assertEquals(messenger.stats().dispatch_throttle_bytes, 0);
  }));

/** A server that a peer is played to, byte by byte. */
async function playTo(
  options: Pick<MessengerOptions, "maxStreamedDataBytes" | "dispatchThrottleBytes"> & { readonly policy?: Policy },
  scenario: (dial: () => Promise<RawPeer>, server: Messenger, received: ReturnType<typeof receive>) => Promise<void>,
): Promise<void> {
  const network = new MemoryNetwork(), { policy = statelessServer(), ...rest } = options, peers: RawPeer[] = [];
  await using server = new Messenger({ network, ...STREAMED, ...rest });
  server.setPolicy(policy);
  const received = receive(server);
  await server.bind("127.0.0.1:7001");
  await scenario(
    async () => {
      const peer = await RawPeer.dial(network, { transport: "tcp", hostname: "127.0.0.1", port: 7001 });
      peers.push(peer);
      return peer;
    },
    server,
    received,
  );
  for (const { socket } of peers) socket.abort();
}

for (
  const [what, footer] of [
    ["a crc of its data", { dataCrc: 1 }],
    ["a crc of its front", { frontCrc: 1 }],
    ["a crc of its middle", { middleCrc: 1 }],
  ] as const
) {
  test(`a message with ${what} that is wrong fails at its end, and is not acknowledged`, () =>
    playTo({ policy: statefulServer() }, async (dial, server, received) => {
      const peer = await dial();
      await peer.open();
      await peer.write(messageBytes(pattern(1000), { type: FILE, tid: 5 }, footer));
      await peer.readToEnd();
      await eventually(() => received.length === 1);
      assertEquals(received, [[5, "protocol"]]);
      assertEquals(server.stats().protocol_errors, 1);
      assertEquals(server.connections[0]!.describe().lastReceived, 0);
    }));
}

test("a message that its sender calls incomplete is given up, and the connection stays", () =>
  playTo({}, async (dial, server, received) => {
    const peer = await dial();
    await peer.open();
    await peer.write(messageBytes(pattern(1000), { type: FILE, tid: 5 }, { flags: 0 }));
    await peer.write(messageBytes(pattern(10), { type: FILE, tid: 6 }));
    await eventually(() => received.length === 2);
    assertEquals(received, [[5, "aborted"], [6, pattern(10)]]);
    assertEquals(server.stats().protocol_errors, 0);
  }));

test("a length past the limit is refused from the header, whatever other types may have", () =>
  playTo({ maxStreamedDataBytes: 1000 }, async (dial, server, received) => {
    const whole = messageBytes(pattern(1001), { type: FILE });
    const peer = await dial();
    await peer.open();
    await peer.write(whole.subarray(0, 54));
    await peer.readToEnd();
    assertEquals([received, server.stats().protocol_errors], [[], 1]);
    const other = await dial();
    await other.open();
    await other.write(messageBytes(pattern(1001), { type: 1 }));
    await eventually(() => received.length === 1);
    assertEquals(received[0]![1], pattern(1001));
  }));

test("a huge length costs no more than a window of the throttle, and is not allocated", () =>
  playTo({}, async (dial, server, received) => {
    const peer = await dial();
    await peer.open();
    await peer.write(messageBytes(new Uint8Array(0), { type: FILE, tid: 1, dataLength: 0xffffffff }).subarray(0, 54));
    await eventually(() => server.stats().dispatch_throttle_bytes > 0);
    assertEquals(server.stats().dispatch_throttle_bytes, WINDOW);
    peer.socket.abort();
    await eventually(() => received.length === 1);
    assertEquals([received[0], server.stats().dispatch_throttle_bytes], [[1, "session_reset"], 0]);
  }));

/** The beginning of a message, as far as so many bytes of its data. */
function beginning(message: Uint8Array, length: number): Uint8Array {
  return message.subarray(0, 54 + length);
}

/** Breaks the connection, and waits until the server has found out. */
async function hangUp(peer: RawPeer, server: Messenger): Promise<void> {
  peer.socket.abort();
  await eventually(() => !server.connections[0]!.isConnected);
}

/** Brings the session back whose connection broke, for the `times`th time. */
async function reopen(peer: RawPeer, times: number): Promise<void> {
  await peer.introduce();
  await peer.write(connectBytes({ globalSeq: 1 + times, connectSeq: 2 * times }));
  assertEquals((await peer.read(26))[0], Tag.SEQ);
  // What arrived last: nothing, on either side.
  assertEquals(await peer.read(8), new Uint8Array(8));
  await peer.write(new Uint8Array(8));
}

for (
  const [what, data, changes] of [
    ["of another length", pattern(999), { type: FILE }],
    ["of other bytes", pattern(1000, 9), { type: FILE }],
    ["that is no stream", pattern(1000), { type: 1 }],
    ["that needs all the room there is", pattern(2500), { type: 1 }],
  ] as const
) {
  test(`a message ${what} under the number of one that was cut off takes its place`, () =>
    playTo({ policy: statefulServer(), dispatchThrottleBytes: 3000 }, async (dial, server, received) => {
      let peer = await dial();
      await peer.open();
      await peer.write(beginning(messageBytes(pattern(1000), { type: FILE, tid: 7 }), 500));
      await eventually(() => server.stats().dispatch_throttle_bytes > 0);
      for (let times = 1; received.length < 2; times++) {
        await hangUp(peer, server);
        peer = await dial();
        await reopen(peer, times);
        await peer.write(messageBytes(data, { tid: 7, ...changes }));
        // Bytes that are not those that came before break the connection: then the message has to be sent once more.
        await Promise.race([peer.readToEnd(), eventually(() => received.length === 2)]);
      }
      assertEquals(received, [[7, "aborted"], [7, data]]);
      assertEquals(server.connections[0]!.describe().lastReceived, 1);
    }));
}

test("a message that is sent again after it was cut off goes on where it was", () =>
  playTo({ policy: statefulServer() }, async (dial, server, received) => {
    const whole = messageBytes(pattern(1000), { type: FILE, tid: 7 });
    let peer = await dial();
    await peer.open();
    // In the header, before the data, in the middle twice, less than before, before the footer and in it.
    for (const [index, length] of [20, 54, 400, 600, 100, 1054, 1060].entries()) {
      await peer.write(whole.subarray(0, length));
      await hangUp(peer, server);
      peer = await dial();
      await reopen(peer, index + 1);
    }
    await peer.write(whole, messageBytes(pattern(10), { seq: 2, type: FILE, tid: 8 }));
    await eventually(() => received.length === 2);
    assertEquals(received, [[7, pattern(1000)], [8, pattern(10)]]);
    // Once it is here another copy is passed over.
    await peer.write(whole, messageBytes(pattern(20), { seq: 3, type: FILE, tid: 9 }));
    await eventually(() => received.length === 3);
    assertEquals(received[2], [9, pattern(20)]);
    assertEquals([server.stats().duplicate_messages, server.stats().msgr_recv_messages], [1, 3]);
  }));

test("under a session key the whole of a stream is signed at its end, and a wrong signature fails it", async () => {
  for (const isForged of [false, true]) {
    const security = (isSender: boolean): SessionSecurity => ({
      sign: (header, footer) => {
        footer.signatureLow = (footer.dataCrc ^ header.seq) >>> 0;
      },
      verify: (header, footer) =>
        !(isForged && !isSender) && footer.signatureLow === (footer.dataCrc ^ header.seq) >>> 0,
    });
    await VirtualPair.play(
      { a: { policy: lossyClient() }, b: { ...STREAMED, policy: statelessServer() } },
      async (pair) => {
        pair.a.messenger.addDispatcherHead({
          getAuthorizer: () => ({ protocol: 1, bytes: Uint8Array.of(1), session: () => security(true) }),
        });
        pair.b.messenger.addDispatcherHead({
          verifyAuthorizer: () => ({ valid: true, session: () => security(false) }),
        });
        const received = receive(pair.b.messenger), data = pattern(300_000);
        pair.dial().send(streamed(1, new Source(data, 10_000), data.length));
        await pair.until(() => received.length === 1);
        assertEquals(received, [[1, isForged ? "protocol" : data]]);
      },
    );
  }
});

const WITHOUT_SEQ = losslessPeerReuse({ featuresSupported: MESSENGER_FEATURES & ~Feature.RECONNECT_SEQ });

test("a message that comes again does not wait for room that the stream behind it holds", () =>
  VirtualPair.play(
    { a: { policy: WITHOUT_SEQ }, b: { ...STREAMED, policy: WITHOUT_SEQ, dispatchThrottleBytes: 6000 } },
    async (pair) => {
      const received = receive(pair.b.messenger), connection = pair.dial();
      connection.send(new Message(FILE + 1, { tid: 1 }));
      await pair.finish(connection.flush());
      // What follows arrives, and the acks for it do not.
      for (const link of pair.network.connections) link.inflict({ kind: "black_hole", to: "dialler", afterBytes: 0 });
      connection.send(new Message(FILE + 1, { tid: 2, data: pattern(5000) }));
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>(), writer = writable.getWriter();
      connection.send(new Message(FILE, { tid: 3, data: readable, dataLength: 2000 }));
      await pair.finish(writer.write(pattern(2000).subarray(0, 500)));
      await pair.until(() => pair.b.messenger.stats().msgr_recv_messages === 3);
      for (const link of pair.network.connections) link.cut("both");
      void writer.write(pattern(2000).subarray(500));
      void writer.close();
      await pair.until(() => received.length === 3 && connection.queued === 0);
      assertEquals(received.map(([tid, { length }]) => [tid, length]), [[1, 0], [2, 5000], [3, 2000]]);
      assertEquals(received[2]![1], pattern(2000));
      assertEquals(pair.b.messenger.stats().duplicate_messages, 1);
    },
  ));
