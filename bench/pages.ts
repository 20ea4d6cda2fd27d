/**
 * Puts results into the pages: `deno task bench:pages FILE`, with a file that `--json` has written, of `bench` and `bench:peers` both if there are
 * both. It writes `docs/benchmarks.svg`, and in `README.md` and `docs/performance.md` what is between the marks.
 *
 * @module
 */

import { readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { chart } from "./chart.ts";
import { readResults, title } from "./results.ts";
import { fullTables, summaryTable } from "./table.ts";
import { install } from "../tools/install.ts";
import { run } from "../tools/run.ts";
import { binary, root } from "../tools/runtimes.ts";

/** What the README has room for. */
const SUMMARY = [
  "oneway 64 B",
  "oneway 1 KiB",
  "oneway 64 KiB",
  "oneway 1 MiB",
  "window 64 B",
  "pingpong 64 B, one core",
];

const path = process.argv[2];
if (path === undefined) {
  console.error("Which file? deno task bench --json=FILE writes one");
  process.exit(1);
}
await install();
const results = readResults(path);
writeFileSync(`${root}/docs/benchmarks.svg`, chart(results));
const picture = "![Messages a second, round trips and memory, of the messenger and of others](docs/benchmarks.svg)";
replace("README.md", `${picture}\n\n${summaryTable(results.filter((result) => SUMMARY.includes(title(result))))}`);
replace("docs/performance.md", fullTables(results));
// The formatter aligns tables, and has its own idea of pictures.
process.exitCode =
  (await run(binary("deno"), ["fmt", "README.md", "docs/performance.md", "docs/benchmarks.svg"])).code ?? 1;

/** Puts a text between the marks of a page. */
function replace(page: string, text: string): void {
  const begin = "<!-- benchmarks -->",
    end = "<!-- end of benchmarks -->",
    before = readFileSync(`${root}/${page}`, "utf8");
  const from = before.indexOf(begin), to = before.indexOf(end);
  if (from < 0 || to < from) throw new Error(`${page} has no marks ${begin} and ${end}`);
  writeFileSync(`${root}/${page}`, `${before.slice(0, from + begin.length)}\n\n${text}\n\n${before.slice(to)}`);
}
