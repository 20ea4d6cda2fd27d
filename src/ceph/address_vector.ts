/**
 * Addresses as they stand inside messages, where a daemon may have several.
 *
 * @module
 */

import { EntityAddress } from "../wire/address.ts";
import { formatIp4, formatIp6 } from "../wire/ip.ts";
import { bad, type Decoder } from "./decoder.ts";

/** Kinds of addresses. `entity_addr_t::TYPE_*`. */
const Kind = { V1: 1 } as const;
const LEGACY_REST = 135;
const Family = { IP4: 2, IP6: 10 } as const;

/** Where msgr v1 is spoken among a daemon's addresses; `undefined` where it is not. Ceph's `entity_addrvec_t::legacy_addr`. */
export function decodeV1Address(decoder: Decoder): EntityAddress | undefined {
  const marker = decoder.u8();
  // Instead of a list there may be a single address, in either form.
  if (marker === 0) return decodeLegacy(decoder);
  if (marker === 1) return decodeAddress(decoder);
  if (marker !== 2) throw bad("address vector marker", marker, "0, 1 or 2");
  const addresses = decoder.list(() => {
    const inner = decoder.u8();
    if (inner === 0) return decodeLegacy(decoder);
    if (inner !== 1) throw bad("address marker", inner, "0 or 1");
    return decodeAddress(decoder);
  }, 19);
  return addresses.find((address) => address !== undefined);
}

/** The 135 bytes behind the marker of an address as the handshake has it. */
function decodeLegacy(decoder: Decoder): EntityAddress {
  const bytes = new Uint8Array(LEGACY_REST + 1);
  bytes.set(decoder.raw(LEGACY_REST), 1);
  bytes.fill(0, 0, 4);
  return EntityAddress.decode(bytes);
}

/** What is behind the marker of an address of the newer form; `undefined` for one of msgr v2, or of a family that is none of ours. */
function decodeAddress(decoder: Decoder): EntityAddress | undefined {
  return decoder.struct("address", 1, () => {
    const kind = decoder.u32(), nonce = decoder.u32(), length = decoder.u32();
    const bytes = decoder.raw(length);
    if (kind !== Kind.V1 || length < 16) return undefined;
    // The family is little-endian here, unlike in the handshake.
    const family = bytes[0]! | (bytes[1]! << 8), port = (bytes[2]! << 8) | bytes[3]!;
    if (family === Family.IP4) return EntityAddress.from(formatIp4(bytes.subarray(4, 8)), port, nonce);
    if (family !== Family.IP6 || length < 28) return undefined;
    return EntityAddress.from(formatIp6(bytes.subarray(8, 24)), port, nonce);
  });
}
