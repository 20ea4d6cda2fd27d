/**
 * What an accepting side does when a peer connects: a decision table, without effects.
 *
 * @module
 */

import type { PipeState } from "./session.ts";
import { Tag } from "./wire/constants.ts";

/** What is known when a peer asks for a session that has a Pipe already. */
export interface ExistingSession {
  /** The peer's `global_seq`. */
  readonly globalSeq: number;
  /** The peer's `connect_seq`. */
  readonly connectSeq: number;
  /** Whether this side notices that a peer lost its session. */
  readonly resetcheck: boolean;
  /** Whether both can tell each other in SEQ what they received last, as everyone has since 2013. */
  readonly canExchangeSeq?: boolean;
  /** Whether the peer's address is smaller than this side's. */
  readonly peerIsSmaller: boolean;
  /** The Pipe that exists. */
  readonly existing: {
    readonly state: PipeState;
    readonly lossy: boolean;
    readonly server: boolean;
    readonly connectSeq: number;
    readonly peerGlobalSeq: number;
  };
}

/** What to do with a peer that asks for a session. */
export type Decision =
  /** Answer with a tag and let the peer ask again. */
  | {
    readonly row: string;
    readonly action: "reply";
    readonly tag: number;
    readonly globalSeq: number;
    readonly connectSeq: number;
    /** Keep our own attempt going, since the peer now waits for it. */
    readonly keepalive: boolean;
  }
  /** Let the peer's connection take over from the existing Pipe. */
  | {
    readonly row: string;
    readonly action: "replace";
    /** The peer began anew: what it received before does not count. */
    readonly resetFromPeer: boolean;
    /** Drop what the session held, and say so. */
    readonly resetSession: boolean;
  };

/** A line of the table: the first whose `when` holds decides. */
interface Row {
  /** Its letter in the documentation. */
  readonly row: string;
  /** What happened, in words. */
  readonly meaning: string;
  readonly when: (s: ExistingSession) => boolean;
  readonly then: (s: ExistingSession) => Omit<Decision, "row">;
}

const reply = (tag: number, numbers: { globalSeq?: number; connectSeq?: number; keepalive?: boolean } = {}) => ({
  action: "reply" as const,
  tag,
  globalSeq: numbers.globalSeq ?? 0,
  connectSeq: numbers.connectSeq ?? 0,
  keepalive: numbers.keepalive ?? false,
});
const replace = (how: { resetFromPeer?: boolean; resetSession?: boolean } = {}) => ({
  action: "replace" as const,
  resetFromPeer: how.resetFromPeer ?? false,
  resetSession: how.resetSession ?? false,
});
const sameSeq = (s: ExistingSession) => s.connectSeq === s.existing.connectSeq;

/**
 * The table, in the order in which it is asked. Rows a to i are those of Ceph's `Pipe::accept`; e1 is ours.
 */
export const EXISTING_SESSION_TABLE: readonly Row[] = [
  {
    row: "a",
    meaning: "An old attempt, overtaken by a newer one of the same peer",
    when: (s) => s.globalSeq < s.existing.peerGlobalSeq,
    then: (s) => reply(Tag.RETRY_GLOBAL, { globalSeq: s.existing.peerGlobalSeq }),
  },
  {
    row: "b",
    meaning: "The old connection was lossy: nothing of it is worth keeping",
    when: (s) => s.existing.lossy,
    then: () => replace({ resetSession: true }),
  },
  {
    row: "c",
    meaning: "The peer restarted, or marked the session down",
    when: (s) => s.connectSeq === 0 && s.existing.connectSeq > 0,
    then: (s) => replace({ resetFromPeer: true, resetSession: s.resetcheck }),
  },
  {
    row: "d",
    meaning: "The peer has not noticed an earlier reconnect",
    when: (s) => s.connectSeq < s.existing.connectSeq,
    then: (s) => reply(Tag.RETRY_SESSION, { connectSeq: s.existing.connectSeq + 1 }),
  },
  {
    // Without this row a peer that never got further than standby answers RETRY_SESSION with 1, then RESETSESSION to
    // 1, and so on for ever.
    row: "e1",
    meaning: "Our side never opened the session, so there is nothing that the peer could miss",
    when: (s) => sameSeq(s) && s.existing.connectSeq === 0 && s.existing.state === "standby",
    then: () => replace(),
  },
  {
    row: "e",
    meaning: "We believe the session open; the peer has noticed a fault that we have not",
    when: (s) => sameSeq(s) && (s.existing.state === "open" || s.existing.state === "standby"),
    then: (s) => reply(Tag.RETRY_SESSION, { connectSeq: s.existing.connectSeq + 1 }),
  },
  {
    // Ceph asserts what the last condition covers: a peer told to wait for a connection that nobody makes would wait for ever.
    row: "f",
    meaning: "Both dialled at once and the peer's connection wins, or ours is not being made any more",
    when: (s) => sameSeq(s) && (s.peerIsSmaller || s.existing.server || s.existing.state !== "connecting"),
    then: () => replace(),
  },
  {
    row: "g",
    meaning: "Both dialled at once and ours wins",
    when: sameSeq,
    then: () => reply(Tag.WAIT, { keepalive: true }),
  },
  {
    row: "h",
    // Without SEQ our first messages would have numbers that the peer takes for old, and drops.
    meaning: "The peer speaks of a session that we never had, and we look for that or cannot agree on numbers",
    when: (s) => (s.resetcheck || s.canExchangeSeq === false) && s.existing.connectSeq === 0,
    then: () => reply(Tag.RESETSESSION),
  },
  {
    row: "i",
    meaning: "The peer reconnects",
    when: () => true,
    then: () => replace(),
  },
];

/** Finds the row that fits and says what to do. */
export function decideExisting(session: ExistingSession): Decision {
  const { row, then } = EXISTING_SESSION_TABLE.find(({ when }) => when(session))!;
  return { row, ...then(session) } as Decision;
}
