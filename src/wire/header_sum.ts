/**
 * What two numbers that differ from message to message, seq and tid, add to the crc of a header.
 *
 * A crc is linear: that of a header is the crc of the same header with seq and tid 0, xor what each byte of the two numbers adds.
 *
 * @module
 */

import { crc32c } from "./crc32c.ts";

/** Bytes of seq and tid, and of all that the crc is of. */
const NUMBERS = 16, SUMMED = 49;

/** What byte `i` of seq and tid adds to the crc, for each value: the crc of a header of zeros but for that byte. */
export const ADDS: readonly Int32Array[] = Array.from({ length: NUMBERS }, (_, i) => {
  const zeros = new Uint8Array(SUMMED);
  return Int32Array.from({ length: 256 }, (_, value) => {
    zeros[i] = value;
    return crc32c(zeros);
  });
});
const [SEQ_0, SEQ_1, SEQ_2, SEQ_3] = ADDS as unknown as [Int32Array, Int32Array, Int32Array, Int32Array];
const [TID_0, TID_1, TID_2, TID_3] = ADDS.slice(8) as [Int32Array, Int32Array, Int32Array, Int32Array];

/** What seq and tid add to the crc of a header in which they are 0. */
export function added(seq: number, tid: number): number {
  let crc = SEQ_0[seq & 0xff]! ^ SEQ_1[(seq >>> 8) & 0xff]! ^ SEQ_2[(seq >>> 16) & 0xff]! ^ SEQ_3[seq >>> 24]! ^
    TID_0[tid & 0xff]! ^ TID_1[(tid >>> 8) & 0xff]! ^ TID_2[(tid >>> 16) & 0xff]! ^ TID_3[tid >>> 24]!;
  if (seq > 0xffffffff) crc ^= addedAbove(seq, 4);
  if (tid > 0xffffffff) crc ^= addedAbove(tid, 12);
  return crc;
}

/** What the upper half of a number adds; its first byte is byte `first` of the header. */
function addedAbove(value: number, first: number): number {
  const high = Math.floor(value / 2 ** 32);
  let crc = 0;
  for (let i = 0; i < 4; i++) crc ^= ADDS[first + i]![(high >>> (8 * i)) & 0xff]!;
  return crc;
}
