import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { FooterFlag, Tag } from "../../src/wire/constants.ts";
import { crc32c } from "../../src/wire/crc32c.ts";
import {
  checkSegments,
  decodeMessageFooter,
  decodeMessageHeader,
  emptyMessageFooter,
  emptyMessageHeader,
  encodeAck,
  encodeMessageFooter,
  encodeMessageHeader,
  footerSize,
  type MessageHeader,
  TAGGED_HEADER_SIZE,
} from "../../src/wire/frame.ts";
import {
  FOUND_FIELDS,
  type FrameKernel,
  FRAMES_AT,
  FRAMES_BYTES,
  makeFrameKernel,
  SMALL_BYTES,
} from "../../src/wire/frame_kernel.ts";
import { toU64 } from "../../src/wire/integers.ts";

const UNLIMITED = { maxFrontBytes: 0xffffffff, maxMiddleBytes: 0xffffffff, maxDataBytes: 0xffffffff };

function kernel(): FrameKernel {
  const kernel = makeFrameKernel();
  assert(kernel !== undefined, "this runtime has WebAssembly");
  return kernel;
}

/** A message with contents that follow from its seq. */
function encoded(header: MessageHeader, flags: number, old: boolean): Uint8Array {
  const { seq, frontLength, middleLength, dataLength } = header;
  const contents = new Uint8Array(frontLength + middleLength + dataLength).map((_, i) => seq * 31 + i * 7);
  const bytes = new Uint8Array(TAGGED_HEADER_SIZE + contents.length + footerSize(old));
  bytes[0] = Tag.MSG;
  encodeMessageHeader(header, bytes, 1);
  bytes.set(contents, TAGGED_HEADER_SIZE);
  const footer = {
    ...emptyMessageFooter(),
    frontCrc: crc32c(contents, 0, 0, frontLength),
    middleCrc: crc32c(contents, 0, frontLength, frontLength + middleLength),
    dataCrc: crc32c(contents, 0, frontLength + middleLength),
    flags,
  };
  encodeMessageFooter(footer, bytes, TAGGED_HEADER_SIZE + contents.length, old);
  return bytes;
}

const length = fc.oneof(
  fc.constant(0),
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: 500, max: 600 }),
  fc.integer({ min: 0, max: SMALL_BYTES + 2 }),
);
const u16 = fc.integer({ min: 0, max: 0xffff }), number = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.maxSafeNat());
const kind = fc.record({
  type: u16,
  priority: u16,
  version: u16,
  frontLength: length,
  middleLength: length,
  dataLength: length,
  dataOffset: u16,
  sourceType: fc.integer({ min: 1, max: 255 }),
  sourceNum: fc.maxSafeInteger(),
  compatVersion: u16,
});

/** Records as they come: runs of messages of a few kinds, nearly all of them in order, now and then something else. */
const records = fc.record({ kinds: fc.array(kind, { minLength: 1, maxLength: 3 }), old: fc.boolean() })
  .chain(({ kinds, old }) =>
    fc.record({
      old: fc.constant(old),
      records: fc.array(
        fc.oneof(
          { weight: 12, arbitrary: fc.record({ header: fc.constantFrom(...kinds), seq: number, tid: number }) },
          { weight: 1, arbitrary: fc.constant("an ack" as const) },
          { weight: 1, arbitrary: fc.record({ flags: fc.integer({ min: 0, max: 7 }) }) },
        ),
        { maxLength: 40 },
      ).map((entries) =>
        entries.map((entry) => {
          if (entry === "an ack") {
            const ack = new Uint8Array(9);
            encodeAck(7, ack, 0);
            return ack;
          }
          if ("flags" in entry) return encoded({ ...emptyMessageHeader(), ...kinds[0]! }, entry.flags, old);
          return encoded({ ...entry.header, seq: entry.seq, tid: entry.tid }, FooterFlag.COMPLETE, old);
        })
      ),
      damage: fc.option(fc.record({ at: fc.nat(), bit: fc.integer({ min: 0, max: 7 }) }), { freq: 2 }),
      missing: fc.oneof(fc.constant(0), fc.nat({ max: 200 })),
    })
  );

/** What `frame.ts` makes of the same bytes. */
function wanted(bytes: Uint8Array, old: boolean): number[][] {
  const found: number[][] = [], footer = emptyMessageFooter();
  let before: Uint8Array | undefined;
  for (let at = 0; bytes.length - at >= TAGGED_HEADER_SIZE && bytes[at] === Tag.MSG;) {
    const header = emptyMessageHeader(), body = at + TAGGED_HEADER_SIZE;
    try {
      decodeMessageHeader(bytes, at + 1, header, UNLIMITED);
      const { frontLength, middleLength, dataLength } = header;
      if (Math.max(frontLength, middleLength, dataLength) > SMALL_BYTES) break;
      const foot = body + frontLength + middleLength + dataLength, end = foot + footerSize(old);
      if (end > bytes.length) break;
      decodeMessageFooter(bytes, foot, footer, old);
      if ((footer.flags & (FooterFlag.COMPLETE | FooterFlag.NOCRC)) !== FooterFlag.COMPLETE) break;
      checkSegments(bytes, body, header, footer);
      const rest = bytes.subarray(at + 17, at + 50), isLike = before?.every((byte, i) => byte === rest[i]) ?? false;
      found.push([at, header.seq, header.tid, Number(isLike)]);
      before = rest;
      at = end;
    } catch {
      break;
    }
  }
  return found;
}

