/**
 * What a Pipe needs of its Messenger: the messenger implements it, and the Pipe knows no more than this.
 *
 * @module
 */

import type { DispatchQueue } from "./dispatch_queue.ts";
import type { Flushable } from "./flush_queue.ts";
import type { IdleWatch } from "./idle_watch.ts";
import type { Network } from "./net/network.ts";
import type { ResolvedOptions } from "./options.ts";
import type { Pipe } from "./pipe.ts";
import type { PolicySet } from "./policy.ts";
import type { Session } from "./session.ts";
import type { Counters } from "./stats.ts";
import type { MessengerStatus } from "./status.ts";
import type { StatusSource } from "./status_events.ts";
import type { Throttle } from "./throttle.ts";
import type { EntityAddress } from "./wire/address.ts";
import type { EntityName } from "./wire/entity.ts";
import type { SegmentLimits } from "./wire/frame.ts";

/** A Messenger, seen from its Pipes. */
export interface PipeHost {
  /** Who we are. */
  readonly name: EntityName;
  /** Where we are, as far as we know. */
  readonly address: EntityAddress;
  readonly options: ResolvedOptions;
  readonly policies: PolicySet;
  readonly dispatchQueue: DispatchQueue;
  readonly dispatchThrottle: Throttle;
  /** Watches those whose session is open. */
  readonly idleWatch: IdleWatch;
  readonly counters: Counters;
  /** Who is told of what happens. */
  readonly status: StatusSource<MessengerStatus>;
  /** Which types of messages are received with their data as a stream. */
  readonly streamedTypes: Set<number>;
  /** How long the segments of those may be. */
  readonly streamedLimits: SegmentLimits;
  /** How sockets are opened. */
  network(): Promise<Network>;
  /** How a Writer puts its flush off; known once the network is. */
  defer(writer: Flushable): void;
  /** A loop over a stream has taken a message: its answer may wait for those to the next ones. */
  messageTaken(): void;
  /** The next number of a connection attempt, above `above`. Ceph's `get_global_seq`. */
  nextGlobalSeq(above?: number): number;
  /** The protocol version for a peer of that kind. Ceph's `get_proto_version`. */
  protocolVersion(peerType: number, role: "connect" | "accept"): number;
  /** Adopts a peer's view of our host if we do not know it ourselves. Ceph's `learned_addr`. */
  learnAddress(seen: EntityAddress): void;
  /** Begins a session. */
  newSession(): Session;
  /** The living Pipe to that entity, if there is one. Ceph's `_lookup_pipe`. */
  findPipe(address: EntityAddress): Pipe | undefined;
  /** Makes a Pipe findable by its peer's address. */
  register(pipe: Pipe): void;
  /** Takes that back. */
  unregister(pipe: Pipe): void;
  /** Forgets a Pipe whose Reader and Writer have ended. */
  reap(pipe: Pipe): void;
}
