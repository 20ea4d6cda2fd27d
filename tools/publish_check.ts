/**
 * Asks `deno publish` whether the package could be published, without publishing it.
 *
 * It knows no import map, so the files that would be published are copied out, and the stand-ins are linked from beside the copy.
 * They cannot be linked where they are: what is linked must be outside of the package.
 *
 * @module
 */

import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { run } from "./run.ts";
import { binary, root } from "./runtimes.ts";

interface DenoConfig {
  readonly imports: Readonly<Record<string, string>>;
  readonly publish: { readonly include: readonly string[] };
}

/** Gives the exit code of `deno publish --dry-run`; 1 if a file to publish is missing. */
export async function publishCheck(): Promise<number> {
  const config = JSON.parse(readFileSync(`${root}/deno.json`, "utf8")) as DenoConfig;
  const missing = config.publish.include.filter((path) => !existsSync(`${root}/${path}`));
  if (missing.length > 0) {
    console.error(`publish.include in deno.json names what does not exist: ${missing.join(", ")}`);
    return 1;
  }
  const scratch = mkdtempSync(`${tmpdir()}/publish-check-`);
  try {
    for (const path of config.publish.include) {
      cpSync(`${root}/${path}`, `${scratch}/package/${path}`, { recursive: true });
    }
    const links: string[] = [];
    for (const [name, specifier] of Object.entries(config.imports).filter(([name]) => name.startsWith("@std/"))) {
      const standIn = name.slice("@std/".length);
      cpSync(`${root}/tools/std/${standIn}`, `${scratch}/${standIn}`, { recursive: true });
      rmSync(`${scratch}/${standIn}/package.json`);
      const version = specifier.replace(/^.*\^/, "");
      writeFileSync(`${scratch}/${standIn}/deno.json`, JSON.stringify({ name, version, exports: "./mod.ts" }));
      links.push(`../${standIn}`);
    }
    writeFileSync(`${scratch}/package/deno.json`, JSON.stringify({ ...config, links }));
    const args = ["publish", "--dry-run", "--allow-dirty"];
    const { code } = await run(binary("deno"), args, { cwd: `${scratch}/package` });
    return code ?? 1;
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

if (import.meta.main) process.exitCode = await publishCheck();
