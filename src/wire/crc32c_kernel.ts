/**
 * CRC-32C of many bytes at once, in WebAssembly that is put together here, instruction by instruction, when the module is loaded.
 *
 * ## The method
 *
 * Let P be the crc's polynomial. `Q(x) = 1 + x^14 + x^39 + x^54 + x^144 + x^209` is a multiple of P, and so is every `Q(x)^(2^k) =
 * Q(x^(2^k))`; for k = 3 its exponents count bytes. Adding a multiple of Q to a message does not change its crc. So a message can be divided by
 * Q, byte by byte, and the crc of the short remainder is that of the message. A division step is five xors of what lies 65, 155, 170,
 * 195 and 209 bytes back (209 less the exponents), sixteen bytes at a time: no multiplication, no table, no shift.
 *
 * A stage of unit g uses Q(x^(8g)), the delays times g, and leaves a remainder of 209g bytes. `1 + x^3859 + x^4146 + x^5424` is a multiple of P as well:
 * a stage by that one takes three xors, and leaves more. A message goes through the stages that it is long enough for:
 *
 * | from so many bytes | stage                        | leaves bytes |
 * | ------------------ | ---------------------------- | ------------ |
 * | 32 KiB             | three xors, in place         | 5,440        |
 * | 2,304              | five xors, unit 4, in place  | 864          |
 * | 336                | five xors, unit 1, in a ring | 224          |
 * | 32                 | halves of bytes, by row      | 19           |
 * | 1                  | tables                       | the crc      |
 *
 * @module
 */

import {
  advance,
  assemble,
  call,
  choose,
  type Code,
  crcOf,
  extendTable,
  get,
  i32,
  lane32,
  load128,
  load32,
  op,
  PAGE,
  set,
  sixteenFrom,
  store128,
  store32,
  type WasmFunction,
  whileLoop,
  withLane32,
} from "./wasm.ts";

/** How far back the taps of a stage of unit 1 are, in bytes. */
const DELAYS = [65, 155, 170, 195, 209];
/** The same of the stage for long messages. */
const LONG_DELAYS = [1278, 1565, 5424];
/** Bytes of a stage's remainder: what its last delay says, in whole pairs of rows. */
const LONG_REMAINDER = 5440, REMAINDER_4 = 864, REMAINDER_1 = 224;
/** From which length on a stage is worth it; never less than twice the remainder of one in place. */
const LEAST_LONG = 32 * 1024, LEAST_4 = 2304, LEAST_1 = 336;

/**
 * Memory: sixteen tables of 256 numbers, as {@linkcode extendTable} makes them; an edge to mask with, which is zeros and then ones; the remainder of unit 1; the ring of
 * its quotients, and a row more; zeros for taps before the message to find; the message, and two remainders.
 */
const TABLES = 0;
const EDGE = 16 * 1024, EDGE_ONES = EDGE + REMAINDER_1, REST = EDGE + 2 * REMAINDER_1;
const RING = REST + REMAINDER_1, SWIZZLES = RING + REMAINDER_1 + 16;
/** Rows that {@linkcode sum} takes without a stage before it, and bytes of the tables of each but the last. */
const MOST_ROWS = Math.ceil(LEAST_1 / 16), ROW_TABLES = 128;
const LAST_ROW = SWIZZLES + ROW_TABLES * MOST_ROWS, ZEROS = LAST_ROW + 16;
const MESSAGE = (ZEROS + LONG_REMAINDER + 63) & ~63;

/** The longest message, in bytes. */
export const KERNEL_MAX_BYTES: number = 64 * 1024;
/** How much memory it takes, in bytes: what lies behind is free. */
export const KERNEL_BYTES: number = MESSAGE + KERNEL_MAX_BYTES + LONG_REMAINDER + REMAINDER_4 + 64;

