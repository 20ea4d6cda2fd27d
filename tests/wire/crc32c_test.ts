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

/** Bytes without a pattern, the same in every run. */
function noise(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0, state = 1; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

// Short and long inputs may take different ways; every length around where one could end is tried.
test("crc32c() agrees with the definition on every length up to 1100 bytes", () => {
  const bytes = noise(1100);
  for (let length = 0, expected = 0x12345678; length <= bytes.length; length++) {
    assertEquals(crc32c(bytes, 0x12345678, 0, length), expected, `${length} bytes`);
    expected = bitwise(bytes.subarray(length, length + 1), expected);
  }
});

test("crc32c() agrees with the definition on lengths around powers of two and their multiples, at odd places", () => {
  const bytes = noise(300_000);
  for (const size of [1024, 4096, 16384, 65536, 3 * 65536, 4 * 65536]) {
    for (
      const [length, start] of [[size - 1, 1], [size, 0], [size + 1, 3], [size + 191, 5], [size + 193, 7]] as const
    ) {
      const seed = length ^ 0x9e3779b9;
      const expected = bitwise(bytes.subarray(start, start + length), seed >>> 0);
      assertEquals(crc32c(bytes, seed >>> 0, start, start + length), expected, `${length} bytes at ${start}`);
    }
  }
});

// What one leaves behind in memory must not count for the next.
test("crc32c() agrees with the definition whatever it was called with before", () => {
  const bytes = noise(100_000),
    lengths = [100_000, 400, 40_000, 2400, 65_536, 33, 336, 32_768, 2304, 560, 5500, 32_800, 192];
  for (const length of [...lengths, ...lengths.toReversed()]) {
    assertEquals(crc32c(bytes, 5, 0, length), bitwise(bytes.subarray(0, length), 5), `${length} bytes`);
  }
});

test("crc32c() of a view counts from the view's beginning, of a buffer that is shared too", () => {
  for (const buffer of [new ArrayBuffer(2000), new SharedArrayBuffer(2000)]) {
    const whole = new Uint8Array(buffer);
    whole.set(noise(2000));
    const view = new Uint8Array(buffer, 13, 1500);
    assertEquals(crc32c(view, 7, 100, 1400), bitwise(whole.slice(113, 1413), 7));
  }
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
