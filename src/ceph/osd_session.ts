/**
 * One connection to one OSD.
 *
 * @module
 */

import type { Connection } from "../connection.ts";
import type { EntityAddress } from "../wire/address.ts";
import { comparePositions, type ObjectPosition } from "./object_position.ts";
import { BackoffOp, MOSDBackoff, type OsdBackoff, type PlacementGroup } from "./osd_messages.ts";

/** A session with an OSD, from its first message to its end. Ceph's `OSDSession`. */
export class OsdSession {
  /** The OSD's number. */
  readonly osd: number;
  /** Where it is. */
  readonly address: EntityAddress;
  /** What it is carried by. */
  readonly connection: Connection;
  /**
   * Whether the OSD has answered a request: one that has not, and hangs up, is not to be dialled again at once for ever. To say that it does not serve something
   * is no answer.
   */
  hasAnswered = false;
  /** Since when the OSD has owed an answer and said nothing, in ms since 1970. */
  #silentSince: number | undefined;
  /** Objects that the OSD does not serve for now, by the number of their range. */
  readonly #backoffs = new Map<string, OsdBackoff>();

  /** Begins to talk to an OSD by a connection that nothing was sent on yet. */
  constructor(osd: number, connection: Connection) {
    this.osd = osd;
    this.address = connection.peerAddress;
    this.connection = connection;
  }

  /** The OSD has said something, or owes us nothing. */
  endSilence(): void {
    this.#silentSince = undefined;
  }

  /** How long an OSD that owes an answer has said nothing, in ms, not even to keepalives; it counts from the first time that this is asked. */
  silence(now: number): number {
    // Dialling has time limits of its own.
    if (!this.connection.isConnected) this.endSilence();
    else this.#silentSince ??= now;
    return this.#silentSince === undefined ? 0 : now - Math.max(this.#silentSince, this.connection.lastKeepaliveAck);
  }

  /** Takes note that the OSD does not serve some objects, or serves them again. */
  takeBackoff(backoff: OsdBackoff): void {
    const { group, epoch, op, id, begin, end } = backoff, key = `${groupKey(group)} ${id}`;
    if (op === BackoffOp.UNBLOCK) {
      this.#backoffs.delete(key);
    } else if (op === BackoffOp.BLOCK) {
      this.#backoffs.set(key, backoff);
      this.connection.send(MOSDBackoff.message({ group, epoch, op: BackoffOp.ACK_BLOCK, id, begin, end }));
    }
  }

  /** Whether an object is one of those that the OSD does not serve for now. */
  isHeldBack(group: PlacementGroup, position: ObjectPosition): boolean {
    for (const { group: other, begin, end } of this.#backoffs.values()) {
      if (groupKey(group) !== groupKey(other)) continue;
      const order = comparePositions(position, begin);
      if (order === 0 || (order > 0 && comparePositions(position, end) < 0)) return true;
    }
    return false;
  }
}

function groupKey({ pool, seed, shard }: PlacementGroup): string {
  return `${pool}.${seed}.${shard}`;
}
