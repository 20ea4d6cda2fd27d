/**
 * Which states, transitions, answers and decisions of the protocol a simulation has been through.
 *
 * @module
 */

import { Pipe } from "../pipe.ts";
import { EXISTING_SESSION_TABLE } from "../race.ts";
import type { PipeState } from "../session.ts";
import { Tag, tagName } from "../wire/constants.ts";

/** What a {@linkcode StateCoverage} counts. */
export type CoverageKind = "state" | "transition" | "reply" | "race";

const HEADINGS: Readonly<Record<CoverageKind, string>> = {
  state: "states",
  transition: "transitions",
  reply: "answers to a request",
  race: "rows of the race table",
};

/** Every transition of a Pipe that can happen; `new` is where it begins. */
const TRANSITIONS: readonly string[] = [
  "new > accepting",
  "new > standby",
  "accepting > open",
  "accepting > closed",
  "standby > connecting",
  "standby > closed",
  "connecting > open",
  "connecting > wait",
  "connecting > standby",
  "connecting > closed",
  "wait > connecting",
  "wait > closing",
  "wait > closed",
  "open > connecting",
  "open > standby",
  "open > closing",
  "open > closed",
  "closing > closed",
];

const STATES: readonly PipeState[] = ["accepting", "connecting", "open", "standby", "wait", "closing", "closed"];

const REPLIES: readonly number[] = [
  Tag.READY,
  Tag.SEQ,
  Tag.RESETSESSION,
  Tag.WAIT,
  Tag.RETRY_SESSION,
  Tag.RETRY_GLOBAL,
  Tag.BADPROTOVER,
  Tag.BADAUTHORIZER,
  Tag.FEATURES,
  Tag.CHALLENGE_AUTHORIZER,
];

/** Counts what has been seen, and knows all that there is to see. */
export class StateCoverage {
  readonly #counts = new Map<string, number>();
  readonly #known: ReadonlySet<string>;

  /** Begins with a zero for everything that can happen. */
  constructor() {
    for (const state of STATES) this.count("state", state, 0);
    for (const transition of TRANSITIONS) this.count("transition", transition, 0);
    for (const tag of REPLIES) this.count("reply", tagName(tag), 0);
    for (const { row } of EXISTING_SESSION_TABLE) this.count("race", row, 0);
    this.#known = new Set(this.#counts.keys());
  }

  /** What was seen and should not be possible. */
  get unexpected(): string[] {
    return [...this.#counts.keys()].filter((name) => !this.#known.has(name));
  }

  /** How often each thing was seen, by its kind and name. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** What was never seen. */
  get missing(): string[] {
    return [...this.#counts].filter(([, count]) => count === 0).map(([name]) => name);
  }

  /** Counts something. */
  count(kind: CoverageKind, name: string, times = 1): void {
    const key = `${kind} ${name}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + times);
  }

  /** Adds what another has counted. */
  add(counts: Iterable<readonly [string, number]>): void {
    for (const [key, times] of counts) this.#counts.set(key, (this.#counts.get(key) ?? 0) + times);
  }

  /** A table, one line for each kind. */
  toString(): string {
    return Object.entries(HEADINGS).map(([kind, heading]) => {
      const own = [...this.#counts].filter(([key]) => key.startsWith(`${kind} `));
      const lines = own.map(([key, times]) =>
        `  ${key.slice(kind.length + 1).padEnd(24)}${String(times).padStart(12)}`
      );
      return [heading, ...lines].join("\n");
    }).join("\n");
  }
}

/** Told of each state that a Pipe takes. */
export type PipeWatcher = (pipe: Pipe, from: PipeState | "new", to: PipeState) => void;

let watcher: PipeWatcher | undefined;
let isInstalled = false;

/**
 * Has all Pipes that are made from now on tell of their states. There is one watcher in a program: a second takes the place of the first.
 *
 * @param told Told of each change; `undefined` for nobody.
 */
export function watchPipes(told: PipeWatcher | undefined): void {
  watcher = told;
  if (isInstalled || told === undefined) return;
  isInstalled = true;
  const { connecting, accepting } = Pipe;
  Pipe.connecting = (...args) => watched(connecting.apply(Pipe, args));
  Pipe.accepting = (...args) => watched(accepting.apply(Pipe, args));
}

/** The state is a plain field of the Pipe; here it becomes a pair of accessors of this one object. */
function watched(pipe: Pipe): Pipe {
  if (watcher === undefined) return pipe;
  let state = pipe.state;
  Object.defineProperty(pipe, "state", {
    get: () => state,
    set: (next: PipeState) => {
      const before = state;
      state = next;
      if (next !== before) watcher?.(pipe, before, next);
    },
  });
  watcher(pipe, "new", state);
  return pipe;
}
