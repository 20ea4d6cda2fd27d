/**
 * Message headers one after the other. Those of one connection nearly always differ in two numbers only, seq and tid; what is the same need not be
 * encoded, decoded or summed up again.
 *
 * A crc is linear: that of a header is the crc of the same header with seq and tid 0, xor what each byte of the two numbers adds.
 *
 * @module
 */

import { HEADER_SIZE } from "./constants.ts";
import { crc32c } from "./crc32c.ts";
import {
  decodeMessageHeader,
  emptyMessageHeader,
  encodeMessageHeader,
  type MessageHeader,
  type SegmentLimits,
} from "./frame.ts";
import { getU32, getU64, putU32, putU64 } from "./integers.ts";

/** Where the rest of a header begins, behind seq and tid, and where its crc is. */
const REST = 16, CRC = 49;

/** What byte `i` of seq and tid adds to the crc, for each value: the crc of a header of zeros but for that byte. */
const ADDS = Array.from({ length: REST }, (_, i) => {
  const zeros = new Uint8Array(CRC);
  return Int32Array.from({ length: 256 }, (_, value) => {
    zeros[i] = value;
    return crc32c(zeros);
  });
});
const [SEQ_0, SEQ_1, SEQ_2, SEQ_3] = ADDS as [Int32Array, Int32Array, Int32Array, Int32Array];
const [TID_0, TID_1, TID_2, TID_3] = ADDS.slice(8) as [Int32Array, Int32Array, Int32Array, Int32Array];

/** What seq and tid add to the crc of a header in which they are 0. */
function added(seq: number, tid: number): number {
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

/** Writes headers. */
export class HeaderEncoder {
  /** The latest header, with seq and tid 0. */
  readonly #last: MessageHeader = emptyMessageHeader();
  readonly #bytes = new Uint8Array(HEADER_SIZE);
  #crc = 0;

  /** Writes the 53 bytes of a header with its crc. */
  encode(header: MessageHeader, out: Uint8Array, at: number): void {
    const last = this.#last;
    if (
      header.dataLength !== last.dataLength || header.type !== last.type || header.frontLength !== last.frontLength ||
      header.middleLength !== last.middleLength || header.priority !== last.priority ||
      header.version !== last.version || header.compatVersion !== last.compatVersion ||
      header.dataOffset !== last.dataOffset || header.sourceNum !== last.sourceNum ||
      header.sourceType !== last.sourceType
    ) this.#learn(header);
    const bytes = this.#bytes;
    putU64(out, at, header.seq);
    putU64(out, at + 8, header.tid);
    for (let i = REST; i < CRC; i++) out[at + i] = bytes[i]!;
    putU32(out, at + CRC, this.#crc ^ added(header.seq, header.tid));
  }

  #learn(header: MessageHeader): void {
    Object.assign(this.#last, header);
    this.#last.seq = this.#last.tid = 0;
    encodeMessageHeader(this.#last, this.#bytes, 0);
    this.#crc = getU32(this.#bytes, CRC);
  }
}

/** Reads headers. */
export class HeaderDecoder {
  /** The latest header. */
  readonly #last: MessageHeader = emptyMessageHeader();
  /** Its bytes behind seq and tid. */
  readonly #bytes = new Uint8Array(HEADER_SIZE);
  /** Its crc if seq and tid were 0. */
  #crc = 0;

  /**
   * Reads and checks the 53 bytes of a header.
   *
   * @param bytes Holds the whole header.
   * @param at Where it begins.
   * @param into Receives the fields.
   * @param limits The longest segments to accept.
   * @throws {ProtocolError} On a wrong crc, a segment over its limit, or a number over 2^53 - 1.
   */
  decode(bytes: Uint8Array, at: number, into: MessageHeader, limits: SegmentLimits): void {
    if (!this.#isLikeLast(bytes, at, limits)) return this.#learn(bytes, at, into, limits);
    const seq = getU64(bytes, at), tid = getU64(bytes, at + 8);
    // Whatever is wrong is better told where everything is looked at.
    if (seq !== seq || tid !== tid || (this.#crc ^ added(seq, tid)) >>> 0 !== getU32(bytes, at + CRC)) {
      return this.#learn(bytes, at, into, limits);
    }
    const last = this.#last;
    into.seq = seq;
    into.tid = tid;
    into.type = last.type;
    into.priority = last.priority;
    into.version = last.version;
    into.frontLength = last.frontLength;
    into.middleLength = last.middleLength;
    into.dataLength = last.dataLength;
    into.dataOffset = last.dataOffset;
    into.sourceType = last.sourceType;
    into.sourceNum = last.sourceNum;
    into.compatVersion = last.compatVersion;
  }

  #isLikeLast(bytes: Uint8Array, at: number, limits: SegmentLimits): boolean {
    const known = this.#bytes, last = this.#last;
    for (let i = REST; i < CRC; i++) {
      if (bytes[at + i] !== known[i]) return false;
    }
    return last.frontLength <= limits.maxFrontBytes && last.middleLength <= limits.maxMiddleBytes &&
      last.dataLength <= limits.maxDataBytes;
  }

  #learn(bytes: Uint8Array, at: number, into: MessageHeader, limits: SegmentLimits): void {
    decodeMessageHeader(bytes, at, into, limits);
    Object.assign(this.#last, into);
    for (let i = REST; i < CRC; i++) this.#bytes[i] = bytes[at + i]!;
    this.#crc = getU32(bytes, at + CRC) ^ added(into.seq, into.tid);
  }
}