/** A crc32c kernel with its memory. */
export interface Crc32cKernel {
  /** The kernel's memory. */
  readonly memory: Uint8Array;
  /** Where in it a message of `length` bytes has to be put. It ends on a multiple of 32. */
  place(length: number): number;
  /** The crc of the message that was put there, of four bytes at least. The message is destroyed. */
  run(length: number, seed: number): number;
}

/** Makes a kernel; nothing where WebAssembly, or its SIMD instructions, are not to be had. */
export function makeCrc32cKernel(table: Int32Array): Crc32cKernel | undefined {
  try {
    const instance = new WebAssembly.Instance(new WebAssembly.Module(build()));
    const { memory, crc } = instance.exports as { memory: WebAssembly.Memory; crc: (l: number, s: number) => number };
    prepareCrc32c(memory, table);
    return { memory: new Uint8Array(memory.buffer), place: (length) => MESSAGE + (-length & 31), run: crc };
  } catch {
    return undefined;
  }
}

/** What {@linkcode prepareCrc32c} fills in: the same for all kernels, of which there are several. */
let prepared: Uint8Array | undefined;

/** Fills in what {@linkcode CRC32C_FUNCTIONS} find in memory. */
export function prepareCrc32c(memory: WebAssembly.Memory, table: Int32Array): void {
  const bytes = new Uint8Array(memory.buffer);
  if (prepared === undefined) {
    new Int32Array(memory.buffer, TABLES, 16 * 256).set(extendTable(table));
    bytes.fill(0xff, EDGE_ONES, EDGE_ONES + REMAINDER_1).set(rowTables(table), SWIZZLES);
    prepared = bytes.slice(0, LAST_ROW);
  }
  bytes.set(prepared);
}

/**
 * One stage in place: `fold(begin, length)` divides the message and leaves its remainder right behind it, with zeros before it.
 *
 * Locals: 0 the first row, 1 the length; where the taps of the first row are; the end of the loop at hand.
 */
function fold(delays: readonly number[], remainder: number): WasmFunction {
  const rows = 8, row = 0, taps = delays.map((_, i) => 2 + i), end = 2 + delays.length;
  /** The row `k` with its taps added. */
  const divided = (k: number) => [
    ...get(row),
    ...load128(16 * k),
    ...taps.flatMap((tap) => [...get(tap), ...load128(16 * k), ...op.xor128]),
  ];
  const step = (bytes: number) => [row, ...taps].flatMap((local) => advance(local, bytes));
  const quotients = (count: number) =>
    Array.from({ length: count }, (_, k) => [...get(row), ...divided(k), ...store128(16 * k)]).flat();
  const remainders = Array.from({ length: 2 }, (_, k) => [
    ...get(row),
    ...divided(k),
    ...store128(remainder + 16 * k),
    ...get(row),
    ...op.zero128,
    ...store128(16 * k),
  ]).flat();
  const before = (bytes: number) => [...get(row), ...i32(bytes), ...op.add, ...get(end), ...op.geU, ...op.not];
  const code = [
    ...taps.flatMap((tap, i) => [...get(row), ...i32(delays[i]!), ...op.sub, ...set(tap)]),
    // The quotients: all but the last `remainder` bytes.
    ...[...get(row), ...get(1), ...op.add, ...i32(remainder), ...op.sub, ...set(end)],
    ...whileLoop(before(16 * rows - 1), [...quotients(rows), ...step(16 * rows)]),
    ...whileLoop([...get(row), ...get(end), ...op.ltU], [...quotients(2), ...step(32)]),
    // The remainder: the same sums, of which nothing goes back in.
    ...advance(end, remainder),
    ...whileLoop([...get(row), ...get(end), ...op.ltU], [...remainders, ...step(32)]),
  ];
  return { params: 2, returns: false, locals: 1 + delays.length, code };
}

