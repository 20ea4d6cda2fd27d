/**
 * What `--help` says.
 *
 * @module
 */

import type { Command, Option } from "./command.ts";

/** The help of the program. */
export function programHelp(commands: readonly Command[]): string {
  const rows = commands.map(({ name, operands, summary }) => [`${name} ${operands}`.trim(), summary] as const);
  return `msgr speaks msgr v1 with Ceph's daemons and with programs that use @msgr/pipe.

Usage: msgr COMMAND [OPTION]... [ARGUMENT]...

${table(rows)}

"msgr COMMAND --help" says more of each.

Exit codes: 0 done, 1 failed, 2 asked for something that there is not, 130 interrupted before it was done.
`;
}

/** The help of a group of commands: those whose names begin with the same word. */
export function groupHelp(group: string, commands: readonly Command[]): string {
  const rows = commands.map(({ name, operands, summary }) => [`${name} ${operands}`.trim(), summary] as const);
  return `Usage: msgr ${group} COMMAND [OPTION]... [ARGUMENT]...\n\n${table(rows)}\n`;
}

/** The help of one command. */
export function commandHelp(command: Command): string {
  const { name, operands, summary, details, options } = command;
  const rows = Object.entries({ ...options, help: { short: "h", help: "print this" } })
    .map(([name, option]: [string, Option]) => [optionUsage(name, option), option.help] as const);
  return `msgr ${name}: ${summary}.

Usage: msgr ${name} [OPTION]...${operands === "" ? "" : ` ${operands}`}

${details}

${table(rows)}
`;
}

function optionUsage(name: string, { short, takes }: Option): string {
  const long = takes === undefined ? `--${name}` : `--${name} ${takes}`;
  return short === undefined ? `    ${long}` : `-${short}, ${long}`;
}

function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`).join("\n");
}
