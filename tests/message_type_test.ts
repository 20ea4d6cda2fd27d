import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import * as fc from "fast-check";
import { test } from "node:test";
import { MessengerError } from "../src/errors.ts";
import { Message } from "../src/message.ts";
import { bytesCodec, jsonCodec, MessageType, textCodec } from "../src/message_type.ts";

const SEED = { seed: 27 };
const Bytes = new MessageType(0x8001, bytesCodec);
const Text = new MessageType(0x8002, textCodec);
const Json = new MessageType(0x8003, jsonCodec());

function badMessage(read: () => unknown): MessengerError {
  const error = assertThrows(read, MessengerError);
  assertEquals(error.code, "bad_message");
  return error;
}

test("bytesCodec puts the bytes into the data, as they are", () => {
  const bytes = Uint8Array.of(0, 255, 1), message = Bytes.message(bytes);
  assertEquals([message.type, message.frontLength, message.dataLength], [0x8001, 0, 3]);
  assertStrictEquals(Bytes.read(message), bytes);
});

test("textCodec puts text into the front, and reads every text back, a byte order mark included", () => {
  assertEquals(Text.message("hä").front, Uint8Array.of(0x68, 0xc3, 0xa4));
  for (const text of ["", "\ufeffmarked", "\0", "𝄞", "a\r\nb"]) assertEquals(Text.read(Text.message(text)), text);
});

test("textCodec refuses bytes that are no UTF-8", () => {
  const error = badMessage(() => Text.read(new Message(0x8002, { front: Uint8Array.of(0x61, 0xff) })));
  assertEquals(error.cause instanceof TypeError, true);
});

test("jsonCodec reads back what JSON can hold", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => assertEquals(Json.read(Json.message(value)), value)), SEED);
});

test("jsonCodec refuses what is no JSON, with the parser's error as its cause", () => {
  for (const front of ["", "{", "{'a': 1}", "undefined"]) {
    const error = badMessage(() => Json.read(new Message(0x8003, { front: new TextEncoder().encode(front) })));
    assertEquals(error.cause instanceof SyntaxError, true, front);
  }
});

test("jsonCodec refuses to send a value that JSON cannot hold, rather than nothing", () => {
  for (const value of [undefined, () => 1, Symbol("s")]) {
    const error = badMessage(() => Json.message(value));
    assertEquals(error.message, `Cannot write a message as JSON: got ${typeof value}`);
  }
});

test("jsonCodec(check) gives what the check makes of it, and its error is the cause", () => {
  const Even = new MessageType(
    0x8004,
    jsonCodec((value) => {
      if (typeof value !== "number" || value % 2 !== 0) throw new RangeError(`${value} is not even`);
      return value / 2;
    }),
  );
  const of = (front: string) => new Message(0x8004, { front: new TextEncoder().encode(front) });
  assertEquals(Even.read(of("8")), 4);
  const error = badMessage(() => Even.read(of("3")));
  assertEquals(error.cause instanceof RangeError, true);
  assertEquals(error.message, "Cannot read message 0 of type 32772: 3 is not even");
});

test("MessageType.message() sets the numbers that are given, and the codec's segments win", () => {
  const message = Text.message("x", { tid: 5, priority: 200, version: 3, compatVersion: 2 });
  assertEquals([message.tid, message.priority, message.version, message.compatVersion], [5, 200, 3, 2]);
  assertEquals(Text.read(message), "x");
});

test("MessageType.matches() goes by the number alone", () => {
  assertEquals([Text.matches(new Message(0x8002)), Text.matches(new Message(0x8001))], [true, false]);
});

test("MessageType.read() refuses a message of another type", () => {
  const error = badMessage(() => Text.read(new Message(0x8001)));
  assertEquals(error.message, "Cannot read message of type 32769: expected 32770");
});

test("MessageType.read() turns whatever a codec throws into bad_message with that as its cause", () => {
  for (const thrown of ["words", undefined, Symbol("s"), new MessengerError("closed", "inner")]) {
    const Broken = new MessageType<never>(1, {
      encode: () => ({}),
      decode: () => {
        throw thrown;
      },
    });
    assertStrictEquals(badMessage(() => Broken.read(new Message(1))).cause, thrown);
  }
});

test("MessageType refuses a number that is no type", () => {
  for (const type of [-1, 0x10000, NaN]) {
    assertEquals(assertThrows(() => new MessageType(type, bytesCodec), MessengerError).code, "invalid");
  }
});
