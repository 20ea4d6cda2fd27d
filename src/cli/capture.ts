/**
 * Files that hold captured conversations.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { BANNER } from "../wire/constants.ts";
import { Failure } from "./command.ts";
import { isPcap, readPcap, type TcpConversation, type TcpStream } from "./pcap.ts";

/** What was captured of one conversation: the bytes of both sides, or of one of which it is not known which. */
export type Capture =
  | {
    readonly kind: "both";
    /** What it is, for people. */
    readonly title: string;
    readonly connector: Uint8Array;
    readonly acceptor: Uint8Array;
    /** When a side's byte at an offset was seen, in ms since 1970. */
    readonly timeOf?: (side: "connector" | "acceptor", offset: number) => number;
  }
  | { readonly kind: "one"; readonly title: string; readonly bytes: Uint8Array };

/**
 * Reads the conversations that a file holds: packets (pcap), bytes, or bytes written in hexadecimal. Beside `NAME.c2s.hex` it looks for
 * `NAME.s2c.hex`, and the other way round; `NAME` alone stands for the two.
 *
 * @throws {Failure} If there is nothing to be understood in it.
 */
export async function readCapture(path: string): Promise<Capture[]> {
  const pair = await readPair(path);
  if (pair !== undefined) return [pair];
  const file = await readFile(path);
  if (!isPcap(file)) return [{ kind: "one", title: path, bytes: unwrap(file) }];
  const conversations = readPcap(file).filter(isCeph);
  if (conversations.length === 0) throw new Failure(`There is no conversation of msgr v1 in ${path}`);
  return conversations.map(({ connector, acceptor }) => ({
    kind: "both",
    title: `${connector.from} → ${acceptor.from}${lostBytes(connector)}${lostBytes(acceptor)}`,
    connector: connector.bytes,
    acceptor: acceptor.bytes,
    timeOf: (side, offset) => (side === "connector" ? connector : acceptor).timeOf(offset),
  }));
}

async function readPair(path: string): Promise<Capture | undefined> {
  const match = /^(.*)\b(c2s|s2c)\b(.*?)$/s.exec(path);
  const names = match === null
    ? [`${path}.c2s.hex`, `${path}.s2c.hex`]
    : [`${match[1]}c2s${match[3]}`, `${match[1]}s2c${match[3]}`];
  const [connector, acceptor] = await Promise.all(names.map((name) => readFile(name).then(unwrap, absent)));
  if (connector === undefined || acceptor === undefined) return undefined;
  return { kind: "both", title: names.join(" and "), connector, acceptor };
}

/** No file is no error: there may be another by another name. */
function absent(error: { code?: string }): undefined {
  if (error.code !== "ENOENT" && error.code !== "ENOTDIR") throw error;
}

/** Bytes as they are; those written in hexadecimal digits, taken out of them. */
function unwrap(bytes: Uint8Array): Uint8Array {
  // Not one digit too many is looked at: captures can be long.
  if (bytes.length === 0 || /[^\s0-9a-fA-F]/.test(latin1(bytes.subarray(0, 200)))) return bytes;
  const digits = latin1(bytes).replaceAll(/\s+/g, "");
  if (digits.length % 2 !== 0 || /[^0-9a-fA-F]/.test(digits)) return bytes;
  return Uint8Array.from({ length: digits.length / 2 }, (_, i) => parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}

function latin1(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}

function isCeph({ connector, acceptor }: TcpConversation): boolean {
  return [connector, acceptor].some(({ bytes }) => latin1(bytes.subarray(0, BANNER.length)) === BANNER);
}

function lostBytes({ from, lost }: TcpStream): string {
  return lost === 0 ? "" : ` (packets of ${from} are missing: ${lost} bytes behind them are left out)`;
}
