/**
 * What an OSD can be asked to do with an object.
 *
 * @module
 */

import { Decoder } from "./decoder.ts";
import { Encoder } from "./encoder.ts";
import { decodePosition, encodePosition, type ObjectPosition } from "./object_position.ts";

/** Kinds of operations: those of 0x1000 read, those of 0x2000 write. `CEPH_OSD_OP_*`. */
export const OsdOperationCode = {
  /** Reads a range. */
  READ: 0x1201,
  /** Asks for size and time. */
  STAT: 0x1202,
  /** Lists the objects of a placement group. */
  PGNLS: 0x1505,
  /** Reads keys with their values. */
  OMAPGETVALS: 0x1212,
  /** Writes a range. */
  WRITE: 0x2201,
  /** Replaces all contents. */
  WRITEFULL: 0x2202,
  /** Removes the object. */
  DELETE: 0x2205,
  /** Writes at the end. */
  APPEND: 0x2206,
  /** Sets keys to values. */
  OMAPSETVALS: 0x2215,
  /** Removes keys. */
  OMAPRMKEYS: 0x2218,
} as const;

/** How many bytes the parameters of an operation take, whatever it is. */
export const PARAMETERS_SIZE = 28;

const WRITES = 0x2000;
const NONE = new Uint8Array(PARAMETERS_SIZE);

/** One operation. Several in one request are carried out together or not at all. Ceph's `OSDOp`. */
export interface OsdOperation {
  /** One of {@linkcode OsdOperationCode}. */
  readonly code: number;
  /** Its parameters, {@linkcode PARAMETERS_SIZE} bytes. */
  readonly parameters: Uint8Array;
  /** Bytes that go with it. */
  readonly input?: Uint8Array;
}

/** Whether an operation changes something. */
export function isWrite({ code }: OsdOperation): boolean {
  return (code & WRITES) !== 0;
}

/** Reads `length` bytes from `offset` on; what is beyond the object's end is left out. */
export function readExtent(offset: number, length: number): OsdOperation {
  return { code: OsdOperationCode.READ, parameters: extent(offset, length) };
}

/** Writes bytes from `offset` on. */
export function writeExtent(offset: number, input: Uint8Array): OsdOperation {
  return { code: OsdOperationCode.WRITE, parameters: extent(offset, input.length), input };
}

/** Makes bytes the whole contents. */
export function writeFull(input: Uint8Array): OsdOperation {
  return { code: OsdOperationCode.WRITEFULL, parameters: extent(0, input.length), input };
}

/** Writes bytes behind the last one. */
export function append(input: Uint8Array): OsdOperation {
  return { code: OsdOperationCode.APPEND, parameters: extent(0, input.length), input };
}

/** Removes the object. */
export const remove: OsdOperation = { code: OsdOperationCode.DELETE, parameters: NONE };

/** Asks for size and time: see {@linkcode decodeStat}. */
export const stat: OsdOperation = { code: OsdOperationCode.STAT, parameters: NONE };

/** The size in bytes and the time of the last change in ms since 1970, of what {@linkcode stat} gave. */
export function decodeStat(output: Uint8Array): { size: number; mtime: number } {
  const decoder = new Decoder(output);
  return { size: decoder.u64(), mtime: decoder.time() };
}

/** The range of an operation; behind it what only CephFS uses. */
function extent(offset: number, length: number): Uint8Array {
  return new Encoder().u64(offset).u64(length).u64(0).u32(0).finish();
}

/** Sets keys to values; other keys stay as they are. */
export function setKeys(entries: Iterable<readonly [string, Uint8Array]>): OsdOperation {
  const input = new Encoder();
  input.list(sorted(entries), ([key, value]) => input.string(key).bytes(value));
  return { code: OsdOperationCode.OMAPSETVALS, parameters: NONE, input: input.finish() };
}

/** Removes keys. */
export function removeKeys(keys: Iterable<string>): OsdOperation {
  const input = new Encoder();
  input.list(sorted([...keys].map((key) => [key] as const)), ([key]) => input.string(key));
  return { code: OsdOperationCode.OMAPRMKEYS, parameters: NONE, input: input.finish() };
}

/** Reads at most `most` keys behind `after` that begin with `prefix`: see {@linkcode decodeKeys}. */
export function getKeys(after: string, most: number, prefix: string): OsdOperation {
  const input = new Encoder().string(after).u64(most).string(prefix).finish();
  return { code: OsdOperationCode.OMAPGETVALS, parameters: NONE, input };
}

/** The keys and values that {@linkcode getKeys} gave, and whether there are more. The values are copies. */
export function decodeKeys(output: Uint8Array): { entries: Map<string, Uint8Array>; hasMore: boolean } {
  const decoder = new Decoder(output);
  const entries = decoder.map(() => decoder.string(), () => Uint8Array.from(decoder.bytes()), 8);
  return { entries, hasMore: decoder.bool() };
}

/** Lists at most `most` objects of a placement group from a position on: see {@linkcode decodeList}. */
export function list(from: ObjectPosition, most: number): OsdOperation {
  const parameters = new Encoder().u64(most).u32(0).u64(0).u64(0).finish();
  return { code: OsdOperationCode.PGNLS, parameters, input: encodePosition(new Encoder(), from).finish() };
}

/** The names that {@linkcode list} gave, and where to go on. Ceph's `pg_nls_response_t`. */
export function decodeList(output: Uint8Array): { names: string[]; next: ObjectPosition } {
  const decoder = new Decoder(output);
  return decoder.struct("list of objects", 1, () => {
    const next = decodePosition(decoder);
    const names = decoder.list(() => {
      decoder.string();
      const name = decoder.string();
      decoder.string();
      return name;
    }, 12);
    return { names, next };
  });
}

/** In the order of a std::map, which OSDs insist on. */
function sorted<T extends readonly [string, ...unknown[]]>(entries: Iterable<T>): T[] {
  return [...entries].sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0);
}
