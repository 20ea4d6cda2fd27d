import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import * as fc from "fast-check";
import { test } from "node:test";
import { MessengerError, ProtocolError } from "../../src/errors.ts";
import { FOOTER_SIZE, HEADER_SIZE, OLD_FOOTER_SIZE } from "../../src/wire/constants.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import {
  checkSegments,
  decodeAck,
  decodeMessageFooter,
  decodeMessageHeader,
  decodeTimespec,
  emptyMessageFooter,
  emptyMessageHeader,
  encodeAck,
  encodeKeepalive2,
  encodeKeepalive2Ack,
  encodeMessageFooter,
  encodeMessageHeader,
  footerSize,
  type MessageFooter,
  type MessageHeader,
} from "../../src/wire/frame.ts";
import { putU32 } from "../../src/wire/integers.ts";
import { fromHex, toHex } from "./golden.ts";

const SEED = { seed: 27 };
const UNLIMITED = { maxFrontBytes: 0xffffffff, maxMiddleBytes: 0xffffffff, maxDataBytes: 0xffffffff };

const u16 = fc.integer({ min: 0, max: 0xffff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const anyHeader: fc.Arbitrary<MessageHeader> = fc.record({
  seq: fc.maxSafeNat(),
  tid: fc.maxSafeNat(),
  type: u16,
  priority: u16,
  version: u16,
  frontLength: u32,
  middleLength: u32,
  dataLength: u32,
  dataOffset: u16,
  sourceType: fc.integer({ min: 0, max: 255 }),
  sourceNum: fc.maxSafeInteger(),
  compatVersion: u16,
});
const anyFooter: fc.Arbitrary<MessageFooter> = fc.record({
  frontCrc: u32,
  middleCrc: u32,
  dataCrc: u32,
  signatureLow: u32,
  signatureHigh: u32,
  flags: fc.integer({ min: 0, max: 255 }),
});

const aHeader: MessageHeader = {
  seq: 0x0102030405,
  tid: 77,
  type: 42,
  priority: 63,
  version: 8,
  frontLength: 100,
  middleLength: 20,
  dataLength: 3000,
  dataOffset: 4095,
  sourceType: 8,
  sourceNum: 4242,
  compatVersion: 3,
};

function headerBytes(header: Partial<MessageHeader> = {}): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE);
  encodeMessageHeader({ ...aHeader, ...header }, bytes, 0);
  return bytes;
}

/** Puts bytes into a header and makes its crc right again. */
function forgedHeader(at: number, hex: string): Uint8Array {
  const bytes = headerBytes();
  bytes.set(fromHex(hex), at);
  putU32(bytes, HEADER_SIZE - 4, crc32c(bytes, 0, 0, HEADER_SIZE - 4));
  return bytes;
}

function decodeError(bytes: Uint8Array, limits = UNLIMITED): ProtocolError {
  return assertThrows(() => decodeMessageHeader(bytes, 0, emptyMessageHeader(), limits), ProtocolError);
}

function fields(error: ProtocolError): string[] {
  return [error.field, error.value, error.limit];
}

test("decodeMessageHeader() reads what encodeMessageHeader() wrote, anywhere in a buffer", () => {
  const bytes = new Uint8Array(2 * HEADER_SIZE), decoded = emptyMessageHeader();
  fc.assert(
    fc.property(anyHeader, fc.nat(HEADER_SIZE), (header, at) => {
      encodeMessageHeader(header, bytes, at);
      decodeMessageHeader(bytes, at, decoded, UNLIMITED);
      assertEquals(decoded, header);
    }),
    SEED,
  );
});

test("decodeMessageHeader() detects a change of any one bit", () => {
  const bytes = headerBytes();
  for (let bit = 0; bit < 8 * HEADER_SIZE; bit++) {
    const changed = bytes.slice();
    changed[bit >>> 3]! ^= 1 << (bit & 7);
    assertEquals(decodeError(changed).field, "header crc", `bit ${bit}`);
  }
});

test("decodeMessageHeader() tells both crcs when they differ", () => {
  const bytes = headerBytes();
  const right = `0x${crc32c(bytes, 0, 0, 49).toString(16).padStart(8, "0")}`;
  putU32(bytes, 49, 0x0badf00d);
  assertEquals(fields(decodeError(bytes)), ["header crc", "0x0badf00d", right]);
});

