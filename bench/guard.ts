/**
 * Whether the messenger has become slower: `deno task bench:guard [--update] [--from=FILE] [options of main.ts]`.
 *
 * What is compared are ratios, of what a workload is about and of processor time: to bare sockets and to framing by hand in the same run, or where
 * the workload has one of its own, to one connection that nothing happens to. They hold from machine to machine far better than rates do,
 * though not entirely. What has fallen by more than 15 % below `bench/baseline.json` is named, and the exit code is 1.
 *
 * Compare what was measured alike: a quick run warms up less than the compilers would like, and so has other ratios.
 *
 * `--update` makes what was measured the new baseline; what was not measured stays. `--from=FILE` measures nothing and takes the results of an earlier
 * run with `--json`.
 *
 * @module
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { readPlan } from "./options.ts";
import { ratio, readResults, type Result, select, spread, type Subject, subjectsOf, title } from "./results.ts";
import { sayFailure } from "./report.ts";
import { run } from "./run.ts";
import { basics } from "./workloads.ts";
import { install } from "../tools/install.ts";
import { root, runtimes } from "../tools/runtimes.ts";

const BASELINE = `${root}/bench/baseline.json`;
/** What is put down to chance. */
const TOLERANCE = 0.15;
const GROUND = basics.filter((peer) => peer !== "msgr");

/** What holds best on a machine that does something else as well. */
const PROCESSORS = { field: "cpu_us_per_message", better: "less" } as const;

type Ratios = Readonly<Record<string, number>>;

const args = process.argv.slice(2);
const update = args.includes("--update"), from = args.find((arg) => arg.startsWith("--from="))?.slice("--from=".length);

const results = from !== undefined ? readResults(from) : await measureAll(args.filter((arg) => arg !== "--update"));
const now = ratiosOf(results);
const before: Ratios = existsSync(BASELINE) ? JSON.parse(readFileSync(BASELINE, "utf8")) : {};
if (Object.keys(now).length === 0) {
  console.error("Nothing was measured that could be compared");
  process.exitCode = 1;
} else if (update) {
  const all = Object.entries({ ...before, ...now }).sort(([a], [b]) => a < b ? -1 : 1);
  writeFileSync(BASELINE, `${JSON.stringify(Object.fromEntries(all), undefined, 2)}\n`);
  console.log(`${Object.keys(now).length} ratios are in bench/baseline.json now`);
} else {
  process.exitCode = compare(now, before);
}

async function measureAll(options: readonly string[]): Promise<readonly Result[]> {
  const plan = readPlan(options);
  await install();
  const { results, failures } = await run({ ...plan, peers: basics });
  for (const failure of failures) console.log(sayFailure(failure));
  return results;
}

/** How good the messenger is, by runtime, workload and what it is compared with. */
function ratiosOf(results: readonly Result[]): Ratios {
  const ratios: Record<string, number> = {};
  for (const subject of subjectsOf(results)) {
    for (const runtime of runtimes) {
      const about: Subject = { ...subject, runtime }, key = `${runtime}, ${title(subject)}`;
      const own = spread(select(results, about, "msgr"), "ratio");
      if (own !== undefined) ratios[`${key}, undisturbed`] = rounded(own.median);
      for (const peer of GROUND) {
        const value = ratio(results, about, "msgr", peer), cpu = ratio(results, about, "msgr", peer, PROCESSORS);
        if (value !== undefined) ratios[`${key}, ${peer}`] = rounded(value);
        if (cpu !== undefined) ratios[`${key}, ${peer}, processors`] = rounded(cpu);
      }
    }
  }
  return ratios;
}

/** Prints every ratio with what it was; returns the exit code. */
function compare(now: Ratios, before: Ratios): number {
  const fallen = Object.keys(now).filter((key) =>
    before[key] !== undefined && now[key]! < before[key]! * (1 - TOLERANCE)
  );
  for (const [key, value] of Object.entries(now)) {
    const was = before[key];
    const change = was === undefined ? "new" : `was ${was}, ${percent(value / was - 1)}`;
    console.log(
      `${fallen.includes(key) ? "FELL  " : "      "}${key.padEnd(56)} ${String(value).padStart(8)}  ${change}`,
    );
  }
  const compared = Object.keys(now).filter((key) => before[key] !== undefined).length;
  if (compared === 0) console.log("\nThere is no baseline for this: --update writes one");
  else console.log(`\n${fallen.length} of ${compared} ratios fell by more than ${TOLERANCE * 100} %`);
  return fallen.length > 0 ? 1 : 0;
}

function percent(share: number): string {
  return `${share < 0 ? "" : "+"}${(100 * share).toFixed(0)} %`;
}

function rounded(value: number): number {
  return Number(value.toPrecision(3));
}
