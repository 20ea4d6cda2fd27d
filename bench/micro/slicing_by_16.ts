/**
 * The usual portable crc32c: sixteen tables, sixteen bytes at a time, in WebAssembly. It is what ours has to be compared with.
 *
 * @module
 */

const POLYNOMIAL = 0x82f63b78;
/** Where things are in its memory. */
const TABLES = 0, DATA = 16 * 1024, DATA_BYTES = 64 * 1024, PAGE = 64 * 1024;

/** The tables, one after the other, and the function, which takes its data in parts of 64 KiB. */
export function makeSlicingBy16(): { readonly tables: Int32Array; readonly wasm: (bytes: Uint8Array) => number } {
  const tables = new Int32Array(16 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >>> 1 ^ POLYNOMIAL : crc >>> 1;
    tables[byte] = crc;
  }
  for (let i = 256; i < tables.length; i++) tables[i] = tables[i - 256]! >>> 8 ^ tables[tables[i - 256]! & 0xff]!;
  const { memory, run } = new WebAssembly.Instance(new WebAssembly.Module(assemble())).exports as {
    memory: WebAssembly.Memory;
    run: (length: number, crc: number) => number;
  };
  new Int32Array(memory.buffer, TABLES).set(tables);
  const data = new Uint8Array(memory.buffer, DATA, DATA_BYTES);
  const wasm = (bytes: Uint8Array) => {
    let crc = 0;
    for (let at = 0; at < bytes.length; at += DATA_BYTES) {
      const part = bytes.subarray(at, at + DATA_BYTES);
      data.set(part);
      crc = run(part.length, crc);
    }
    return crc >>> 0;
  };
  return { tables, wasm };
}

const I32 = 0x7f, END = 0x0b, XOR = 0x73, AND = 0x71, SHR_U = 0x76, SHL = 0x74, ADD = 0x6a;

function leb(value: number): number[] {
  return value < 0x80 ? [value] : [value & 0x7f | 0x80, ...leb(value >>> 7)];
}
function signedLeb(value: number): number[] {
  return value >= -64 && value < 64 ? [value & 0x7f] : [value & 0x7f | 0x80, ...signedLeb(value >> 7)];
}
const i32 = (value: number) => [0x41, ...signedLeb(value)];
const get = (local: number) => [0x20, local];
const set = (local: number) => [0x21, local];
const load = (offset: number) => [0x28, 2, ...leb(offset)];
const loadByte = (offset: number) => [0x2d, 0, ...leb(offset)];

/** `run(length, crc)`. Locals: 0 the length, then the end; 1 the crc; 2 where; 3 four bytes. */
function body(): number[] {
  const at = 2, word = 3;
  /** What byte `i` of a word contributes, of which the last byte is followed by none. */
  const lookup = (w: number, i: number) => [
    ...get(word),
    ...(i === 0 ? [] : [...i32(8 * i), SHR_U]),
    ...(i === 3 ? [] : [...i32(255), AND]),
    ...[...i32(2), SHL],
    ...load(TABLES + 1024 * (15 - 4 * w - i)),
  ];
  const words = [0, 1, 2, 3].flatMap((w) => [
    ...get(at),
    ...load(DATA + 4 * w),
    ...(w === 0 ? [...get(1), XOR] : []),
    ...set(word),
    ...[0, 1, 2, 3].flatMap((i) => [...lookup(w, i), ...(w === 0 && i === 0 ? [] : [XOR])]),
  ]);
  const single = [
    ...get(1),
    ...get(at),
    ...loadByte(DATA),
    ...[XOR, ...i32(255), AND, ...i32(2), SHL],
    ...load(TABLES),
    ...[...get(1), ...i32(8), SHR_U, XOR],
  ];
  /** Repeats while `bytes` more are there. */
  const loop = (bytes: number, step: number[]) => [
    ...[0x03, 0x40, ...get(at), ...i32(bytes), ADD, ...get(0), 0x4d], // loop; at + bytes <= end
    ...[0x04, 0x40, ...step, ...set(1), ...get(at), ...i32(bytes), ADD, ...set(at), 0x0c, 1, END, END],
  ];
  return [...loop(16, words), ...loop(1, single), ...get(1)];
}

function assemble(): Uint8Array<ArrayBuffer> {
  const vector = (items: number[][]) => [...leb(items.length), ...items.flat()];
  const section = (id: number, content: number[]) => [id, ...leb(content.length), ...content];
  const name = (text: string) => vector([...text].map((c) => [c.charCodeAt(0)]));
  const code = [...vector([[2, I32]]), ...body(), END];
  const pages = Math.ceil((DATA + DATA_BYTES) / PAGE);
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector([[0x60, 2, I32, I32, 1, I32]])),
    ...section(3, vector([[0]])),
    ...section(5, vector([[1, pages, pages]])),
    ...section(7, vector([[...name("memory"), 2, 0], [...name("run"), 0, 0]])),
    ...section(10, vector([[...leb(code.length), ...code]])),
  ]);
}
