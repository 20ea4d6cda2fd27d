/**
 * The two processes of a measurement: started, listened to, given their turns, and ended whatever happens.
 *
 * @module
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import type { Figures, Times } from "./bench.ts";
import { type Case, contestants } from "./workloads.ts";
import { type Runtime, runtimeCommand } from "../tools/runtimes.ts";

/** How long a process has to leave by itself, in ms. */
const FAREWELL = 2000;

const running = new Set<WorkerProcess>();
process.on("exit", () => running.forEach((worker) => worker.kill()));
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(130));

/** Whether processes can be held on one core here. */
export const canPin: boolean = spawnSync("taskset", ["-c", "0", "true"]).status === 0;

/** A measurement that was given up. */
export class TooLong extends Error {
  override readonly name = "TooLong";
}

/**
 * Measures once, without anybody else.
 *
 * @throws {TooLong} After the limit.
 * @throws {Error} Saying what else went wrong.
 */
export async function measure(...what: ConstructorParameters<typeof Measurement>): Promise<Figures> {
  const measurement = new Measurement(...what);
  try {
    for (;;) {
      const figures = await measurement.takeTurn();
      if (figures !== undefined) return figures;
    }
  } finally {
    await measurement.end();
  }
}

/** A case, or the check. */
type Measured = Omit<Case, "workload"> & { readonly workload: string };

/** A measurement that takes turns with others. Whenever it is not its turn, its processes wait. */
export class Measurement {
  readonly #runtime: Runtime;
  readonly #file: string;
  readonly #what: Measured;
  readonly #times: Times;
  readonly #limit: number;
  readonly #workers: WorkerProcess[] = [];
  #server: WorkerProcess | undefined;
  #client: WorkerProcess | undefined;
  /** How long its turns may still take, in ms. */
  #left: number;

  /**
   * @param runtime Which runtime both processes run on.
   * @param peer Whom to measure.
   * @param what What to measure; `check` is no measurement, but fails if anything arrives otherwise than it was sent.
   * @param times How long the measurement and its warm-up should take.
   * @param limit After how many seconds of its own time it is given up.
   */
  constructor(runtime: Runtime, peer: string, what: Measured, times: Times, limit: number) {
    this.#runtime = runtime;
    this.#file = contestants[peer]!.file;
    this.#what = what;
    this.#times = times;
    this.#limit = limit;
    this.#left = limit * 1000;
  }

  /**
   * Lets it have its next turn; the first one is to begin and to warm up.
   *
   * @returns What came of it, once it is over.
   * @throws {TooLong} When it has taken as long as it may.
   * @throws {Error} Saying what else went wrong.
   */
  async takeTurn(): Promise<Figures | undefined> {
    const begun = performance.now();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const tooLong = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new TooLong(`it did not end within ${this.#limit} s`)), this.#left);
    });
    try {
      return await Promise.race([this.#goOn(), tooLong]);
    } finally {
      clearTimeout(timer);
      this.#left -= performance.now() - begun;
    }
  }

  async #goOn(): Promise<Figures | undefined> {
    const server = this.#server ??= this.#start("serve", this.#file);
    const soon = <T>(promise: Promise<T>) => Promise.race([promise, server.died]);
    let client = this.#client;
    if (client === undefined) {
      const { port } = await soon(server.line());
      const { workload, size } = this.#what, { warmUp, measure, slices } = this.#times;
      const args = [port, workload, size, warmUp, measure, slices].map(String);
      client = this.#client = this.#start("run", this.#file, ...args);
    } else {
      client.write("your turn");
    }
    for (;;) {
      const { figures, waits, question } = await soon(client.line());
      if (figures !== undefined || waits === true) return figures;
      server.write(question);
      client.write(await soon(server.line()));
    }
  }

  #start(...args: string[]): WorkerProcess {
    const worker = new WorkerProcess(this.#runtime, args, this.#what.pinned === true);
    this.#workers.push(worker);
    return worker;
  }

  /** Ends its processes. What is still running when the next measurement begins would spoil it. */
  async end(): Promise<void> {
    await Promise.all(this.#workers.splice(0).map((worker) => worker.end()));
  }
}

/** What a worker prints: see `worker.ts`. */
interface Line {
  readonly port?: number;
  readonly figures?: Figures;
  readonly question?: unknown;
  readonly waits?: boolean;
}

class WorkerProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #exited: Promise<void>;
  /** Rejects when it has ended, with what it said last. */
  readonly died: Promise<never>;
  #complaints = "";

  constructor(runtime: Runtime, workerArgs: readonly string[], pinned: boolean) {
    const [program, ...args] = commandLine(runtime, workerArgs, pinned);
    // A group of its own: what a worker starts itself has to end with it.
    this.#child = spawn(program!, args, { stdio: ["pipe", "pipe", "pipe"], detached: true });
    this.#child.stdin!.on("error", () => {});
    this.#child.stderr!.on("data", (chunk) => this.#complaints = (this.#complaints + chunk).slice(-10_000));
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
    this.#exited = new Promise((resolve) => {
      this.#child.on("close", () => {
        running.delete(this);
        resolve();
      });
      this.#child.on("error", () => resolve());
    });
    this.died = this.#exited.then(() => {
      throw new Error(this.#lastWords());
    });
    // Most end because they are told to.
    this.died.catch(() => {});
    running.add(this);
  }

  /** The next line that it prints. */
  async line(): Promise<Line> {
    const { value, done } = await this.#lines.next();
    return done ? await this.died : JSON.parse(value);
  }

  write(what: unknown): void {
    this.#child.stdin!.write(`${JSON.stringify(what)}\n`);
  }

  /** Lets it leave, by force if it does not. */
  async end(): Promise<void> {
    this.#child.stdin!.end();
    const timer = setTimeout(() => this.kill(), FAREWELL);
    await this.#exited;
    clearTimeout(timer);
    this.kill();
  }

  /** Ends it, and what it has started. */
  kill(): void {
    try {
      process.kill(-this.#child.pid!, "SIGKILL");
    } catch {
      // Nobody is left.
    }
  }

  #lastWords(): string {
    // deno-lint-ignore no-control-regex -- colours start with the escape character
    const lines = this.#complaints.replace(/\u001b\[[0-9;]*m/g, "").split("\n").map((line) => line.trim());
    const { exitCode, signalCode } = this.#child;
    const words = lines.find((line) => /\b\w*error\b.*:|panic|abort/i.test(line)) ??
      lines.findLast((line) => line !== "") ?? `its process ended with ${exitCode ?? signalCode}`;
    return words.replace(/^(error: )?(Uncaught )?(\(in promise\) )?(Error: )?/, "");
  }
}

function commandLine(runtime: Runtime, workerArgs: readonly string[], pinned: boolean): string[] {
  const permissions = ["-A", "--v8-flags=--expose-gc"];
  const { command, args } = runtimeCommand(runtime, "bench/worker.ts", workerArgs, { permissions });
  return [
    ...(pinned ? ["taskset", "-c", "0"] : []),
    command,
    ...(runtime === "node" ? ["--expose-gc"] : []),
    ...args,
  ];
}
