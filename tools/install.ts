/**
 * Installs what npm has to install, if it is not there or no longer what the lock file says.
 *
 * @module
 */

import { statSync } from "node:fs";
import process from "node:process";
import { run } from "./run.ts";
import { root } from "./runtimes.ts";

/** Runs `npm ci` where it is needed. Ends the process if that fails, as nothing works without it. */
export async function install(): Promise<void> {
  // npm writes the first of these at the end of every installation.
  if (changedAt("node_modules/.package-lock.json") >= changedAt("package-lock.json")) return;
  console.log("Installing the runtimes and what tests and examples use from npm …");
  const { code } = await run("npm", ["ci", "--no-audit", "--no-fund"]);
  if (code === 0) return;
  console.error("npm ci failed, and nothing can be tested without what it installs");
  process.exit(1);
}

function changedAt(path: string): number {
  return statSync(`${root}/${path}`, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

if (import.meta.main) await install();
