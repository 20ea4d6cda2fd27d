/**
 * Captures as tcpdump writes them, to read.
 *
 * @module
 */

/** Flags of TCP. */
export const SYN = 2, ACK = 16;

/** A TCP segment. */
export interface Packet {
  readonly from: number;
  readonly to: number;
  readonly seq: number;
  readonly flags?: number;
  readonly text?: string | Uint8Array;
  /** In ms since 1970. */
  readonly time?: number;
}

/** What kind of file. */
export interface Format {
  readonly link?: number;
  readonly little?: boolean;
  readonly nano?: boolean;
  readonly v6?: boolean;
  readonly vlan?: boolean;
}

/** A capture file as tcpdump would write it. Port 1 is at 10.0.0.1 or fd00::1, and so on. */
export function pcap(
  packets: readonly Packet[],
  { link = 1, little = true, nano = false, v6 = false, vlan = false }: Format = {},
): Uint8Array {
  const bytes: number[] = [];
  const u16 = (value: number) => [value >> 8 & 255, value & 255];
  const u32 = (value: number) => [...u16(value >>> 16), ...u16(value)];
  const own32 = (value: number) => little ? u32(value).reverse() : u32(value);
  bytes.push(...own32(nano ? 0xa1b23c4d : 0xa1b2c3d4), ...Array(16).fill(0), ...own32(link));
  for (const { from, to, seq, flags = ACK, text = "", time = 0 } of packets) {
    const payload = typeof text === "string" ? new TextEncoder().encode(text) : text;
    const tcp = [...u16(from), ...u16(to), ...u32(seq), ...u32(0), 5 << 4, flags, ...Array(6).fill(0), ...payload];
    const host = (port: number) => v6 ? [0xfd, ...Array(14).fill(0), port] : [10, 0, 0, port];
    const ip = v6
      ? [0x60, 0, 0, 0, ...u16(tcp.length), 6, 64, ...host(from), ...host(to)]
      : [0x45, 0, ...u16(20 + tcp.length), 0, 0, 0, 0, 64, 6, 0, 0, ...host(from), ...host(to)];
    const type = v6 ? 0x86dd : 0x0800;
    const head = link === 1
      ? [...Array(12).fill(0), ...(vlan ? [0x81, 0, 0, 7] : []), ...u16(type)]
      : link === 113
      ? [...Array(14).fill(0), ...u16(type)]
      : [];
    // Short frames are padded, as Ethernet has it.
    const frame = [...head, ...ip, ...tcp, ...(link === 1 ? Array(6).fill(0xee) : [])];
    const fraction = Math.round((time % 1000) * (nano ? 1e6 : 1e3));
    bytes.push(
      ...own32(Math.floor(time / 1000)),
      ...own32(fraction),
      ...own32(frame.length),
      ...own32(frame.length),
      ...frame,
    );
  }
  return Uint8Array.from(bytes);
}
