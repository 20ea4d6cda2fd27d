/**
 * What is going to happen in a simulation: messengers, what they promise each other, and a list of deeds and mishaps, all from one seed.
 *
 * @module
 */

import { SeededRandom } from "./seeded_random.ts";
import type { ConnectionFault, End, Notice } from "./simulated_connection.ts";

/** The policies of two messengers for each other, that of the one that dials first. */
export type Pairing =
  | "lossyClient-statelessServer"
  | "losslessClient-statefulServer"
  | "losslessPeer-statefulServer"
  | "losslessClient-statelessServer"
  | "losslessPeer-losslessPeer"
  | "losslessPeerReuse-losslessPeerReuse"
  | "losslessPeerReuse-losslessPeer";

/** What keeps two messengers from opening a session, until the network heals; or nothing. */
export type Obstacle = "none" | "features" | "authorizer" | "protocol";

/** A messenger of a schedule. */
export interface MessengerPlan {
  /** Its entity's name. Messengers that speak with each other are of different kinds, so that each pair can have its own policies. */
  readonly name: string;
  /** Its IP address. */
  readonly hostname: string;
  /** Whether it listens. */
  readonly isBound: boolean;
  /** How it handles messages: at once, after a while, or while reading. */
  readonly dispatch: "sync" | "slow" | "fast";
  /** Bytes of received messages that may wait, in all. */
  readonly dispatchThrottleBytes: number;
  /** The same for each kind of peer, in messages and bytes; 0 for no limit. */
  readonly throttles: readonly [messages: number, bytes: number];
  /** The version spoken among entities of its kind. */
  readonly clusterProtocol: number;
  /** Whether peers have to prove their authorizer with a challenge. */
  readonly isChallenging: boolean;
}

/** Two messengers that speak with each other. */
export interface EdgePlan {
  /** The one that dials, or may. */
  readonly a: number;
  /** The other, which listens. */
  readonly b: number;
  /** Their policies for each other. */
  readonly pairing: Pairing;
  /** What keeps them apart until the network heals. */
  readonly obstacle: Obstacle;
  /** Whether addresses are dialled without their nonce. */
  readonly anyNonce: boolean;
  /** Features that both do without. */
  readonly without: readonly ("RECONNECT_SEQ" | "MSG_AUTH" | "MSGR_KEEPALIVE2")[];
}

/** Something that is done, or befalls. Times are in ms from the start. */
export type Action =
  & { readonly at: number }
  & (
    | { readonly do: "send"; readonly from: number; readonly to: number; readonly count: number; readonly seed: number }
    | { readonly do: "dial" | "keepalive" | "close"; readonly from: number; readonly to: number }
    | {
      readonly do: "mark_down";
      readonly from: number;
      readonly to: number;
      readonly by: "connection" | "address";
    }
    | { readonly do: "rebind"; readonly who: number }
    | { readonly do: "restart"; readonly who: number; readonly sameNonce: boolean; readonly silent: boolean }
    | { readonly do: "cut"; readonly a: number; readonly b: number; readonly notice: Notice }
    | {
      /** Faults for the connections there are, or for the next one that is dialled. */
      readonly do: "fault";
      readonly a: number;
      readonly b: number;
      readonly when: "now" | "next";
      readonly faults: readonly ConnectionFault[];
    }
  );

/** A schedule: all that a simulation does. */
export interface Schedule {
  /** What it was made of. */
  readonly seed: number;
  /** Who there is. */
  readonly messengers: readonly MessengerPlan[];
  /** Who speaks with whom. */
  readonly edges: readonly EdgePlan[];
  /** In the order of their times. */
  readonly actions: readonly Action[];
  /** When the network heals, in ms. */
  readonly healAt: number;
  /** Bytes that a connection holds in each direction. */
  readonly capacity: number;
}

