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
  /** Whether the OSD has said something. */
  hasAnswered = false;
  /** When the OSD said something last, or the session began, in ms since 1970. */
  lastHeard: number;
  /** Objects that the OSD does not serve for now, by the number of their range. */
  readonly #backoffs = new Map<string, OsdBackoff>();

  /** Begins to talk to an OSD by a connection that nothing was sent on yet. */
  constructor(osd: number, connection: Connection, now: number) {
    this.osd = osd;
    this.address = connection.peerAddress;
    this.connection = connection;
    this.lastHeard = now;
  }

  /** How long the OSD has said nothing, in ms; 0 while we are still dialling. */
  silence(now: number): number {
    return this.connection.isConnected ? now - Math.max(this.lastHeard, this.connection.lastKeepaliveAck) : 0;
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
