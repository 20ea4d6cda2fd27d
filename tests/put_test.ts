/**
 * Messages whose memory is given back while others arrive.
 */

import { assertEquals, assertThrows } from "@std/assert";
import { concat } from "@std/bytes";
import fc from "fast-check";
import { test } from "node:test";
import { Message, MessengerError, type MessengerStatus } from "../mod.ts";
import { emptyMessageHeader } from "../src/wire/frame.ts";
import { receivedMessage } from "../src/message.ts";
import { OutQueue } from "../src/out_queue.ts";
import { RawBuffer } from "../src/raw_buffer.ts";
import { Duo, range } from "./support/duo.ts";
import { Step } from "./support/interceptor.ts";
import { networks } from "./support/networks.ts";

/** From this many bytes on memory is used again. */
const LEAST = 64 * 1024;

const make = (length: number) => new Uint8Array(length);

/** A received message whose front is the first byte of `raw`, and its data all others but the last; nobody else needs that. */
function received(raw: RawBuffer): Message {
  const head = { ...emptyMessageHeader(), frontLength: 1, dataLength: raw.bytes.length - 2 };
  const arrival = { bytes: raw.bytes, memory: raw, source: undefined!, connection: undefined!, receivedAt: 0 };
  return receivedMessage(head, 7, 0, arrival, 0);
}

test("RawBuffer uses memory again that nobody needs, and its views are empty by then", () => {
  const raw = RawBuffer.allocate(LEAST, make), view = raw.bytes.subarray(3);
  raw.bytes.fill(1);
  raw.get();
  raw.put();
  assertEquals(view.length, LEAST - 3);
  raw.put();
  assertEquals([view.length, raw.bytes.length], [0, 0]);
  const again = RawBuffer.allocate(LEAST, () => new Uint8Array(0));
  assertEquals([again.bytes.length, again.bytes[3]], [LEAST, 1]);
  // Whoever is late says nothing about what is there now.
  raw.put();
  assertEquals(again.bytes.length, LEAST);
});

test("RawBuffer takes memory that is a little longer, and leaves what is much longer", () => {
  RawBuffer.allocate(2 * LEAST, make).put();
  assertEquals(RawBuffer.allocate(LEAST, make).bytes.buffer.byteLength, LEAST);
  const near = RawBuffer.allocate(2 * LEAST - 100, make).bytes;
  assertEquals([near.length, near.buffer.byteLength], [2 * LEAST - 100, 2 * LEAST]);
});

test("RawBuffer leaves little memory to the garbage collector", () => {
  const raw = RawBuffer.allocate(LEAST - 1, make);
  raw.put();
  assertEquals(raw.bytes.length, LEAST - 1);
  assertEquals(RawBuffer.of(raw.bytes), undefined);
});

test("RawBuffer keeps at most 16 MiB that nobody needs", () => {
  const length = 3 * 1024 * 1024;
  const all = range(1, 8).map(() => RawBuffer.allocate(length, make));
  for (const raw of all) raw.put();
  let made = 0;
  const again = range(1, 8).map(() =>
    RawBuffer.allocate(length, (length) => {
      made++;
      return make(length);
    })
  );
  assertEquals([again.length, made], [8, 3]);
});

test("RawBuffer knows what bytes lie in, and nothing of other bytes", () => {
  const raw = RawBuffer.allocate(LEAST, make);
  assertEquals(RawBuffer.of(raw.bytes.subarray(10, 20)), raw);
  assertEquals(RawBuffer.of(make(LEAST)), undefined);
});

test("Message.put() gives its memory back, once, and its segments with it", () => {
  const raw = RawBuffer.allocate(LEAST, make), message = received(raw), before = message.data;
  raw.get();
  message.put();
  message.put();
  assertEquals(before.length, LEAST - 2);
  for (const segment of ["front", "data"] as const) {
    const { code, message: text } = assertThrows(() => message[segment], MessengerError);
    assertEquals([code, text], ["invalid", "Cannot hand out the bytes of message 7: they were given back by put()"]);
  }
  assertEquals([message.middle.length, message.seq, message.dataLength], [0, 7, LEAST - 2]);
  assertEquals(message.detach(), message);
  raw.put();
  assertEquals(before.length, 0);
});

test("Message.put() does nothing to a message that was not received", () => {
  const data = make(LEAST), message = new Message(1, { data });
  message.put();
  assertEquals(message.data, data);
});

test("Message.put() leaves the bytes of a message that is passed on", () => {
  const raw = RawBuffer.allocate(LEAST, make), message = received(raw), view = message.data;
  new OutQueue().push(message, 127);
  message.put();
  assertEquals(view.length, LEAST - 2);
});

test("Message.detach() gives memory back that nobody has looked at", () => {
  const [seen, unseen] = [RawBuffer.allocate(LEAST, make), RawBuffer.allocate(LEAST, make)];
  seen.get();
  unseen.get();
  const views = [seen.bytes.subarray(1), unseen.bytes.subarray(1)], messages = [received(seen), received(unseen)];
  assertEquals(messages[0]!.front.length, 1);
  for (const message of messages) message.detach();
  seen.put();
  unseen.put();
  assertEquals(views.map(({ length }) => length), [LEAST - 1, 0]);
  assertEquals(messages.map(({ data }) => data.length), [LEAST - 2, LEAST - 2]);
});

/** Bytes that tell where they belong. */
function contents(tid: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (tid * 31 + i) ^ (i >> 8);
  return bytes;
}

