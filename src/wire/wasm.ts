/**
 * WebAssembly, put together instruction by instruction: the few that the kernels here are made of.
 *
 * @module
 */

/** Instructions, one after the other. */
export type Code = readonly number[];

/** A function of a module. */
export interface WasmFunction {
  /** How many numbers it is called with. */
  readonly params: number;
  /** Whether it returns one. */
  readonly returns: boolean;
  /** How many local variables it has beside its parameters: numbers of 32 bits, then those of 64, then rows. */
  readonly locals: number;
  /** How many of 64 bits. */
  readonly longs?: number;
  /** How many rows of 16 bytes there are behind those. */
  readonly rows?: number;
  /** What it does. */
  readonly code: Code;
  /** Under which name JavaScript finds it, if it does. */
  readonly name?: string;
}

/** Bytes of a page of memory. */
export const PAGE: number = 64 * 1024;

const I32 = 0x7f, I64 = 0x7e, V128 = 0x7b;

/** Instructions without operands of their own. */
export const op = {
  if: [0x04, 0x40],
  end: [0x0b],
  /** Leaves the function, with the value that it returns. */
  leave: [0x0f],
  add: [0x6a],
  sub: [0x6b],
  mul: [0x6c],
  divU: [0x6e],
  and: [0x71],
  or: [0x72],
  xor: [0x73],
  shl: [0x74],
  shrU: [0x76],
  not: [0x45],
  ne: [0x47],
  ltU: [0x49],
  gtU: [0x4b],
  geU: [0x4f],
  /** From 32 to 64 bits, unsigned. */
  extend: [0xad],
  add64: [0x7c],
  or64: [0x84],
  xor64: [0x85],
  shl64: [0x86],
  isZero64: [0x50],
  and128: [0xfd, 0x4e],
  xor128: [0xfd, 0x51],
  /** Copies bytes within the memory: where to, where from, how many. */
  copy: [0xfc, 10, 0, 0],
  zero128: [0xfd, 0x0c, ...new Array<number>(16).fill(0)],
  /** The lower half of each byte of a row. */
  lowHalves: [0xfd, 0x0c, ...new Array<number>(16).fill(0x0f), 0xfd, 0x4e],
  /** Moves each two bytes of a row, as a number, so many bits to the right. */
  shrU16x8: [0xfd, 0x8d, 1],
} as const;

/** Sixteen bytes of two rows, one behind the other, from so many bytes on. */
export const sixteenFrom = (byte: number): Code => [0xfd, 0x0d, ...Array.from({ length: 16 }, (_, i) => byte + i)];

/** The number in a row's lane of 32 bits. */
export const lane32 = (lane: number): Code => [0xfd, 0x1b, lane];
/** A row with another number in such a lane. */
export const withLane32 = (lane: number): Code => [0xfd, 0x1c, lane];

/** A number in LEB128, unsigned. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

/** A number in LEB128, signed. */
function signed(value: number): number[] {
  return value >= -64 && value < 64 ? [value & 0x7f] : [(value & 0x7f) | 0x80, ...signed(value >> 7)];
}

/** A constant. */
export const i32 = (value: number): Code => [0x41, ...signed(value)];
/** A constant of 64 bits. */
export const i64 = (value: number): Code => [0x42, ...signed(value)];
/** A local variable's value. */
export const get = (local: number): Code => [0x20, ...unsigned(local)];
/** Gives a local variable a value. */
export const set = (local: number): Code => [0x21, ...unsigned(local)];
/** Calls a function of the module. */
export const call = (index: number): Code => [0x10, ...unsigned(index)];
/** Loads and stores, of so many bits, at an address and so many bytes behind it. */
export const load8 = (offset: number): Code => [0x2d, 0, ...unsigned(offset)];
export const load32 = (offset: number): Code => [0x28, 0, ...unsigned(offset)];
export const load64 = (offset: number): Code => [0x29, 0, ...unsigned(offset)];
export const load128 = (offset: number): Code => [0xfd, 0, 0, ...unsigned(offset)];
export const store8 = (offset: number): Code => [0x3a, 0, ...unsigned(offset)];
export const store32 = (offset: number): Code => [0x36, 0, ...unsigned(offset)];
export const store64 = (offset: number): Code => [0x37, 0, ...unsigned(offset)];
export const store128 = (offset: number): Code => [0xfd, 11, 0, ...unsigned(offset)];
/** `local += value`. */
export const advance = (local: number, value: number): Code => [...get(local), ...i32(value), ...op.add, ...set(local)];
/** `local + value`. */
export const plus = (local: number, value: number): Code => [...get(local), ...i32(value), ...op.add];

/** Repeats `body` while `condition` holds. */
export const whileLoop = (condition: Code, body: Code): Code => [
  ...[0x03, 0x40], // loop
  ...condition,
  ...op.if,
  ...body,
  ...[0x0c, 1], // branch to the loop
  ...op.end,
  ...op.end,
];

