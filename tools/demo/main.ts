/**
 * The program to run first: `deno task demo`, or where there is only Node and npm, `npx -y deno@2.9 task demo`.
 *
 * It starts two programs on every pair of runtimes, Deno, Bun and Node, lets each send the other 10,000 messages over loopback TCP, cuts their
 * connection five times meanwhile, and checks that all messages arrived, once, whole and in order. It ends with code 1 if anything is off.
 *
 * Options: `--messages=10000` in each direction; `--cuts=5`; `--seed=1` to repeat a run; `--runtimes=deno,node` to try fewer;
 * `--patience=10`, after how many seconds without progress a pair is given up; `--corrupt=1`, a message that every client damages, to
 * see the check fail.
 *
 * @module
 */

import { spawnSync } from "node:child_process";
import process from "node:process";
import { parseArgs } from "node:util";
import { install } from "../install.ts";
import { binary, type Runtime, runtimes } from "../runtimes.ts";
import { type PairResult, runPair, type Task } from "./pair.ts";
import { clear, note, show } from "./progress.ts";
import { type Column, formatTable } from "./table.ts";

const columns: readonly Column<PairResult>[] = [
  { title: "client → server", align: "left", cell: ({ client, server }) => `${client} → ${server}` },
  { title: "messages", cell: ({ messages }) => whole(messages) },
  { title: "MB", cell: ({ bytes }) => whole(bytes / 1e6) },
  { title: "messages/s", cell: ({ messages, seconds }) => whole(messages / seconds) },
  { title: "MB/s", cell: ({ bytes, seconds }) => whole(bytes / 1e6 / seconds) },
  { title: "round trip, µs", cell: ({ roundTrip }) => whole(roundTrip) },
  { title: "cuts", cell: ({ cuts }) => whole(cuts) },
  { title: "sent again", cell: ({ replayed }) => whole(replayed) },
  { title: "came twice", cell: ({ duplicates }) => whole(duplicates) },
  { title: "lost", cell: ({ lost }) => whole(lost) },
  { title: "once, whole, in order", align: "left", cell: ({ problems }) => problems.length === 0 ? "yes" : "NO" },
];

const { values: options } = parseArgs({
  options: {
    messages: { type: "string", default: "10000" },
    cuts: { type: "string", default: "5" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
    runtimes: { type: "string", default: runtimes.join() },
    patience: { type: "string", default: "10" },
    corrupt: { type: "string", default: "0" },
  },
});
const task: Task = {
  messages: wholeNumber("messages", 1),
  cuts: wholeNumber("cuts", 0),
  seed: wholeNumber("seed", 0),
  corrupt: wholeNumber("corrupt", 0),
  patience: wholeNumber("patience", 1),
};

await install();
const here = runtimes.filter((runtime) => options.runtimes.split(",").includes(runtime) && isHere(runtime));
console.log(
  `Every pair: ${whole(task.messages)} messages each way, 0 B to 256 KiB, over loopback TCP, ` +
    `with the connection cut ${task.cuts} times; seed ${task.seed}`,
);
const results: PairResult[] = [];
for (const client of here) {
  for (const server of here) {
    const pair = `${client} → ${server}`;
    show(`${pair}: starting`);
    const result = await runPair(client, server, task, (received) => {
      show(`${pair}: ${whole(received)} of ${whole(2 * task.messages)} messages`);
    });
    note(`${pair}: ${result.problems.length === 0 ? "ok" : "FAILED"}`);
    results.push(result);
  }
}
clear();
console.log(`\n${formatTable(columns, results)}`);

const failed = results.filter(({ problems }) => problems.length > 0);
for (const { client, server, problems } of failed) {
  console.error(`\n${client} → ${server}:\n  ${problems.join("\n  ")}`);
}
if (failed.length > 0) console.error(`\nTo repeat it: --seed=${task.seed}`);
process.exitCode = failed.length === 0 && results.length > 0 ? 0 : 1;

/** Whether a runtime can be started; says which one it is. */
function isHere(runtime: Runtime): boolean {
  const { stdout, error } = spawnSync(binary(runtime), ["--version"], { encoding: "utf8" });
  const version = error === undefined ? stdout.match(/\d+\.\d+\.\d+/)?.[0] : undefined;
  console.log(version === undefined ? `${runtime} is left out: ${error?.message ?? stdout}` : `${runtime} ${version}`);
  return version !== undefined;
}

function wholeNumber(option: keyof typeof options, least: number): number {
  const value = Number(options[option]);
  if (Number.isInteger(value) && value >= least) return value;
  console.error(`--${option} takes a whole number from ${least} on, not "${options[option]}"`);
  process.exit(1);
}

function whole(value: number): string {
  return Number.isFinite(value) ? Math.round(value).toLocaleString("en") : "–";
}
