import { assertEquals } from "@std/assert";
import * as fc from "fast-check";
import { test } from "node:test";
import {
  getS64,
  getU16,
  getU32,
  getU64,
  getU64Big,
  NOT_SAFE,
  putU16,
  putU32,
  putU64,
  putU64Big,
} from "../../src/wire/integers.ts";
import { fromHex, toHex } from "./golden.ts";

const SEED = { seed: 27 };

/** The bytes that `put` writes, with one byte before and behind that it must leave alone. */
function written(size: number, put: (out: Uint8Array) => void): string {
  const out = new Uint8Array(size + 2).fill(0xaa);
  put(out);
  assertEquals([out[0], out[size + 1]], [0xaa, 0xaa]);
  return toHex(out.subarray(1, size + 1));
}

test("putU16(), putU32() and putU64() write the lowest byte first", () => {
  assertEquals(written(2, (out) => putU16(out, 1, 0x1234)), "3412");
  assertEquals(written(4, (out) => putU32(out, 1, 0xdeadbeef)), "efbeadde");
  assertEquals(written(4, (out) => putU32(out, 1, -1)), "ffffffff");
  assertEquals(written(8, (out) => putU64(out, 1, 0x1f_ffff_ffff_ffff)), "ffffffffffff1f00");
  assertEquals(written(8, (out) => putU64(out, 1, 0x1_0000_0000)), "0000000001000000");
});

test("putU64() writes negative numbers in two's complement", () => {
  assertEquals(written(8, (out) => putU64(out, 1, -1)), "ffffffffffffffff");
  assertEquals(written(8, (out) => putU64(out, 1, -(2 ** 32))), "00000000ffffffff");
  assertEquals(written(8, (out) => putU64(out, 1, Number.MIN_SAFE_INTEGER)), "010000000000e0ff");
});

test("getU64() tells a number that a double cannot hold", () => {
  assertEquals(getU64(fromHex("ffffffffffff1f00"), 0), Number.MAX_SAFE_INTEGER);
  for (const bytes of ["0000000000002000", "ffffffffffffffff", "0000000000000080"]) {
    assertEquals(getU64(fromHex(bytes), 0), NOT_SAFE, bytes);
  }
});

test("getS64() tells a number that a double cannot hold, on either side of 0", () => {
  assertEquals(getS64(fromHex("ffffffffffff1f00"), 0), Number.MAX_SAFE_INTEGER);
  assertEquals(getS64(fromHex("010000000000e0ff"), 0), Number.MIN_SAFE_INTEGER);
  assertEquals(getS64(fromHex("ffffffffffffffff"), 0), -1);
  for (const bytes of ["0000000000002000", "000000000000e0ff", "0000000000000080", "ffffffffffffff7f"]) {
    assertEquals(getS64(fromHex(bytes), 0), NOT_SAFE, bytes);
  }
});

test("every integer is read as it was written, and as a DataView reads it", () => {
  const at = 3, bytes = new Uint8Array(16), view = new DataView(bytes.buffer);
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffff }),
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.maxSafeInteger(),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      (u16, u32, s64, u64) => {
        putU16(bytes, at, u16);
        assertEquals([getU16(bytes, at), view.getUint16(at, true)], [u16, u16]);
        putU32(bytes, at, u32);
        assertEquals([getU32(bytes, at), view.getUint32(at, true)], [u32, u32]);
        putU64(bytes, at, s64);
        assertEquals([getS64(bytes, at), view.getBigInt64(at, true)], [s64, BigInt(s64)]);
        if (s64 >= 0) assertEquals(getU64(bytes, at), s64);
        putU64Big(bytes, at, u64);
        assertEquals([getU64Big(bytes, at), view.getBigUint64(at, true)], [u64, u64]);
      },
    ),
    SEED,
  );
});
