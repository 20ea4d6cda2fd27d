/**
 * Programs that run to their end.
 *
 * @module
 */

import { spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";

/** Options of {@linkcode outcomeOf}. */
export interface ProgramOptions {
  /** What it finds on its standard input. */
  readonly input?: string | Uint8Array;
  /** Where it runs. */
  readonly cwd?: string;
  /** Variables to add to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * How many ms it may take.
   *
   * @default {60000}
   */
  readonly limit?: number;
  /** Told every line that it prints, whether as output or as a complaint. */
  readonly onLine?: (line: string) => void;
}

/** What a program printed, and how it ended. */
export interface ProgramOutcome {
  /** Its exit code; `null` if a signal or the limit ended it. */
  readonly code: number | null;
  /** What it printed. */
  readonly output: Uint8Array<ArrayBuffer>;
  /** What it complained of. */
  readonly complaints: string;
}

/** Runs a program, and says how it ended. */
export function outcomeOf(
  program: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramOutcome> {
  const { input = "", cwd, env = {}, limit = 60_000, onLine } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, ...env },
      timeout: limit,
      killSignal: "SIGKILL",
    });
    const output: Uint8Array<ArrayBuffer>[] = [];
    let complaints = "";
    child.stdout.on("data", (chunk: Uint8Array<ArrayBuffer>) => output.push(chunk));
    child.stderr.setEncoding("utf8").on("data", (text: string) => complaints += text);
    if (onLine !== undefined) {
      for (const input of [child.stdout, child.stderr]) createInterface({ input }).on("line", onLine);
    }
    child.on("error", reject);
    child.on("close", async (code) => {
      resolve({ code, output: new Uint8Array(await new Blob(output).arrayBuffer()), complaints });
    });
    // A program that ends without reading its input is judged by its code.
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

/**
 * Runs a program, and gives what it printed.
 *
 * @throws {Error} If its exit code is not 0; with its complaints.
 */
export async function tool(program: string, args: readonly string[]): Promise<string> {
  const { code, output, complaints } = await outcomeOf(program, args);
  const text = new TextDecoder().decode(output);
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}: ${complaints}${text}`);
  return text;
}
