/**
 * Reading and writing structures: bounds, versions, and numbers at their limits.
 */

import { assertEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { MessengerError } from "../../mod.ts";
import { Decoder, Encoder } from "../../src/ceph/mod.ts";
import { fromHex, toHex } from "../wire/golden.ts";

function assertBad(read: () => unknown, message: string): void {
  assertEquals(assertThrows(read, MessengerError, message).code, "bad_message");
}

test("Decoder reads back all that Encoder writes", () => {
  const encoder = new Encoder().u8(255).u16(0xfffe).u32(0xfffffffd).u64(Number.MAX_SAFE_INTEGER).u64(-2).u64Big(
    2n ** 64n - 1n,
  );
  encoder.string("größer").bytes(Uint8Array.of(1, 2)).time(1_600_000_000_123.5).list(
    [7, 8],
    (value) => encoder.u16(value),
  );
  const decoder = new Decoder(encoder.finish());
  assertEquals([decoder.u8(), decoder.u16(), decoder.u32()], [255, 0xfffe, 0xfffffffd]);
  assertEquals([decoder.u64(), decoder.s64(), decoder.u64Big()], [Number.MAX_SAFE_INTEGER, -2, 2n ** 64n - 1n]);
  assertEquals([decoder.string(), [...decoder.bytes()], decoder.time()], ["größer", [1, 2], 1_600_000_000_123.5]);
  assertEquals([decoder.list(() => decoder.u16(), 2), decoder.remaining], [[7, 8], 0]);
});

test("Encoder grows without losing what was written before", () => {
  const encoder = new Encoder();
  for (let i = 0; i < 1000; i++) encoder.u32(i);
  const decoder = new Decoder(encoder.finish());
  for (let i = 0; i < 1000; i++) assertEquals(decoder.u32(), i);
});

test("Decoder names a field that the bytes end in, a text that is none, and a number that is too large", () => {
  assertBad(() => new Decoder(fromHex("010203")).u32(), "Bad length: got 4 bytes at 0, expected at most 3");
  assertBad(
    () => new Decoder(fromHex("ffffffff00")).bytes(),
    "Bad length: got 4294967295 bytes at 4, expected at most 1",
  );
  assertBad(() => new Decoder(fromHex("02000000c328")).string(), "UTF-8");
  assertBad(() => new Decoder(fromHex("ffffffffffffffff")).u64(), "more than 2^53 - 1");
});

test("Decoder allocates nothing for a count that cannot be", () => {
  const decoder = new Decoder(fromHex("ffffffff0000"));
  assertBad(() => decoder.list(() => decoder.u8()), "Bad count: got 4294967295, expected at most 2");
});

test("Decoder skips what a newer version has added, and goes on behind it", () => {
  const decoder = new Decoder(fromHex("09 01 05000000 2a000000 ff  07"));
  assertEquals(decoder.struct("thing", 3, (version) => [version, decoder.u32()]), [9, 42]);
  assertEquals([decoder.u8(), decoder.remaining], [7, 0]);
});

test("Decoder refuses a structure that wants a newer decoder, or is longer than what holds it", () => {
  assertBad(() => new Decoder(fromHex("0904 00000000")).struct("thing", 3, () => 0), "Bad thing version");
  assertBad(
    () => new Decoder(fromHex("0101 01000000")).struct("thing", 3, () => 0),
    "Bad thing length: got 1, expected at most 0",
  );
});

test("Decoder lets nothing be read beyond the end of a structure", () => {
  const decoder = new Decoder(fromHex("0101 02000000 0102 030405"));
  assertBad(() => decoder.struct("thing", 1, () => decoder.u32()), "Bad length: got 4 bytes at 6, expected at most 2");
});

test("Encoder.list() writes the count first", () => {
  const encoder = new Encoder();
  encoder.list(new Set(["a", "b"]), (text) => encoder.string(text));
  assertEquals(toHex(encoder.finish()), "02000000" + "0100000061" + "0100000062");
});