/** How many bytes differ from those. */
function damage(tid: number, bytes: Uint8Array, length: number): number {
  const wanted = contents(tid, length);
  return bytes.length === length ? wanted.reduce((sum, byte, i) => sum + Number(byte !== bytes[i]), 0) : length;
}

const size = fc.oneof(
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 300 }) },
  { weight: 1, arbitrary: fc.integer({ min: 4000, max: 30_000 }) },
  { weight: 2, arbitrary: fc.integer({ min: 60_000, max: 70_000 }) },
  { weight: 1, arbitrary: fc.integer({ min: 100_000, max: 700_000 }) },
);
/** What is done with a message that has arrived. */
const fate = fc.constantFrom("put", "put", "put", "put late", "keep", "detach", "pass on");
const traffic = fc.array(fc.record({ size, fate, times: fc.integer({ min: 1, max: 12 }) }), {
  minLength: 1,
  maxLength: 8,
});

for (const { name, open } of networks) {
  test(`whatever is given back, the bytes of all other messages stay as they were sent, over ${name}`, async () => {
    await using duo = await Duo.open(await open(), {}, {});
    // What was passed on comes back here; only then is it looked at.
    const returned: Message[] = [];
    duo.a.messenger.addDispatcherHead({ dispatch: (message) => void returned.push(message) });
    let all: { readonly size: number; readonly fate: string }[] = [];
    let kept: Message[] = [], late: Message[] = [];
    let bad = 0, count = 0, done = () => {};
    duo.b.messenger.addDispatcherHead({
      dispatch(message) {
        const { size, fate } = all[message.tid]!;
        if (fate !== "detach") bad += damage(message.tid, message.data, size);
        if (fate === "keep") kept.push(message);
        else if (fate === "detach") kept.push(message.detach());
        else if (fate === "put late") late.push(message);
        else {
          if (fate === "pass on") message.connection.send(message);
          message.put();
        }
        while (late.length > 5) late.shift()!.put();
        if (++count === all.length) done();
      },
    });
    await fc.assert(
      fc.asyncProperty(traffic, async (runs) => {
        all = runs.flatMap(({ size, fate, times }) => Array.from({ length: times }, () => ({ size, fate })));
        kept = [], late = [], returned.length = bad = count = 0;
        const connection = duo.a.to(duo.b), arrived = new Promise<void>((resolve) => done = resolve);
        all.forEach(({ size }, tid) => connection.send(new Message(1, { tid, data: contents(tid, size) })));
        await arrived;
        await duo.b.connection.flush();
        for (const message of [...kept, ...late, ...returned]) {
          bad += damage(message.tid, message.data, all[message.tid]!.size);
        }
        assertEquals([bad, returned.length], [0, all.filter(({ fate }) => fate === "pass on").length]);
      }),
      { numRuns: 25 },
    );
  });

  test(`a message that was put cannot be sent, and says so, over ${name}`, async () => {
    const told: MessengerStatus[] = [];
    await using duo = await Duo.open(await open(), {}, { log: (status) => void told.push(status) });
    duo.a.to(duo.b).send(new Message(1, { data: new Uint8Array(5) }));
    await duo.b.has(1);
    const [message] = duo.b.told.messages;
    message!.put();
    message!.connection.send(message!);
    message!.connection.send(new Message(2));
    await duo.a.has(1);
    assertEquals(duo.a.told.messages.map(({ type }) => type), [2]);
    assertEquals(told.filter(({ type }) => type === "not_sent").length, 1);
  });

  test(`what is passed on and given back is replayed as it was, over ${name}`, async () => {
    await using duo = await Duo.open(await open(), {}, {});
    duo.b.messenger.addDispatcherHead({
      dispatch(message) {
        message.connection.send(message);
        message.put();
      },
    });
    const held = duo.a.network.breakAt(1, { received: Step.afterReply.received + 2_000_000 });
    const all = range(1, 60).map((tid) => new Message(1, { tid, data: contents(tid, 70_000) }));
    for (const message of all) duo.a.to(duo.b).send(message);
    await held.reached;
    await held.cut();
    await duo.a.has(all.length);
    assertEquals(duo.a.tids, range(1, all.length));
    assertEquals(duo.a.told.messages.map(({ tid, data }) => damage(tid, data, 70_000)), all.map(() => 0));
  });

  test(`what a stream of data has brought is its reader's, whatever is given back beside it, over ${name}`, async () => {
    const STREAMED = 2, SIZE = 50_000, COUNT = 12;
    await using duo = await Duo.open(await open(), {}, { streamedTypes: [STREAMED] });
    const pieces: Promise<Uint8Array[]>[] = [];
    duo.b.messenger.addDispatcherHead({
      dispatch(message) {
        if (message.type === STREAMED) pieces.push(Array.fromAsync(message.dataStream));
        else message.put();
      },
    });
    const connection = duo.a.to(duo.b);
    for (const tid of range(1, COUNT)) {
      for (let i = 0; i < 20; i++) connection.send(new Message(1, { data: new Uint8Array(3000) }));
      connection.send(new Message(STREAMED, { tid, data: contents(tid, SIZE) }));
    }
    for (let i = 0; i < 300; i++) connection.send(new Message(1, { data: new Uint8Array(3000) }));
    await connection.flush();
    const all = await Promise.all(pieces.map(async (chunks) => concat(await chunks)));
    assertEquals(all.map((bytes, i) => damage(i + 1, bytes, SIZE)), range(1, COUNT).map(() => 0));
  });
}
