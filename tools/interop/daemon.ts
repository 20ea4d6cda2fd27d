/**
 * One of Ceph's daemons, which can go away and come back.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";

/** How long a daemon may take to end when it is asked to, in ms. */
const STOP_LIMIT = 10_000;

/** A daemon of a cluster. */
export class Daemon {
  readonly #program: string;
  readonly #args: readonly string[];
  readonly #isUp: () => Promise<boolean>;
  readonly #limit: number;
  #process: ChildProcess | undefined;
  /** Fulfils when it has ended. */
  #ended: Promise<unknown> = Promise.resolve();
  #isRunning = false;

  /**
   * @param program What to run.
   * @param args Its arguments.
   * @param isUp Whether it does what it is for.
   * @param limit How many ms it may take until then.
   */
  constructor(program: string, args: readonly string[], isUp: () => Promise<boolean>, limit: number) {
    this.#program = program;
    this.#args = args;
    this.#isUp = isUp;
    this.#limit = limit;
  }

  /**
   * Starts it, and waits until it is of use.
   *
   * @throws {Error} If it ends, or is not of use in time.
   */
  async start(): Promise<void> {
    const child = spawn(this.#program, this.#args, { stdio: "ignore" });
    this.#process = child;
    this.#isRunning = true;
    this.#ended = new Promise<void>((resolve) => {
      child.once("exit", resolve).once("error", resolve);
    }).then(() => this.#isRunning = false);
    await this.#untilUp();
  }

  /** Ends it in order, if it runs. */
  async stop(): Promise<void> {
    this.#signal("SIGTERM");
    // One that is paused hears nothing until then.
    this.resume();
    const timer = setTimeout(() => this.#signal("SIGKILL"), STOP_LIMIT);
    await this.#ended;
    clearTimeout(timer);
  }

  /** Ends it at once, without a chance to say or write anything. */
  async kill(): Promise<void> {
    this.#signal("SIGKILL");
    await this.#ended;
  }

  /** Stops it where it is: its connections stay, and nobody answers. */
  async pause(): Promise<void> {
    this.#signal("SIGSTOP");
    // Its threads stop one after the other, and any of them may answer until then.
    while (this.#isRunning && !this.#isStill()) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  /** Lets it go on. */
  resume(): void {
    this.#signal("SIGCONT");
  }

  async #untilUp(): Promise<void> {
    const end = Date.now() + this.#limit;
    while (!await this.#isUp()) {
      if (!this.#isRunning) throw new Error(`${this.#program} ended at once`);
      if (Date.now() > end) throw new Error(`${this.#program} was not of use within ${this.#limit} ms`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  #isStill(): boolean {
    const tasks = `/proc/${this.#process?.pid}/task`;
    const state = (task: string) => readFileSync(`${tasks}/${task}/status`, "utf8").match(/^State:\s*(\w)/m)?.[1];
    try {
      return readdirSync(tasks).every((task) => state(task) === "T");
    } catch {
      // A thread has ended between the two looks.
      return false;
    }
  }

  #signal(signal: NodeJS.Signals): void {
    // Deno's ChildProcess.kill() takes the first signal for the end, and sends no other.
    if (this.#isRunning && this.#process?.pid !== undefined) process.kill(this.#process.pid, signal);
  }
}
