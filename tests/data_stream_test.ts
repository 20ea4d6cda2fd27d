// Messages whose data are streams, in memory and over TCP: every byte arrives, and no more is in memory than there has to be.

import { assert, assertEquals, assertLess, assertRejects, assertThrows } from "@std/assert";
import { test } from "node:test";
import {
  bytesCodec,
  jsonCodec,
  losslessPeerReuse,
  lossyClient,
  Message,
  MessageType,
  Messenger,
  MessengerError,
  RequestType,
  statelessServer,
  streamCodec,
  textCodec,
} from "../mod.ts";
import { WINDOW } from "../src/incoming_data.ts";
import { SeededRandom } from "../src/testing.ts";
import { anySize, pattern, readAll, Source } from "./support/byte_streams.ts";
import { Duo, type SideOptions } from "./support/duo.ts";
import { eventually } from "./support/eventually.ts";
import { networks } from "./support/networks.ts";

const FILE = 0x8001;
const STREAMED: SideOptions = { streamedTypes: [FILE] };

/** What `side` was sent, one after the other: its front, and what `read` made of its data. */
function receiver<T>(side: Duo["b"], read: (message: Message) => Promise<T>): T[] {
  const received: T[] = [];
  side.messenger.addDispatcherHead({
    dispatch: async (message) => {
      received.push(await read(message));
    },
  });
  return received;
}

for (const { name, open } of networks) {
  for (const lossy of [false, true]) {
    const policies = lossy
      ? [{ policy: lossyClient() }, { ...STREAMED, policy: statelessServer() }] as const
      : [{ policy: losslessPeerReuse() }, STREAMED] as const;
    const kind = `${lossy ? "lossy" : "lossless"}, ${name}`;

    test(`every byte arrives, whatever the length and however it is cut up (${kind})`, async () => {
      await using duo = await Duo.open(await open(), ...policies);
      const random = new SeededRandom(1), connection = duo.a.to(duo.b);
      const received = receiver(duo.b, ({ dataStream }) => readAll(dataStream));
      const sent: Uint8Array[] = [];
      for (const length of [0, 1, WINDOW - 1, WINDOW, WINDOW + 1, 5 * 1024 * 1024]) {
        const data = pattern(length, length + 1), chunk = (): number => anySize(random, 300 * 1024);
        sent.push(data);
        connection.send(new Message(FILE, { data: new Source(data, chunk).stream, dataLength: length }));
      }
      sent.push(pattern(1000));
      connection.send(new Message(FILE, { data: new Source(sent.at(-1)!, 1).stream, dataLength: 1000 }));
      await eventually(() => received.length === sent.length);
      assertEquals(received.map(({ length }) => length), sent.map(({ length }) => length));
      for (const [i, data] of sent.entries()) {
        assert(data.every((byte, at) => byte === received[i]![at]), `message ${i}`);
      }
      await connection.flush();
    });
  }

  test(`a slow reader holds the source back, and other messages keep their order (${name})`, async () => {
    await using duo = await Duo.open(await open(), {}, STREAMED);
    const length = 32 * WINDOW, source = new Source(new Uint8Array(length));
    const opened: PromiseWithResolvers<ReadableStreamDefaultReader<Uint8Array>> = Promise.withResolvers();
    const order: number[] = [];
    duo.b.messenger.addDispatcherHead({
      dispatch: ({ type, dataStream }) => {
        order.push(type);
        if (type === FILE) opened.resolve(dataStream.getReader());
      },
    });
    const connection = duo.a.to(duo.b);
    connection.send(new Message(1));
    connection.send(new Message(FILE, { data: source.stream, dataLength: length }));
    connection.send(new Message(2));
    const reader = await opened.promise;
    let read = 0, turns = 0;
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      read += part.value.length;
      if (read < turns * WINDOW / 4) continue;
      // Everything else gets its turn, so that whatever is not held back is read ahead.
      turns++;
      await new Promise((resolve) => setTimeout(resolve));
      assertLess(source.taken - read, length / 2, "the window and what the systems between hold");
      assertLess(duo.b.messenger.stats().dispatch_throttle_bytes, 2 * WINDOW);
      if (read < length / 2) assertEquals(order, [1, FILE]);
    }
    assertEquals(read, length);
    await eventually(() => order.length === 3);
    assertEquals(order, [1, FILE, 2]);
  });

  test(`requests and replies hold streams (${name})`, async () => {
    const Resize = new RequestType(
      new MessageType(0x8001, streamCodec(jsonCodec<{ by: number }>())),
      new MessageType(0x8002, streamCodec(textCodec)),
    );
    await using duo = await Duo.open(await open());
    duo.b.messenger.addDispatcherHead({ dispatch: () => false });
    await using server = new Messenger({ network: duo.b.network });
    server.onRequest(Resize, ({ head, stream, length }) => ({
      head: `${head.by} times`,
      stream: stream.pipeThrough(
        new TransformStream<Uint8Array, Uint8Array>({
          transform: (chunk, controller) => {
            for (let i = 0; i < head.by; i++) controller.enqueue(chunk);
          },
        }),
      ),
      length: length * head.by,
    }));
    const address = await server.bind("127.0.0.1:0");
    const body = new Uint8Array(2_000_000).fill(7);
    const reply = await duo.a.messenger.connectTo(address).request(
      Resize.message({ head: { by: 3 }, stream: new Source(body).stream, length: body.length }),
    );
    assertEquals([reply.head, reply.length], ["3 times", 6_000_000]);
    const bytes = await readAll(reply.stream);
    assert(bytes.length === 6_000_000 && bytes.every((byte) => byte === 7));
  });

  test(`a receiver that cancels gets the next message (${name})`, async () => {
    await using duo = await Duo.open(await open(), {}, STREAMED);
    const length = 4 * WINDOW, sources = [1, 2, 3].map(() => new Source(new Uint8Array(length)));
    const received = receiver(duo.b, async (message) => {
      if (message.tid === 1) await message.dataStream.cancel();
      // The second is not looked at, and the third is left in the middle.
      if (message.tid === 3) { for await (const _ of message.dataStream) break; }
      return message.tid;
    });
    const connection = duo.a.to(duo.b);
    for (const [i, { stream }] of sources.entries()) {
      connection.send(new Message(FILE, { tid: i + 1, data: stream, dataLength: length }));
    }
    await connection.flush();
    assertEquals(received, [1, 2, 3]);
  });
}

