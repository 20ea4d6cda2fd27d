/**
 * Results as tables in Markdown.
 *
 * @module
 */

import { ratio, type Result, select, spread, type Subject, subjectsOf, title } from "./results.ts";
import { contestants, headlineOf, others } from "./workloads.ts";
import { runtimes } from "../tools/runtimes.ts";

const runtimeNames = { deno: "Deno", bun: "Bun", node: "Node" } as const;
const MISSING = "–";

/** One row for each workload: what the messenger does on each runtime, and how many times as good as the best of the others that is. */
export function summaryTable(results: readonly Result[]): string {
  const about = subjectsOf(results).filter((subject) => results.some((result) => isOursAbout(result, subject)));
  const rows = about.map((subject) => [
    title(subject),
    ...runtimes.map((runtime) => {
      const own = figure(results, { ...subject, runtime }, "msgr");
      const best = bestOther(results, { ...subject, runtime });
      return best === undefined ? own : `${own}; ${times(best.ratio)} ${best.peer}`;
    }),
  ]);
  return markdown([["work", ...runtimes.map((runtime) => runtimeNames[runtime])], ...rows]);
}

/** A table for each workload: everybody on every runtime, with the least and the most of all rounds. */
export function fullTables(results: readonly Result[]): string {
  return subjectsOf(results).map((subject) => {
    const peers = Object.keys(contestants).filter((peer) =>
      results.some((result) => result.peer === peer && title(result) === title(subject))
    );
    const rows = peers.map((peer) => [
      peer,
      ...runtimes.flatMap((runtime) => cells(results, { ...subject, runtime }, peer)),
    ]);
    const heads = runtimes.flatMap((runtime) => [runtimeNames[runtime], "least – most", "µs of CPU", "msgr is"]);
    return `### ${title(subject)}\n\n${headlineOf(subject).unit}\n\n${markdown([["", ...heads], ...rows])}`;
  }).join("\n\n");
}

/** The best of those that a user would pick instead, and how many times as good the messenger is. */
export function bestOther(results: readonly Result[], subject: Subject): { peer: string; ratio: number } | undefined {
  return Object.keys(others).flatMap((peer) => {
    const value = ratio(results, subject, "msgr", peer);
    return value === undefined ? [] : [{ peer, ratio: value }];
  }).sort((a, b) => a.ratio - b.ratio)[0];
}

/** A figure as people like to read it: three digits count. */
export function readable(value: number): string {
  const rounded = Number(value.toPrecision(3));
  return rounded >= 1000 ? rounded.toLocaleString("en", { maximumFractionDigits: 0 }) : String(rounded);
}

function isOursAbout(result: Result, subject: Omit<Subject, "runtime">): boolean {
  return result.peer === "msgr" && title(result) === title(subject);
}

function figure(results: readonly Result[], subject: Subject, peer: string): string {
  const { field, unit } = headlineOf(subject), own = spread(select(results, subject, peer), field);
  return own === undefined ? MISSING : `${readable(own.median)} ${unit}`;
}

function cells(results: readonly Result[], subject: Subject, peer: string): string[] {
  const own = spread(select(results, subject, peer), headlineOf(subject).field);
  if (own === undefined) return [MISSING, "", "", ""];
  const cpu = spread(select(results, subject, peer), "cpu_us_per_message");
  const better = peer === "msgr" ? undefined : ratio(results, subject, "msgr", peer);
  return [
    readable(own.median),
    `${readable(own.least)} – ${readable(own.most)}`,
    cpu === undefined ? "" : readable(cpu.median),
    better === undefined ? "" : times(better),
  ];
}

function times(ratio: number): string {
  return `${Number(ratio.toPrecision(2))}×`;
}

function markdown(rows: readonly (readonly string[])[]): string {
  const lines = rows.map((row) => `| ${row.join(" | ")} |`);
  const rule = `| ${rows[0]!.map((_, i) => i === 0 ? "---" : "---:").join(" | ")} |`;
  return [lines[0]!, rule, ...lines.slice(1)].join("\n");
}
