/**
 * From words to options and operands.
 *
 * @module
 */

import { parseArgs } from "node:util";
import { type Command, UsageError } from "./command.ts";

/** What the user has asked of a command. */
export class Arguments {
  readonly #options: ReadonlyMap<string, string | true>;
  readonly #operands: readonly string[];

  private constructor(options: ReadonlyMap<string, string | true>, operands: readonly string[]) {
    this.#options = options;
    this.#operands = operands;
  }

  /**
   * Reads the words behind a command.
   *
   * @throws {UsageError} For options that the command does not have, and for operands too few or too many.
   */
  static parse(command: Pick<Command, "operands" | "options">, words: readonly string[]): Arguments {
    const options = new Map<string, string | true>(), operands: string[] = [];
    const known = Object.entries(command.options).map(([name, { short, takes }]) => {
      return [name, {
        type: takes === undefined ? "boolean" : "string",
        ...(short === undefined ? {} : { short }),
      }] as const;
    });
    // Not strict: what is wrong is said here, in the same words on every runtime.
    const { tokens } = parseArgs({
      args: [...words],
      options: Object.fromEntries(known),
      strict: false,
      allowPositionals: true,
      tokens: true,
    });
    for (const token of tokens) {
      if (token.kind === "positional") operands.push(token.value);
      if (token.kind !== "option") continue;
      const option = command.options[token.name];
      if (option === undefined) throw new UsageError(`There is no option ${token.rawName}`);
      if (option.takes === undefined) {
        if (token.value !== undefined) throw new UsageError(`${token.rawName} takes no value`);
        options.set(token.name, true);
      } else {
        if (token.value === undefined) throw new UsageError(`${token.rawName} needs a value: ${option.takes}`);
        options.set(token.name, token.value);
      }
    }
    checkOperands(command.operands, operands);
    return new Arguments(options, operands);
  }

  /** Whether a flag is there. */
  has(name: string): boolean {
    return this.#options.has(name);
  }

  /** The value of an option. */
  text(name: string): string | undefined {
    const value = this.#options.get(name);
    return value === true ? undefined : value;
  }

  /**
   * The value of an option as a number.
   *
   * @throws {UsageError} If it is none, or out of its range.
   */
  number(name: string, least: number, most: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = text.trim() === "" ? NaN : Number(text);
    if (value >= least && value <= most) return value;
    throw new UsageError(`Bad --${name}: got ${text}, expected ${least} to ${most}`);
  }

  /** The same, and whole. */
  integer(name: string, least: number, most: number): number | undefined {
    const value = this.number(name, least, most);
    if (value === undefined || Number.isInteger(value)) return value;
    throw new UsageError(`Bad --${name}: got ${value}, expected a whole number`);
  }

  /** An operand that the command cannot do without: {@linkcode Arguments.parse} has made sure that it is there. */
  operand(index: number): string {
    return this.#operands[index]!;
  }

  /** An operand that may be missing. */
  optional(index: number): string | undefined {
    return this.#operands[index];
  }
}

/** Holds operands to what the help says of them: each word is one, those in brackets may be missing. */
function checkOperands(pattern: string, operands: readonly string[]): void {
  const names = pattern.split(" ").filter((name) => name !== "");
  const missing = names.filter((name) => !name.startsWith("["))[operands.length];
  if (missing !== undefined) throw new UsageError(`${missing} is missing`);
  const surplus = operands[names.length];
  if (surplus !== undefined) throw new UsageError(`"${surplus}" is one argument too many`);
}