test("decodeMessageHeader() accepts segments of exactly the limit", () => {
  const limits = { maxFrontBytes: 100, maxMiddleBytes: 20, maxDataBytes: 3000 }, header = emptyMessageHeader();
  decodeMessageHeader(headerBytes(), 0, header, limits);
  assertEquals([header.frontLength, header.middleLength, header.dataLength], [100, 20, 3000]);
});

test("decodeMessageHeader() refuses a segment over its limit and names it", () => {
  const limits = { maxFrontBytes: 100, maxMiddleBytes: 20, maxDataBytes: 3000 };
  const refused = (header: Partial<MessageHeader>) => fields(decodeError(headerBytes(header), limits));
  assertEquals(refused({ frontLength: 101 }), ["front_len", "101 bytes", "at most 100"]);
  assertEquals(refused({ middleLength: 21 }), ["middle_len", "21 bytes", "at most 20"]);
  assertEquals(refused({ dataLength: 0xffffffff }), ["data_len", "4294967295 bytes", "at most 3000"]);
});

test("decodeMessageHeader() refuses 64-bit numbers that a double cannot hold, and quotes them exactly", () => {
  const limit = "at most 2^53 - 1";
  assertEquals(fields(decodeError(forgedHeader(0, "0100000000002000"))), ["seq", "9007199254740993", limit]);
  assertEquals(fields(decodeError(forgedHeader(8, "ffffffffffffffff"))), ["tid", "18446744073709551615", limit]);
  assertEquals(decodeError(forgedHeader(37, "0000000000000080")).field, "src.num");
});

test("decodeMessageHeader() accepts whatever the reserved bytes hold", () => {
  const header = emptyMessageHeader();
  decodeMessageHeader(forgedHeader(47, "beef"), 0, header, UNLIMITED);
  assertEquals(header, aHeader);
});

test("decodeMessageHeader() of random bytes throws ProtocolError or nothing", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: HEADER_SIZE, maxLength: HEADER_SIZE }), fc.boolean(), (bytes, rightCrc) => {
      if (rightCrc) putU32(bytes, 49, crc32c(bytes, 0, 0, 49));
      try {
        decodeMessageHeader(bytes, 0, emptyMessageHeader(), UNLIMITED);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
      }
    }),
    { ...SEED, numRuns: 1000 },
  );
});

test("footerSize() is 21 bytes, and 13 of an old one", () => {
  assertEquals([footerSize(false), footerSize(true)], [FOOTER_SIZE, OLD_FOOTER_SIZE]);
  assertEquals([FOOTER_SIZE, OLD_FOOTER_SIZE], [21, 13]);
});

test("encodeMessageFooter() writes crcs, signature and flags in Ceph's order", () => {
  const footer = {
    frontCrc: 0x11111111,
    middleCrc: 0x22222222,
    dataCrc: 0x33333333,
    signatureLow: 0x44444444,
    signatureHigh: 0x55555555,
    flags: 5,
  };
  const bytes = new Uint8Array(22), old = new Uint8Array(14);
  encodeMessageFooter(footer, bytes, 1);
  assertEquals(toHex(bytes), "00" + "11111111" + "22222222" + "33333333" + "44444444" + "55555555" + "05");
  encodeMessageFooter(footer, old, 1, true);
  assertEquals(toHex(old), "00" + "11111111" + "22222222" + "33333333" + "05");
});

test("decodeMessageFooter() reads what encodeMessageFooter() wrote; an old one has no signature", () => {
  const bytes = new Uint8Array(40), decoded = emptyMessageFooter();
  fc.assert(
    fc.property(anyFooter, fc.nat(19), fc.boolean(), (footer, at, old) => {
      encodeMessageFooter(footer, bytes, at, old);
      decodeMessageFooter(bytes, at, decoded, old);
      assertEquals(decoded, old ? { ...footer, signatureLow: 0, signatureHigh: 0 } : footer);
    }),
    SEED,
  );
});

/** A message of three segments, and its footer. */
function threeSegments() {
  const bytes = new TextEncoder().encode("..frontmiddata...");
  const header = { ...aHeader, frontLength: 5, middleLength: 3, dataLength: 4 };
  const crc = (text: string) => crc32c(new TextEncoder().encode(text));
  const footer = {
    ...emptyMessageFooter(),
    frontCrc: crc("front"),
    middleCrc: crc("mid"),
    dataCrc: crc("data"),
    flags: 1,
  };
  return { bytes, header, footer };
}

