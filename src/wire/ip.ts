/**
 * IP addresses between text and bytes.
 *
 * @module
 */

const ZERO = 0x30, DOT = 0x2e;

/**
 * The four bytes of an IPv4 address in dotted text, or `undefined` if it is none. A leading zero makes it none: some programs would
 * read the number behind it as octal.
 */
export function parseIp4(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(4);
  let part = 0, digits = 0, value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - ZERO;
    if (digit === DOT - ZERO && digits > 0 && part < 3) {
      bytes[part++] = value;
      digits = value = 0;
      continue;
    }
    if (digit < 0 || digit > 9 || (digits > 0 && value === 0)) return undefined;
    value = 10 * value + digit;
    if (value > 255) return undefined;
    digits++;
  }
  if (part < 3 || digits === 0) return undefined;
  bytes[part] = value;
  return bytes;
}

/** The sixteen bytes of an IPv6 address in text, without brackets or zone, or `undefined` if it is none. */
export function parseIp6(text: string): Uint8Array | undefined {
  let groups = text;
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted !== null) {
    const tail = parseIp4(dotted[2]!);
    if (tail === undefined) return undefined;
    groups = `${dotted[1]}${((tail[0]! << 8) | tail[1]!).toString(16)}:${((tail[2]! << 8) | tail[3]!).toString(16)}`;
  }
  const halves = groups.split("::");
  if (halves.length > 2) return undefined;
  const [head, tail] = halves.map((half) => half === "" ? [] : half.split(":")) as [string[], string[]?];
  const given = head.length + (tail?.length ?? 0);
  if (tail === undefined ? given !== 8 : given > 7) return undefined;
  const all = tail === undefined ? head : [...head, ...Array<string>(8 - given).fill("0"), ...tail];
  const bytes = new Uint8Array(16);
  for (const [i, group] of all.entries()) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
    const value = parseInt(group, 16);
    bytes[2 * i] = value >>> 8;
    bytes[2 * i + 1] = value;
  }
  return bytes;
}

/** Dotted text of four bytes. */
export function formatIp4(bytes: Uint8Array): string {
  return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${bytes[3]}`;
}

/** The shortest text of sixteen bytes, lower case, the longest run of zero groups written as `::`. */
export function formatIp6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16));
  let best = 0, bestLength = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === "0") end++;
    if (end - i > bestLength) [best, bestLength] = [i, end - i];
  }
  if (bestLength === 1) return groups.join(":");
  return `${groups.slice(0, best).join(":")}::${groups.slice(best + bestLength).join(":")}`;
}
