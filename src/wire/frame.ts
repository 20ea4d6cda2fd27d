/**
 * The records of an open session: messages' headers and footers, acks and keepalives.
 *
 * Encoders write into a buffer at an offset and decoders read from one, so that a batch of messages is one buffer and no
 * message needs an array of its own.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";
import { FOOTER_SIZE, FooterFlag, HEADER_SIZE, OLD_FOOTER_SIZE, Tag } from "./constants.ts";
import { crc32c } from "./crc32c.ts";
import { getS64, getU16, getU32, getU64, getU64Big, putU16, putU32, putU64 } from "./integers.ts";

/**
 * What goes before a message's contents. Ceph's `ceph_msg_header`, in the order of the wire:
 *
 * | offset | bytes | field |
 * | --- | --- | --- |
 * | 0 | 8 | seq |
 * | 8 | 8 | tid |
 * | 16 | 2 | type |
 * | 18 | 2 | priority |
 * | 20 | 2 | version |
 * | 22 | 4 | front_len |
 * | 26 | 4 | middle_len |
 * | 30 | 4 | data_len |
 * | 34 | 2 | data_off |
 * | 36 | 1 + 8 | src: type, number (signed) |
 * | 45 | 2 | compat_version |
 * | 47 | 2 | reserved |
 * | 49 | 4 | crc of the 49 bytes before it |
 */
export interface MessageHeader extends MessageHead {
  /** The message's number within the session. */
  seq: number;
  /** The application's transaction number. */
  tid: number;
}

/** What the headers of messages have in common that are alike. */
export interface MessageHead {
  /** What kind of message it is. */
  type: number;
  /** Higher leaves, and is dispatched, first. */
  priority: number;
  /** How the contents are encoded. */
  version: number;
  /** Bytes of the first segment. */
  frontLength: number;
  /** Bytes of the second segment. */
  middleLength: number;
  /** Bytes of the third segment. */
  dataLength: number;
  /** How the data wants to be aligned in memory; of no effect on the wire. */
  dataOffset: number;
  /** What kind of entity sent it. */
  sourceType: number;
  /** Which one; -1 if it does not know yet. */
  sourceNum: number;
  /** The oldest decoder that can read the contents. */
  compatVersion: number;
}

/** The longest segments to accept, in bytes, checked before anything is allocated for them. */
export interface SegmentLimits {
  /** Of the first segment. */
  readonly maxFrontBytes: number;
  /** Of the second segment. */
  readonly maxMiddleBytes: number;
  /** Of the third segment. */
  readonly maxDataBytes: number;
}

/**
 * What comes after a message's contents. Ceph's `ceph_msg_footer`: the three crcs, eight bytes of signature, one of flags.
 */
export interface MessageFooter {
  /** crc32c of the first segment. */
  frontCrc: number;
  /** crc32c of the second segment. */
  middleCrc: number;
  /** crc32c of the third segment. */
  dataCrc: number;
  /** The low half of the signature; 0 without one. */
  signatureLow: number;
  /** The high half of the signature; 0 without one. */
  signatureHigh: number;
  /** {@linkcode FooterFlag}s. */
  flags: number;
}

/** A header with every field 0, for {@linkcode decodeMessageHeader} to fill. */
export function emptyMessageHeader(): MessageHeader {
  return {
    seq: 0,
    tid: 0,
    type: 0,
    priority: 0,
    version: 0,
    frontLength: 0,
    middleLength: 0,
    dataLength: 0,
    dataOffset: 0,
    sourceType: 0,
    sourceNum: 0,
    compatVersion: 0,
  };
}

/** A footer with every field 0, for {@linkcode decodeMessageFooter} to fill. */
export function emptyMessageFooter(): MessageFooter {
  return { frontCrc: 0, middleCrc: 0, dataCrc: 0, signatureLow: 0, signatureHigh: 0, flags: 0 };
}

