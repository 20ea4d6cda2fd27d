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
const CHECK_LIMIT = 20, NO_TIME: Times = { warmUp: 0, measure: 0, slices: 1 };

/**
 * In how many slices a measurement on one core is taken: a machine that does something else as well is now fast and now half as fast, for seconds at a time, and
 * like this it is so for everybody who is compared. On two cores the rest between slices would do more harm: then the kernel has to find out anew who had
 * better run where, which takes it longer than a slice.
 */
const SLICES = 10;

/** How many times as good the messenger has to be for one round of somebody else to be enough: he is not the one to compare with. */
const OUTCLASSED = 10;

/** What to measure. */
export interface Plan {
  readonly runtimes: readonly Runtime[];
  readonly peers: readonly string[];
  readonly cases: readonly Case[];
  readonly rounds: number;
  /** How long a measurement takes, and its warm-up. */
  readonly times: Omit<Times, "slices">;
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
  const outcome = await new Tournament(plan).run();
  note("");
  return outcome;
}

/** Somebody on a runtime. */
interface Entrant {
  readonly runtime: Runtime;
  readonly peer: string;
}

/** A plan that is being carried out. */
class Tournament {
  readonly #plan: Plan;
  readonly #begun = performance.now();
  readonly #results: Result[] = [];
  readonly #failures: Failure[] = [];
  /** Who takes part no more, and where he was measured once only. */
  readonly #hung = new Set<string>();
  readonly #outclassed = new Set<string>();

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  async run(): Promise<Outcome> {
    const { cases, json, rounds, runtimes } = this.#plan;
    const entrants = await check(this.#plan, this.#failures);
    const events = cases.filter(({ pinned }) => !pinned || canPin)
      .flatMap((what) => runtimes.map((runtime) => ({ what, runtime })));
    const first = json === undefined ? 0 : roundsIn(json);
    let isCutShort = false;
    for (let round = first; round < first + rounds && !isCutShort; round++) {
      const start = performance.now();
      for (const { what, runtime } of events) {
        const here = entrants.filter((entrant) => entrant.runtime === runtime && this.#takesPart(entrant, what));
        // Each round begins with another one, so that none always follows the same.
        const field = rotated(here.filter((one) => round === first || !this.#isOutclassed(one, what)), round);
        isCutShort = !await this.#measure(field, what, round);
        if (isCutShort) break;
      }
      if (this.#isLate(performance.now() - start)) break;
    }
    return { results: this.#results, failures: this.#failures, outclassed: [...this.#outclassed], isCutShort };
  }

  /** Measures several at one thing, who take turns. Whether there was time for it. */
  async #measure(field: readonly Entrant[], what: Case, round: number): Promise<boolean> {
    const { limit } = this.#plan, times = { ...this.#plan.times, slices: what.pinned ? SLICES : 1 };
    const all = field.map((entrant) => {
      return { entrant, measurement: new Measurement(entrant.runtime, entrant.peer, what, times, limit) };
    });
    try {
      for (let left = all; left.length > 0;) {
        const goOn: typeof left = [];
        for (const one of left) {
          if (this.#isLate()) return false;
          note(`round ${round + 1}: ${title(what)}, ${one.entrant.peer} on ${one.entrant.runtime}`);
          if (await this.#takeTurn(one.entrant, one.measurement, what, round)) goOn.push(one);
          else await one.measurement.end();
        }
        // Another one begins each time.
        left = rotated(goOn, 1);
      }
      return true;
    } finally {
      await Promise.all(all.map(({ measurement }) => measurement.end()));
    }
  }

  /** Whether that was not the last turn. */
  async #takeTurn(entrant: Entrant, measurement: Measurement, what: Case, round: number): Promise<boolean> {
    const { runtime, peer } = entrant, { workload, size, pinned } = what, { json } = this.#plan;
    try {
      const figures = await measurement.takeTurn();
      if (figures === undefined) return true;
      const result = { peer, runtime, workload, size, ...(pinned ? { pinned } : {}), round, ...figures };
      this.#results.push(result);
      if (json !== undefined) appendFileSync(json, `${JSON.stringify(result)}\n`);
    } catch (error) {
      this.#failures.push({ runtime, peer, what: title(what), reason: (error as Error).message });
      if (error instanceof TooLong) this.#hung.add(nameOf(entrant));
    }
    return false;
  }

  #takesPart(entrant: Entrant, what: Case): boolean {
    const { runtime, peer } = entrant;
    return contestants[peer]!.workloads.includes(what.workload) && !this.#hung.has(nameOf(entrant)) &&
      !this.#failures.some((one) => one.runtime === runtime && one.peer === peer && one.what === title(what));
  }

  #isOutclassed(entrant: Entrant, what: Case): boolean {
    const { runtime, peer } = entrant;
    if (!(peer in others) || (ratio(this.#results, { ...what, runtime }, "msgr", peer) ?? 1) < OUTCLASSED) return false;
    this.#outclassed.add(`${nameOf(entrant)}, ${title(what)}`);
    return true;
  }

  /** Whether time will be up in so many milliseconds. */
  #isLate(ahead = 0): boolean {
    return performance.now() + ahead - this.#begun > (this.#plan.deadline ?? Infinity) * 1000;
  }
}

function nameOf({ runtime, peer }: Entrant): string {
  return `${peer} on ${runtime}`;
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
