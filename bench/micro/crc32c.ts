/**
 * Our crc32c against sixteen tables in WebAssembly, eight in JavaScript, and the native @node-rs/crc32 where
 * `bench/peers` is installed. All have to agree first.
 *
 * @module
 */

import { compare } from "./compare.ts";
import { makeSlicingBy16 } from "./slicing_by_16.ts";
import { installed } from "../peers/install.ts";
import { crc32c } from "../../src/wire/crc32c.ts";

const SIZES = [49, 256, 1024, 4096, 65_536, 1_048_576];

type Crc = (bytes: Uint8Array) => number;

const { tables, wasm } = makeSlicingBy16();

const candidates: Record<string, Crc> = {
  "sixteen tables, WebAssembly": wasm,
  "eight tables, JavaScript": byEightTables,
  ...native(),
  "ours": (bytes) => crc32c(bytes),
};

for (const size of SIZES) {
  const bytes = Uint8Array.from({ length: size }, (_, i) => i * 31 ^ i >>> 7);
  const results = new Set(Object.values(candidates).map((crc) => crc(bytes)));
  if (results.size > 1) throw new Error(`They do not agree on ${size} bytes: ${[...results].join(", ")}`);
  compare(
    `crc32c of ${size} B`,
    1,
    Object.fromEntries(Object.entries(candidates).map(([name, crc]) => [name, () => crc(bytes)])),
  );
}

/** The textbook's method. */
function byEightTables(bytes: Uint8Array): number {
  const last = bytes.length - 8;
  let crc = 0, at = 0;
  for (; at <= last; at += 8) {
    crc = tables[1792 + ((crc ^ bytes[at]!) & 0xff)]! ^ tables[1536 + ((crc >>> 8 ^ bytes[at + 1]!) & 0xff)]! ^
      tables[1280 + ((crc >>> 16 ^ bytes[at + 2]!) & 0xff)]! ^ tables[1024 + (crc >>> 24 ^ bytes[at + 3]!)]! ^
      tables[768 + bytes[at + 4]!]! ^ tables[512 + bytes[at + 5]!]! ^ tables[256 + bytes[at + 6]!]! ^
      tables[bytes[at + 7]!]!;
  }
  for (; at < bytes.length; at++) crc = tables[(crc ^ bytes[at]!) & 0xff]! ^ crc >>> 8;
  return crc >>> 0;
}

/** It inverts the seed and the result, as everybody but Ceph does. */
function native(): Record<string, Crc> {
  try {
    const { crc32c } = installed<{ crc32c(bytes: Uint8Array, seed: number): number }>("@node-rs/crc32");
    return { "@node-rs/crc32": (bytes) => ~crc32c(bytes, 0xffffffff) >>> 0 };
  } catch {
    console.log("@node-rs/crc32 is not installed: npm ci in bench/peers");
    return {};
  }
}