test("checkSegments() accepts contents that fit their crcs", () => {
  const { bytes, header, footer } = threeSegments();
  checkSegments(bytes, 2, header, footer);
});

test("checkSegments() names the segment whose crc is wrong", () => {
  const first = { front_crc: 2, middle_crc: 7, data_crc: 10 }, last = { front_crc: 6, middle_crc: 9, data_crc: 13 };
  for (const [field, at] of [...Object.entries(first), ...Object.entries(last)]) {
    const { bytes, header, footer } = threeSegments();
    bytes[at]! ^= 0x80;
    assertEquals(assertThrows(() => checkSegments(bytes, 2, header, footer), ProtocolError).field, field);
  }
});

test("checkSegments() looks at no byte outside of the segments", () => {
  const { bytes, header, footer } = threeSegments();
  for (const at of [0, 1, 14, 15, 16]) bytes[at]! ^= 0xff;
  checkSegments(bytes, 2, header, footer);
});

test("checkSegments() takes the data as it is where the sender computed no crc of it", () => {
  const { bytes, header, footer } = threeSegments();
  bytes[10]! ^= 1;
  checkSegments(bytes, 2, header, { ...footer, flags: 1 | 2 });
  bytes[2]! ^= 1;
  assertThrows(() => checkSegments(bytes, 2, header, { ...footer, flags: 1 | 2 }), ProtocolError, "front_crc");
});

test("checkSegments() expects a crc of 0 for an empty segment", () => {
  const { bytes, header, footer } = threeSegments();
  const empty = { ...header, frontLength: 0, middleLength: 0, dataLength: 0 };
  checkSegments(bytes, 2, empty, emptyMessageFooter());
  for (const field of ["frontCrc", "middleCrc", "dataCrc"] as const) {
    const wrong = { ...emptyMessageFooter(), [field]: footer[field] };
    assertThrows(() => checkSegments(bytes, 2, empty, wrong), ProtocolError, "expected 0x00000000");
  }
});

test("decodeAck() reads what encodeAck() wrote, and refuses a number that a double cannot hold", () => {
  const bytes = new Uint8Array(10);
  for (const seq of [0, 1, 0xffffffff, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    encodeAck(seq, bytes, 1);
    assertEquals([bytes[1], decodeAck(bytes, 2)], [8, seq]);
  }
  const error = assertThrows(() => decodeAck(fromHex("ffffffffffffffff"), 0), ProtocolError);
  assertEquals(fields(error), ["ack", "18446744073709551615", "at most 2^53 - 1"]);
});

test("encodeKeepalive2() writes seconds and nanoseconds", () => {
  const bytes = new Uint8Array(9);
  encodeKeepalive2(1795365978216, bytes, 0);
  assertEquals(toHex(bytes), "0e" + "5a1c036b" + "00e6df0c");
  encodeKeepalive2(999.5, bytes, 0);
  assertEquals(toHex(bytes), "0e" + "00000000" + "e028933b");
});

test("decodeTimespec() reads the milliseconds that encodeKeepalive2() wrote", () => {
  const bytes = new Uint8Array(9);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffffffff * 1000 + 999 }), (time) => {
      encodeKeepalive2(time, bytes, 0);
      assertEquals(decodeTimespec(bytes, 1), time);
    }),
    SEED,
  );
});

test("encodeKeepalive2Ack() repeats the stamp's bytes, whatever they mean", () => {
  const bytes = new Uint8Array(9);
  encodeKeepalive2Ack(fromHex("0102030405060708"), bytes, 0);
  assertEquals(toHex(bytes), "0f0102030405060708");
});

test("a ProtocolError is a MessengerError with code protocol, and its message holds field, value and limit", () => {
  const error = decodeError(headerBytes(), { ...UNLIMITED, maxDataBytes: 1 });
  assertEquals([error instanceof MessengerError, error.code, error.name], [true, "protocol", "ProtocolError"]);
  assertEquals(error.message, "Bad data_len: got 3000 bytes, expected at most 1");
  assertNotEquals(error.stack, undefined);
});
