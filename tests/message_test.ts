import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { Connection } from "../src/connection.ts";
import { MessengerError } from "../src/errors.ts";
import {
  type Arrival,
  deliverLocally,
  type Lease,
  Message,
  type MessageInit,
  receivedMessage,
  releaseThrottles,
} from "../src/message.ts";
import { OutQueue } from "../src/out_queue.ts";
import { Session } from "../src/session.ts";
import { EntityName } from "../src/wire/entity.ts";
import { emptyMessageHeader } from "../src/wire/frame.ts";

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

const connection = new Connection(new Session(1, 1));
const osd = EntityName.parse("osd.3");

function arrivalOf(chunk: Uint8Array, receivedAt = 0): Arrival {
  return { bytes: chunk, source: osd, connection, receivedAt };
}

/** A message of front "front", middle "mid" and data "data", as a Reader makes it of a chunk. */
function received(): { message: Message; chunk: Uint8Array } {
  const chunk = bytes("..frontmiddata..");
  const head = {
    ...emptyMessageHeader(),
    type: 42,
    priority: 63,
    version: 8,
    compatVersion: 3,
    dataOffset: 12,
    frontLength: 5,
    middleLength: 3,
    dataLength: 4,
  };
  return { message: receivedMessage(head, 9, 7, arrivalOf(chunk, 1795365978216), 2), chunk };
}

test("Message holds what it was made of", () => {
  const init = { front: bytes("f"), middle: bytes("mm"), data: bytes("ddd"), tid: 1, priority: 2, version: 3 };
  const message = new Message(0x8001, { ...init, compatVersion: 4, dataOffset: 5 });
  assertEquals([message.type, message.tid, message.priority, message.version], [0x8001, 1, 2, 3]);
  assertEquals([message.compatVersion, message.dataOffset], [4, 5]);
  assertEquals([message.frontLength, message.middleLength, message.dataLength, message.byteLength], [1, 2, 3, 6]);
  for (const segment of ["front", "middle", "data"] as const) assertStrictEquals(message[segment], init[segment]);
});

test("Message of nothing but a type is empty", () => {
  const message = new Message(1);
  assertEquals([message.front.length, message.middle.length, message.data.length, message.byteLength], [0, 0, 0, 0]);
  assertEquals([message.tid, message.priority, message.version, message.compatVersion, message.seq], [0, 0, 0, 0, 0]);
  assertEquals([message.source.toString(), message.receivedAt], ["client.?", 0]);
});

test("Message takes its compatVersion from its version where none is given", () => {
  assertEquals(new Message(1, { version: 8 }).compatVersion, 8);
  assertEquals(new Message(1, { version: 8, compatVersion: 0 }).compatVersion, 0);
});

test("Message takes the largest numbers", () => {
  const most = 0xffff, tid = Number.MAX_SAFE_INTEGER;
  const message = new Message(most, { tid, priority: most, version: most, compatVersion: most, dataOffset: most });
  assertEquals([message.type, message.tid, message.priority, message.dataOffset], [most, tid, most, most]);
});

const limits: Record<string, number> = {
  tid: Number.MAX_SAFE_INTEGER,
  priority: 0xffff,
  version: 0xffff,
  compatVersion: 0xffff,
  dataOffset: 0xffff,
};

test("Message refuses a number out of range, and names it and the range", () => {
  for (const [field, most] of Object.entries(limits)) {
    for (const value of [-1, most + 1, 0.5, NaN]) {
      const error = assertThrows(() => new Message(1, { [field]: value }), MessengerError);
      assertEquals([error.code, error.message], [
        "invalid",
        `Bad message ${field}: got ${value}, expected 0 to ${most}`,
      ]);
    }
  }
  for (const type of [-1, 0x10000, 1.5, NaN]) {
    assertThrows(() => new Message(type), MessengerError, `Bad message type: got ${type}, expected 0 to 65535`);
  }
});

test("Message refuses segments that are no bytes: they would be sent as something else", () => {
  for (const field of ["front", "middle", "data"]) {
    for (const value of ["text", new ArrayBuffer(4), [1, 2, 3], new Uint16Array(2)]) {
      const error = assertThrows(() => new Message(1, { [field]: value } as unknown as MessageInit), MessengerError);
      assertEquals([error.code, error.message], ["invalid", `Bad message ${field}: expected a Uint8Array`]);
    }
  }
});

test("Message.connection of a message that was not received throws rather than being undefined", () => {
  const error = assertThrows(() => new Message(1).connection, MessengerError);
  assertEquals(error.code, "invalid");
});

test("a received Message holds what its header said, and where it came from", () => {
  const { message } = received();
  assertEquals([message.type, message.tid, message.priority, message.seq], [42, 7, 63, 9]);
  assertEquals([message.version, message.compatVersion, message.dataOffset], [8, 3, 12]);
  assertEquals([message.source.toString(), message.receivedAt, message.byteLength], ["osd.3", 1795365978216, 12]);
  assertStrictEquals(message.connection, connection);
});

