import { assertEquals } from "@std/assert";
import * as fc from "fast-check";
import { test } from "node:test";
import { crc32c } from "../../src/wire/crc32c.ts";

const SEED = { seed: 27 };

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** One bit after the other, straight from the definition. */
function bitwise(bytes: Uint8Array, seed: number): number {
  let crc = seed;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return crc >>> 0;
}

test("crc32c() gives the values of Ceph's own test", () => {
  assertEquals(crc32c(ascii("foo bar baz")), 4119623852);
  assertEquals(crc32c(ascii("foo bar baz"), 1234), 881700046);
  assertEquals(crc32c(ascii("whiz bang boom")), 2360230088);
  assertEquals(crc32c(ascii("whiz bang boom"), 5678), 3743019208);
  assertEquals(crc32c(new Uint8Array(5).fill(1)), 2715569182);
  assertEquals(crc32c(new Uint8Array(35).fill(1)), 440531800);
  assertEquals(crc32c(ascii("123456789")), 0x58e3fa20);
});

test("crc32c() of nothing is its seed, and leading zeros do not count with seed 0", () => {
  assertEquals(crc32c(new Uint8Array(0), 0xdeadbeef), 0xdeadbeef);
  assertEquals(crc32c(new Uint8Array(1000)), 0);
  assertEquals(crc32c(ascii("\0\0\0abc")), crc32c(ascii("abc")));
});

test("crc32c() inverted on both ends is what others call crc32c", () => {
  assertEquals(~crc32c(ascii("123456789"), 0xffffffff) >>> 0, 0xe3069283);
});

test("crc32c() agrees with the definition for any bytes, seed, beginning and end", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 100 }),
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.nat(100),
      fc.nat(100),
      (bytes, seed, a, b) => {
        const start = Math.min(a, b, bytes.length), end = Math.min(Math.max(a, b), bytes.length);
        assertEquals(crc32c(bytes, seed, start, end), bitwise(bytes.subarray(start, end), seed));
      },
    ),
    { ...SEED, numRuns: 1000 },
  );
});

test("crc32c() of a whole is that of its second part seeded with that of its first", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (bytes, cut) => {
      const middle = Math.min(cut, bytes.length);
      assertEquals(crc32c(bytes, crc32c(bytes, 0, 0, middle), middle), crc32c(bytes));
    }),
    SEED,
  );
});

test("crc32c() detects a change of any one bit", () => {
  const bytes = ascii("a message of thirty-one bytes..");
  const crc = crc32c(bytes);
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const changed = bytes.slice();
    changed[bit >>> 3]! ^= 1 << (bit & 7);
    assertEquals(crc32c(changed) === crc, false, `bit ${bit}`);
  }
});
