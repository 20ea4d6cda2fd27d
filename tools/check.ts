/**
 * All that can be said about the sources without running the tests: format, lint, types, documentation, examples, and whether the package
 * could be published. Every step runs, whatever became of the one before; the summary at the end names those that failed.
 *
 * @module
 */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { install } from "./install.ts";
import { publishCheck } from "./publish_check.ts";
import { run } from "./run.ts";
import { binary, importMap, root } from "./runtimes.ts";

interface Step {
  readonly name: string;
  /** Gives 0 if all is well. */
  readonly check: () => Promise<number>;
}

await install();
const imports = `--import-map=${importMap}`;
const { exports } = JSON.parse(readFileSync(`${root}/deno.json`, "utf8")) as { exports: Record<string, string> };
const entryPoints = Object.values(exports);
const pages = ["README.md", ...pagesIn("docs"), ...pagesIn("examples")].filter((path) => existsSync(`${root}/${path}`));

const steps: readonly Step[] = [
  { name: "entry points of deno.json exist", check: entryPointsExist },
  { name: "format", check: () => deno("fmt", "--check") },
  { name: "lint", check: () => deno("lint") },
  { name: "the library prints nothing", check: () => deno("lint", "--rules-include=no-console", "mod.ts", "src") },
  { name: "types", check: () => deno("check", imports, ".") },
  { name: "types, as Node's users see them", check: () => tsc("tools/node_types.json") },
  { name: "every public name is documented", check: () => deno("doc", "--lint", imports, ...entryPoints) },
  { name: "examples in the documentation run", check: () => deno("test", "--doc", "-P", imports, "mod.ts", "src") },
  { name: "examples in the pages compile", check: pagesCompile },
  { name: "publish (dry run)", check: publishCheck },
];

const failed: string[] = [];
const report: string[] = [];
for (const { name, check } of steps) {
  console.log(`\n—— ${name} ——`);
  const start = performance.now();
  const ok = await check() === 0;
  if (!ok) failed.push(name);
  report.push(`${ok ? "ok    " : "FAILED"} ${((performance.now() - start) / 1000).toFixed(1).padStart(6)} s  ${name}`);
}
console.log(`\n${report.join("\n")}`);
console.log(failed.length === 0 ? "\nAll checks passed." : `\nFailed: ${failed.join("; ")}`);
process.exitCode = failed.length === 0 ? 0 : 1;

async function deno(...args: string[]): Promise<number> {
  return (await run(binary("deno"), args, { env: { NO_COLOR: "1" } })).code ?? 1;
}

async function tsc(project: string): Promise<number> {
  return (await run(binary("tsc"), ["--project", project])).code ?? 1;
}

/** Deno would check everything if no page were named. */
function pagesCompile(): Promise<number> {
  return pages.length === 0 ? Promise.resolve(0) : deno("check", "--doc-only", imports, ...pages);
}

function entryPointsExist(): Promise<number> {
  const missing = Object.entries(exports).filter(([, path]) => !existsSync(`${root}/${path}`));
  for (const [name, path] of missing) console.error(`deno.json exports "${name}" from ${path}, which does not exist`);
  return Promise.resolve(missing.length);
}

function pagesIn(folder: string): string[] {
  if (!existsSync(`${root}/${folder}`)) return [];
  return readdirSync(`${root}/${folder}`).filter((name) => name.endsWith(".md")).map((name) => `${folder}/${name}`);
}
