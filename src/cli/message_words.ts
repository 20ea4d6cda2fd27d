/**
 * Messages in words.
 *
 * @module
 */

/** The names that Ceph has for its types of messages, without `MSG_` and `CEPH_MSG_`. */
const NAMES: ReadonlyMap<number, string> = new Map([
  [1, "SHUTDOWN"],
  [2, "PING"],
  [4, "MON_MAP"],
  [5, "MON_GET_MAP"],
  [13, "STATFS"],
  [14, "STATFS_REPLY"],
  [15, "MON_SUBSCRIBE"],
  [16, "MON_SUBSCRIBE_ACK"],
  [17, "AUTH"],
  [18, "AUTH_REPLY"],
  [19, "MON_GET_VERSION"],
  [20, "MON_GET_VERSION_REPLY"],
  [41, "OSD_MAP"],
  [42, "OSD_OP"],
  [43, "OSD_OPREPLY"],
  [50, "MON_COMMAND"],
  [51, "MON_COMMAND_ACK"],
  [61, "OSD_BACKOFF"],
  [62, "CONFIG"],
  [0x704, "MGR_MAP"],
  [0xff01, "stats request"],
  [0xff02, "stats reply"],
]);

/** Ceph's types are below this. Those of programs are told apart better in hexadecimal, in which they are written. */
const FIRST_OWN_TYPE = 0x1000;

/** How many characters of a segment are shown at most. */
const PREVIEW = 60;

/** A type of message: `"type 2 (PING)"`, `"type 0x8001"`. */
export function typeInWords(type: number): string {
  const name = NAMES.get(type), number = type < FIRST_OWN_TYPE ? String(type) : `0x${type.toString(16)}`;
  return name === undefined ? `type ${number}` : `type ${number} (${name})`;
}

/** A name for a type, where Ceph or this program has one. */
export function typeName(type: number): string | undefined {
  return NAMES.get(type);
}

/** The segments of a message that hold something: `"front 5 B \"hello\", data 64 B"`. */
export function segmentsInWords(segments: Readonly<Record<"front" | "middle" | "data", Uint8Array>>): string {
  const words = (["front", "middle", "data"] as const).filter((name) => segments[name].length > 0)
    .map((name) => `${name} ${segments[name].length} B ${preview(segments[name])}`);
  return words.length === 0 ? "empty" : words.join(", ");
}

/** The beginning of some bytes: text in quotes if they are text, else hexadecimal digits. */
function preview(bytes: Uint8Array): string {
  const text = textOf(bytes);
  if (text === undefined) {
    const digits = Array.from(bytes.subarray(0, PREVIEW / 2), (byte) => byte.toString(16).padStart(2, "0")).join("");
    return digits.length / 2 < bytes.length ? `${digits}…` : digits;
  }
  const start = [...text].slice(0, PREVIEW).join("");
  return `${JSON.stringify(start)}${start.length < text.length ? "…" : ""}`;
}

/** Bytes as text; nothing if they are none, or hold what a terminal would take for orders. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return /[^\P{C}\t\r\n]/u.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

/** What somebody else has written, on one line and without orders for the terminal. */
export function plain(text: string): string {
  return text.replace(/\p{C}/gu, "?");
}