/** Repeats `body` until one of its {@linkcode leaveIf}s, which are not within a block of their own, is told to. */
export const forever = (body: Code): Code => [
  ...[0x02, 0x40], // block
  ...[0x03, 0x40], // loop
  ...body,
  ...[0x0c, 0], // branch to the loop
  ...op.end,
  ...op.end,
];
/** Leaves the {@linkcode forever} that it is in. */
export const leaveIf = (condition: Code): Code => [...condition, 0x0d, 1];

/** What a table of 256 numbers holds for byte `index` of a number. */
export const lookUp = (table: number, value: Code, index: number): Code => [
  ...value,
  ...(index === 0 ? [...i32(2), ...op.shl] : [...i32(8 * index - 2), ...op.shrU]),
  ...[...i32(255 * 4), ...op.and],
  ...load32(table),
];

/**
 * The crc32c of some bytes more by tables for one byte, for one that another one follows, and so on. What depends on the crc so far comes last, so that a
 * processor can look up the rest while it is not known yet.
 *
 * @param bytes How many: 1, 4, 8 or 16.
 * @param at The local variable with their address.
 * @param sum The local variable with the crc so far, which is changed.
 * @param word A local variable to use.
 * @param tables Where in memory the tables are.
 */
export function crcOf(bytes: number, at: number, sum: number, word: number, tables: number): Code {
  if (bytes === 1) {
    const value = [...get(sum), ...get(at), ...load8(0), ...op.xor];
    return [...lookUp(tables, value, 0), ...get(sum), ...i32(8), ...op.shrU, ...op.xor, ...set(sum)];
  }
  const last = bytes / 4 - 1;
  const words = Array.from({ length: bytes / 4 }, (_, w) => [
    ...get(at),
    ...load32(4 * w),
    ...(w === 0 ? [...get(sum), ...op.xor] : []),
    ...set(word),
    ...[0, 1, 2, 3].flatMap((i) => [
      ...lookUp(tables + 1024 * (bytes - 1 - 4 * w - i), get(word), i),
      ...(w === last && i === 0 ? [] : op.xor),
    ]),
  ]);
  return [...words.reverse().flat(), ...set(sum)];
}

/** From crc32c's table for one byte, those for up to fifteen more bytes behind it. */
export function extendTable(table: Int32Array): Int32Array {
  const tables = new Int32Array(16 * 256);
  tables.set(table);
  for (let i = 256; i < tables.length; i++) {
    const before = tables[i - 256]!;
    tables[i] = (before >>> 8) ^ table[before & 0xff]!;
  }
  return tables;
}

/** A module with a memory of its own, which never grows. */
export function assemble(pages: number, functions: readonly WasmFunction[]): Uint8Array<ArrayBuffer> {
  const vector = (items: readonly Code[]) => [...unsigned(items.length), ...items.flat()];
  const section = (id: number, content: Code) => [id, ...unsigned(content.length), ...content];
  const name = (text: string) => vector([...text].map((c) => [c.charCodeAt(0)]));
  const type = ({ params, returns }: WasmFunction) => [
    ...[0x60, ...vector(Array.from({ length: params }, () => [I32]))],
    ...vector(returns ? [[I32]] : []),
  ];
  const body = ({ locals, longs = 0, rows = 0, code }: WasmFunction) => {
    const kinds = [[locals, I32], [longs, I64], [rows, V128]]
      .filter(([count]) => count! > 0)
      .map(([count, kind]) => [...unsigned(count!), kind!]);
    const bytes = [...vector(kinds), ...code, ...op.end];
    return [...unsigned(bytes.length), ...bytes];
  };
  const exported = functions.flatMap(({ name: text }, i) =>
    text === undefined ? [] : [[...name(text), 0, ...unsigned(i)]]
  );
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector(functions.map(type))),
    ...section(3, vector(functions.map((_, i) => unsigned(i)))),
    ...section(5, vector([[1, ...unsigned(pages), ...unsigned(pages)]])),
    ...section(7, vector([[...name("memory"), 2, 0], ...exported])),
    ...section(10, vector(functions.map(body))),
  ]);
}

/** Leaves open what comes of places above 15, and so takes one instruction of the processor instead of two; not every runtime has it. */
const CHOOSE_RELAXED: Code = [0xfd, 0x80, 2];

/** Sixteen bytes of one row, by the numbers of their places, 0 to 15, in another. */
export const choose: Code = isValid([...op.zero128, ...op.zero128, ...CHOOSE_RELAXED, ...lane32(0)])
  ? CHOOSE_RELAXED
  : [0xfd, 0x0e];

/** Whether the runtime can run a function that returns a number. */
function isValid(code: Code): boolean {
  try {
    return WebAssembly.validate(assemble(1, [{ params: 0, returns: true, locals: 0, code }]));
  } catch {
    return false;
  }
}
