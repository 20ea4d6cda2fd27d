/**
 * Many small messages at once, in WebAssembly that is put together here when the module is loaded: checks those that have arrived, and completes those that
 * are to be sent. It does nothing that `frame.ts` cannot do, in a third of the time or less.
 *
 * @module
 */

import { FooterFlag, HEADER_SIZE, Tag } from "./constants.ts";
import { crc32cTable } from "./crc32c.ts";
import { CRC32C_FUNCTIONS, CRC_AT, KERNEL_BYTES, prepareCrc32c } from "./crc32c_kernel.ts";
import { ADDS } from "./header_sum.ts";
import {
  advance,
  assemble,
  call,
  type Code,
  forever,
  get,
  i32,
  i64,
  leaveIf,
  load32,
  load64,
  load8,
  lookUp,
  op,
  PAGE,
  plus,
  set,
  store32,
  store64,
  store8,
  whileLoop,
} from "./wasm.ts";

/** Memory: what the crcs need, tables of what seq and tid add to it, a message's tag and header, a table of the messages at hand, and these themselves. */
const ADDED = (KERNEL_BYTES + 63) & ~63,
  TEMPLATE = ADDED + 16 * 1024,
  FOUND = TEMPLATE + 64,
  FRAMES = FOUND + 16 * 1024;
/** How many pages that takes, with the messages. */
const PAGES = Math.ceil(FRAMES / PAGE) + 1;

/** Where the messages lie in the kernel's memory. */
export const FRAMES_AT: number = FRAMES;
/** How many bytes of them have room there, with some to spare behind. */
export const FRAMES_BYTES: number = PAGES * PAGE - FRAMES - 64;
/** The longest segment of a message that counts as small. From there on the copies cost more than is gained. */
export const SMALL_BYTES = 4096;
/** Numbers per message in what {@linkcode FrameKernel.check} has found: where it begins, seq and tid, low half first, and whether it is like the one before. */
export const FOUND_FIELDS = 6;
/** At most so many are looked at in one go. */
export const FOUND_MOST: number = Math.floor((FRAMES - FOUND) / (4 * FOUND_FIELDS));

/** At most so many messages are completed in one go. */
export const RUN_MOST: number = Math.floor((FRAMES - FOUND) / 8);

/** The kernel with its memory. */
export interface FrameKernel {
  /** All of it. */
  readonly memory: Uint8Array;
  /** What has been found: {@linkcode FOUND_FIELDS} for each message. */
  readonly found: Int32Array;
  /**
   * Looks at the records from `at` on as long as they are messages that are whole, small and right: their crcs fit, and they call themselves complete.
   *
   * @param at Where the first of them begins.
   * @param end Where the bytes end.
   * @param footerSize How long a footer is.
   * @returns How many there are.
   */
  check(at: number, end: number, footerSize: number): number;
  /**
   * Completes messages that are alike but for seq, tid and contents: puts tag and header before each, and a footer without a signature behind it. Their
   * segments have been put where they belong, and their tids, low half first, to {@linkcode tids}.
   *
   * @param count How many there are.
   * @param seqLow The number of the first of them, its lower half.
   * @param seqHigh And the upper one.
   * @param front How long the first segment is.
   * @param middle How long the second one is.
   * @param data How long the third one is.
   * @param footerSize How long a footer is.
   */
  seal(
    count: number,
    seqLow: number,
    seqHigh: number,
    front: number,
    middle: number,
    data: number,
    footerSize: number,
  ): void;
  /** For {@linkcode seal}: tag and header, with seq and tid 0. */
  readonly template: Uint8Array;
  /** For {@linkcode seal}: the tids. */
  readonly tids: Int32Array;
}

let module: WebAssembly.Module | undefined;

