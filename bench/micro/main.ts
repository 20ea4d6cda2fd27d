/**
 * Runs the small benches, each on each runtime: `deno task bench:micro [deno] [bun] [node] [crc32c] [codec] [queues] [messages]`. Every line is the
 * least of many samples, and how many times as fast as the first line of its group it is.
 *
 * @module
 */

import process from "node:process";
import { install } from "../../tools/install.ts";
import { run } from "../../tools/run.ts";
import { runtimeCommand, runtimes } from "../../tools/runtimes.ts";

const benches = ["crc32c", "codec", "queues", "messages"];
const args = process.argv.slice(2);
const unknown = args.filter((arg) => !benches.includes(arg) && !runtimes.some((runtime) => runtime === arg));
if (unknown.length > 0) {
  console.error(`There is no ${unknown.join(" or ")}, only ${[...runtimes, ...benches].join(", ")}`);
  process.exit(1);
}

await install();
for (const bench of chosen(benches)) {
  for (const runtime of chosen(runtimes)) {
    console.log(`\n—— ${bench}, ${runtime} ——`);
    const { command, args } = runtimeCommand(runtime, `bench/micro/${bench}.ts`, [], { permissions: ["-A"] });
    const { code } = await run(command, args, { limit: 120_000 });
    if (code !== 0) process.exitCode = 1;
  }
}

/** Those that were named, or all if none was. */
function chosen<T extends string>(all: readonly T[]): readonly T[] {
  const named = all.filter((one) => args.includes(one));
  return named.length > 0 ? named : all;
}
