/**
 * The command line `msgr`: talk to Ceph, see who answers and how fast, listen, take captured conversations apart, and watch a program's
 * connections.
 *
 * ```sh
 * deno run --allow-net jsr:@msgr/pipe/cli ping 127.0.0.1:6789
 * ```
 *
 * It is the only part of this package that prints, reads files, and handles signals. See `docs/cli.md`.
 *
 * @module
 */

import process from "node:process";
import { Arguments } from "./cli/arguments.ts";
import { type Command, ExitCode, Failure, UsageError } from "./cli/command.ts";
import { commandHelp, groupHelp, programHelp } from "./cli/help.ts";
import { Output } from "./cli/output.ts";
import { MessengerError } from "./errors.ts";

/** The commands by their names. Each is loaded when it is wanted: together they need most of this package. */
const commands: Readonly<Record<string, () => Promise<Command>>> = {
  "ping": async () => (await import("./cli/ping.ts")).ping,
  "listen": async () => (await import("./cli/listen.ts")).listen,
  "top": async () => (await import("./cli/top.ts")).top,
  "describe": async () => (await import("./cli/describe.ts")).describe,
  "ceph status": async () => (await import("./cli/ceph/mon_commands.ts")).status,
  "ceph mon-dump": async () => (await import("./cli/ceph/mon_commands.ts")).monDump,
  "ceph ls": async () => (await import("./cli/ceph/objects.ts")).ls,
  "ceph stat": async () => (await import("./cli/ceph/objects.ts")).stat,
  "ceph put": async () => (await import("./cli/ceph/transfers.ts")).put,
  "ceph get": async () => (await import("./cli/ceph/transfers.ts")).get,
  "ceph rm": async () => (await import("./cli/ceph/objects.ts")).rm,
};

/**
 * Does what the words of a command line ask for.
 *
 * Ctrl-C ends it in order; a second one at once. When nobody reads what it prints any more, it ends quietly.
 *
 * @param words The words behind the program's name.
 * @returns The exit code: 0 for done, 1 for failed, 2 for something that there is not, 130 for interrupted before it was done.
 */
export async function main(words: readonly string[]): Promise<number> {
  const controller = new AbortController();
  const out = new Output(process.stdout, () => controller.abort()), err = new Output(process.stderr);
  let interrupts = 0;
  const interrupt = (): void => {
    if (++interrupts > 1) process.exit(ExitCode.INTERRUPTED);
    controller.abort();
  };
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);
  try {
    const code = await perform(words, out, err, controller.signal);
    await Promise.all([out.flushed, err.flushed]);
    return code;
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
  }
}

async function perform(words: readonly string[], out: Output, err: Output, signal: AbortSignal): Promise<number> {
  const [first, second] = words;
  if (first === undefined || isHelp(first)) {
    const all = await loadAll(Object.keys(commands));
    return await help(programHelp(all), first !== undefined, out, err);
  }
  const group = Object.keys(commands).filter((name) => name.startsWith(`${first} `));
  if (group.length > 0 && (second === undefined || isHelp(second))) {
    return await help(groupHelp(first, await loadAll(group)), second !== undefined, out, err);
  }
  const wanted = group.length > 0 ? `${first} ${second}` : first;
  const load = Object.hasOwn(commands, wanted) ? commands[wanted] : undefined;
  if (load === undefined) {
    await err.line(`msgr: There is no command "${wanted}"; "msgr --help" lists them`);
    return ExitCode.USAGE;
  }
  const command = await load();
  const rest = words.slice(wanted.split(" ").length);
  const ownWords = rest.includes("--") ? rest.slice(0, rest.indexOf("--")) : rest;
  if (ownWords.some(isHelp)) {
    await out.write(commandHelp(command));
    return ExitCode.OK;
  }
  try {
    const args = Arguments.parse(command, rest);
    return await command.run({ args, out, err, signal }) ?? ExitCode.OK;
  } catch (error) {
    // Nobody is there any more to be told of it.
    if (out.isClosed) return ExitCode.OK;
    if (signal.aborted) return ExitCode.INTERRUPTED;
    await err.line(`msgr ${command.name}: ${explain(error)}`);
    if (!(error instanceof UsageError)) return ExitCode.FAILED;
    await err.line(`"msgr ${command.name} --help" says more`);
    return ExitCode.USAGE;
  }
}

function loadAll(names: readonly string[]): Promise<Command[]> {
  return Promise.all(names.map((name) => commands[name]!()));
}

/** Help is an answer to whoever asked for it, and else a complaint. */
async function help(text: string, wasAsked: boolean, out: Output, err: Output): Promise<number> {
  await (wasAsked ? out : err).write(text);
  return wasAsked ? ExitCode.OK : ExitCode.USAGE;
}

function isHelp(word: string): boolean {
  return word === "--help" || word === "-h";
}

/** What went wrong, in one line where it was foreseen. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Errors of the system have a code; a runtime that lacks a permission says by a name of its own which.
  const isTheSystems = typeof (error as { code?: unknown }).code === "string" || error.name === "NotCapable";
  const foreseen = isTheSystems || [MessengerError, UsageError, Failure].some((kind) => error instanceof kind);
  return foreseen ? error.message : error.stack ?? error.message;
}

// What a runtime has not let go of yet, such as an attempt to reach a host that does not answer, must not keep the program.
if (import.meta.main) process.exit(await main(process.argv.slice(2)));