const PAIRINGS: readonly Pairing[] = [
  "lossyClient-statelessServer",
  "losslessClient-statefulServer",
  "losslessPeer-statefulServer",
  "losslessClient-statelessServer",
  "losslessPeer-losslessPeer",
  "losslessPeer-losslessPeer",
  "losslessPeerReuse-losslessPeerReuse",
  "losslessPeerReuse-losslessPeerReuse",
  "losslessPeerReuse-losslessPeer",
];
const KINDS = ["mon", "mds", "osd", "client", "mgr"] as const;
/** Messages that every schedule sends at least, in both directions together. */
const MESSAGES = 220;
const ENDS: readonly End[] = ["dialler", "acceptor"];
const NOTICES: readonly Notice[] = ["both", "both", "dialler", "acceptor", "nobody"];

/** Makes the schedule of a seed. */
export function makeSchedule(seed: number): Schedule {
  const random = new SeededRandom(seed, 2);
  const count = random.pick([2, 2, 2, 3, 3, 4, 5]);
  const kinds = shuffled(KINDS, random).slice(0, count);
  const edges = makeEdges(count, random);
  const messengers = kinds.map((kind, i): MessengerPlan => ({
    name: `${kind}.${i}`,
    hostname: `10.0.0.${i + 1}`,
    isBound: edges.some((edge) => edge.b === i || (edge.a === i && random.chance(canBothDial(edge) ? 0.8 : 0.3))),
    dispatch: random.pick(["sync", "sync", "slow", "slow", "fast"]),
    dispatchThrottleBytes: random.pick([0, 100_000, 8_000, 3_000]),
    throttles: random.pick([[0, 0], [0, 0], [0, 0], [3, 0], [0, 5_000], [10, 10_000]]),
    clusterProtocol: 0,
    isChallenging: random.chance(0.15),
  }));
  if (random.chance(0.1)) addStranger(messengers, edges);
  const length = random.int(60, 400);
  return {
    seed,
    messengers,
    edges,
    actions: makeActions(messengers, edges, length, random),
    healAt: length + 50,
    capacity: random.pick([65536, 65536, 8192, 2048]),
  };
}

/** Whether both messengers of an edge may dial, if they listen. */
export function canBothDial({ pairing }: EdgePlan): boolean {
  return !pairing.endsWith("Server");
}

function makeEdges(count: number, random: SeededRandom): EdgePlan[] {
  const pairs: [number, number][] = [];
  for (let b = 1; b < count; b++) pairs.push([random.int(0, b - 1), b]);
  if (count > 2 && random.chance(0.3)) {
    const a = random.int(0, count - 2), b = random.int(a + 1, count - 1);
    if (!pairs.some(([x, y]) => x === a && y === b)) pairs.push([a, b]);
  }
  return pairs.map(([first, second]): EdgePlan => {
    const [a, b] = random.chance(0.5) ? [first, second] : [second, first];
    const pairing = random.pick(PAIRINGS);
    const obstacle = pairing.endsWith("Server") && random.chance(0.12)
      ? random.pick(["features", "authorizer"] as const)
      : "none";
    const without = random.chance(0.25)
      ? [random.pick(["RECONNECT_SEQ", "RECONNECT_SEQ", "MSG_AUTH", "MSGR_KEEPALIVE2"] as const)]
      : [];
    return { a, b, pairing, obstacle, anyNonce: random.chance(0.3), without };
  });
}

/** One that speaks another version, and is never let in. */
function addStranger(messengers: MessengerPlan[], edges: EdgePlan[]): void {
  const b = edges[0]!.b, index = messengers.length;
  messengers.push({
    ...messengers[b]!,
    name: `${messengers[b]!.name.split(".")[0]}.${index}`,
    hostname: `10.0.0.${index + 1}`,
    isBound: false,
    clusterProtocol: 7,
    isChallenging: false,
  });
  edges.push({
    a: index,
    b,
    pairing: "losslessPeer-losslessPeer",
    obstacle: "protocol",
    anyNonce: false,
    without: [],
  });
}

