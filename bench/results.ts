/**
 * What was measured, in lines of JSON, and what follows from several rounds of it.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import type { Figures } from "./bench.ts";
import { type Headline, headlineOf, type Workload } from "./workloads.ts";
import type { Runtime } from "../tools/runtimes.ts";

/** One measurement. */
export interface Result extends Figures {
  readonly peer: string;
  readonly runtime: Runtime;
  readonly workload: Workload;
  readonly size: number;
  readonly pinned?: true;
  readonly round: number;
}

/** What measurements have to have in common to be compared. */
export type Subject = Pick<Result, "runtime" | "workload" | "size" | "pinned">;

/** A median with the least and the most. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

/** The results in a file that `--json` has written. */
export function readResults(path: string): Result[] {
  return readFileSync(path, "utf8").split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Result);
}

/** What a subject is called in reports. */
export function title({ workload, size, pinned }: Omit<Subject, "runtime">): string {
  const bytes = size < 1024 ? `${size} B` : size < 1_048_576 ? `${size / 1024} KiB` : `${size / 1_048_576} MiB`;
  return `${workload} ${bytes}${pinned ? ", one core" : ""}`;
}

/** Everything that was measured, once each, in the order of the results. */
export function subjectsOf(results: readonly Result[]): Omit<Subject, "runtime">[] {
  return [...new Map(results.map((result) => [title(result), result])).values()];
}

/** The results about a subject, of one peer or of all. */
export function select(results: readonly Result[], subject: Subject, peer?: string): Result[] {
  return results.filter((result) =>
    result.runtime === subject.runtime && title(result) === title(subject) &&
    (peer === undefined || result.peer === peer)
  );
}

/** The median of one figure, with its spread; `undefined` if nobody measured it. */
export function spread(results: readonly Result[], figure: keyof Figures): Spread | undefined {
  return spreadOf(results.map((result) => result[figure]).filter((value) => value !== undefined));
}

/**
 * How much better one peer is than another in what the workload is about, or in another figure: 2 is twice as fast, or half as long or large. It is the median of the
 * rounds' ratios, as a machine may be slower for all in one round than in the next.
 */
export function ratio(
  results: readonly Result[],
  subject: Subject,
  peer: string,
  to: string,
  { field, better }: Pick<Headline, "field" | "better"> = headlineOf(subject),
): number | undefined {
  const others = select(results, subject, to);
  const ratios = select(results, subject, peer).flatMap((result) => {
    const other = others.find(({ round }) => round === result.round)?.[field], own = result[field];
    if (other === undefined || own === undefined) return [];
    return [better === "more" ? own / other : other / own];
  });
  return spreadOf(ratios)?.median;
}

function spreadOf(values: readonly number[]): Spread | undefined {
  const sorted = values.toSorted((a, b) => a - b), half = sorted.length >> 1;
  if (sorted.length === 0) return undefined;
  const median = sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
  return { median, least: sorted[0]!, most: sorted.at(-1)! };
}
