/**
 * Measures the messenger on each runtime against what it stands on: bare sockets that move the same bytes, and messages with a length in
 * front by hand; with `--others`, against what a user would pick instead. Every figure comes from two processes that first show that they move
 * every byte as it was sent; peers take turns round by round; medians are printed, with how many times as good ours is.
 *
 * `deno task bench [options] [deno] [bun] [node]`
 *
 * - `--quick`: a part, in less than a minute, or with the others in ten;
 * - `--rounds=5`, `--seconds=1` for each measurement, `--warm-up=2` before it;
 * - `--workloads=oneway,window`, `--sizes=64,1024`, `--peers=msgr,framed`: a part;
 * - `--budget=40m`: begins no round that is not likely to end by then, and nothing after it;
 * - `--no-check`: takes on trust that every byte arrives as it was sent;
 * - `--json=FILE`: appends every measurement to a file, a line each, for `table.ts`, `chart.ts` and `guard.ts`.
 *
 * @module
 */

import { cpus } from "node:os";
import { readPlan } from "./options.ts";
import { report } from "./report.ts";
import { run } from "./run.ts";
import { contestants } from "./workloads.ts";
import { install } from "../tools/install.ts";

const plan = readPlan();
await install();
if (plan.peers.some((peer) => contestants[peer]!.installed)) await (await import("./peers/install.ts")).installPeers();
console.log(
  `${
    cpus()[0]?.model ?? "unknown processor"
  }, ${cpus().length} cores; medians of up to ${plan.rounds} rounds, loopback TCP\n`,
);
report(await run(plan));