/** Makes a kernel; nothing where WebAssembly is not to be had. */
export function makeFrameKernel(): FrameKernel | undefined {
  try {
    const { memory, check, seal } = new WebAssembly.Instance(module ??= new WebAssembly.Module(build())).exports as {
      memory: WebAssembly.Memory;
      check: FrameKernel["check"];
      seal: FrameKernel["seal"];
    };
    prepareCrc32c(memory, crc32cTable);
    ADDS.forEach((added, i) => new Int32Array(memory.buffer, ADDED + 1024 * i, 256).set(added));
    return {
      memory: new Uint8Array(memory.buffer),
      found: new Int32Array(memory.buffer, FOUND, FOUND_MOST * FOUND_FIELDS),
      template: new Uint8Array(memory.buffer, TEMPLATE, 1 + HEADER_SIZE),
      tids: new Int32Array(memory.buffer, FOUND, RUN_MOST * 2),
      check,
      seal,
    };
  } catch {
    return undefined;
  }
}

// Where the fields are, behind the tag.
const SEQ = 1, TID = 9, REST = 17, FRONT = 23, MIDDLE = 27, DATA = 31, CRC = 50, BODY = 54;

/** The crc of what lies from the address in one variable to that in another. */
const crcBetween = (from: number, to: number): Code => [...get(from), ...get(to), ...call(CRC_AT)];
/** What seq and tid add to the crc of a header. */
const added = (at: number): Code =>
  Array.from({ length: 16 }, (_, i) => [
    ...lookUp(ADDED + 1024 * i, [...get(at), ...load32(SEQ + (i & ~3))], i & 3),
    ...(i === 0 ? [] : op.xor),
  ]).flat();
/** The crc of a header, by the variable with the address of its tag. */
const crcOfHeader = (at: number): Code => [...plus(at, SEQ), ...plus(at, CRC), ...call(CRC_AT)];

/** `check(at, end, footerSize)`. */
function check(): Code {
  const at = 0,
    end = 1,
    footerSize = 2,
    count = 3,
    body = 4,
    middle = 5,
    data = 6,
    foot = 7,
    found = 8,
    before = 9,
    rest = 10,
    isLike = 11;
  /** Finds where a segment ends, by where its length is and where it begins. */
  const segment = (length: number, from: number, to: number) => [
    ...leaveIf([...get(at), ...load32(length), ...i32(SMALL_BYTES), ...op.gtU]),
    ...[...get(from), ...get(at), ...load32(length), ...op.add, ...set(to)],
  ];
  const leaveUnless = (crc: Code, address: Code) => leaveIf([...crc, ...address, ...op.ne]);
  const put = (field: number, value: Code) => [...get(found), ...value, ...store32(4 * field)];
  /** Whether what lies from REST to CRC is the same as in the message before: 33 bytes. */
  const isLikeBefore = [
    ...[0, 8, 16, 24, 25].flatMap((offset, i) => [
      ...[...get(at), ...load64(REST + offset), ...get(before), ...load64(REST + offset), ...op.xor64],
      ...(i === 0 ? [] : op.or64),
    ]),
    ...op.isZero64,
  ];
  return [
    ...[...i32(FOUND), ...set(found)],
    ...forever([
      ...leaveIf([...get(end), ...plus(at, BODY), ...op.ltU]),
      ...leaveIf([...get(at), ...load8(0), ...i32(Tag.MSG), ...op.ne]),
      ...[...plus(at, BODY), ...set(body)],
      ...segment(FRONT, body, middle),
      ...segment(MIDDLE, middle, data),
      ...segment(DATA, data, foot),
      ...leaveIf([...get(end), ...get(foot), ...get(footerSize), ...op.add, ...op.ltU]),
      // The first one is like none: nothing is known of what came before it.
      ...[...isLikeBefore, ...get(count), ...i32(0), ...op.ne, ...op.and, ...set(isLike)],
      // The crc of what is like the one before is not summed up again.
      ...[...get(isLike), ...op.not, ...op.if, ...crcOfHeader(at), ...added(at), ...op.xor, ...set(rest), ...op.end],
      ...leaveUnless([...get(rest), ...added(at), ...op.xor], [...get(at), ...load32(CRC)]),
      ...leaveUnless(crcBetween(body, middle), [...get(foot), ...load32(0)]),
      ...leaveUnless(crcBetween(middle, data), [...get(foot), ...load32(4)]),
      ...leaveUnless(crcBetween(data, foot), [...get(foot), ...load32(8)]),
      // The flags are the footer's last byte.
      ...leaveIf([
        ...[...get(foot), ...get(footerSize), ...op.add, ...i32(1), ...op.sub, ...load8(0)],
        ...[...i32(FooterFlag.COMPLETE | FooterFlag.NOCRC), ...op.and, ...i32(FooterFlag.COMPLETE), ...op.ne],
      ]),
      ...put(0, get(at)),
      ...[SEQ, SEQ + 4, TID, TID + 4].flatMap((offset, i) => put(1 + i, [...get(at), ...load32(offset)])),
      ...put(5, get(isLike)),
      ...[...get(at), ...set(before)],
      ...[...get(foot), ...get(footerSize), ...op.add, ...set(at)],
      ...advance(found, 4 * FOUND_FIELDS),
      ...advance(count, 1),
      ...leaveIf([...get(count), ...i32(FOUND_MOST), ...op.geU]),
    ]),
    ...get(count),
  ];
}