/**
 * The stage of unit 1: `divide(from, to)` leaves the remainder of any bytes, at least as many as that has, at {@linkcode REST}. They stay as they are.
 *
 * Quotients go to a ring of fourteen rows, which is as far as a tap reaches back, and as many as a remainder has: its addresses are constants, which no runtime
 * needs to check. The message is taken to begin with as many zeros as make it whole rounds of the ring. The first tap's rows were written only just now; a
 * processor would wait for them to get through its store buffer, so they are put together from variables.
 *
 * Locals: 0 and 1 from where to where, 2 the first row, 3 the edge over it, 4 where the remainder begins; 5 to 11, the last seven rows.
 */
function divide(): WasmFunction {
  const from = 0, to = 1, at = 2, edge = 3, end = 4, rows = REMAINDER_1 / 16;
  const [first, ...others] = DELAYS as [number, ...number[]], reach = Math.ceil(first / 16);
  /** Where the row `k` is kept: two turns are a round. */
  const kept = (k: number) => 5 + (k + rows) % (rows / 2);
  /** The row `k` of a round with its taps added. Where `isOver`, that comes behind the last quotient, and what would be in its own round is zero. */
  const divided = (k: number, isOver: boolean) => {
    const older = isOver && k - reach >= 0 ? op.zero128 : get(kept(k - reach));
    const younger = isOver && k - reach + 1 >= 0 ? op.zero128 : get(kept(k - reach + 1));
    return [
      ...[...get(at), ...load128(16 * k)],
      ...others.flatMap((delay) => {
        const place = 16 * k - delay;
        if (isOver && place >= 0) return [];
        return [...i32(0), ...load128(RING + (place < 0 ? place + REMAINDER_1 : place)), ...op.xor128];
      }),
      ...[...older, ...younger, ...sixteenFrom(16 * reach - first), ...op.xor128],
    ];
  };
  const each = (code: (k: number) => Code) => Array.from({ length: rows }, (_, k) => code(k)).flat();
  const store = (place: number, value: Code) => [...i32(0), ...value, ...store128(place)];
  /** A row that lies across the end of the ring goes on in its first one. */
  const keep = (k: number) => [
    ...store(RING + 16 * k, get(kept(k))),
    ...(k === 0 ? store(RING + REMAINDER_1, get(kept(0))) : []),
  ];
  const beforeEnd = [...get(at), ...get(end), ...op.ltU];
  const code = [
    ...[...get(to), ...i32(REMAINDER_1), ...op.sub, ...set(end)],
    // As many whole rounds as there is something in.
    ...[...get(end), ...get(end), ...get(from), ...op.sub, ...i32(REMAINDER_1 - 1), ...op.add],
    ...[...i32(REMAINDER_1), ...op.divU, ...i32(REMAINDER_1), ...op.mul, ...op.sub, ...set(at)],
    ...[...i32(EDGE_ONES), ...get(from), ...op.sub, ...get(at), ...op.add, ...set(edge)],
    ...each((k) => store(RING + 16 * k, op.zero128)),
    // What lies before the message counts as zeros.
    ...[...beforeEnd, ...op.if],
    ...each((k) => [
      ...[...divided(k, false), ...get(edge), ...load128(16 * k), ...op.and128, ...set(kept(k))],
      ...keep(k),
    ]),
    ...[...advance(at, REMAINDER_1), ...op.end],
    ...whileLoop(beforeEnd, [
      ...each((k) => [...divided(k, false), ...set(kept(k)), ...keep(k)]),
      ...advance(at, REMAINDER_1),
    ]),
    // The remainder: the same sums, of which nothing goes back in.
    ...store(RING + REMAINDER_1, op.zero128),
    ...each((k) => store(REST + 16 * k, divided(k, true))),
  ];
  return { params: 2, returns: false, locals: 3, rows: rows / 2, code };
}

/** The places of the functions in {@linkcode CRC32C_FUNCTIONS}. */
const FOLD_LONG = 0, FOLD_4 = 1, DIVIDE = 2, SUM = 3, CRC = 4;
/** Which of them is `crcAt(from, to)`: the crc of any bytes in this memory, at most {@linkcode KERNEL_MAX_BYTES}. They stay as they are. */
export const CRC_AT = 5;

