/**
 * The map of the monitors: which there are, and where.
 *
 * @module
 */

import type { EntityAddress } from "../wire/address.ts";
import { decodeV1Address } from "./address_vector.ts";
import { Decoder } from "./decoder.ts";

/** The newest layouts that are known here. */
const MONMAP_VERSION = 9, MON_INFO_VERSION = 5;

/** One monitor. Ceph's `mon_info_t`. */
export interface Monitor {
  /** Its name: `"a"`. */
  readonly name: string;
  /** Its place in the order of the monitors, from 0; what `mon.0` means in addresses and logs. */
  readonly rank: number;
  /** Where it speaks msgr v1, if it does. */
  readonly address: EntityAddress | undefined;
}

/** All monitors of a cluster. Ceph's `MonMap`. */
export interface MonMap {
  /** The cluster's id, as people write it. */
  readonly fsid: string;
  /** Counts the changes of the map. */
  readonly epoch: number;
  /** When it was changed last, in ms since 1970. */
  readonly lastChanged: number;
  /** When the cluster was made, in ms since 1970. */
  readonly created: number;
  /** The monitors by rank. */
  readonly monitors: readonly Monitor[];
}

/**
 * Reads an encoded map as monitors since Nautilus write it for peers that know of addresses in lists. Ceph's `MonMap::decode`.
 *
 * @throws {MessengerError} With code `bad_message`.
 */
export function decodeMonMap(bytes: Uint8Array): MonMap {
  const decoder = new Decoder(bytes);
  return decoder.struct("monmap", MONMAP_VERSION, (version) => {
    const fsid = decodeUuid(decoder), epoch = decoder.u32();
    if (version < 6) decoder.map(() => decoder.string(), () => decodeV1Address(decoder));
    const lastChanged = decoder.time(), created = decoder.time();
    for (let i = 0; i < 2; i++) decoder.struct("mon features", 1, () => decoder.u64Big());
    const infos = decoder.map(() => decoder.string(), () => decodeMonitor(decoder));
    const ranks = version < 6 ? [...infos.keys()] : decoder.list(() => decoder.string(), 4);
    const monitors = ranks.map((name, rank) => ({ name, rank, address: infos.get(name) }));
    return { fsid, epoch, lastChanged, created, monitors };
  });
}

function decodeMonitor(decoder: Decoder): EntityAddress | undefined {
  return decoder.struct("mon info", MON_INFO_VERSION, () => {
    decoder.string();
    return decodeV1Address(decoder);
  });
}

/** An id as people write it. Ceph's `uuid_d`. */
export function decodeUuid(decoder: Decoder): string {
  const hex = Array.from(decoder.raw(16), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** The 16 bytes of an id. */
export function uuidBytes(uuid: string): Uint8Array {
  const hex = uuid.replaceAll("-", "");
  return Uint8Array.from({ length: 16 }, (_, i) => parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}
