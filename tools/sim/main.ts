/**
 * Plays schedules of faults, on all cores: `deno task sim [--seeds=N] [--from=S] [--jobs=J] [--runtime=deno|bun|node] [--streams] [--until-failure]`, or
 * one of them with all that happens in it: `deno task sim --seed=S`.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";
import { simulate, StateCoverage } from "../../src/testing.ts";
import { type Runtime, runtimeCommand } from "../runtimes.ts";
import type { Report } from "./worker.ts";

/** Schedules of a run that is given no number: enough to go through every state and every row of the table many times. */
const DEFAULT_SEEDS = 2000;
/** Failures that are told in full. */
const MOST_TOLD = 10;

const { values } = parseArgs({
  options: {
    seed: { type: "string" },
    seeds: { type: "string", default: String(DEFAULT_SEEDS) },
    from: { type: "string", default: "1" },
    jobs: { type: "string", default: String(availableParallelism()) },
    runtime: { type: "string", default: ownRuntime() },
    streams: { type: "boolean", default: false },
    "until-failure": { type: "boolean", default: false },
  },
});

process.exitCode = values.seed === undefined ? await playMany() : await replay(Number(values.seed));

/** Plays one schedule and prints all that happens. */
async function replay(seed: number): Promise<number> {
  const { trace, violations } = await simulate(seed, { trace: true, streams: values.streams });
  console.log(trace);
  for (const violation of violations) console.log(`VIOLATION: ${violation}`);
  if (violations.length === 0) console.log(`Seed ${seed}: all promises kept.`);
  return violations.length === 0 ? 0 : 1;
}

async function playMany(): Promise<number> {
  const seeds = Number(values.seeds), from = Number(values.from), jobs = Math.min(Number(values.jobs), seeds);
  const coverage = new StateCoverage(), start = performance.now();
  const failed: number[] = [];
  let schedules = 0, messages = 0, connections = 0, elapsed = 0, told = 0;
  const workers: { stop: () => void; done: Promise<void> }[] = [];
  for (let job = 0; job < jobs; job++) {
    const count = Math.floor((seeds - job + jobs - 1) / jobs);
    workers.push(startWorker([from + job, jobs, count, values.streams ? 1 : 0], (line) => {
      if (line.kind === "failed") {
        failed.push(line.seed);
        if (failed.length <= MOST_TOLD) {
          console.log(`\nSeed ${line.seed} failed:`);
          for (const violation of line.violations.slice(0, 5)) console.log(`  ${violation.slice(0, 500)}`);
          console.log(`  replay it with: deno task sim --seed=${line.seed}${values.streams ? " --streams" : ""}`);
        }
        if (values["until-failure"]) { for (const { stop } of workers) stop(); }
        return;
      }
      schedules += line.schedules;
      messages += line.messages;
      connections += line.connections;
      elapsed += line.elapsed;
      coverage.add(line.coverage);
      const seconds = (performance.now() - start) / 1000;
      if (seconds - told < 10) return;
      told = seconds;
      console.log(`${schedules} schedules, ${failed.length} failed, ${(schedules / seconds).toFixed(0)} a second`);
    }));
  }
  let crashed = false;
  for (const { done } of workers) {
    await done.catch((error) => {
      crashed = true;
      console.log(String(error));
    });
  }
  const seconds = (performance.now() - start) / 1000;
  console.log(`\n${coverage}\n`);
  console.log(
    `${schedules} schedules from seed ${from} in ${seconds.toFixed(1)} s: ${
      (schedules / seconds).toFixed(0)
    } a second; ` +
      `${messages} messages delivered, ${connections} connections dialled, ${
        (elapsed / 3_600_000).toFixed(1)
      } virtual hours`,
  );
  const { missing, unexpected } = coverage;
  if (failed.length > 0) console.log(`${failed.length} failed: ${failed.slice(0, 50).join(", ")}`);
  else console.log("All promises kept.");
  if (schedules >= DEFAULT_SEEDS && missing.length > 0) console.log(`Never seen: ${missing.join(", ")}`);
  if (unexpected.length > 0) console.log(`Should be impossible: ${unexpected.join(", ")}`);
  return crashed || unexpected.length > 0 || failed.length > 0 || (schedules >= DEFAULT_SEEDS && missing.length > 0)
    ? 1
    : 0;
}

function startWorker(
  args: readonly number[],
  report: (line: Report) => void,
): { stop: () => void; done: Promise<void> } {
  const { command, args: all } = runtimeCommand(values.runtime as Runtime, "tools/sim/worker.ts", args.map(String), {
    permissions: ["--allow-all"],
  });
  const child = spawn(command, all, { stdio: ["ignore", "pipe", "inherit"] });
  const decoder = new TextDecoder();
  let rest = "", isStopped = false;
  child.stdout.on("data", (chunk: Uint8Array) => {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) report(JSON.parse(line) as Report);
  });
  const done = new Promise<void>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0 || isStopped) resolve();
      else reject(new Error(`A worker ended with code ${code}`));
    });
  });
  const stop = (): void => {
    isStopped = true;
    child.kill("SIGKILL");
  };
  return { stop, done };
}

function ownRuntime(): Runtime {
  return "deno" in process.versions ? "deno" : "bun" in process.versions ? "bun" : "node";
}
