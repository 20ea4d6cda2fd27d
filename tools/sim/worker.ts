/**
 * Plays schedules, one after the other: `worker.ts FROM STEP COUNT [1]` plays the seeds FROM, FROM + STEP, …, with 1 those in which data are streams, and writes a line of JSON for each
 * that failed, and now and then one of how far it is.
 *
 * @module
 */

import process from "node:process";
import { simulate, StateCoverage } from "../../src/testing.ts";

/** A line that a worker writes. */
export type Report =
  | { readonly kind: "failed"; readonly seed: number; readonly violations: readonly string[] }
  | {
    readonly kind: "progress";
    readonly schedules: number;
    readonly messages: number;
    readonly connections: number;
    readonly elapsed: number;
    readonly coverage: readonly (readonly [string, number])[];
  };

if (import.meta.main) await work();

async function work(): Promise<void> {
  const [from = 1, step = 1, count = 1, streams = 0] = process.argv.slice(2).map(Number);
  // Schedules break hundreds of connections a second, and each error would collect a stack that nobody reads.
  Error.stackTraceLimit = 0;
  let seed = from;
  const rejections: unknown[] = [];
  process.on("unhandledRejection", (error) => rejections.push(error));
  let sums = { schedules: 0, messages: 0, connections: 0, elapsed: 0 }, coverage = new StateCoverage();
  const report = (line: Report): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
  for (let i = 0; i < count; i++, seed += step) {
    const { violations, delivered, connections, elapsed } = await simulate(seed, { coverage, streams: streams === 1 });
    const all = [...violations, ...rejections.splice(0).map((error) => `Nobody handled a rejection: ${error}`)];
    if (all.length > 0) report({ kind: "failed", seed, violations: all });
    sums.schedules++;
    sums.messages += delivered;
    sums.connections += connections;
    sums.elapsed += elapsed;
    if (sums.schedules < 50 && i < count - 1) continue;
    report({ kind: "progress", ...sums, coverage: [...coverage.counts] });
    sums = { schedules: 0, messages: 0, connections: 0, elapsed: 0 };
    coverage = new StateCoverage();
  }
}