/**
 * What a row of sixteen bytes is worth that others follow, for one of them, two, and so on: eight rows, for the lower and the upper halves of its bytes, what each
 * of the sixteen values of a half makes of the first byte of a crc, of the second, third and fourth.
 */
function rowTables(table: Int32Array): Uint8Array {
  const tables = new Uint8Array(ROW_TABLES * MOST_ROWS);
  const sums = Array.from({ length: 32 }, (_, i) => i < 16 ? i : (i - 16) << 4);
  for (let row = 0; row < MOST_ROWS; row++) {
    sums.forEach((before, i) => {
      let sum = before;
      for (let zeros = 0; zeros < 16; zeros++) sum = (sum >>> 8) ^ table[sum & 0xff]!;
      sums[i] = sum;
      for (let byte = 0; byte < 4; byte++) {
        tables[ROW_TABLES * row + 64 * (i >> 4) + 16 * byte + (i & 15)] = sum >>> (8 * byte);
      }
    });
  }
  return tables;
}

/**
 * `sum(from, to)`: the crc of any bytes that need no stage in place. They stay as they are.
 *
 * A crc is linear: that of some rows of sixteen bytes is the sum of what each is worth, and a byte is worth what its halves are. So each row goes, by two look-ups of
 * sixteen halves for each byte of a crc, to sixteen crcs, one for each place in a row. What these are worth together is what a row is worth that they are added up in,
 * each beginning at its own place, and up to three bytes that do not fit in there: only that row goes by way of the large tables.
 *
 * Locals: 0 where, 1 the end, 2 the crc, 3 four bytes, 4 the row's tables; 5 the row, 6 and 7 its halves, 8 to 11 the first bytes of those crcs, and so on.
 */
function sum(): Code {
  const at = 0, end = 1, crc = 2, tables = 4, row = 5, low = 6, high = 7, sums = [8, 9, 10, 11];
  const left = [...get(end), ...get(at), ...op.sub];
  const step = (bytes: number) => [...crcOf(bytes, at, crc, 3, TABLES), ...advance(at, bytes)];
  /** Adds what the row is worth to the four rows of sums. */
  const addRow = sums.flatMap((to, i) => [
    ...[...get(to), ...get(tables), ...load128(16 * i), ...get(low), ...choose, ...op.xor128],
    ...[...get(tables), ...load128(64 + 16 * i), ...get(high), ...choose, ...op.xor128, ...set(to)],
  ]);
  const rows = [
    ...[...left, ...i32(3), ...op.shl, ...i32(SWIZZLES - 2 * ROW_TABLES), ...op.add, ...set(tables)],
    ...[...get(at), ...load128(0), ...op.zero128, ...get(crc), ...withLane32(0), ...op.xor128, ...set(row)],
    ...whileLoop([...get(at), ...i32(16), ...op.add, ...get(end), ...op.ltU], [
      ...[...get(row), ...op.lowHalves, ...set(low)],
      ...[...get(row), ...i32(4), ...op.shrU16x8, ...op.lowHalves, ...set(high)],
      ...addRow,
      ...[...advance(tables, -ROW_TABLES), ...advance(at, 16)],
      ...[...get(at), ...load128(0), ...set(row)],
    ]),
    ...[...i32(LAST_ROW), ...get(row), ...get(sums[0]!), ...op.xor128],
    ...sums.flatMap((from, i) => i === 0 ? [] : [...op.zero128, ...get(from), ...sixteenFrom(16 - i), ...op.xor128]),
    ...store128(0),
    ...[...i32(LAST_ROW), ...set(at), ...i32(0), ...set(crc), ...crcOf(16, at, crc, 3, TABLES)],
    ...sums.flatMap((from, i) => i === 0 ? [] : [...get(from), ...op.zero128, ...sixteenFrom(16 - i)]),
    ...[...op.xor128, ...op.xor128, ...lane32(0), ...get(crc), ...op.xor, ...op.leave],
  ];
  return [
    ...[...get(1), ...get(0), ...op.sub, ...i32(LEAST_1), ...op.geU, ...op.if],
    ...[...get(0), ...get(1), ...call(DIVIDE)],
    ...[...i32(REST), ...set(0), ...i32(REST + REMAINDER_1), ...set(1)],
    ...op.end,
    // What there is beside whole rows.
    ...[8, 4].flatMap((bytes) => [...left, ...i32(bytes), ...op.and, ...op.if, ...step(bytes), ...op.end]),
    ...whileLoop([...left, ...i32(3), ...op.and], step(1)),
    ...[...left, ...i32(32), ...op.geU, ...op.if, ...rows, ...op.end],
    ...[...left, ...op.if, ...step(16), ...op.end],
    ...get(crc),
  ];
}

