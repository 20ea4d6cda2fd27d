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

/** How far back the taps of a stage of unit 1 are, in bytes. */
const DELAYS = [65, 155, 170, 195, 209];
/** Bytes of a stage's remainder: 209 times its unit, in whole pairs of rows. */
const REMAINDER_4 = 864, REMAINDER_1 = 224;
/** From which length on a stage is worth it; never less than twice its remainder. */
const LEAST_4 = 2304, LEAST_1 = 512;

/** Memory: sixteen tables of 256 numbers, a sliding mask, zeros for taps before the message to find, the message, two remainders. */
const TABLES = 0, MASK = 16 * 1024, ZEROS = MASK + 64, MESSAGE = ZEROS + 896;
const PAGE = 64 * 1024;

/** The longest message, in bytes. */
export const KERNEL_MAX_BYTES = 64 * 1024;
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
    const instance = new WebAssembly.Instance(new WebAssembly.Module(assemble()));
    const { memory, crc } = instance.exports as { memory: WebAssembly.Memory; crc: (l: number, s: number) => number };
    const bytes = new Uint8Array(memory.buffer);
    new Int32Array(memory.buffer, TABLES, 16 * 256).set(extend(table));
    bytes.fill(0xff, MASK + 32, MASK + 64);
    return { memory: bytes, place: (length) => MESSAGE + (-length & 31), run: crc };
  } catch {
    return undefined;
  }
}

/** From the table for one byte, those for up to fifteen more bytes behind it. */
function extend(table: Int32Array): Int32Array {
  const tables = new Int32Array(16 * 256);
  tables.set(table);
  for (let i = 256; i < tables.length; i++) {
    const before = tables[i - 256]!;
    tables[i] = (before >>> 8) ^ table[before & 0xff]!;
  }
  return tables;
}

// ---------------------------------------------------------- WebAssembly's bytes

const I32 = 0x7f;
const op = {
  block: [0x02, 0x40],
  loop: [0x03, 0x40],
  if: [0x04, 0x40],
  end: [0x0b],
  add: [0x6a],
  sub: [0x6b],
  and: [0x71],
  xor: [0x73],
  shl: [0x74],
  shrU: [0x76],
  ltU: [0x49],
  geU: [0x4f],
};
const v128And = [0xfd, 0x4e], v128Xor = [0xfd, 0x51];
const v128Zero = [0xfd, 0x0c, ...new Array<number>(16).fill(0)];

/** A number in LEB128, unsigned. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

/** A number in LEB128, signed. */
function signed(value: number): number[] {
  return value >= -64 && value < 64 ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}

const i32 = (value: number) => [0x41, ...signed(value)];
const get = (local: number) => [0x20, ...unsigned(local)];
const set = (local: number) => [0x21, ...unsigned(local)];
const call = (index: number) => [0x10, ...unsigned(index)];
const load32 = (offset: number) => [0x28, 0, ...unsigned(offset)];
const store32 = (offset: number) => [0x36, 0, ...unsigned(offset)];
const load128 = (offset: number) => [0xfd, 0, 0, ...unsigned(offset)];
const store128 = (offset: number) => [0xfd, 11, 0, ...unsigned(offset)];
/** `local += value`. */
const advance = (local: number, value: number) => [...get(local), ...i32(value), ...op.add, ...set(local)];
/** Repeats `body` while `condition` holds. */
const whileLoop = (condition: number[], body: number[]) => [
  ...op.loop,
  ...condition,
  ...op.if,
  ...body,
  0x0c,
  1, // branch to the loop
  ...op.end,
  ...op.end,
];

/**
 * One stage: `fold(begin, length)` divides the message in place and leaves its remainder right behind it, with zeros before it.
 *
 * Locals: 0 the first row, 1 the length, then its end as a pointer; 2 to 6 where the taps of the first row are; 7 the end of the loop at hand.
 */
