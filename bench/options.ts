/**
 * What can be said on the command line.
 *
 * @module
 */

import process from "node:process";
import { parseArgs } from "node:util";
import type { Plan } from "./run.ts";
import { basics, type Case, cases, contestants, field, home } from "./workloads.ts";
import { runtimes } from "../tools/runtimes.ts";

/** Times are in seconds. */
const USUALLY = { warmUp: 2, seconds: 1, rounds: 5, limit: 90 };
const QUICKLY = { warmUp: 1, seconds: 0.3, rounds: 3, limit: 30, deadline: 50 };

/** Reads the arguments; ends the process if they make no sense. */
export function readPlan(args: readonly string[] = process.argv.slice(2)): Plan {
  try {
    return plan(args);
  } catch (error) {
    console.error((error as Error).message);
    process.exit(1);
  }
}

function plan(args: readonly string[]): Plan {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      others: { type: "boolean", default: false },
      rounds: { type: "string" },
      "warm-up": { type: "string" },
      seconds: { type: "string" },
      workloads: { type: "string" },
      sizes: { type: "string" },
      peers: { type: "string" },
      json: { type: "string" },
      budget: { type: "string" },
      "no-check": { type: "boolean", default: false },
    },
  });
  const { limit, ...base } = values.quick ? QUICKLY : USUALLY;
  const wanted = choose("runtime", positionals.length > 0 ? positionals : undefined, runtimes);
  const workloads = choose("workload", values.workloads?.split(","), [
    ...new Set(cases.map(({ workload }) => workload)),
  ]);
  const sizes = choose("size", values.sizes?.split(","), [...new Set(cases.map(({ size }) => String(size)))]);
  const whoever = values.others ? field : values.quick ? basics : home;
  const fits = ({ workload, size, quick = false }: Case) =>
    workloads.includes(workload) && sizes.includes(String(size)) &&
    // Who names workloads wants all of them, quickly.
    (quick || !values.quick || values.workloads !== undefined);
  return {
    limit,
    // There are too many others for that.
    deadline: minutes(values.budget) ?? (values.quick && !values.others ? QUICKLY.deadline : undefined),
    isChecked: !values["no-check"],
    runtimes: wanted,
    peers: choose("peer", values.peers?.split(",") ?? whoever, Object.keys(contestants)),
    cases: cases.filter(fits),
    rounds: positive("rounds", values.rounds) ?? base.rounds,
    times: {
      warmUp: positive("warm-up", values["warm-up"]) ?? base.warmUp,
      measure: positive("seconds", values.seconds) ?? base.seconds,
    },
    json: values.json,
  };
}

/** Those of `all` that were named, in the order of `all`. */
function choose<T extends string>(what: string, named: readonly string[] | undefined, all: readonly T[]): readonly T[] {
  const unknown = named?.find((name) => !all.includes(name as T));
  if (unknown !== undefined) throw new Error(`There is no ${what} ${unknown}, only ${all.join(", ")}`);
  return named === undefined ? all : all.filter((one) => named.includes(one));
}

/** `40m` and `40` in seconds. */
function minutes(text: string | undefined): number | undefined {
  const value = positive("budget", text?.replace(/m$/, ""));
  return value === undefined ? undefined : value * 60;
}

function positive(option: string, text: string | undefined): number | undefined {
  const value = Number(text ?? 1);
  if (!(value > 0)) throw new Error(`--${option} takes a number above 0, not "${text}"`);
  return text === undefined ? undefined : value;
}
