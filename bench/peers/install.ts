/**
 * What the others need: packages from npm that are no part of the module, installed beside this file when somebody wants to compare.
 *
 * @module
 */

import { statSync } from "node:fs";
import { createRequire } from "node:module";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { run } from "../../tools/run.ts";

const folder = fileURLToPath(new URL(".", import.meta.url));

/** Runs `npm ci` here where it is needed. Ends the process if that fails. */
export async function installPeers(): Promise<void> {
  if (changedAt("node_modules/.package-lock.json") >= changedAt("package-lock.json")) return;
  console.log("Installing those to compare with from npm …");
  const { code } = await run("npm", ["ci", "--no-audit", "--no-fund"], { cwd: folder });
  if (code === 0) return;
  console.error("npm ci failed, and there is nobody to compare with");
  process.exit(1);
}

/** A package that was installed here. Its types are not: whoever uses it says what it needs. */
export function installed<T>(name: string): T {
  return createRequire(import.meta.url)(name) as T;
}

function changedAt(path: string): number {
  return statSync(`${folder}${path}`, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
