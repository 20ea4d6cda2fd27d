/**
 * What a process has used so far.
 *
 * @module
 */

import process from "node:process";

/** What to do before looking. */
export interface Question {
  /** Whether to collect garbage first, as memory means nothing without. */
  readonly collect: boolean;
}

/** What a process has used. */
export interface Usage {
  /** Processor time, in µs, of all its threads, in the program and in the kernel. */
  readonly cpu: number;
  /** Resident memory, in bytes. */
  readonly rss: number;
}

const NOBODY: Usage = { cpu: 0, rss: 0 };

/** What this process has used, and others that work for it. */
export function usage({ collect }: Question, helpers: Usage = NOBODY): Usage {
  if (collect) collectGarbage();
  const { user, system } = process.cpuUsage();
  return { cpu: user + system + helpers.cpu, rss: process.memoryUsage().rss + helpers.rss };
}

/** As V8 does before it gives up: less would leave it room that it does not need. */
const THOROUGHLY = { type: "major", execution: "sync", flavor: "last-resort" };

/** Node and Deno have it by a flag that the benches give them. */
function collectGarbage(): void {
  const { Bun, gc } = globalThis as { Bun?: { gc(now: boolean): void }; gc?: (how: unknown) => void };
  // One collection finds what another has to finish.
  for (let i = 0; i < 3; i++) {
    Bun?.gc(true);
    gc?.(THOROUGHLY);
  }
}