function fold(unit: number, rows: number, remainder: number): number[] {
  const row = 0, end = 7, taps = DELAYS.map((_, i) => 2 + i);
  /** The row `k` with its taps added. */
  const divided = (k: number) => [
    ...get(row),
    ...load128(16 * k),
    ...taps.flatMap((tap) => [...get(tap), ...load128(16 * k), ...v128Xor]),
  ];
  const step = (bytes: number) => [row, ...taps].flatMap((local) => advance(local, bytes));
  const quotients = (count: number) =>
    Array.from({ length: count }, (_, k) => [...get(row), ...divided(k), ...store128(16 * k)]).flat();
  const remainders = Array.from({ length: 2 }, (_, k) => [
    ...get(row),
    ...divided(k),
    ...store128(remainder + 16 * k),
    ...get(row),
    ...v128Zero,
    ...store128(16 * k),
  ]).flat();
  const before = (bytes: number) => [...get(row), ...i32(bytes), ...op.add, ...get(end), ...op.geU, 0x45]; // i32.eqz
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

/**
 * `tail(begin, length)`: the crc of the last bytes, sixteen at a time, by tables. Locals: 0 where, 1 the end, 2 the crc, 3 four bytes.
 */
function tail(): number[] {
  const lookups = (word: number) => {
    const byte = (i: number) => [
      ...get(3),
      ...(i === 0 ? [] : [...i32(8 * i), ...op.shrU]),
      ...(i === 3 ? [] : [...i32(255), ...op.and]),
      ...i32(2),
      ...op.shl,
      ...load32(TABLES + 1024 * (15 - 4 * word - i)),
    ];
    return [
      ...get(0),
      ...load32(4 * word),
      ...(word === 0 ? [...get(2), ...op.xor] : []),
      ...set(3),
      ...[0, 1, 2, 3].flatMap((i) => [...byte(i), ...(word === 0 && i === 0 ? [] : op.xor)]),
    ];
  };
  return [
    ...[...get(0), ...get(1), ...op.add, ...set(1)],
    ...whileLoop([...get(0), ...get(1), ...op.ltU], [
      ...[0, 1, 2, 3].flatMap(lookups),
      ...set(2),
      ...advance(0, 16),
    ]),
    ...get(2),
  ];
}

const FOLD_4 = 0, FOLD_1 = 1, TAIL = 2;

/** `crc(length, seed)`. Locals: 0 the length, 1 the seed, 2 the pad before the message, 3 where, 4 a row. */
function crc(): number[] {
  /** Clears those bytes of the 32 before the message's end of pad that a longer message left there. */
  const clearPad = [0, 16].flatMap((offset) => [
    ...i32(MESSAGE),
    ...i32(MESSAGE),
    ...load128(offset),
    ...i32(32),
    ...get(2),
    ...op.sub,
    ...load128(MASK + offset),
    ...v128And,
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

/** The whole module. */
function assemble(): Uint8Array<ArrayBuffer> {
  const vector = (items: number[][]) => [...unsigned(items.length), ...items.flat()];
  const section = (id: number, content: number[]) => [id, ...unsigned(content.length), ...content];
  const name = (text: string) => vector([...text].map((c) => [c.charCodeAt(0)]));
  const body = (locals: number, code: number[]) => {
    const bytes = [...vector(locals === 0 ? [] : [[...unsigned(locals), I32]]), ...code, ...op.end];
    return [...unsigned(bytes.length), ...bytes];
  };
  const returnsNothing = [0x60, 2, I32, I32, 0], returnsNumber = [0x60, 2, I32, I32, 1, I32];
  const pages = Math.ceil((MESSAGE + KERNEL_MAX_BYTES + REMAINDER_4 + REMAINDER_1 + 64) / PAGE);
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector([returnsNothing, returnsNumber])),
    ...section(3, vector([[0], [0], [1], [1]])),
    ...section(5, vector([[1, ...unsigned(pages), ...unsigned(pages)]])),
    ...section(7, vector([[...name("memory"), 2, 0], [...name("crc"), 0, 3]])),
    ...section(
      10,
      vector([
        body(6, fold(4, 8, REMAINDER_4)),
        body(6, fold(1, 4, REMAINDER_1)),
        body(2, tail()),
        body(3, crc()),
      ]),
    ),
  ]);
}