test("a received stream can be sent on", async () => {
  const [memory] = networks;
  await using duo = await Duo.open(await memory!.open(), { bound: true, streamedTypes: [2] }, STREAMED);
  const back = receiver(duo.a, async (message) => [message.type, await readAll(message.dataStream)]);
  duo.b.messenger.addDispatcherHead({
    dispatch: ({ connection, dataStream, dataLength }) => {
      connection.send(new Message(2, { data: dataStream, dataLength }));
    },
  });
  const data = pattern(3_000_000);
  duo.a.to(duo.b).send(new Message(FILE, { data: new Source(data).stream, dataLength: data.length }));
  await eventually(() => back.length === 1);
  assertEquals(back[0]![0], 2);
  assert(data.every((byte, at) => byte === (back[0]![1] as Uint8Array)[at]));
});

test("the connection to oneself hands the stream over, and cancels it if nobody wants it", async () => {
  await using messenger = new Messenger();
  const received: Uint8Array[] = [];
  messenger.addDispatcherTail({
    dispatch: async ({ type, dataStream }) => {
      if (type === FILE) received.push(await readAll(dataStream));
    },
  });
  const data = pattern(1000), message = new Message(FILE, { data: new Source(data).stream, dataLength: 1000 });
  messenger.loopback.send(message);
  assertThrows(() => messenger.loopback.send(message), MessengerError, "sent before");
  await eventually(() => received.length === 1);
  assertEquals(received, [data]);

  messenger.addDispatcherHead({ dispatch: () => {} });
  const ignored = new Source(data, 10);
  messenger.loopback.send(new Message(FILE, { data: ignored.stream, dataLength: 1000 }));
  await eventually(() => ignored.isCancelled);
});

