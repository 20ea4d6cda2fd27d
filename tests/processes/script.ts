/**
 * A script of this repository in a process of its own.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { type Runtime, runtimeCommand, type RuntimeCommandOptions } from "../../tools/runtimes.ts";

/** How long a script may run, in ms. It is ended then, and its test fails with it. */
const LIMIT = 90_000;

/** The runtime that runs the tests. */
export const thisRuntime: Runtime = process.versions.deno ? "deno" : process.versions.bun ? "bun" : "node";

/** How a script ended. */
export interface End {
  /** The exit code, or the name of the signal that ended it. */
  readonly code: number | string | null;
  /** All that it printed, the errors last. */
  readonly output: string;
}

/** A script that runs. Disposing of it ends it, if it is still there. */
export class Script implements AsyncDisposable {
  /** Fulfils when it has ended. */
  readonly ended: Promise<End>;
  readonly #name: string;
  readonly #child: ChildProcess;
  readonly #timer: ReturnType<typeof setTimeout>;
  readonly #watchers = new Set<() => void>();
  #output = "";
  #errors = "";

  constructor(runtime: Runtime, path: string, args: readonly string[] = [], options?: RuntimeCommandOptions) {
    const { command, args: all } = runtimeCommand(runtime, path, args, options);
    this.#name = `${path} on ${runtime}`;
    this.#child = spawn(command, all, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stdin!.on("error", () => {});
    this.#child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      this.#output += text;
      for (const look of this.#watchers) look();
    });
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => this.#errors += text);
    this.#timer = setTimeout(() => this.#child.kill("SIGKILL"), LIMIT);
    this.ended = new Promise((resolve, reject) => {
      this.#child.on("error", reject);
      this.#child.on("close", (code, signal) => {
        clearTimeout(this.#timer);
        resolve({ code: code ?? signal, output: this.#output + this.#errors });
      });
    });
    // Who waits for the end hears of a script that cannot be started.
    this.ended.catch(() => {});
  }

  /**
   * Waits for something it prints.
   *
   * @param pattern What to wait for; it has to end with the line.
   * @returns What matches.
   */
  prints(pattern: RegExp): Promise<RegExpMatchArray> {
    const { promise, resolve } = Promise.withResolvers<RegExpMatchArray>();
    const look = (): void => {
      const match = this.#output.match(pattern);
      if (match === null) return;
      this.#watchers.delete(look);
      resolve(match);
    };
    this.#watchers.add(look);
    look();
    return this.whileRunning(promise);
  }

  /** What a promise gives, unless the script ends before that: then it rejects. */
  whileRunning<T>(promise: Promise<T>): Promise<T> {
    const end = this.ended.then(({ code, output }) => {
      throw new Error(`${this.#name} ended with ${code}:\n${output}`);
    });
    return Promise.race([promise, end]);
  }

  /** Ends its standard input, which tells it to leave, and waits until it has. */
  leave(): Promise<End> {
    this.#child.stdin!.end();
    return this.ended;
  }

  /** Does what Ctrl-C does, and waits until it has ended. */
  interrupt(): Promise<End> {
    // After a kill() of its own, Deno reports the signal even of a child that caught it and ended well.
    process.kill(this.#child.pid!, "SIGINT");
    return this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.ended;
  }
}
