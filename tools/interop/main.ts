/**
 * Runs the tests in `tests/interop` against Ceph's own monitor, without authentication and with cephx, on Deno, Bun and Node.
 *
 * `deno task interop [runtime …] [none] [cephx]`. Where there is no Ceph and it cannot be installed, it says why, and reports the tests as skipped.
 *
 * @module
 */

import process from "node:process";
import { install } from "../install.ts";
import { run } from "../run.ts";
import { binary, importMap, type Runtime, runtimes } from "../runtimes.ts";
import { addTotals, formatTotals, readTotals, type Totals } from "../totals.ts";
import { ensureCeph } from "./debian.ts";
import { type Auth, Monitor } from "./monitor.ts";

const suite = "tests/interop/mon_suite.ts";
/** Every suite that takes longer than this, in ms, hangs. */
const suiteLimit = 5 * 60_000;
const testLimit = 90_000;

const args = process.argv.slice(2);
const wantedRuntimes = runtimes.filter((runtime) => args.includes(runtime));
const wantedAuths = (["none", "cephx"] as const).filter((auth) => args.includes(auth));

const reason = await ensureCeph();
if (reason !== undefined) {
  console.log(`Skipped the tests with Ceph's own monitor: ${reason}`);
  process.exit(0);
}
await install();
const totals = new Map<Runtime, Totals>();
let ok = true;
for (const auth of wantedAuths.length > 0 ? wantedAuths : ["none", "cephx"] as const) {
  for (const runtime of wantedRuntimes.length > 0 ? wantedRuntimes : runtimes) await test(runtime, auth);
}
console.log(`\n${[...totals].map(([runtime, total]) => formatTotals(runtime, total)).join("\n")}`);
process.exitCode = ok ? 0 : 1;

/** One monitor for each run, so that no run sees what another has left behind. */
async function test(runtime: Runtime, auth: Auth): Promise<void> {
  const started = performance.now();
  const monitor = await Monitor.start(auth);
  const stop = () => void monitor.stop().finally(() => process.exit(130));
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    console.log(`\n—— ${runtime}, ${auth}: the monitor was up after ${(performance.now() - started).toFixed(0)} ms ——`);
    const { code, output, timedOut } = await run(binary(runtime), command(runtime), {
      limit: suiteLimit,
      env: { NO_COLOR: "1", MSGR_INTEROP: JSON.stringify(monitor.info) },
    });
    const counted = readTotals(runtime, output) ?? { passed: 0, failed: 1, skipped: 0 };
    totals.set(runtime, addTotals(totals.get(runtime) ?? { passed: 0, failed: 0, skipped: 0 }, counted));
    if (timedOut || code !== 0 || counted.failed > 0 || counted.passed === 0) ok = false;
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
    await monitor.stop();
  }
}

function command(runtime: Runtime): string[] {
  switch (runtime) {
    case "deno": {
      const permissions = ["--allow-net=127.0.0.1,127.0.0.2", "--allow-env=MSGR_INTEROP"];
      return ["test", "--no-prompt", ...permissions, `--import-map=${importMap}`, suite];
    }
    case "bun":
      return ["test", `--timeout=${testLimit}`, `./${suite}`];
    case "node":
      return ["--test", "--test-reporter=spec", `--test-timeout=${testLimit}`, suite];
  }
}
