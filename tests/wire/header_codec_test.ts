import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { ProtocolError } from "../../src/errors.ts";
import { HEADER_SIZE } from "../../src/wire/constants.ts";
import {
  decodeMessageHeader,
  emptyMessageHeader,
  encodeMessageHeader,
  type MessageHead,
  type MessageHeader,
} from "../../src/wire/frame.ts";
import { HeaderDecoder, HeaderEncoder } from "../../src/wire/header_codec.ts";

const LIMITS = { maxFrontBytes: 0xffffffff, maxMiddleBytes: 0xffffffff, maxDataBytes: 0xffffffff };
const u16 = fc.integer({ min: 0, max: 0xffff }), u32 = fc.integer({ min: 0, max: 0xffffffff });
const u53 = fc.oneof(fc.maxSafeNat(), fc.integer({ min: 0, max: 1000 }));
const kind = fc.record({
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
/** Headers as they come: some kinds of them, each now and again, with all kinds of numbers. */
const headers: fc.Arbitrary<MessageHeader[]> = fc.array(kind, { minLength: 1, maxLength: 3 }).chain((kinds) =>
  fc.array(
    fc.record({ kind: fc.constantFrom(...kinds), seq: u53, tid: u53 }).map(({ kind, seq, tid }) => ({
      ...kind,
      seq,
      tid,
    })),
    { maxLength: 12 },
  )
);

function encoded(header: MessageHeader): Uint8Array {
  const bytes = new Uint8Array(HEADER_SIZE);
  encodeMessageHeader(header, bytes, 0);
  return bytes;
}

test("HeaderEncoder writes what encodeMessageHeader() writes, whatever came before", () => {
  fc.assert(fc.property(headers, (sequence) => {
    const encoder = new HeaderEncoder();
    const seen = new Map<string, MessageHead>();
    for (const header of sequence) {
      const { seq, tid, priority, sourceType, sourceNum, ...rest } = header, key = JSON.stringify(rest);
      const head = { ...rest, priority: 0, sourceType: 0, sourceNum: 0 };
      const bytes = new Uint8Array(HEADER_SIZE + 2).fill(0xee);
      if (!seen.has(key)) seen.set(key, head);
      encoder.use(seen.get(key)!, priority, { type: sourceType, num: sourceNum });
      encoder.encode(seq, tid, bytes, 1);
      assertEquals(bytes.subarray(1, 1 + HEADER_SIZE), encoded(header));
      assertEquals([bytes[0], bytes[HEADER_SIZE + 1]], [0xee, 0xee]);
    }
  }));
});

test("HeaderDecoder reads what decodeMessageHeader() reads, whatever came before", () => {
  fc.assert(fc.property(headers, (sequence) => {
    const decoder = new HeaderDecoder();
    for (const header of sequence) {
      decoder.decode(encoded(header), 0, LIMITS);
      assertEquals({ ...decoder.head, seq: decoder.seq, tid: decoder.tid }, header);
    }
  }));
});

test("HeaderDecoder refuses a header with one wrong bit, and reads the next one", () => {
  const header = { ...emptyMessageHeader(), seq: 5, tid: 2 ** 40 + 7, type: 70, dataLength: 64, sourceType: 8 };
  const decoder = new HeaderDecoder();
  for (let bit = 0; bit < HEADER_SIZE * 8; bit++) {
    decoder.decode(encoded(header), 0, LIMITS);
    const damaged = encoded(header);
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    assertThrows(() => decoder.decode(damaged, 0, LIMITS), ProtocolError, "header crc");
  }
});

test("HeaderDecoder holds each header to the limits of whoever asks", () => {
  const bytes = encoded({ ...emptyMessageHeader(), seq: 1, dataLength: 100 });
  const decoder = new HeaderDecoder(), into = emptyMessageHeader();
  decoder.decode(bytes, 0, LIMITS);
  const wanted = assertThrows(
    () => decodeMessageHeader(bytes, 0, into, { ...LIMITS, maxDataBytes: 99 }),
    ProtocolError,
  );
  const got = assertThrows(() => decoder.decode(bytes, 0, { ...LIMITS, maxDataBytes: 99 }), ProtocolError);
  assertEquals(got.message, wanted.message);
});