test("a message says what its data are, and refuses what they are not", async () => {
  const stream = new Source(pattern(10)).stream, streamed = new Message(1, { data: stream, dataLength: 10 });
  assertEquals([streamed.isStreamed, streamed.dataLength, streamed.byteLength], [true, 10, 10]);
  assertEquals(streamed.dataStream, stream);
  assertThrows(() => streamed.data, MessengerError, "dataStream");
  const bytes = new Message(1, { data: pattern(10), dataLength: 10 });
  assertEquals([bytes.isStreamed, await readAll(bytes.dataStream)], [false, pattern(10)]);
  assertEquals(await readAll(bytes.dataStream), bytes.data);
  assertEquals(await readAll(new Message(1).dataStream), new Uint8Array(0));
  for (
    const init of [
      { data: stream },
      { data: stream, dataLength: -1 },
      { data: stream, dataLength: 2 ** 32 },
      { data: stream, dataLength: 1.5 },
      { data: pattern(10), dataLength: 9 },
      { dataLength: 1 },
    ]
  ) {
    const error = assertThrows(() => new Message(1, init), MessengerError, "dataLength");
    assertEquals(error.code, "invalid");
  }
});

test("types of messages have to be types of messages", () => {
  for (const type of [-1, 0x10000, 1.5, "1"]) {
    const error = assertThrows(
      () => new Messenger({ streamedTypes: [type as number] }),
      MessengerError,
      "streamedTypes",
    );
    assertEquals(error.code, "invalid");
  }
});

test("a stream is sent once, and not past its limit", async () => {
  const [memory] = networks;
  await using duo = await Duo.open(await memory!.open(), { maxDataBytes: 10, maxStreamedDataBytes: 100 }, STREAMED);
  const received = receiver(duo.b, ({ dataStream }) => readAll(dataStream)), connection = duo.a.to(duo.b);
  const source = new Source(pattern(101));
  for (const dataLength of [101, 2 ** 32 - 1]) {
    assertThrows(
      () => connection.send(new Message(FILE, { data: source.stream, dataLength })),
      MessengerError,
      "at most 100",
    );
  }
  assertThrows(() => connection.send(new Message(FILE, { data: pattern(11) })), MessengerError, "at most 10");
  const message = new Message(FILE, { data: new Source(pattern(100)).stream, dataLength: 100 });
  connection.send(message);
  const again = assertThrows(() => connection.send(message), MessengerError, "sent before");
  assertEquals(again.code, "invalid");
  await connection.flush();
  assertThrows(() => connection.send(message), MessengerError, "being read");
  const locked = new Source(pattern(1)).stream;
  locked.getReader();
  assertThrows(() => connection.send(new Message(FILE, { data: locked, dataLength: 1 })), MessengerError, "being read");
  await eventually(() => received.length === 1);
  assertEquals(received, [pattern(100)]);
});

test("a type that is received as a stream cannot be read as bytes", async () => {
  const [memory] = networks, Blob = new MessageType(FILE, bytesCodec);
  await using duo = await Duo.open(await memory!.open(), {}, STREAMED);
  const errors: unknown[] = [];
  duo.b.messenger.addDispatcherHead({
    dispatch: (message) => {
      assertEquals(message.isStreamed, true);
      errors.push(assertThrows(() => Blob.read(message), MessengerError, "dataStream").code);
    },
  });
  const connection = duo.a.to(duo.b);
  connection.send(Blob.message(pattern(10)));
  await connection.flush();
  assertEquals(errors, ["bad_message"]);
});

test("a closed connection's sources are cancelled, and its streams fail", async () => {
  const [memory] = networks;
  await using duo = await Duo.open(await memory!.open(), {}, STREAMED);
  const source = new Source(new Uint8Array(64 * WINDOW), 100_000, 2 * WINDOW), waiting = new Source(new Uint8Array(10));
  const opened: PromiseWithResolvers<ReadableStream<Uint8Array>> = Promise.withResolvers();
  duo.b.messenger.addDispatcherHead({ dispatch: ({ dataStream }) => opened.resolve(dataStream) });
  const connection = duo.a.to(duo.b);
  connection.send(new Message(FILE, { data: source.stream, dataLength: 64 * WINDOW }));
  connection.send(new Message(FILE, { data: waiting.stream, dataLength: 10 }));
  const stream = await opened.promise;
  connection.markDown();
  for (const { reason } of [source, waiting]) assertEquals((reason as MessengerError).code, "closed");
  duo.b.messenger.markDownAll();
  const error = await assertRejects(() => readAll(stream), MessengerError);
  assertEquals(error.code, "closed");
});
