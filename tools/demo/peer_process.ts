/**
 * The main program's end of a peer.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { type Runtime, runtimeCommand } from "../runtimes.ts";
import type { Order, Reply } from "./control.ts";

/** A reply of that kind. */
type ReplyThat<Is extends Reply["is"]> = Extract<Reply, { readonly is: Is }>;

/** A peer in a process of its own. */
export class PeerProcess {
  /** Its runtime and its part, for messages to people. */
  readonly label: string;
  /** Messages that it has received. */
  received = 0;
  readonly #child: ChildProcess;
  readonly #onReply: () => void;
  /** What arrived and nobody has asked for yet, and who asked for what has not arrived yet. */
  readonly #replies = new Map<Reply["is"], PromiseWithResolvers<Reply>>();
  readonly #exit = Promise.withResolvers<string>();
  #ended: string | undefined;
  #errors = "";

  /**
   * @param runtime On what it runs.
   * @param part What it is, for messages to people.
   * @param args Its arguments.
   * @param onReply Told of every line that it says.
   * @param script What it runs.
   */
  constructor(
    runtime: Runtime,
    part: "client" | "server",
    args: readonly string[],
    onReply: () => void,
    script = "tools/demo/peer.ts",
  ) {
    this.label = `the ${part} on ${runtime}`;
    this.#onReply = onReply;
    const { command, args: all } = runtimeCommand(runtime, script, args);
    this.#child = spawn(command, all, { stdio: ["pipe", "pipe", "pipe"] });
    createInterface({ input: this.#child.stdout! }).on("line", (line) => this.#hear(line));
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => this.#errors += text);
    // Whoever waits for a reply hears of a peer that is gone.
    this.#child.stdin!.on("error", () => {});
    this.#child.on("error", (error) => this.#gone(`could not be started: ${error.message}`));
    this.#child.on(
      "close",
      (code, signal) => this.#gone(signal ? `was ended by ${signal}` : `ended with code ${code}`),
    );
  }

  /** Tells it what to do. */
  order(order: Order): void {
    this.#child.stdin!.write(`${JSON.stringify(order)}\n`);
  }

  /**
   * Its next reply of that kind.
   *
   * @throws {Error} If it ends instead.
   */
  async reply<Is extends Reply["is"]>(is: Is): Promise<ReplyThat<Is>> {
    const reply = await this.#reply(is).promise;
    this.#replies.delete(is);
    return reply as ReplyThat<Is>;
  }

  /** Lets it leave, and waits until it has. Gives what was wrong with that, or nothing. */
  async leave(): Promise<string | undefined> {
    this.#child.stdin!.end();
    const end = await this.#exit.promise;
    return end === "ended with code 0" && this.#errors === "" ? undefined : this.#describe(end);
  }

  /** Ends it, whatever it is doing. */
  async kill(): Promise<void> {
    // Before its own kill(), Deno ends the child's input, which is how a peer is asked to leave in order.
    if (this.#ended === undefined && this.#child.pid !== undefined) process.kill(this.#child.pid, "SIGKILL");
    await this.#exit.promise;
  }

  #reply(is: Reply["is"]): PromiseWithResolvers<Reply> {
    let reply = this.#replies.get(is);
    if (reply === undefined) {
      reply = Promise.withResolvers();
      // A peer that is gone is not an error as long as nobody waits for it.
      reply.promise.catch(() => {});
      this.#replies.set(is, reply);
      if (this.#ended !== undefined) reply.reject(new Error(this.#describe(this.#ended)));
    }
    return reply;
  }

  #hear(line: string): void {
    const reply = JSON.parse(line) as Reply;
    if (reply.is === "progress") this.received = reply.received;
    else this.#reply(reply.is).resolve(reply);
    this.#onReply();
  }

  #gone(end: string): void {
    this.#ended ??= end;
    for (const reply of this.#replies.values()) reply.reject(new Error(this.#describe(this.#ended)));
    this.#exit.resolve(this.#ended);
  }

  #describe(end: string): string {
    return `${this.label} ${end}${this.#errors === "" ? "" : `\n${this.#errors.trimEnd()}`}`;
  }
}