/** Writes the 53 bytes of a header with its crc. */
export function encodeMessageHeader(header: MessageHeader, out: Uint8Array, at: number): void {
  putU64(out, at, header.seq);
  putU64(out, at + 8, header.tid);
  putU16(out, at + 16, header.type);
  putU16(out, at + 18, header.priority);
  putU16(out, at + 20, header.version);
  putU32(out, at + 22, header.frontLength);
  putU32(out, at + 26, header.middleLength);
  putU32(out, at + 30, header.dataLength);
  putU16(out, at + 34, header.dataOffset);
  out[at + 36] = header.sourceType;
  putU64(out, at + 37, header.sourceNum);
  putU16(out, at + 45, header.compatVersion);
  putU16(out, at + 47, 0);
  putU32(out, at + 49, crc32c(out, 0, at, at + 49));
}

/**
 * Reads and checks the 53 bytes of a header.
 *
 * @param bytes Holds the whole header.
 * @param at Where it begins.
 * @param into Receives the fields; the same object may serve for every message.
 * @param limits The longest segments to accept.
 * @throws {ProtocolError} On a wrong crc, a segment over its limit, or a number over 2^53 - 1.
 */
export function decodeMessageHeader(bytes: Uint8Array, at: number, into: MessageHeader, limits: SegmentLimits): void {
  const crc = crc32c(bytes, 0, at, at + 49), claimed = getU32(bytes, at + 49);
  if (crc !== claimed) throw new ProtocolError("header crc", hex(claimed), hex(crc));
  into.seq = getU64(bytes, at);
  into.tid = getU64(bytes, at + 8);
  into.type = getU16(bytes, at + 16);
  into.priority = getU16(bytes, at + 18);
  into.version = getU16(bytes, at + 20);
  into.frontLength = getU32(bytes, at + 22);
  into.middleLength = getU32(bytes, at + 26);
  into.dataLength = getU32(bytes, at + 30);
  into.dataOffset = getU16(bytes, at + 34);
  into.sourceType = bytes[at + 36]!;
  into.sourceNum = getS64(bytes, at + 37);
  into.compatVersion = getU16(bytes, at + 45);
  if (into.seq !== into.seq) throw unsafe("seq", bytes, at);
  if (into.tid !== into.tid) throw unsafe("tid", bytes, at + 8);
  if (into.sourceNum !== into.sourceNum) throw unsafe("src.num", bytes, at + 37);
  if (into.frontLength > limits.maxFrontBytes) throw tooLong("front_len", into.frontLength, limits.maxFrontBytes);
  if (into.middleLength > limits.maxMiddleBytes) throw tooLong("middle_len", into.middleLength, limits.maxMiddleBytes);
  if (into.dataLength > limits.maxDataBytes) throw tooLong("data_len", into.dataLength, limits.maxDataBytes);
}

/** Writes the 21 bytes of a footer, or the 13 of an old one. */
export function encodeMessageFooter(footer: MessageFooter, out: Uint8Array, at: number, old = false): void {
  putU32(out, at, footer.frontCrc);
  putU32(out, at + 4, footer.middleCrc);
  putU32(out, at + 8, footer.dataCrc);
  if (old) {
    out[at + 12] = footer.flags;
    return;
  }
  putU32(out, at + 12, footer.signatureLow);
  putU32(out, at + 16, footer.signatureHigh);
  out[at + 20] = footer.flags;
}

/** Reads the 21 bytes of a footer, or the 13 of an old one, which has no signature. */
export function decodeMessageFooter(bytes: Uint8Array, at: number, into: MessageFooter, old = false): void {
  into.frontCrc = getU32(bytes, at);
  into.middleCrc = getU32(bytes, at + 4);
  into.dataCrc = getU32(bytes, at + 8);
  into.signatureLow = old ? 0 : getU32(bytes, at + 12);
  into.signatureHigh = old ? 0 : getU32(bytes, at + 16);
  into.flags = bytes[at + (old ? 12 : 20)]!;
}

/** How long the footer is, by whether the session has {@linkcode Feature.MSG_AUTH}. */
export function footerSize(old: boolean): number {
  return old ? OLD_FOOTER_SIZE : FOOTER_SIZE;
}

/**
 * Checks a message's contents against its footer.
 *
 * @param bytes Holds front, middle and data, one after the other.
 * @param at Where the front begins.
 * @param header The message's header, for the lengths.
 * @param footer The message's footer.
 * @throws {ProtocolError} Naming the segment whose crc is wrong.
 */
