/**
 * What a message's header and footer cost, beside the contents' checksums. The baseline writes or reads the same fields with a DataView and
 * checks nothing.
 *
 * @module
 */

import { compare } from "./compare.ts";
import {
  decodeMessageFooter,
  decodeMessageHeader,
  emptyMessageFooter,
  emptyMessageHeader,
  encodeMessageFooter,
  encodeMessageHeader,
  type MessageHeader,
} from "../../src/wire/frame.ts";

const COUNT = 1000, HEADER = 53, FOOTER = 21;
const LIMITS = { maxFrontBytes: 1 << 26, maxMiddleBytes: 1 << 26, maxDataBytes: 1 << 26 };

const bytes = new Uint8Array(COUNT * HEADER), view = new DataView(bytes.buffer);
const header: MessageHeader = {
  ...emptyMessageHeader(),
  tid: 7,
  type: 0x8001,
  priority: 127,
  frontLength: 40,
  dataLength: 64,
  sourceType: 8,
  sourceNum: 4711,
};
const footer = { ...emptyMessageFooter(), frontCrc: 0x12345678, dataCrc: 0x9abcdef0, flags: 1 };
const into = emptyMessageHeader(), footerInto = emptyMessageFooter();

compare("header, written", COUNT, {
  "DataView, no checksum": () => each(HEADER, (at) => writeByView(at)),
  "ours": () =>
    each(HEADER, (at, i) => {
      header.seq = i;
      encodeMessageHeader(header, bytes, at);
    }),
});
compare("header, read", COUNT, {
  "DataView, no checksum": () => each(HEADER, (at) => readByView(at)),
  "ours": () => each(HEADER, (at) => decodeMessageHeader(bytes, at, into, LIMITS)) + into.seq,
});
compare("footer, written", COUNT, {
  "DataView": () =>
    each(FOOTER, (at) => {
      view.setUint32(at, footer.frontCrc, true);
      view.setUint32(at + 4, footer.middleCrc, true);
      view.setUint32(at + 8, footer.dataCrc, true);
      view.setBigUint64(at + 12, 0n, true);
      view.setUint8(at + 20, footer.flags);
    }),
  "ours": () => each(FOOTER, (at) => encodeMessageFooter(footer, bytes, at)),
});
compare("footer, read", COUNT, {
  "DataView": () =>
    each(FOOTER, (at) => {
      footerInto.frontCrc = view.getUint32(at, true);
      footerInto.middleCrc = view.getUint32(at + 4, true);
      footerInto.dataCrc = view.getUint32(at + 8, true);
      footerInto.signatureLow = view.getUint32(at + 12, true);
      footerInto.signatureHigh = view.getUint32(at + 16, true);
      footerInto.flags = view.getUint8(at + 20);
    }) + footerInto.dataCrc,
  "ours": () => each(FOOTER, (at) => decodeMessageFooter(bytes, at, footerInto)) + footerInto.dataCrc,
});

function each(step: number, visit: (at: number, i: number) => void): number {
  for (let i = 0, at = 0; i < COUNT; i++, at += step) visit(at, i);
  return bytes[0]!;
}

function writeByView(at: number): void {
  view.setBigUint64(at, BigInt(header.seq), true);
  view.setBigUint64(at + 8, BigInt(header.tid), true);
  view.setUint16(at + 16, header.type, true);
  view.setUint16(at + 18, header.priority, true);
  view.setUint16(at + 20, header.version, true);
  view.setUint32(at + 22, header.frontLength, true);
  view.setUint32(at + 26, header.middleLength, true);
  view.setUint32(at + 30, header.dataLength, true);
  view.setUint16(at + 34, header.dataOffset, true);
  view.setUint8(at + 36, header.sourceType);
  view.setBigInt64(at + 37, BigInt(header.sourceNum), true);
  view.setUint16(at + 45, header.compatVersion, true);
}

function readByView(at: number): void {
  into.seq = Number(view.getBigUint64(at, true));
  into.tid = Number(view.getBigUint64(at + 8, true));
  into.type = view.getUint16(at + 16, true);
  into.priority = view.getUint16(at + 18, true);
  into.version = view.getUint16(at + 20, true);
  into.frontLength = view.getUint32(at + 22, true);
  into.middleLength = view.getUint32(at + 26, true);
  into.dataLength = view.getUint32(at + 30, true);
  into.dataOffset = view.getUint16(at + 34, true);
  into.sourceType = view.getUint8(at + 36);
  into.sourceNum = Number(view.getBigInt64(at + 37, true));
  into.compatVersion = view.getUint16(at + 45, true);
}