test("a received Message's segments are views of what was read, and the same at every look", () => {
  const { message, chunk } = received();
  assertEquals([text(message.front), text(message.middle), text(message.data)], ["front", "mid", "data"]);
  for (const segment of ["front", "middle", "data"] as const) {
    assertStrictEquals(message[segment].buffer, chunk.buffer);
    assertStrictEquals(message[segment], message[segment]);
  }
});

test("a received Message's empty segments do not keep what was read", () => {
  const message = receivedMessage(emptyMessageHeader(), 1, 0, arrivalOf(bytes("a large chunk")), 3);
  assertEquals([message.front.length, message.middle.length, message.data.length], [0, 0, 0]);
  assertEquals(message.front.buffer.byteLength, 0);
});

test("Message.detach() gives a received message bytes of its own, and nothing else of what was read", () => {
  const { message, chunk } = received();
  const before = message.data, wanted = [message.front.slice(), message.middle.slice(), message.data.slice()];
  assertStrictEquals(message.detach(), message);
  assertEquals([message.front, message.middle, message.data], wanted);
  assertEquals(message.data.buffer.byteLength, message.byteLength);
  assertStrictEquals(before.buffer, chunk.buffer);
  const { data } = message;
  assertStrictEquals(message.detach().data, data);
});

test("Message.detach() leaves a message that is to be sent as it is", () => {
  const data = bytes("data"), message = new Message(1, { data });
  assertStrictEquals(message.detach().data, data);
});

test("received Messages that came together keep apart", () => {
  const arrival = arrivalOf(bytes("ab")), head = { ...emptyMessageHeader(), type: 5, frontLength: 1 };
  const first = receivedMessage(head, 1, 11, arrival, 0), second = receivedMessage(head, 2, 12, arrival, 1);
  assertEquals([first.seq, first.tid, text(first.front)], [1, 11, "a"]);
  assertEquals([second.seq, second.tid, text(second.front)], [2, 12, "b"]);
  first.detach();
  assertStrictEquals(second.front.buffer, arrival.bytes.buffer);
});

test("Messages that are alike but for one field keep apart", () => {
  const inits = [{}, { priority: 1 }, { version: 1 }, { compatVersion: 1 }, { dataOffset: 1 }, { front: bytes("f") }, {
    middle: bytes("m"),
  }, { data: bytes("d") }];
  for (const one of inits) {
    for (const other of inits) {
      const made = [new Message(5, one), new Message(5, other), new Message(21, one)];
      assertEquals(made.map(described), [{ type: 5, ...one }, { type: 5, ...other }, { type: 21, ...one }].map(filled));
    }
  }
});

function described(message: Message): unknown {
  const { type, priority, version, compatVersion, dataOffset, frontLength, middleLength, dataLength } = message;
  return { type, priority, version, compatVersion, dataOffset, frontLength, middleLength, dataLength };
}

function filled({ type, ...init }: MessageInit & { type: number }): unknown {
  const { priority = 0, version = 0, compatVersion = version, dataOffset = 0 } = init;
  const lengths = { frontLength: init.front?.length ?? 0, middleLength: init.middle?.length ?? 0 };
  const dataLength = (init.data as Uint8Array | undefined)?.length ?? 0;
  return { type, priority, version, compatVersion, dataOffset, ...lengths, dataLength };
}

test("one Message can wait in two sessions, and a received one in a third", () => {
  const message = new Message(1, { data: bytes("x") }), { message: forwarded } = received();
  const queues = [new OutQueue(), new OutQueue()];
  for (const queue of queues) {
    queue.push(message, 127);
    queue.push(message, 127);
    queue.push(forwarded, 127);
  }
  for (const queue of queues) {
    assertEquals([queue.next(true), queue.next(true), queue.next(true)], [message, message, forwarded]);
    assertEquals([queue.outSeq, queue.handleAck(2), queue.unacknowledged], [3, 2, 1]);
  }
  assertEquals([message.seq, forwarded.seq], [0, 9]);
});

test("deliverLocally() makes a received message and leaves the sent one as it was", () => {
  const sent = new Message(7, { tid: 3, priority: 9, version: 2, compatVersion: 1, dataOffset: 4, data: bytes("x") });
  const message = deliverLocally(sent, connection, osd, 1000);
  const { type, tid, priority, version, compatVersion, dataOffset } = message;
  assertEquals([type, tid, priority, version, compatVersion, dataOffset], [7, 3, 9, 2, 1, 4]);
  assertEquals([text(message.data), message.source.toString(), message.receivedAt], ["x", "osd.3", 1000]);
  assertStrictEquals(message.connection, connection);
  assertThrows(() => sent.connection, MessengerError);
  assertEquals([sent.source.toString(), sent.receivedAt], ["client.?", 0]);
});

test("releaseThrottles() gives back what a received message holds, once", () => {
  const given: number[] = [], lease: Lease = { release: (bytes) => given.push(bytes) };
  const head = { ...emptyMessageHeader(), dataLength: 12 };
  const message = receivedMessage(head, 1, 0, arrivalOf(new Uint8Array(12)), 0, lease);
  releaseThrottles(message);
  releaseThrottles(message);
  assertEquals(given, [12]);
});

test("releaseThrottles() does nothing for a message that holds nothing", () => {
  releaseThrottles(new Message(1));
});
