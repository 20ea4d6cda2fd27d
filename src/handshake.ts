/**
 * What both sides of the handshake share.
 *
 * @module
 */

import type { ByteSource } from "./byte_source.ts";
import { MessengerError, ProtocolError } from "./errors.ts";
import type { Socket, SocketAddress } from "./net/network.ts";
import { EntityAddress } from "./wire/address.ts";
import { ADDRESS_SIZE, BANNER, BANNER_SIZE, BANNER_V2 } from "./wire/constants.ts";
import { getU64, putU64 } from "./wire/integers.ts";

/** The longest authorizer or answer to one, in bytes. A cephx authorizer with its ticket takes a few hundred. */
export const MAX_AUTHORIZER_BYTES = 64 * 1024;
/** How often one handshake may go round. Each honest round settles one thing, and there are only so many. */
export const MAX_ROUNDS = 16;

/** The banner, as it is sent. */
export const BANNER_BYTES = new TextEncoder().encode(BANNER);
/** In the place of an authorizer where there is none. */
export const NO_BYTES = new Uint8Array(0);

/** Reads a banner, and says what else it was if it was something known. */
export async function readBanner(source: ByteSource): Promise<void> {
  // One byte at a time is enough to tell a stranger: it may send less than a banner and then wait for us.
  const bytes = new Uint8Array(BANNER_SIZE);
  for (let filled = 0; filled < BANNER_SIZE;) {
    await source.tcpReadWait();
    filled += source.tcpReadNonblocking(bytes, filled, BANNER_SIZE - filled);
    if (bytes.every((byte, i) => i >= filled || byte === BANNER_BYTES[i])) continue;
    const text = String.fromCharCode(...bytes.subarray(0, filled));
    const hint = BANNER_V2.startsWith(text.slice(0, BANNER_V2.length))
      ? " (a msgr v2 port: dial the v1 port, 6789 at a monitor)"
      : /^(GET|HEAD|POST|PUT|HTTP)/.test(text)
      ? " (HTTP)"
      : "";
    throw new ProtocolError("banner", `${JSON.stringify(text)}${hint}`, JSON.stringify(BANNER));
  }
}

/** Reads the number of the last message that the other side received. */
export async function readSeq(source: ByteSource): Promise<number> {
  const seq = getU64(await source.tcpRead(8), 0);
  if (seq !== seq) throw new ProtocolError("in_seq", "more than 2^53 - 1", "at most 2^53 - 1");
  return seq;
}

/** The eight bytes of such a number. */
export function encodeSeq(seq: number): Uint8Array {
  const bytes = new Uint8Array(8);
  putU64(bytes, 0, seq);
  return bytes;
}

/** The 136 bytes of an address. */
export function encodeAddress(address: EntityAddress): Uint8Array {
  const bytes = new Uint8Array(ADDRESS_SIZE);
  address.encode(bytes);
  return bytes;
}

/** Where to open a socket for an entity. */
export function socketAddress(address: EntityAddress): SocketAddress {
  if (address.kind === "unix") return { transport: "unix", path: address.host };
  return { transport: "tcp", hostname: address.host, port: address.port };
}

/** A socket's address as an entity's, nonce 0. */
export function entityAddress(address: SocketAddress): EntityAddress {
  if (address.transport === "unix") return EntityAddress.from(`unix:${address.path}`, 0);
  return EntityAddress.from(address.hostname, address.port);
}

/** Where a socket comes from, in words. */
export function endpointOf({ remoteAddress }: Socket): string {
  if (remoteAddress === undefined) return "?";
  return remoteAddress.transport === "unix" ? "unix:" : `${remoteAddress.hostname}:${remoteAddress.port}`;
}

/** Why a session cannot be: one side needs what the other lacks. */
export function missingFeatures(peer: string, missing: bigint, who: string): MessengerError {
  return new MessengerError("incompatible", `Cannot connect to ${peer}: ${who} features 0x${missing.toString(16)}`);
}
