/**
 * What the three test runners say at their end, read into the same three numbers.
 *
 * @module
 */

import type { Runtime } from "./runtimes.ts";

/** How many tests passed, failed and were left out for a reason. */
export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The totals that a runner printed, or `undefined` if it ended before it came to that. */
export function readTotals(runtime: Runtime, output: string): Totals | undefined {
  return { deno: denoTotals, bun: bunTotals, node: nodeTotals }[runtime](output);
}

/** Both together. */
export function addTotals(a: Totals, b: Totals): Totals {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

/** As in `deno: 12 passed, 0 failed, 1 skipped`. */
export function formatTotals(runtime: Runtime, { passed, failed, skipped }: Totals): string {
  return `${runtime}: ${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

/** `ok | 12 passed (3 steps) | 0 failed | 1 ignored (15ms)`. */
function denoTotals(output: string): Totals | undefined {
  const line = output.match(/^(?:ok|FAILED) \| \d+ passed.*$/gm)?.at(-1);
  if (line === undefined) return undefined;
  return {
    passed: count(line, /(\d+) passed/),
    failed: count(line, /(\d+) failed/),
    skipped: count(line, /(\d+) ignored/),
  };
}

/** One line each: ` 12 pass`, ` 1 skip`, ` 0 fail`; ` 1 error` for what went wrong between the tests, such as a file that does not load. */
function bunTotals(output: string): Totals | undefined {
  if (!/^ \d+ pass$/m.test(output)) return undefined;
  return {
    passed: count(output, /^ (\d+) pass$/m),
    failed: count(output, /^ (\d+) fail$/m) + count(output, /^ (\d+) errors?$/m),
    skipped: count(output, /^ (\d+) skip$/m) + count(output, /^ (\d+) todo$/m),
  };
}

/** One line each: `ℹ pass 12`, `ℹ fail 0`, `ℹ cancelled 0`, `ℹ skipped 1`, `ℹ todo 0`. */
function nodeTotals(output: string): Totals | undefined {
  if (!/^ℹ pass \d+$/m.test(output)) return undefined;
  return {
    passed: count(output, /^ℹ pass (\d+)$/m),
    failed: count(output, /^ℹ fail (\d+)$/m) + count(output, /^ℹ cancelled (\d+)$/m),
    skipped: count(output, /^ℹ skipped (\d+)$/m) + count(output, /^ℹ todo (\d+)$/m),
  };
}

function count(text: string, pattern: RegExp): number {
  return Number(text.match(pattern)?.[1] ?? 0);
}
