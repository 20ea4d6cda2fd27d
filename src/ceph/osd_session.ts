/**
 * One connection to one OSD.
 *
 * @module
 */

import type { Connection } from "../connection.ts";
import type { EntityAddress } from "../wire/address.ts";

/** A session with an OSD, from its first message to its end. Ceph's `OSDSession`. */
export class OsdSession {
  /** The OSD's number. */
  readonly osd: number;
  /** Where it is. */
  readonly address: EntityAddress;
  /** What it is carried by. */
  readonly connection: Connection;
  /** Whether the OSD has answered something. */
  hasAnswered = false;

  /** Begins to talk to an OSD by a connection that nothing was sent on yet. */
  constructor(osd: number, connection: Connection) {
    this.osd = osd;
    this.address = connection.peerAddress;
    this.connection = connection;
  }
}