test("check() finds the messages that frame.ts finds, and stops where that would", () => {
  const { memory, found, check } = kernel();
  let total = 0;
  fc.assert(
    fc.property(records, ({ records, old, damage, missing }) => {
      const all = new Uint8Array(records.reduce((sum, { length }) => sum + length, 0));
      let filled = 0;
      for (const record of records) {
        all.set(record, filled);
        filled += record.length;
      }
      const bytes = all.subarray(0, Math.min(Math.max(0, all.length - missing), FRAMES_BYTES));
      if (damage !== null && bytes.length > 0) bytes[damage.at % bytes.length]! ^= 1 << damage.bit;
      memory.set(bytes, FRAMES_AT);
      const count = check(FRAMES_AT, FRAMES_AT + bytes.length, footerSize(old));
      const got = Array.from({ length: count }, (_, i) => {
        const [at, seqLow, seqHigh, tidLow, tidHigh, isLike] = found.subarray(i * FOUND_FIELDS);
        return [at! - FRAMES_AT, toU64(seqLow!, seqHigh!), toU64(tidLow!, tidHigh!), isLike!];
      });
      assertEquals(got, wanted(bytes, old));
      total += count;
    }),
    { numRuns: 400 },
  );
  assert(total > 200, `${total} messages were found`);
});

test("check() notices each flipped bit", () => {
  const { memory, check } = kernel();
  const header = { ...emptyMessageHeader(), seq: 1, type: 5, frontLength: 3, middleLength: 2, dataLength: 21 };
  const one = encoded({ ...header, sourceType: 8 }, FooterFlag.COMPLETE, false);
  const two = encoded({ ...header, sourceType: 8, seq: 2 }, FooterFlag.COMPLETE, false);
  memory.set(one, FRAMES_AT);
  const at = FRAMES_AT + one.length, end = at + two.length;
  // Not those of the signature, which somebody else looks at, and the flag that says whether there is one.
  const unlooked = (bit: number) =>
    bit >= 8 * (two.length - 9) && bit < 8 * (two.length - 1) || bit >= 8 * two.length - 6;
  for (let bit = 0; bit < 8 * two.length; bit++) {
    memory.set(two, at);
    assertEquals(check(FRAMES_AT, end, footerSize(false)), 2);
    memory[at + (bit >> 3)]! ^= 1 << (bit & 7);
    assertEquals(check(FRAMES_AT, end, footerSize(false)), unlooked(bit) ? 2 : 1, `bit ${bit}`);
  }
});

test("seal() completes messages as frame.ts writes them", () => {
  const { memory, template, tids, seal } = kernel();
  const small = fc.oneof(fc.integer({ min: 0, max: 70 }), fc.integer({ min: 480, max: 900 }));
  const run = fc.record({
    kind: kind.chain((kind) =>
      fc.record({ frontLength: small, middleLength: small, dataLength: small }).map((lengths) => ({
        ...kind,
        ...lengths,
      }))
    ),
    seq: fc.oneof(
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: 2 ** 32 - 5, max: 2 ** 32 + 5 }),
      fc.integer({ min: 2 ** 52, max: Number.MAX_SAFE_INTEGER - 20 }),
    ),
    tids: fc.array(number, { minLength: 1, maxLength: 20 }),
    old: fc.boolean(),
  });
  fc.assert(fc.property(run, ({ kind, seq, tids: numbers, old }) => {
    const { frontLength, middleLength, dataLength } = kind;
    const all = numbers.map((tid, i) => encoded({ ...kind, seq: seq + i, tid }, FooterFlag.COMPLETE, old));
    const size = all[0]!.length, contents = frontLength + middleLength + dataLength;
    memory.fill(0xee, FRAMES_AT);
    all.forEach((bytes, i) => {
      const body = bytes.subarray(TAGGED_HEADER_SIZE, TAGGED_HEADER_SIZE + contents);
      memory.set(body, FRAMES_AT + i * size + TAGGED_HEADER_SIZE);
      tids[2 * i] = numbers[i]!;
      tids[2 * i + 1] = numbers[i]! / 2 ** 32;
    });
    template[0] = Tag.MSG;
    encodeMessageHeader({ ...kind, seq: 0, tid: 0 }, template, 1);
    seal(all.length, seq, seq / 2 ** 32, frontLength, middleLength, dataLength, footerSize(old));
    all.forEach((bytes, i) => {
      const at = FRAMES_AT + i * size;
      assertEquals(memory.slice(at, at + size), bytes, `message ${i}`);
    });
  }));
});
