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
 * A stage of unit g uses Q(x^(8g)), the delays times g, and leaves a remainder of 209g bytes. A long message goes through a stage of unit 4 (in
 * which eight rows of sixteen bytes are independent of each other), the remainder through one of unit 1, and what is left then through
 * tables.
 *
 * @module
 */

import {
  advance,
  assemble,
  call,
  type Code,
  crcOf,
  extendTable,
  get,
  i32,
  load128,
  load32,
  op,
  PAGE,
  set,
  store128,
  store32,
  type WasmFunction,
  whileLoop,
} from "./wasm.ts";

/** How far back the taps of a stage of unit 1 are, in bytes. */
const DELAYS = [65, 155, 170, 195, 209];
/** Bytes of a stage's remainder: 209 times its unit, in whole pairs of rows. */
const REMAINDER_4 = 864, REMAINDER_1 = 224;
/** From which length on a stage is worth it; never less than twice its remainder. */
const LEAST_4 = 2304, LEAST_1 = 512;

/** Memory: sixteen tables of 256 numbers, as {@linkcode extendTable} makes them; a sliding mask, zeros for taps before the message to find, the message, two remainders. */
export const TABLES = 0;
const MASK = 16 * 1024, ZEROS = MASK + 64, MESSAGE = ZEROS + 896;

/** The longest message, in bytes. */
export const KERNEL_MAX_BYTES: number = 64 * 1024;
/** How much memory it takes, in bytes: what lies behind is free. */
export const KERNEL_BYTES: number = MESSAGE + KERNEL_MAX_BYTES + REMAINDER_4 + REMAINDER_1 + 64;
/** The shortest message, in bytes: one pad. */
export const KERNEL_MIN_BYTES = 32;

/** A crc32c kernel with its memory. */
export interface Crc32cKernel {
  /** The kernel's memory. */
  readonly memory: Uint8Array;
  /** Where in it a message of `length` bytes has to be put. It ends on a multiple of 32. */
  place(length: number): number;
  /** The crc of the message that was put there. The message is destroyed. */
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

/** Fills in what {@linkcode CRC32C_FUNCTIONS} find in memory. */
export function prepareCrc32c(memory: WebAssembly.Memory, table: Int32Array): void {
  new Int32Array(memory.buffer, TABLES, 16 * 256).set(extendTable(table));
  new Uint8Array(memory.buffer).fill(0xff, MASK + 32, MASK + 64);
}

/**
 * One stage: `fold(begin, length)` divides the message in place and leaves its remainder right behind it, with zeros before it.
 *
 * Locals: 0 the first row, 1 the length, then its end as a pointer; 2 to 6 where the taps of the first row are; 7 the end of the loop at hand.
 */
function fold(unit: number, rows: number, remainder: number): Code {
  const row = 0, end = 7, taps = DELAYS.map((_, i) => 2 + i);
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
  return [
    ...taps.flatMap((tap, i) => [...get(row), ...i32(DELAYS[i]! * unit), ...op.sub, ...set(tap)]),
    // The quotients: all but the last `remainder` bytes.
    ...[...get(row), ...get(1), ...op.add, ...i32(remainder), ...op.sub, ...set(end)],
    ...whileLoop(before(16 * rows - 1), [...quotients(rows), ...step(16 * rows)]),
    ...whileLoop([...get(row), ...get(end), ...op.ltU], [...quotients(2), ...step(32)]),
    // The remainder: the same sums, of which nothing goes back in.
    ...advance(end, remainder),
    ...whileLoop([...get(row), ...get(end), ...op.ltU], [...remainders, ...step(32)]),
  ];
}

/** `tail(begin, length)`: the crc of the last bytes, sixteen at a time, by tables. Locals: 0 where, 1 the end, 2 the crc, 3 four bytes. */
function tail(): Code {
  return [
    ...[...get(0), ...get(1), ...op.add, ...set(1)],
    ...whileLoop([...get(0), ...get(1), ...op.ltU], [...crcOf(16, 0, 2, 3, TABLES), ...advance(0, 16)]),
    ...get(2),
  ];
}

const FOLD_4 = 0, FOLD_1 = 1, TAIL = 2, CRC = 3;

/** `crc(length, seed)`. Locals: 0 the length, 1 the seed, 2 the pad before the message, 3 where, 4 a row. */
function crc(): Code {
  /** Clears those bytes of the 32 before the message's end of pad that a longer message left there. */
  const clearPad = [0, 16].flatMap((offset) => [
    ...i32(MESSAGE),
    ...i32(MESSAGE),
    ...load128(offset),
    ...i32(32),
    ...get(2),
    ...op.sub,
    ...load128(MASK + offset),
    ...op.and128,
    ...store128(offset),
  ]);
  const stage = (least: number, index: number, remainder: number) => [
    ...get(0),
    ...i32(least),
    ...op.geU,
    ...op.if,
    ...get(3),
    ...get(0),
    ...call(index),
    ...get(3),
    ...get(0),
    ...op.add,
    ...set(3),
    ...i32(remainder),
    ...set(0),
    ...op.end,
  ];
  return [
    ...[...i32(0), ...get(0), ...op.sub, ...i32(31), ...op.and, ...set(2)],
    ...clearPad,
    ...[...i32(MESSAGE), ...set(3)],
    // The seed counts like bytes before the message: it goes into its first four.
    ...[...get(3), ...get(2), ...op.add],
    ...[...get(3), ...get(2), ...op.add, ...load32(0), ...get(1), ...op.xor, ...store32(0)],
    ...[...get(0), ...get(2), ...op.add, ...set(0)],
    ...stage(LEAST_4, FOLD_4, REMAINDER_4),
    ...stage(LEAST_1, FOLD_1, REMAINDER_1),
    ...[...get(3), ...get(0), ...call(TAIL)],
  ];
}

/** What the kernel is made of. In a module they come first: they call each other by number. */
export const CRC32C_FUNCTIONS: readonly WasmFunction[] = [
  { params: 2, returns: false, locals: 6, code: fold(4, 8, REMAINDER_4) },
  { params: 2, returns: false, locals: 6, code: fold(1, 4, REMAINDER_1) },
  { params: 2, returns: true, locals: 2, code: tail() },
  { params: 2, returns: true, locals: 3, code: crc(), name: "crc" },
];

/** The crc of the bytes from the address in one variable to that in another; the one for their number is overwritten. They stay as they are. */
export function crcOfCopy(from: number, to: number, length: number): Code {
  return [
    ...[...get(to), ...get(from), ...op.sub, ...set(length)],
    // Where it has to be put.
    ...[...i32(0), ...get(length), ...op.sub, ...i32(31), ...op.and, ...i32(MESSAGE), ...op.add],
    ...[...get(from), ...get(length), ...op.copy],
    ...[...get(length), ...i32(0), ...call(CRC)],
  ];
}

/** The whole module. */
function build(): Uint8Array<ArrayBuffer> {
  return assemble(Math.ceil(KERNEL_BYTES / PAGE), CRC32C_FUNCTIONS);
}
