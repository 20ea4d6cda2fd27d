/**
 * CRC-32C (Castagnoli) as Ceph computes it: reflected polynomial 0x82F63B78, the seed taken as it is, no final inversion.
 *
 * The crc of nothing is therefore the seed, and with seed 0 leading zero bytes do not count. The checksum that other
 * programs call crc32c is `~crc32c(data, 0xffffffff)`.
 *
 * @module
 */

import { KERNEL_MAX_BYTES, makeCrc32cKernel } from "./crc32c_kernel.ts";

const POLYNOMIAL = 0x82f63b78;
/** From this length on the copy into the kernel's memory is cheaper than the tables here. */
const KERNEL_FROM_BYTES = 192;

/**
 * `tables[k][b]`: what byte b contributes when k more bytes follow it.
 *
 * Signed: a number of 2^31 or more, which a Uint32Array would give, is no small integer for JavaScriptCore, and now and then it then gives up
 * compiling the loop below for good, which makes everything several times slower.
 */
const tables: Int32Array[] = Array.from({ length: 16 }, () => new Int32Array(256));
for (let byte = 0; byte < 256; byte++) {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  tables[0]![byte] = crc;
}
for (let k = 1; k < 16; k++) {
  for (let byte = 0; byte < 256; byte++) {
    const previous = tables[k - 1]![byte]!;
    tables[k]![byte] = (previous >>> 8) ^ tables[0]![previous & 0xff]!;
  }
}
/** The table for one byte. */
export const crc32cTable: Int32Array = tables[0]!;
const t0 = tables[0]!, t1 = tables[1]!, t2 = tables[2]!, t3 = tables[3]!;
const t4 = tables[4]!, t5 = tables[5]!, t6 = tables[6]!, t7 = tables[7]!;
const t8 = tables[8]!, t9 = tables[9]!, t10 = tables[10]!, t11 = tables[11]!;
const t12 = tables[12]!, t13 = tables[13]!, t14 = tables[14]!, t15 = tables[15]!;

/**
 * The crc32c of `bytes`, or of a part of them, in Ceph's convention.
 *
 * @param bytes The bytes.
 * @param seed The crc so far: 0 to begin with, or the crc of what comes before.
 * @param start Where to begin.
 * @param end Where to end.
 * @returns An unsigned 32-bit number.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { crc32c } from "@msgr/pipe/wire";
 *
 * assertEquals(crc32c(new TextEncoder().encode("foo bar baz")), 4119623852);
 * ```
 */
export function crc32c(bytes: Uint8Array, seed = 0, start = 0, end: number = bytes.length): number {
  if (end - start >= KERNEL_FROM_BYTES && kernel !== undefined) return crc32cByKernel(kernel, bytes, seed, start, end);
  return crc32cByTables(bytes, seed, start, end);
}

const kernel = makeCrc32cKernel(t0);

function crc32cByKernel(
  { memory, place, run }: NonNullable<typeof kernel>,
  bytes: Uint8Array,
  seed: number,
  start: number,
  end: number,
): number {
  let crc = seed;
  let at = start;
  for (; end - at >= KERNEL_FROM_BYTES; at += KERNEL_MAX_BYTES) {
    const part = bytes.subarray(at, Math.min(end, at + KERNEL_MAX_BYTES));
    memory.set(part, place(part.length));
    crc = run(part.length, crc);
  }
  return at < end ? crc32cByTables(bytes, crc, at, end) : crc >>> 0;
}

function crc32cByTables(bytes: Uint8Array, seed: number, start: number, end: number): number {
  let crc = seed | 0;
  let at = start;
  for (const last = end - 16; at <= last; at += 16) {
    crc = t15[(crc ^ bytes[at]!) & 0xff]! ^ t14[((crc >>> 8) ^ bytes[at + 1]!) & 0xff]! ^
      t13[((crc >>> 16) ^ bytes[at + 2]!) & 0xff]! ^ t12[(crc >>> 24) ^ bytes[at + 3]!]! ^
      t11[bytes[at + 4]!]! ^ t10[bytes[at + 5]!]! ^ t9[bytes[at + 6]!]! ^ t8[bytes[at + 7]!]! ^
      t7[bytes[at + 8]!]! ^ t6[bytes[at + 9]!]! ^ t5[bytes[at + 10]!]! ^ t4[bytes[at + 11]!]! ^
      t3[bytes[at + 12]!]! ^ t2[bytes[at + 13]!]! ^ t1[bytes[at + 14]!]! ^ t0[bytes[at + 15]!]!;
  }
  if (end - at >= 8) {
    crc = t7[(crc ^ bytes[at]!) & 0xff]! ^ t6[((crc >>> 8) ^ bytes[at + 1]!) & 0xff]! ^
      t5[((crc >>> 16) ^ bytes[at + 2]!) & 0xff]! ^ t4[(crc >>> 24) ^ bytes[at + 3]!]! ^
      t3[bytes[at + 4]!]! ^ t2[bytes[at + 5]!]! ^ t1[bytes[at + 6]!]! ^ t0[bytes[at + 7]!]!;
    at += 8;
  }
  for (; at < end; at++) crc = t0[(crc ^ bytes[at]!) & 0xff]! ^ (crc >>> 8);
  return crc >>> 0;
}
