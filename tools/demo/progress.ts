/**
 * Showing that something happens: one line that is redrawn on a terminal, and elsewhere only what lasts.
 *
 * @module
 */

import process from "node:process";

/** Replaces the line that was shown last, on a terminal. */
export function show(text: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${text.slice(0, process.stdout.columns - 1)}`);
}

/** Leaves a line for good where nothing can be redrawn; on a terminal the next one takes its place. */
export function note(text: string): void {
  if (process.stdout.isTTY) show(text);
  else console.log(text);
}

/** Takes the line away. */
export function clear(): void {
  show("");
}
