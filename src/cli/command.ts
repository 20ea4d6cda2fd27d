/**
 * What a command of the command line is.
 *
 * @module
 */

import type { Arguments } from "./arguments.ts";
import type { Output } from "./output.ts";

/** Exit codes of the program. */
export const ExitCode = {
  /** It did what it was asked to. */
  OK: 0,
  /** It could not, and has said why on the standard error. */
  FAILED: 1,
  /** It was asked for something that there is not. */
  USAGE: 2,
  /** It was interrupted before it was done: 128 and the number of the signal, as shells have it. */
  INTERRUPTED: 130,
} as const;

/** The arguments make no sense: the program says so, and where its help is, and ends with {@linkcode ExitCode.USAGE}. */
export class UsageError extends Error {}

/** Something that needs no more than a sentence: no stack, no code. The program ends with {@linkcode ExitCode.FAILED}. */
export class Failure extends Error {}

/** An option of a command. */
export interface Option {
  /** What it takes, as the help names it: `"SECONDS"`. An option without it is a flag. */
  readonly takes?: string;
  /** Its one letter. */
  readonly short?: string;
  /** What it does, in a few words. */
  readonly help: string;
}

/** What a command works with. */
export interface Context {
  /** What the user has asked for. */
  readonly args: Arguments;
  /** Where the answer goes. */
  readonly out: Output;
  /** Where all else goes: progress, and what is not the answer. */
  readonly err: Output;
  /** Aborted by Ctrl-C, or when nobody reads the answer any more. */
  readonly signal: AbortSignal;
}

/** A command. */
export interface Command {
  /** Its words: `"ceph status"`. */
  readonly name: string;
  /** Its operands, as the help shows them: `"POOL OBJECT [FILE]"`. */
  readonly operands: string;
  /** What it does, in a few words. */
  readonly summary: string;
  /** What else there is to know. */
  readonly details: string;
  /** Its options by their names, without the dashes. */
  readonly options: Readonly<Record<string, Option>>;
  /**
   * Does it.
   *
   * @returns The exit code; {@linkcode ExitCode.OK} if there is none.
   * @throws {UsageError} For arguments that make no sense.
   */
  run(context: Context): Promise<number | void>;
}

/** The option that every command has which says more than "done". */
export const jsonOption: Readonly<Record<"json", Option>> = { json: { help: "print JSON, one value a line" } };