/** `seal(count, seqLow, seqHigh, front, middle, data, footerSize)`. */
function seal(): Code {
  const count = 0, seqLow = 1, seqHigh = 2, front = 3, middle = 4, data = 5, footerSize = 6;
  const at = 7, tid = 8, body = 9, middleAt = 10, dataAt = 11, foot = 12, rest = 13, seq = 14;
  const sum = (from: number, length: number, to: number) => [...get(from), ...get(length), ...op.add, ...set(to)];
  return [
    ...[...get(seqHigh), ...op.extend, ...i64(32), ...op.shl64, ...get(seqLow), ...op.extend, ...op.or64, ...set(seq)],
    ...[...i32(FRAMES), ...set(at), ...i32(FOUND), ...set(tid)],
    ...[...i32(TEMPLATE), ...set(body), ...crcOfHeader(body), ...set(rest)],
    ...whileLoop(get(count), [
      ...[0, 8, 16, 24, 32, 40, 46].flatMap((offset) => [
        ...get(at),
        ...[...i32(TEMPLATE), ...load64(offset)],
        ...store64(offset),
      ]),
      ...[...get(at), ...get(seq), ...store64(SEQ)],
      ...[...get(at), ...get(tid), ...load64(0), ...store64(TID)],
      ...[...get(at), ...get(rest), ...added(at), ...op.xor, ...store32(CRC)],
      ...[...plus(at, BODY), ...set(body)],
      ...sum(body, front, middleAt),
      ...sum(middleAt, middle, dataAt),
      ...sum(dataAt, data, foot),
      ...[...get(foot), ...crcBetween(body, middleAt), ...store32(0)],
      ...[...get(foot), ...crcBetween(middleAt, dataAt), ...store32(4)],
      ...[...get(foot), ...crcBetween(dataAt, foot), ...store32(8)],
      // No signature. Where the footer has no room for one this runs over, into what is written next.
      ...[...get(foot), ...i64(0), ...store64(12)],
      ...sum(foot, footerSize, at),
      ...[...get(at), ...i32(1), ...op.sub, ...i32(FooterFlag.COMPLETE), ...store8(0)],
      ...advance(tid, 8),
      ...[...get(seq), ...i64(1), ...op.add64, ...set(seq)],
      ...advance(count, -1),
    ]),
  ];
}

/** The whole module. */
function build(): Uint8Array<ArrayBuffer> {
  return assemble(PAGES, [
    ...CRC32C_FUNCTIONS,
    { params: 3, returns: true, locals: 9, code: check(), name: "check" },
    { params: 7, returns: false, locals: 7, longs: 1, code: seal(), name: "seal" },
  ]);
}
