/**
 * Runs the tests on Deno, Bun and Node, one after the other, and ends with one line of totals for each.
 *
 * `deno task test [--online] [runtime …] [path …]`: without a runtime, all three; without a path, all of `tests/`. A path is that of a file or
 * a folder. `--online` leaves out the import map, so that Deno takes `@std` from JSR.
 *
 * @module
 */

import { readdirSync } from "node:fs";
import process from "node:process";
import { install } from "./install.ts";
import { run } from "./run.ts";
import { binary, importMap, root, type Runtime, runtimes } from "./runtimes.ts";
import { addTotals, formatTotals, readTotals, type Totals } from "./totals.ts";

/** Every test that takes longer than this, in milliseconds, hangs. */
const testLimit = 120_000;
/** Every suite that takes longer than this, in milliseconds, hangs. */
const suiteLimit = 10 * 60_000;

/**
 * What Deno lets the tests of a folder do: the sets of permissions in deno.json. The first folder that fits counts.
 *
 * Most tests prove by it that the library asks for nothing but the network.
 */
const denoPermissions: readonly { readonly folder: string; readonly flag: string }[] = [
  { folder: "tests/processes/", flag: "--permission-set=processes" },
  // A Unix-domain socket needs its own path as a net permission, and nobody knows the name of a temporary folder beforehand.
  { folder: "tests/net/", flag: "--permission-set=sockets" },
  { folder: "tests/", flag: "--permission-set" },
];

/** Written with `Deno.test`, whose sanitizers see what a test leaves open. */
const denoOnly = "tests/deno/";

const args = process.argv.slice(2);
const online = args.includes("--online");
const wantedRuntimes = runtimes.filter((runtime) => args.includes(runtime));
const wantedPaths = args.filter((arg) => !arg.startsWith("--") && !isRuntime(arg)).map(toRelative);

await install();
const files = testFiles("tests").filter((file) =>
  wantedPaths.length === 0 || wantedPaths.some((path) => file === path || file.startsWith(`${path}/`))
);
const summary: string[] = [];
let ok = true;
for (const runtime of wantedRuntimes.length > 0 ? wantedRuntimes : runtimes) {
  const totals = await test(runtime);
  summary.push(formatTotals(runtime, totals));
  if (totals.failed > 0) ok = false;
  if (totals.passed + totals.failed === 0) {
    console.error(`${runtime} ran no test: that counts as a failure`);
    ok = false;
  }
}
console.log(`\n${summary.join("\n")}`);
process.exitCode = ok ? 0 : 1;

async function test(runtime: Runtime): Promise<Totals> {
  let totals: Totals = { passed: 0, failed: 0, skipped: 0 };
  for (const group of groups(runtime)) {
    console.log(`\n—— ${runtime} ${group.join(" ")} ——`);
    const { code, output, timedOut } = await run(binary(runtime), group, {
      limit: suiteLimit,
      env: { NO_COLOR: "1", TMPDIR: "/tmp" },
    });
    const counted = readTotals(runtime, output);
    totals = addTotals(totals, counted ?? { passed: 0, failed: 0, skipped: 0 });
    // A runner that ends badly without a failed test (a file that does not compile, a hang, a crash) is itself a failure.
    if (timedOut || counted === undefined || (code !== 0 && counted.failed === 0)) {
      console.error(`${runtime} ended with ${timedOut ? "a hang" : `code ${code}`} and no failed test to show for it`);
      totals = addTotals(totals, { passed: 0, failed: 1, skipped: 0 });
    }
  }
  return totals;
}

/** The arguments of each run of the test runner that the files need. */
function groups(runtime: Runtime): string[][] {
  if (runtime === "deno") {
    return denoPermissions.map(({ folder, flag }, i) => {
      const earlier = denoPermissions.slice(0, i);
      const own = files.filter((file) => file.startsWith(folder) && !earlier.some((e) => file.startsWith(e.folder)));
      const imports = online ? [] : [`--import-map=${importMap}`];
      return own.length === 0 ? [] : ["test", "--no-prompt", flag, ...imports, ...own];
    }).filter((group) => group.length > 0);
  }
  const own = files.filter((file) => !file.startsWith(denoOnly));
  if (own.length === 0) return [];
  if (runtime === "bun") return [["test", `--timeout=${testLimit}`, ...own.map((file) => `./${file}`)]];
  return [["--test", "--test-reporter=spec", `--test-timeout=${testLimit}`, ...own]];
}

function testFiles(folder: string): string[] {
  return readdirSync(`${root}/${folder}`, { withFileTypes: true })
    .sort((a, b) => a.name < b.name ? -1 : 1)
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return testFiles(path);
      return entry.name.endsWith("_test.ts") ? [path] : [];
    });
}

function isRuntime(text: string): text is Runtime {
  return runtimes.some((runtime) => runtime === text);
}

function toRelative(path: string): string {
  return path.replace(`${root}/`, "").replace(/^\.\//, "").replace(/\/$/, "");
}
