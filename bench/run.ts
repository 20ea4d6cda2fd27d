/**
 * Measuring everybody in turns, round by round.
 *
 * @module
 */

import { appendFileSync } from "node:fs";
import process from "node:process";
import type { Times } from "./bench.ts";
import { canPin, measure } from "./processes.ts";
import type { Result } from "./results.ts";
import { title } from "./results.ts";
import { type Case, contestants } from "./workloads.ts";
import type { Runtime } from "../tools/runtimes.ts";

/** How long a check of everybody's contents may take, in seconds. */
const CHECK_LIMIT = 20, NO_TIME: Times = { warmUp: 0, measure: 0 };

/** What to measure. */
export interface Plan {
  readonly runtimes: readonly Runtime[];
  readonly peers: readonly string[];
  readonly cases: readonly Case[];
  readonly rounds: number;
  /** How long a measurement takes, and its warm-up. */
  readonly times: Times;
  /** How long one measurement may take with all that belongs to it, in seconds. */
  readonly limit: number;
  /** After how many seconds no other round is begun that is not likely to end by then. */
  readonly deadline?: number | undefined;
  /** Where to append the results, a line each. */
  readonly json?: string | undefined;
}

/** Somebody who did not come to a result. */
export interface Failure {
  readonly runtime: Runtime;
  readonly peer: string;
  /** Where it happened; nothing if it was the check, and so nothing was measured. */
  readonly what?: string;
  readonly reason: string;
}

/** What came of a plan. */
export interface Outcome {
  readonly results: readonly Result[];
  readonly failures: readonly Failure[];
}

/** Measures according to plan. What fails is left out from then on, and is among the failures. */
export async function run(plan: Plan): Promise<Outcome> {
  const results: Result[] = [], failures: Failure[] = [], begun = performance.now();
  const able = await check(plan, failures);
  let roundTook = 0;
  for (let round = 0; round < plan.rounds; round++) {
    const start = performance.now();
    if (round > 0 && (start - begun + roundTook) / 1000 > (plan.deadline ?? Infinity)) break;
    for (const what of plan.cases) {
      if (what.pinned && !canPin) continue;
      for (const runtime of plan.runtimes) {
        const peers = able.filter((one) => one.runtime === runtime && canDo(one.peer, what)).map(({ peer }) => peer);
        // Each round begins with another peer, so that none always follows the same one.
        for (let i = 0; i < peers.length; i++) {
          const peer = peers[(i + round) % peers.length]!;
          if (failures.some((one) => one.runtime === runtime && one.peer === peer && one.what === title(what))) {
            continue;
          }
          note(`round ${round + 1}: ${title(what)}, ${peer} on ${runtime}`);
          try {
            const figures = await measure(runtime, peer, what, plan.times, plan.limit);
            const { workload, size, pinned } = what;
            const result = { peer, runtime, workload, size, ...(pinned ? { pinned } : {}), round, ...figures };
            results.push(result);
            if (plan.json !== undefined) appendFileSync(plan.json, `${JSON.stringify(result)}\n`);
          } catch (error) {
            failures.push({ runtime, peer, what: title(what), reason: String((error as Error).message) });
          }
        }
      }
    }
    roundTook = performance.now() - start;
  }
  note("");
  return { results, failures };
}

/** Whether somebody takes part in a workload. */
function canDo(peer: string, { workload }: Case): boolean {
  return contestants[peer]!.workloads.includes(workload);
}

/** Everybody who moves messages as they were sent, on each runtime; the others are failures. */
async function check({ runtimes, peers }: Plan, failures: Failure[]) {
  const able: { readonly runtime: Runtime; readonly peer: string }[] = [];
  for (const runtime of runtimes) {
    for (const peer of peers) {
      note(`checking ${peer} on ${runtime}`);
      const absent = contestants[peer]!.absent?.[runtime];
      const reason = absent ?? await measure(runtime, peer, { workload: "check", size: 0 }, NO_TIME, CHECK_LIMIT)
        .then(() => undefined, (error: Error) => error.message);
      if (reason === undefined) able.push({ runtime, peer });
      else failures.push({ runtime, peer, reason });
    }
  }
  return able;
}

/** Shows what is being done, where somebody looks on. */
function note(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}