/** `crc(length, seed)`. Locals: 0 the length, 1 the seed, 2 the pad before the message, 3 where. */
function crc(): Code {
  /** Clears those bytes of the 32 before the message's end of pad that a longer message left there. */
  const clearPad = [0, 16].flatMap((offset) => [
    ...[...i32(MESSAGE), ...i32(MESSAGE), ...load128(offset)],
    ...[...i32(EDGE_ONES), ...get(2), ...op.sub, ...load128(offset), ...op.and128],
    ...store128(offset),
  ]);
  const stage = (least: number, index: number, remainder: number) => [
    ...[...get(0), ...i32(least), ...op.geU, ...op.if],
    ...[...get(3), ...get(0), ...call(index)],
    ...[...get(3), ...get(0), ...op.add, ...set(3), ...i32(remainder), ...set(0)],
    ...op.end,
  ];
  return [
    ...[...i32(0), ...get(0), ...op.sub, ...i32(31), ...op.and, ...set(2)],
    ...[...i32(MESSAGE), ...get(2), ...op.add, ...set(3)],
    // The seed counts like bytes before the message: it goes into its first four.
    ...[...get(3), ...get(3), ...load32(0), ...get(1), ...op.xor, ...store32(0)],
    ...[...get(0), ...i32(LEAST_4), ...op.geU, ...op.if],
    ...clearPad,
    ...[...i32(MESSAGE), ...set(3), ...get(0), ...get(2), ...op.add, ...set(0)],
    ...stage(LEAST_LONG, FOLD_LONG, LONG_REMAINDER),
    ...stage(LEAST_4, FOLD_4, REMAINDER_4),
    ...op.end,
    ...[...get(3), ...get(3), ...get(0), ...op.add, ...call(SUM)],
  ];
}

/** `crcAt(from, to)`. Local: 2 the length. */
function crcAt(): Code {
  return [
    ...[...get(1), ...get(0), ...op.sub, ...set(2)],
    ...[...get(2), ...i32(LEAST_4), ...op.ltU, ...op.if],
    ...[...get(0), ...get(1), ...call(SUM), ...op.leave, ...op.end],
    // A copy, to where it can be divided in place.
    ...[...i32(0), ...get(2), ...op.sub, ...i32(31), ...op.and, ...i32(MESSAGE), ...op.add],
    ...[...get(0), ...get(2), ...op.copy],
    ...[...get(2), ...i32(0), ...call(CRC)],
  ];
}

/** What the kernel is made of. In a module they come first: they call each other by number. */
export const CRC32C_FUNCTIONS: readonly WasmFunction[] = [
  fold(LONG_DELAYS, LONG_REMAINDER),
  fold(DELAYS.map((delay) => 4 * delay), REMAINDER_4),
  divide(),
  { params: 2, returns: true, locals: 3, rows: 7, code: sum() },
  { params: 2, returns: true, locals: 2, code: crc(), name: "crc" },
  { params: 2, returns: true, locals: 1, code: crcAt() },
];

/** The whole module. */
function build(): Uint8Array<ArrayBuffer> {
  return assemble(Math.ceil(KERNEL_BYTES / PAGE), CRC32C_FUNCTIONS);
}
