/**
 * Message headers one after the other. Those of one connection nearly always differ in two numbers only, seq and tid; what is the same need not be
 * encoded, decoded or summed up again.
 *
 * @module
 */

import { HEADER_SIZE, Tag } from "./constants.ts";
import {
  decodeMessageHeader,
  emptyMessageHeader,
  encodeMessageHeader,
  type MessageHead,
  type MessageHeader,
  type SegmentLimits,
} from "./frame.ts";
import type { EntityName } from "./entity.ts";
import { added } from "./header_sum.ts";
import { getU32, getU64, putU32, putU64 } from "./integers.ts";

/** Where the rest of a header begins, behind seq and tid, and where its crc is. */
const REST = 16, CRC = 49;

/** Writes headers. */
export class HeaderEncoder {
  /** What the latest header was made of. */
  #head: Readonly<MessageHead> | undefined;
  #priority = 0;
  #sourceType = 0;
  #sourceNum = 0;
  /** The latest header, with seq and tid 0, and its crc. */
  readonly #bytes = new Uint8Array(HEADER_SIZE);
  #crc = 0;

  /**
   * Says what the next headers are to be like.
   *
   * @param head The fields in which they do not differ. Where it is the same object as before, it is not looked at again.
   * @param priority Goes before that of the head.
   * @param source So does the sender.
   * @returns Whether they are to be like the latest one.
   */
  use(head: Readonly<MessageHead>, priority: number, source: Pick<EntityName, "type" | "num">): boolean {
    if (
      head === this.#head && priority === this.#priority && source.type === this.#sourceType &&
      source.num === this.#sourceNum
    ) return true;
    this.#head = head;
    this.#priority = priority;
    this.#sourceType = source.type;
    this.#sourceNum = source.num;
    encodeMessageHeader(
      { ...head, priority, sourceType: source.type, sourceNum: source.num, seq: 0, tid: 0 },
      this.#bytes,
      0,
    );
    this.#crc = getU32(this.#bytes, CRC);
    return false;
  }

  /** Writes the 53 bytes of a header with its crc. */
  encode(seq: number, tid: number, out: Uint8Array, at: number): void {
    const bytes = this.#bytes;
    putU64(out, at, seq);
    putU64(out, at + 8, tid);
    for (let i = REST; i < CRC; i++) out[at + i] = bytes[i]!;
    putU32(out, at + CRC, this.#crc ^ added(seq, tid));
  }

  /** Writes a message's tag and such a header with seq and tid 0. */
  copyTo(out: Uint8Array): void {
    out[0] = Tag.MSG;
    out.set(this.#bytes, 1);
  }
}

/** Reads headers. */
export class HeaderDecoder {
  /** The number of the latest message. */
  seq = 0;
  /** Its transaction number. */
  tid = 0;
  /** What its header has in common with those that are like it: the same object for all of them. */
  head: Readonly<MessageHead> = headOf(emptyMessageHeader());
  /** Its bytes behind seq and tid. */
  readonly #bytes = new Uint8Array(HEADER_SIZE);
  /** Its crc if seq and tid were 0. */
  #crc = 0;

  /**
   * Reads and checks the 53 bytes of a header.
   *
   * @param bytes Holds the whole header.
   * @param at Where it begins.
   * @param limits The longest segments to accept.
   * @throws {ProtocolError} On a wrong crc, a segment over its limit, or a number over 2^53 - 1.
   */
  decode(bytes: Uint8Array, at: number, limits: SegmentLimits): void {
    if (!this.#isLikeLast(bytes, at, limits)) return this.#learn(bytes, at, limits);
    const seq = getU64(bytes, at), tid = getU64(bytes, at + 8);
    // Whatever is wrong is better told where everything is looked at.
    if (seq !== seq || tid !== tid || (this.#crc ^ added(seq, tid)) >>> 0 !== getU32(bytes, at + CRC)) {
      return this.#learn(bytes, at, limits);
    }
    this.seq = seq;
    this.tid = tid;
  }

  #isLikeLast(bytes: Uint8Array, at: number, limits: SegmentLimits): boolean {
    const known = this.#bytes, { head } = this;
    for (let i = REST; i < CRC; i++) {
      if (bytes[at + i] !== known[i]) return false;
    }
    return head.frontLength <= limits.maxFrontBytes && head.middleLength <= limits.maxMiddleBytes &&
      head.dataLength <= limits.maxDataBytes;
  }

  #learn(bytes: Uint8Array, at: number, limits: SegmentLimits): void {
    const header = emptyMessageHeader();
    decodeMessageHeader(bytes, at, header, limits);
    this.seq = header.seq;
    this.tid = header.tid;
    this.head = headOf(header);
    for (let i = REST; i < CRC; i++) this.#bytes[i] = bytes[at + i]!;
    this.#crc = getU32(bytes, at + CRC) ^ added(header.seq, header.tid);
  }
}

function headOf({ seq: _, tid: __, ...head }: MessageHeader): MessageHead {
  return head;
}
