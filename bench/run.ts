/**
 * Measuring everybody in turns, round by round.
 *
 * @module
 */

import { appendFileSync, existsSync } from "node:fs";
import process from "node:process";
import type { Times } from "./bench.ts";
import { canPin, measure, Measurement, TooLong } from "./processes.ts";
import { ratio, readResults, type Result, title } from "./results.ts";
import { type Case, contestants, others } from "./workloads.ts";
import type { Runtime } from "../tools/runtimes.ts";

/** How long a check of everybody's contents may take, in seconds. */
const CHECK_LIMIT = 20, NO_TIME: Times = { warmUp: 0, measure: 0 };

/** How many times as good the messenger has to be for one round of somebody else to be enough: he is not the one to compare with. */
const OUTCLASSED = 10;

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
  /** After how many seconds nothing more is measured, nor another round begun that is not likely to end by then. */
  readonly deadline?: number | undefined;
  /** Whether everybody first has to show that messages arrive as they were sent. */
  readonly isChecked: boolean;
  /** Where to append the results, a line each. The rounds of a file that has some already are counted on. */
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
  /** Who was measured once only, being ten times slower than the messenger, and at what. */
  readonly outclassed: readonly string[];
  /** Whether time was up in the middle of a round. */
  readonly isCutShort: boolean;
}

/** Measures according to plan. Where somebody fails he is left out from then on, and everywhere if he hangs, as that takes too long. */
export async function run(plan: Plan): Promise<Outcome> {
  const results: Result[] = [], failures: Failure[] = [], hung = new Set<string>();
  const begun = performance.now(), limit = (plan.deadline ?? Infinity) * 1000;
  const isLate = (): boolean => performance.now() - begun > limit;

  const takeTurn = async ({ runtime, peer, measurement }: Contest, what: Case, round: number): Promise<boolean> => {
    note(`round ${round + 1}: ${title(what)}, ${peer} on ${runtime}`);
    try {
      const figures = await measurement.takeTurn();
      if (figures === undefined) return true;
      const { workload, size, pinned } = what;
      const result = { peer, runtime, workload, size, ...(pinned ? { pinned } : {}), round, ...figures };
      results.push(result);
      if (plan.json !== undefined) appendFileSync(plan.json, `${JSON.stringify(result)}\n`);
    } catch (error) {
      failures.push({ runtime, peer, what: title(what), reason: (error as Error).message });
      if (error instanceof TooLong) hung.add(`${peer} ${runtime}`);
    }
    return false;
  };
  /** Measures several at one thing, slice by slice in turns. Whether there was time for it. */
  const measureTogether = async (entrants: readonly Entrant[], what: Case, round: number): Promise<boolean> => {
    const all = entrants.map((entrant): Contest => {
      const { runtime, peer } = entrant;
      return { ...entrant, measurement: new Measurement(runtime, peer, what, plan.times, plan.limit) };
    });
    try {
      for (let left = all; left.length > 0;) {
        const goOn: Contest[] = [];
        for (const contest of left) {
          if (isLate()) return false;
          if (await takeTurn(contest, what, round)) goOn.push(contest);
          else await contest.measurement.end();
        }
        // Another one begins each time, so that none always follows the same.
        left = rotated(goOn, 1);
      }
      return true;
    } finally {
      await Promise.all(all.map(({ measurement }) => measurement.end()));
    }
  };

  const outclassed = new Set<string>();
  const isOutclassed = ({ runtime, peer }: Entrant, what: Case): boolean => {
    if (!(peer in others) || (ratio(results, { ...what, runtime }, "msgr", peer) ?? 1) < OUTCLASSED) return false;
    outclassed.add(`${peer} on ${runtime}, ${title(what)}`);
    return true;
  };
  const takesPart = ({ runtime, peer }: Entrant, what: Case): boolean =>
    contestants[peer]!.workloads.includes(what.workload) && !hung.has(`${peer} ${runtime}`) &&
    !failures.some((one) => one.runtime === runtime && one.peer === peer && one.what === title(what));

  const entrants = await check(plan, failures), cases = plan.cases.filter(({ pinned }) => !pinned || canPin);
  const first = plan.json === undefined ? 0 : roundsIn(plan.json);
  let isCutShort = false;
  measuring: for (let round = first; round < first + plan.rounds; round++) {
    const start = performance.now();
    for (const what of cases) {
      for (const runtime of plan.runtimes) {
        const here = entrants.filter((entrant) =>
          entrant.runtime === runtime && takesPart(entrant, what) && !(round > first && isOutclassed(entrant, what))
        );
        isCutShort = !await measureTogether(rotated(here, round), what, round);
        if (isCutShort) break measuring;
      }
    }
    const end = performance.now();
    if (end - begun + end - start > limit) break;
  }
  note("");
  return { results, failures, outclassed: [...outclassed], isCutShort };
}

/** Somebody on a runtime. */
interface Entrant {
  readonly runtime: Runtime;
  readonly peer: string;
}

/** Somebody who is being measured. */
interface Contest extends Entrant {
  readonly measurement: Measurement;
}

/** Everybody who moves messages as they were sent; the others are failures. */
async function check({ runtimes, peers, isChecked }: Plan, failures: Failure[]): Promise<Entrant[]> {
  const able: Entrant[] = [];
  for (const runtime of runtimes) {
    for (const peer of peers) {
      note(`checking ${peer} on ${runtime}`);
      const reason = contestants[peer]!.absent?.[runtime] ?? (isChecked ? await failureOf(runtime, peer) : undefined);
      if (reason === undefined) able.push({ runtime, peer });
      else failures.push({ runtime, peer, reason });
    }
  }
  return able;
}

async function failureOf(runtime: Runtime, peer: string): Promise<string | undefined> {
  try {
    await measure(runtime, peer, { workload: "check", size: 0 }, NO_TIME, CHECK_LIMIT);
  } catch (error) {
    return (error as Error).message;
  }
}

function roundsIn(path: string): number {
  return existsSync(path) ? Math.max(0, ...readResults(path).map(({ round }) => round + 1)) : 0;
}

function rotated<T>(items: readonly T[], by: number): T[] {
  return items.map((_, i) => items[(i + by) % items.length]!);
}

/** Shows what is being done, where somebody looks on. */
function note(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`);
}
