/**
 * The wire protocol msgr v1 between bytes and values: addresses, the handshake's structures, message headers and footers, acks, keepalives and crc32c.
 *
 * Everything here is pure and synchronous, does no I/O, and runs anywhere, browsers included.
 *
 * @example The smallest message on the wire
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { decodeMessageHeader, emptyMessageHeader, encodeMessageHeader, HEADER_SIZE } from "@msgr/pipe/wire";
 *
 * const bytes = new Uint8Array(HEADER_SIZE);
 * encodeMessageHeader({ ...emptyMessageHeader(), seq: 1, type: 2, priority: 127, sourceType: 8, sourceNum: -1 }, bytes, 0);
 *
 * const header = emptyMessageHeader();
 * decodeMessageHeader(bytes, 0, header, { maxFrontBytes: 0, maxMiddleBytes: 0, maxDataBytes: 0 });
 * assertEquals([header.seq, header.type, header.sourceNum], [1, 2, -1]);
 * ```
 *
 * @module
 */

export * from "./address.ts";
export * from "./connect.ts";
export * from "./constants.ts";
export * from "./crc32c.ts";
export * from "./describe.ts";
export * from "./entity.ts";
export * from "./frame.ts";
