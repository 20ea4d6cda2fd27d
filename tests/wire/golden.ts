/**
 * The captures in `tests/golden`.
 *
 * @module
 */

import { readFileSync } from "node:fs";

/** Every captured conversation, by the name of its files. */
export const conversations: readonly string[] = [
  "ping-none",
  "ping-cephx",
  "mon-none.0",
  "mon-none.1",
  "mon-none.2",
  "mon-cephx.0",
  "mon-cephx.1",
  "mon-cephx.2",
  "mondump-none.0",
  "mondump-none.1",
  "mondump-none.2",
  "rados-none.4",
  "rados-none.10",
  "rados-cephx.4",
  "rados-cephx.9",
  "peer-lossy-echo",
  "peer-lossy-empty-4k",
  "peer-oneway-acks",
  "peer-stateful-reconnect.0",
  "peer-stateful-reconnect.1",
  "peer-stateful-reconnect.2",
];

/** All bytes that either side of a conversation sent. */
export function capture(name: string): { connector: Uint8Array; acceptor: Uint8Array } {
  return { connector: fromHex(goldenText(`${name}.c2s.hex`)), acceptor: fromHex(goldenText(`${name}.s2c.hex`)) };
}

/** The text of a file in `tests/golden`. */
export function goldenText(file: string): string {
  return readFileSync(new URL(`../golden/${file}`, import.meta.url), "utf8");
}

/** Bytes written as hexadecimal digits; white space does not count. */
export function fromHex(text: string): Uint8Array {
  const digits = text.replaceAll(/\s+/g, "");
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}

/** Bytes as hexadecimal digits. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
