// `connection.readable` and `connection.writable`: what flows, what waits, and what is left when either side stops.

import {
  assert,
  assertEquals,
  assertLess,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import { test } from "node:test";
import {
  type Connection,
  lossyClient,
  Message,
  MessageType,
  Messenger,
  MessengerError,
  type MessengerOptions,
  RequestType,
  statelessServer,
  textCodec,
} from "../mod.ts";
import { Duo, numbered, range } from "./support/duo.ts";
import { eventually } from "./support/eventually.ts";
import { Interceptor } from "./support/interceptor.ts";
import { networks } from "./support/networks.ts";

const MIB = 1024 * 1024;
const memory = networks[0]!;

/** Two messengers; the server's end of the connection is known as soon as it is open. */
class Line implements AsyncDisposable {
  readonly server: Messenger;
  readonly client: Messenger;
  readonly #accepted = Promise.withResolvers<Connection>();

  private constructor(server: Messenger, client: Messenger) {
    this.server = server;
    this.client = client;
    server.addDispatcherTail({ handleFastAccept: (connection) => this.#accepted.resolve(connection) });
  }

  static async open(network = memory, options: MessengerOptions = {}): Promise<Line> {
    const common = { network: await network.open(), ...options };
    const line = new Line(new Messenger(common), new Messenger(common));
    await line.server.bind("127.0.0.1:0");
    return line;
  }

  /** The client's end. */
  get near(): Connection {
    return this.client.connectTo(this.server.address);
  }

  /** The server's end. */
  get far(): Promise<Connection> {
    return this.#accepted.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.shutdown();
    await this.server.shutdown();
    for (const messenger of [this.client, this.server]) {
      const { dispatch_throttle_bytes, dispatch_queue_len } = messenger.stats();
      assertEquals([dispatch_throttle_bytes, dispatch_queue_len], [0, 0]);
    }
  }
}

/** Messages with these numbers, one for each pull. */
function source(tids: Iterable<number>, onCancel: (reason: unknown) => void = () => {}): ReadableStream<Message> {
  const iterator = tids[Symbol.iterator]();
  return new ReadableStream({
    pull: (controller) => {
      const { value, done } = iterator.next();
      if (done) controller.close();
      else controller.enqueue(numbered(value));
    },
    cancel: onCancel,
  }, { highWaterMark: 0 });
}

function* forever(): Generator<number> {
  for (let tid = 1;; tid++) yield tid;
}

async function read(stream: ReadableStream<Message>, count: number): Promise<number[]> {
  const reader = stream.getReader(), tids: number[] = [];
  while (tids.length < count) tids.push((await reader.read()).value!.tid);
  reader.releaseLock();
  return tids;
}

async function rejectsWith(code: string, promise: Promise<unknown>): Promise<void> {
  assertEquals((await assertRejects(() => promise, MessengerError)).code, code);
}

for (const network of networks) {
  test(`pipeTo(writable) ends when the peer has all, for await (of readable) brings all in order (${network.name})`, async () => {
    await using line = await Line.open(network);
    const { near, far } = line, COUNT = 5000;
    const piped = source(range(1, COUNT)).pipeTo(near.writable).then(() => assertEquals(near.queued, 0));
    const tids: number[] = [];
    for await (const message of (await far).readable) {
      assertEquals(message.data, numbered(message.tid).data);
      if (tids.push(message.tid) === COUNT) break;
    }
    assertEquals(tids, range(1, COUNT));
    await piped;
  });

  test(`readable ends behind the last message when the peer closes the connection (${network.name})`, async () => {
    await using line = await Line.open(network);
    const { near, far } = line;
    near.send(numbered(0));
    const { readable } = await far;
    for (const tid of range(1, 300)) near.send(numbered(tid));
    await near.close();
    await eventually(() => line.server.connections.length === 0);
    const tids: number[] = [];
    for await (const { tid } of readable) tids.push(tid);
    assertEquals(tids, range(0, 300));
  });

  const mebibytes = network === memory ? 128 : 1024;
  test(`${mebibytes} MiB piped to a slow reader take no more memory than the limits say (${network.name})`, async () => {
    const LIMIT = 8 * MIB, data = new Uint8Array(MIB), COUNT = mebibytes;
    await using line = await Line.open(network, { dispatchThrottleBytes: LIMIT, sendHighWaterMark: LIMIT });
    const { near, far, server } = line;
    let sent = 0, received = 0, mostHeld = 0, mostQueued = 0;
    const messages = new ReadableStream<Message>({
      pull: (controller) => {
        mostQueued = Math.max(mostQueued, near.queued);
        if (sent++ < COUNT) controller.enqueue(new Message(1, { data }));
        else controller.close();
      },
    }, { highWaterMark: 0 });
    const piped = messages.pipeTo(near.writable);
    for await (const message of (await far).readable) {
      assertEquals(message.dataLength, MIB);
      // A reader that takes as long for each message as everybody else needs to fill what there is.
      if (received % 64 === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      else await new Promise((resolve) => setTimeout(resolve, 0));
      mostHeld = Math.max(mostHeld, server.stats().dispatch_throttle_bytes);
      if (++received === COUNT) break;
    }
    await piped;
    assert(mostHeld > 1 * MIB, `${mostHeld} bytes held: the reader was not slow`);
    assertLess(mostHeld, LIMIT + 1);
    assertLess(mostQueued, 2 * LIMIT / MIB + 2);
  });

  test(`readable and writable fail when the peer has lost the session, and the next ones work (${network.name})`, async () => {
    await using duo = await Duo.open(await network.open());
    const connection = duo.a.to(duo.b), { readable, writable } = connection;
    let cancelled: unknown;
    const piped = source(forever(), (reason) => cancelled = reason).pipeTo(writable);
    const failed = rejectsWith("session_reset", piped),
      broken = rejectsWith("session_reset", readable.getReader().read());
    await duo.b.has(100);
    duo.b.connection.markDown();
    await failed;
    await broken;
    assertEquals((cancelled as MessengerError).code, "session_reset");
    assertNotStrictEquals(connection.readable, readable);
    assertNotStrictEquals(connection.writable, writable);
    duo.b.told.clear();
    await source(range(1, 3)).pipeTo(connection.writable);
    assertEquals(duo.b.tids.slice(-3), [1, 2, 3]);
    duo.b.connection.send(numbered(4));
    assertEquals(await read(connection.readable, 1), [4]);
  });
}

test("readable begins with what has arrived and was not dispatched, and a message that is being handled is not repeated", async () => {
  await using line = await Line.open();
  const { near, far, server } = line, gate = Promise.withResolvers<void>(), dispatched: number[] = [];
  server.addDispatcherHead({
    dispatch: ({ tid }) => {
      dispatched.push(tid);
      return gate.promise;
    },
  });
  for (const tid of range(1, 5)) near.send(numbered(tid));
  await near.flush();
  const { readable } = await far;
  near.send(numbered(6));
  assertEquals(await read(readable, 5), range(2, 6));
  gate.resolve();
  assertEquals(dispatched, [1]);
  await readable.cancel();
});

test("leaving the loop hands all that was not read to the dispatchers, in order", async () => {
  await using line = await Line.open();
  const { near, far, server } = line, dispatched: number[] = [], read: number[] = [];
  server.addDispatcherHead({ dispatch: ({ tid }) => void dispatched.push(tid) });
  near.send(numbered(0));
  await near.flush();
  const connection = await far, { readable } = connection;
  assertStrictEquals(connection.readable, readable);
  for (const tid of range(1, 100)) near.send(numbered(tid));
  for await (const { tid } of readable) if (read.push(tid) === 40) break;
  await near.flush();
  near.send(numbered(101));
  await eventually(() => dispatched.at(-1) === 101);
  assertEquals([...dispatched, ...read].sort((a, b) => a - b), range(0, 101));
  assertEquals([dispatched, read], [[0, ...range(41, 101)], range(1, 40)]);
  assertNotStrictEquals(connection.readable, readable);
  await connection.readable.cancel();
});

test("what was read last holds its share of the throttle until the next is asked for", async () => {
  await using line = await Line.open();
  const { near, far, server } = line, held = () => server.stats().dispatch_throttle_bytes;
  near.send(numbered(0));
  const reader = (await far).readable.getReader();
  await reader.read();
  for (const tid of [10, 20]) near.send(numbered(tid));
  await near.flush();
  assertEquals(held(), 30);
  await reader.read();
  assertEquals(held(), 30);
  await reader.read();
  assertEquals(held(), 20);
  void reader.read().catch(() => {});
  await near.flush();
  assertEquals(held(), 0);
});

test("replies go to their requests and not into the stream", async () => {
  const Upper = new RequestType(new MessageType(0x8001, textCodec), new MessageType(0x8002, textCodec));
  await using line = await Line.open();
  const { near, server } = line;
  server.onRequest(Upper, (text, { connection }) => {
    connection.send(numbered(7));
    return text.toUpperCase();
  });
  const first = read(near.readable, 1);
  assertEquals(await near.request(Upper.message("a")), "A");
  assertEquals(await first, [7]);
  await near.readable.cancel();
});

test("streams of a session that a lossy line ends fail, and drop what was not read", async () => {
  await using duo = await Duo.open(await memory.open(), { policy: lossyClient() }, { policy: statelessServer() });
  const connection = duo.a.to(duo.b), { readable } = connection;
  connection.send(numbered(1));
  await duo.b.has(1);
  for (const tid of range(1, 10)) duo.b.connection.send(numbered(tid));
  await eventually(() => duo.a.messenger.stats().msgr_recv_messages === 10);
  const writer = connection.writable.getWriter();
  duo.a.network.cut();
  await rejectsWith("session_reset", writer.closed);
  await rejectsWith("session_reset", readable.getReader().read());
  await rejectsWith("closed", connection.writable.getWriter().write(numbered(1)));
  assertEquals((await connection.readable.getReader().read()).done, true);
});

test("closing the writable leaves the connection open, and the next one writes on", async () => {
  await using duo = await Duo.open(await memory.open());
  const connection = duo.a.to(duo.b), { writable } = connection;
  assertStrictEquals(connection.writable, writable);
  await source([1, 2]).pipeTo(writable);
  await source([3]).pipeTo(connection.writable);
  assertEquals([duo.b.tids, connection.isConnected], [[1, 2, 3], true]);
});

test("an aborted pipe leaves the connection as it was: what it took arrives, and what it did not, does not", async () => {
  await using duo = await Duo.open(await memory.open());
  const connection = duo.a.to(duo.b), controller = new AbortController(), { signal } = controller;
  const reason = new Error("no more");
  let cancelled: unknown;
  const piped = source(forever(), (given) => cancelled = given).pipeTo(connection.writable, { signal });
  await duo.b.has(50);
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => piped), reason);
  assertStrictEquals(cancelled, reason);
  await connection.flush();
  const { tids } = duo.b;
  assertEquals(tids, range(1, tids.length));
  connection.send(numbered(7));
  await connection.flush();
  assertEquals(duo.b.tids, [...tids, 7]);
});

test("an abort ends a write that waits for room, and a close that waits for the peer", async () => {
  const reason = new Error("no more");
  for (const how of ["write", "close"] as const) {
    await using duo = await Duo.open(await memory.open(), { sendHighWaterMark: 1000 });
    const hold = duo.a.network.breakAt(1, { sent: 0 }), connection = duo.a.to(duo.b);
    const writer = connection.writable.getWriter();
    const waiting = how === "write" ? writer.write(new Message(1, { data: new Uint8Array(2000) })) : (
      void writer.write(numbered(1)), writer.close()
    );
    const rejected = assertRejects(() => waiting);
    writer.closed.catch(() => {});
    await hold.reached;
    await writer.abort(reason).catch(() => {});
    assertStrictEquals(await rejected, reason);
    hold.release();
    await connection.flush();
    assertEquals(duo.b.told.messages.length, 1);
  }
});

test("a message that is too long fails the writable and not the connection", async () => {
  await using line = await Line.open(memory, { maxDataBytes: 10 });
  const { near } = line;
  await rejectsWith("invalid", near.writable.getWriter().write(new Message(1, { data: new Uint8Array(11) })));
  await source([1]).pipeTo(near.writable);
});

test("reads that nobody waited for in between are answered in order, whether messages are there or come later", async () => {
  await using line = await Line.open();
  const { near } = line, read: Promise<ReadableStreamReadResult<Message>>[] = [];
  near.send(numbered(0));
  const reader = (await line.far).readable.getReader();
  const readSome = (count: number) => {
    for (let i = 0; i < count; i++) read.push(reader.read());
  };
  assertEquals((await reader.read()).value?.tid, 0);
  readSome(5);
  for (const tid of range(1, 3)) near.send(numbered(tid));
  await read[2];
  readSome(1);
  for (const tid of range(4, 30)) near.send(numbered(tid));
  await near.flush();
  readSome(24);
  assertEquals((await Promise.all(read)).map(({ value }) => value?.tid), range(1, 30));
  await reader.cancel();
});

test("a reader that has let go of the stream reads no more, and the next one goes on", async () => {
  await using line = await Line.open();
  const { near } = line;
  for (const tid of range(1, 6)) near.send(numbered(tid));
  const { readable } = await line.far, first = readable.getReader();
  assertThrows(() => readable.getReader(), TypeError);
  assertThrows(() => readable.getReader({ mode: "byob" }), TypeError);
  assertEquals((await first.read()).value?.tid, 1);
  first.releaseLock();
  await assertRejects(() => first.read(), TypeError);
  for await (const { tid } of readable.values({ preventCancel: true })) {
    if (tid === 3) break;
  }
  const second = readable.getReader();
  assertEquals((await second.read()).value?.tid, 4);
  second.releaseLock();
  const tids: number[] = [];
  for await (const { tid } of readable) {
    tids.push(tid);
    if (tid === 6) break;
  }
  assertEquals([tids, readable.locked], [[5, 6], false]);
});

test("messages that were written with and without room arrive in order, and ready waits for those without", async () => {
  await using duo = await Duo.open(await memory.open(), { sendHighWaterMark: 5000 });
  const hold = duo.a.network.breakAt(1, { sent: 0 }), connection = duo.a.to(duo.b);
  const writer = connection.writable.getWriter(), written: Promise<void>[] = [];
  for (const tid of range(1, 400)) written.push(writer.write(numbered(tid)));
  assertLess(connection.queued, 30);
  let isReady = false;
  const ready = writer.ready.then(() => isReady = true);
  await hold.reached;
  assert(!isReady);
  hold.release();
  await ready;
  for (const tid of range(401, 410)) written.push(writer.write(numbered(tid)));
  await Promise.all(written);
  await writer.close();
  assertEquals(duo.b.tids, range(1, 410));
});

test("what is written behind close(), abort(), or by a writer that has let go, is refused and not sent", async () => {
  for (const end of ["close", "abort", "releaseLock"] as const) {
    await using duo = await Duo.open(await memory.open());
    const writer = duo.a.to(duo.b).writable.getWriter();
    await writer.write(numbered(1));
    writer.closed.catch(() => {});
    const ended = Promise.resolve(writer[end]()).catch(() => {});
    await assertRejects(() => writer.write(numbered(2)));
    await ended;
    await duo.a.connection.flush();
    assertEquals(duo.b.tids, [1]);
  }
});

test("what a loop over the stream answers to messages that came together leaves together", async () => {
  let chunks = 0;
  const network = await memory.open();
  const counting = new Interceptor(network, ({ direction, length }) => {
    if (direction === "received") chunks++;
    return length;
  });
  await using server = new Messenger({ network });
  server.addDispatcherTail({
    handleFastAccept: async ({ readable, writable }) => {
      const writer = writable.getWriter();
      for await (const { tid } of readable) {
        await writer.ready;
        void writer.write(numbered(tid));
      }
    },
  });
  await server.bind("127.0.0.1:0");
  await using client = new Messenger({ network: counting });
  const near = client.connectTo(server.address), answers: number[] = [];
  near.send(numbered(0));
  for await (const { tid } of near.readable) {
    answers.push(tid);
    if (tid === 0) {
      chunks = 0;
      for (const next of range(1, 64)) near.send(numbered(next));
    }
    if (tid === 64) break;
  }
  assertEquals(answers, range(0, 64));
  assertLess(chunks, 8);
});