function makeActions(
  messengers: readonly MessengerPlan[],
  edges: readonly EdgePlan[],
  length: number,
  random: SeededRandom,
): Action[] {
  const actions: Action[] = [];
  const at = () => Math.round(random.next() * length * 1000) / 1000;
  const direction = ({ a, b }: EdgePlan) => random.chance(0.5) ? { from: a, to: b } : { from: b, to: a };
  for (let sent = 0; sent < MESSAGES;) {
    const edge = random.pick(edges), count = random.int(1, 8);
    sent += count;
    const time = at(), seed = random.int(0, 0x7fffffff);
    actions.push({ at: time, do: "send", ...direction(edge), count, seed });
    // Both sides at once, so that their connections race.
    if (random.chance(0.15)) {
      actions.push({ at: time, do: "send", from: edge.a, to: edge.b, count: 1, seed: seed + 1 });
      actions.push({ at: time, do: "send", from: edge.b, to: edge.a, count: 1, seed: seed + 2 });
      sent += 2;
    }
  }
  for (let i = random.int(5, 14); i > 0; i--) {
    const { a, b } = random.pick(edges), time = at();
    if (random.chance(0.35)) {
      actions.push({ at: time, do: "cut", a, b, notice: random.pick(NOTICES) });
    } else {
      const when = random.pick(["now", "next", "next"] as const);
      // A connection that is going to open is best met in the middle of its handshake.
      const bytes = () => when === "next" && random.chance(0.7) ? random.int(0, 700) : random.int(0, 6000);
      const faults = Array.from({ length: random.pick([1, 1, 1, 2]) }, () => makeFault(bytes, random));
      actions.push({ at: time, do: "fault", a, b, when, faults });
      if (when === "next" && random.chance(0.7)) actions.push({ at: time, do: "cut", a, b, notice: "both" });
    }
  }
  for (let i = random.int(0, 6); i > 0; i--) {
    const edge = random.pick(edges), time = at();
    const kind = random.pick(["dial", "dial", "keepalive", "keepalive", "mark_down", "mark_down", "close"] as const);
    if (kind !== "mark_down") actions.push({ at: time, do: kind, ...direction(edge) });
    else actions.push({ at: time, do: kind, ...direction(edge), by: random.pick(["connection", "address"]) });
  }
  for (let i = random.pick([0, 0, 0, 1, 1, 2]); i > 0; i--) {
    const who = random.int(0, messengers.length - 1);
    if (messengers[who]!.clusterProtocol !== 0) continue;
    if (messengers[who]!.isBound && random.chance(0.2)) actions.push({ at: at(), do: "rebind", who });
    else actions.push({ at: at(), do: "restart", who, sameNonce: random.chance(0.5), silent: random.chance(0.3) });
  }
  return actions.sort((x, y) => x.at - y.at);
}

function makeFault(bytes: () => number, random: SeededRandom): ConnectionFault {
  const to = random.pick(ENDS), afterBytes = bytes();
  switch (random.pick(["cut", "cut", "cut", "stall", "split", "delay", "refuse", "no_answer", "black_hole"] as const)) {
    case "cut":
      return { kind: "cut", to, afterBytes, notice: random.pick(NOTICES) };
    case "stall":
      return { kind: "stall", to, afterBytes, ms: random.int(1, 100) };
    case "split":
      return { kind: "split", to, bytes: random.int(1, 600) };
    case "delay":
      return { kind: "delay", ms: random.int(1, 30) };
    case "refuse":
      return { kind: "refuse" };
    case "no_answer":
      return { kind: "no_answer" };
    case "black_hole":
      return { kind: "black_hole", to, afterBytes };
  }
}

function shuffled<T>(items: readonly T[], random: SeededRandom): T[] {
  const list = [...items];
  for (let i = list.length - 1; i > 0; i--) {
    const j = random.int(0, i);
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
  return list;
}