export function checkSegments(bytes: Uint8Array, at: number, header: MessageHead, footer: MessageFooter): void {
  const middle = at + header.frontLength, data = middle + header.middleLength;
  const frontCrc = header.frontLength === 0 ? 0 : crc32c(bytes, 0, at, middle);
  if (frontCrc !== footer.frontCrc) throw new ProtocolError("front_crc", hex(footer.frontCrc), hex(frontCrc));
  const middleCrc = header.middleLength === 0 ? 0 : crc32c(bytes, 0, middle, data);
  if (middleCrc !== footer.middleCrc) throw new ProtocolError("middle_crc", hex(footer.middleCrc), hex(middleCrc));
  if ((footer.flags & FooterFlag.NOCRC) !== 0) return;
  const dataCrc = header.dataLength === 0 ? 0 : crc32c(bytes, 0, data, data + header.dataLength);
  if (dataCrc !== footer.dataCrc) throw new ProtocolError("data_crc", hex(footer.dataCrc), hex(dataCrc));
}

/**
 * Compares the crcs of a message's contents with its footer, where the contents themselves are not at hand any more.
 *
 * @param footer The message's footer.
 * @param frontCrc That of the first segment.
 * @param middleCrc That of the second segment.
 * @param dataCrc That of the third segment.
 * @throws {ProtocolError} Naming the segment whose crc is wrong.
 */
export function checkCrcs(footer: MessageFooter, frontCrc: number, middleCrc: number, dataCrc: number): void {
  if (frontCrc !== footer.frontCrc) throw new ProtocolError("front_crc", hex(footer.frontCrc), hex(frontCrc));
  if (middleCrc !== footer.middleCrc) throw new ProtocolError("middle_crc", hex(footer.middleCrc), hex(middleCrc));
  if ((footer.flags & FooterFlag.NOCRC) !== 0 || dataCrc === footer.dataCrc) return;
  throw new ProtocolError("data_crc", hex(footer.dataCrc), hex(dataCrc));
}

/** Bytes of an ACK, KEEPALIVE2 or KEEPALIVE2_ACK record: the tag and eight more. */
export const CONTROL_SIZE = 9;
/** Bytes of a message's tag and header. */
export const TAGGED_HEADER_SIZE: number = 1 + HEADER_SIZE;

/** Writes an ACK: all messages up to `seq` have arrived. */
export function encodeAck(seq: number, out: Uint8Array, at: number): void {
  out[at] = Tag.ACK;
  putU64(out, at + 1, seq);
}

/** Reads the number of an ACK; `at` is that of the number, behind the tag. @throws {ProtocolError} Above 2^53 - 1. */
export function decodeAck(bytes: Uint8Array, at: number): number {
  const seq = getU64(bytes, at);
  if (seq !== seq) throw unsafe("ack", bytes, at);
  return seq;
}

/** Writes a KEEPALIVE2 with the sender's clock, in milliseconds since 1970. */
export function encodeKeepalive2(time: number, out: Uint8Array, at: number): void {
  const seconds = Math.floor(time / 1000);
  out[at] = Tag.KEEPALIVE2;
  putU32(out, at + 1, seconds);
  putU32(out, at + 5, Math.floor((time - seconds * 1000) * 1e6));
}

/** Writes the answer to a KEEPALIVE2: the same eight bytes of time stamp, since only they mean something to the asker. */
export function encodeKeepalive2Ack(stamp: Uint8Array, out: Uint8Array, at: number): void {
  out[at] = Tag.KEEPALIVE2_ACK;
  out.set(stamp, at + 1);
}

/** Reads a time stamp (`ceph_timespec`) as milliseconds since 1970; `at` is behind the tag. */
export function decodeTimespec(bytes: Uint8Array, at: number): number {
  return getU32(bytes, at) * 1000 + getU32(bytes, at + 4) / 1e6;
}

function tooLong(field: string, value: number, limit: number): ProtocolError {
  return new ProtocolError(field, `${value} bytes`, `at most ${limit}`);
}

function unsafe(field: string, bytes: Uint8Array, at: number): ProtocolError {
  return new ProtocolError(field, getU64Big(bytes, at), "at most 2^53 - 1");
}

function hex(crc: number): string {
  return `0x${crc.toString(16).padStart(8, "0")}`;
}
