/**
 * `deno task chaos [--messages=100000] [--cuts=50] [--seed=…] [--longest=4096] [--patience=20] [client] [server]`: two programs on two runtimes talk over
 * a line that splits, stalls and cuts, and then one is killed and started again. It ends with code 1 if a message is lost, comes twice, out
 * of order, or with other contents, or if the numbers of the restart do not add up.
 *
 * @module
 */

import process from "node:process";
import { parseArgs } from "node:util";
import { clear, show } from "../demo/progress.ts";
import { install } from "../install.ts";
import { type Runtime, runtimes } from "../runtimes.ts";
import { type CutsTask, runCuts } from "./cuts.ts";
import { runRestart } from "./restart.ts";

/** The restart's sender tells of every message, which is slow, and there is one restart however long it runs. */
const RESTART_MESSAGES = 20_000, RESTART_CUTS = 10;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    messages: { type: "string", default: "100000" },
    cuts: { type: "string", default: "50" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 1e9)) },
    longest: { type: "string", default: "4096" },
    patience: { type: "string", default: "20" },
  },
});
const task: CutsTask = {
  messages: wholeNumber("messages", 1),
  cuts: wholeNumber("cuts", 0),
  seed: wholeNumber("seed", 0),
  longest: wholeNumber("longest", 1),
  patience: wholeNumber("patience", 1),
};
const [client, server] = [runtime(positionals[0] ?? "deno"), runtime(positionals[1] ?? positionals[0] ?? "bun")];

await install();
const problems: string[] = [];
console.log(
  `${client} → ${server}: ${whole(task.messages)} messages each way, up to ${whole(task.longest)} B, ` +
    `${whole(task.cuts)} cuts; seed ${task.seed}`,
);
await attempt(async () => {
  const result = await runCuts(client, server, task, (received, cuts) => {
    show(`${whole(received)} of ${whole(2 * task.messages)} messages, ${whole(cuts)} cuts`);
  });
  clear();
  console.log(`
  messages that arrived             ${whole(result.received)}
  bytes                             ${whole(result.bytes)}
  seconds                           ${result.seconds.toFixed(1)}
  connections, and how many cut     ${whole(result.connections)}, ${whole(result.cuts)}
  sent again                        ${whole(result.replayed)}
  came twice, and were dropped      ${whole(result.duplicates)}
  lost                              ${whole(result.lost)}
  twice or out of order             ${whole(result.outOfTurn)}
  contents                          ${result.problems.length === 0 ? "the same hash on both sides" : "SEE BELOW"}
`);
  if (result.cuts < task.cuts) problems.push(`Only ${result.cuts} of ${task.cuts} cuts were made`);
  problems.push(...result.problems);
});

const restart: CutsTask = {
  ...task,
  messages: Math.min(task.messages, RESTART_MESSAGES),
  cuts: Math.min(task.cuts, RESTART_CUTS),
};
console.log(`${whole(restart.messages)} messages to a server on ${server} that is killed and started again`);
await attempt(async () => {
  const result = await runRestart(client, server, restart);
  console.log(`
  arrived before, after             ${whole(result.before)}, ${whole(result.after)}
  arrived nowhere                   ${whole(result.missing)}
  said to be dropped                ${whole(result.dropped)}
  cuts beside that                  ${whole(result.cuts)}
`);
  problems.push(...result.problems);
});

if (problems.length > 0) console.error(`${problems.join("\n")}\n\nTo repeat it: --seed=${task.seed}`);
process.exitCode = problems.length === 0 ? 0 : 1;

async function attempt(run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    clear();
    problems.push(error instanceof Error ? error.message : String(error));
  }
}

function runtime(text: string): Runtime {
  const found = runtimes.find((each) => each === text);
  if (found !== undefined) return found;
  console.error(`"${text}" is none of ${runtimes.join(", ")}`);
  process.exit(1);
}

function wholeNumber(option: keyof typeof options, least: number): number {
  const value = Number(options[option]);
  if (Number.isInteger(value) && value >= least) return value;
  console.error(`--${option} takes a whole number from ${least} on, not "${options[option]}"`);
  process.exit(1);
}

function whole(value: number): string {
  return Math.round(value).toLocaleString("en");
}
