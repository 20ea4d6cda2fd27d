/**
 * Running a program: what it prints goes through as it comes, and is kept for whoever wants to read it afterwards.
 *
 * @module
 */

import { spawn } from "node:child_process";
import process from "node:process";
import { root } from "./runtimes.ts";

/** How a program ended. */
export interface Outcome {
  /** Its exit code; `null` if a signal or the limit ended it. */
  readonly code: number | null;
  /** All that it printed, without colours. */
  readonly output: string;
  /** Whether it was ended because it took longer than the limit. */
  readonly timedOut: boolean;
  /** How long it ran, in milliseconds. */
  readonly ms: number;
}

/** Options of {@linkcode run}. */
export interface RunOptions {
  /**
   * Where it runs.
   *
   * @default the root of the checkout
   */
  readonly cwd?: string;
  /** Variables to add to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * Milliseconds after which it is ended.
   *
   * @default {600_000}
   */
  readonly limit?: number;
}

/** Runs a program to its end. It never rejects: one that cannot be started has a `code` of 127. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  const { cwd = root, limit = 600_000 } = options;
  const start = performance.now();
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own, so that the processes it started end with it; the price is that Ctrl-C has to be passed on.
    detached: true,
  });
  const stop = (): void => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL");
  };
  const interrupted = (): never => {
    stop();
    process.exit(130);
  };
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
  let output = "";
  let timedOut = false;
  const decoder = new TextDecoder();
  const keep = (to: NodeJS.WriteStream) => (chunk: Uint8Array): void => {
    output += decoder.decode(chunk, { stream: true });
    to.write(chunk);
  };
  child.stdout.on("data", keep(process.stdout));
  child.stderr.on("data", keep(process.stderr));
  const timer = setTimeout(() => {
    timedOut = true;
    console.error(`\n${command} did not end within ${limit / 1000} s: it is ended now`);
    stop();
  }, limit);
  const end = (code: number | null): void => {
    clearTimeout(timer);
    process.off("SIGINT", interrupted).off("SIGTERM", interrupted);
    // deno-lint-ignore no-control-regex -- colours start with the escape character
    resolve({ code, output: output.replace(/\u001b\[[0-9;]*m/g, ""), timedOut, ms: performance.now() - start });
  };
  child.on("close", end);
  child.on("error", (error) => {
    console.error(String(error));
    end(127);
  });
  return promise;
}
