/**
 * The report for people: a table for each workload and runtime.
 *
 * @module
 */

import type { Figures } from "./bench.ts";
import { ratio, type Result, select, spread, type Subject, subjectsOf, title } from "./results.ts";
import type { Failure, Outcome } from "./run.ts";
import { headlineOf } from "./workloads.ts";
import { runtimes } from "../tools/runtimes.ts";

/** The figures beside a workload's own, where there are any. */
const more: readonly (readonly [keyof Figures, string, number])[] = [
  ["mb_per_s", "MB/s", 0],
  ["p99_us", "µs (p99)", 0],
  ["cpu_us_per_message", "µs of processors", 2],
  ["connects_per_s", "connects/s", 0],
  ["client_bytes_per_connection", "client's bytes", 0],
  ["bytes_per_message", "bytes/message", 0],
  ["ratio", "ratio", 2],
];

/** Prints all there is: medians, with the least and the most, and how many times as good `msgr` is. */
export function report({ results, failures, outclassed, isCutShort }: Outcome): void {
  for (const subject of subjectsOf(results)) {
    for (const runtime of runtimes) reportOne(results, { ...subject, runtime });
  }
  for (const failure of failures) console.log(sayFailure(failure));
  if (outclassed.length > 0) console.log(`One round only, at a tenth of msgr: ${outclassed.join("; ")}`);
  if (isCutShort) console.log("Time was up: what is missing was not measured");
}

function reportOne(results: readonly Result[], subject: Subject): void {
  const about = select(results, subject), { field, unit } = headlineOf(subject);
  if (about.length === 0) return;
  const peers = [...new Set(about.map(({ peer }) => peer))];
  const columns = more.filter(([figure]) => figure !== field && about.some((result) => result[figure] !== undefined));
  const rows = peers.map((peer) => {
    const own = select(results, subject, peer), { median, least, most } = spread(own, field)!;
    const digits = field === "p50_us" ? 1 : 0;
    const times = peer === "msgr" ? undefined : ratio(results, subject, "msgr", peer);
    return [
      peer,
      number(median, digits),
      `${number(least, digits)} – ${number(most, digits)}`,
      times === undefined ? "" : `${times.toFixed(2)}x`,
      ...columns.map(([figure, , places]) => number(spread(own, figure)?.median, places)),
    ];
  });
  const heads = [runtimeTitle(subject), unit, "least – most", "msgr is", ...columns.map(([, name]) => name)];
  console.log(`${formatTable([heads, ...rows])}\n`);
}

/** Why somebody is missing, in words. */
export function sayFailure({ runtime, peer, what, reason }: Failure): string {
  return `${peer} cannot run ${what === undefined ? "" : `${what} `}on ${runtime}: ${reason}`;
}

function runtimeTitle(subject: Subject): string {
  return `${subject.runtime}, ${title(subject)}`;
}

function number(value: number | undefined, digits: number): string {
  if (value === undefined) return "";
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Columns as wide as their widest cell; the first is on the left. */
function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) =>
    row.map((cell, i) => i === 0 ? cell.padEnd(Math.max(34, widths[i]!)) : cell.padStart(widths[i]!)).join("  ")
      .trimEnd()
  ).join("\n");
}
