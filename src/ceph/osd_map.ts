/**
 * The map of the OSDs as the monitors tell it in JSON: which pools there are, and which OSD is where.
 *
 * @module
 */

import { MessengerError } from "../errors.ts";
import { EntityAddress } from "../wire/address.ts";
import { bad } from "./decoder.ts";

const RJENKINS = 2, ERASURE = 3;

/** A pool. Ceph's `pg_pool_t`. */
export interface OsdPool {
  /** Its number. */
  readonly id: number;
  /** Its name. */
  readonly name: string;
  /** Into how many placement groups it is divided. */
  readonly pgNum: number;
  /** Whether objects are cut into shares rather than copied. */
  readonly isErasureCoded: boolean;
  /** Whether its objects are placed by the hash that we know. */
  readonly isHashKnown: boolean;
  /** Bytes that writes have to be a multiple of; 0 for any. */
  readonly stripeWidth: number;
  /** Changes whenever an OSD may have dropped requests for this pool without a word. */
  readonly fence: string;
}

/** All OSDs of a cluster, and what is on them. Ceph's `OSDMap`. */
export interface OsdMap {
  /** Counts the changes of the map. */
  readonly epoch: number;
  /** Whether clients are asked to hold their reads back. */
  readonly isReadingPaused: boolean;
  /** Whether clients are asked to hold their writes back. */
  readonly isWritingPaused: boolean;
  /** The pools by their number. */
  readonly pools: ReadonlyMap<number, OsdPool>;
  /** The OSDs that are up, and where they speak msgr v1; `undefined` where they do not. */
  readonly osds: ReadonlyMap<number, EntityAddress | undefined>;
}

interface OsdDump {
  readonly epoch: number;
  readonly flags: string;
  readonly pools: readonly {
    readonly pool: number;
    readonly pool_name: string;
    readonly type: number;
    readonly object_hash: number;
    readonly pg_num: number;
    readonly stripe_width: number;
    readonly flags_names: string;
    readonly last_force_op_resend: string;
  }[];
  readonly osds: readonly {
    readonly osd: number;
    readonly up: number;
    readonly public_addrs: { readonly addrvec: readonly { type: string; addr: string; nonce: number }[] };
  }[];
}

/**
 * Reads what the command `osd dump` says.
 *
 * @throws {MessengerError} With code `bad_message`.
 */
export function parseOsdMap(dump: unknown): OsdMap {
  try {
    const { epoch, flags, pools, osds } = dump as OsdDump;
    if (![epoch, ...pools.map((pool) => pool.pg_num)].every((count) => Number.isInteger(count) && count > 0)) {
      throw bad("epoch or pg_num", "something else", "a number above 0");
    }
    const set = flags.split(",");
    return {
      epoch,
      isReadingPaused: set.includes("pauserd"),
      isWritingPaused: set.includes("pausewr"),
      pools: new Map(pools.map((pool) => [pool.pool, {
        id: pool.pool,
        name: pool.pool_name,
        pgNum: pool.pg_num,
        isErasureCoded: pool.type === ERASURE,
        isHashKnown: pool.object_hash === RJENKINS,
        stripeWidth: pool.stripe_width,
        fence: [flags, pool.flags_names, pool.pg_num, pool.last_force_op_resend].join(),
      }])),
      osds: new Map(
        osds.filter(({ up }) => up === 1).map(({ osd, public_addrs: { addrvec } }) => {
          const v1 = addrvec.find(({ type }) => type === "v1");
          return [osd, v1 && EntityAddress.parse(`${v1.addr}/${v1.nonce}`)];
        }),
      ),
    };
  } catch (cause) {
    throw new MessengerError("bad_message", "Cannot read what the monitors say of pools and OSDs", { cause });
  }
}

/** Where the monitors say that a placement group is. */
export interface PlacementAnswer {
  /** The epoch of the map that this is from. */
  readonly epoch: number;
  /** The placement group, such as `1.6`. */
  readonly pgid: string;
  /** The OSDs that serve it. */
  readonly acting: readonly number[];
  /** The one of them that takes requests; -1 for none. */
  readonly acting_primary: number;
}
