/**
 * Results as a chart in SVG: a panel for each of a few workloads, in it a group of bars for each runtime, in that a bar for everybody. It can be
 * read on light and dark pages.
 *
 * @module
 */

import { readable } from "./table.ts";
import { type Result, select, type Spread, spread, type Subject, subjectsOf, title } from "./results.ts";
import { contestants, field, headlineOf } from "./workloads.ts";
import { type Runtime, runtimes } from "../tools/runtimes.ts";

/** The panels, as far as they were measured, two in a row. */
const PANELS = ["oneway 64 B", "oneway 64 KiB", "window 64 B", "pingpong 64 B, one core", "idle 64 B", "oneway 1 KiB"];

const WIDTH = 880, GAP = 40, PANEL = (WIDTH - GAP) / 2, NAMES = 84, VALUES = 64, BARS = PANEL - NAMES - VALUES;
const ROW = 15, BAR = 10, HEAD = 40, GROUP_HEAD = 20, FOOT = 24;

const STYLE = `
  text { font: 11px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f; }
  .title { font-size: 14px; font-weight: 600; }
  .dim { fill: #57606a; }
  .own { font-weight: 600; }
  .bar { fill: #a8b3bf; }
  .ground { fill: #d5dbe1; }
  .bar.own { fill: #d1480f; }
  .spread { stroke: #24292f; stroke-width: 1; opacity: 0.6; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .dim { fill: #9198a1; }
    .bar { fill: #5c6773; }
    .ground { fill: #3a424b; }
    .bar.own { fill: #f7793b; }
    .spread { stroke: #e6edf3; }
  }`;

interface Bar extends Spread {
  readonly peer: string;
}
interface Group {
  readonly runtime: Runtime;
  readonly bars: readonly Bar[];
}
interface Panel {
  readonly name: string;
  readonly unit: string;
  readonly groups: readonly Group[];
}

/** The chart's text. */
export function chart(results: readonly Result[]): string {
  const panels = PANELS.flatMap((name) => {
    const subject = subjectsOf(results).find((one) => title(one) === name);
    return subject === undefined ? [] : [panelOf(results, subject)];
  });
  const rows = Array.from({ length: Math.ceil(panels.length / 2) }, (_, i) => panels.slice(2 * i, 2 * i + 2));
  const parts: string[] = [];
  let y = 0;
  for (const row of rows) {
    row.forEach((panel, i) => parts.push(draw(panel, i * (PANEL + GAP), y)));
    y += Math.max(...row.map(heightOf));
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${y}" width="${WIDTH}" height="${y}" role="img">
<title>Benchmarks: ${escaped(panels.map(({ name }) => name).join("; "))}</title>
<style>${STYLE}
</style>
${parts.join("\n")}
</svg>
`;
}

function panelOf(results: readonly Result[], subject: Omit<Subject, "runtime">): Panel {
  const { field: figure, unit, better } = headlineOf(subject);
  // Nobody can be compared with bare sockets, which have no messages.
  const peers = Object.keys(contestants).filter((peer) => field.includes(peer) || peer.startsWith("framed"));
  const groups = runtimes.flatMap((runtime) => {
    const bars = peers.flatMap((peer) => {
      const own = spread(select(results, { ...subject, runtime }, peer), figure);
      return own === undefined ? [] : [{ peer, ...own }];
    });
    // Whoever is best stands on top.
    bars.sort((a, b) => better === "more" ? b.median - a.median : a.median - b.median);
    return bars.length === 0 ? [] : [{ runtime, bars }];
  });
  return { name: title(subject), unit: `${unit}, ${better === "more" ? "longer" : "shorter"} is better`, groups };
}

function heightOf({ groups }: Panel): number {
  return HEAD + FOOT + groups.reduce((sum, { bars }) => sum + GROUP_HEAD + bars.length * ROW, 0);
}

function draw({ name, unit, groups }: Panel, x: number, top: number): string {
  // What is twice as long as the rest may leave the panel: its whisker does not count.
  const longest = Math.max(...groups.flatMap(({ bars }) => bars.map(({ median }) => median)));
  const scale = (value: number) => Math.min(BARS, BARS * value / longest);
  const parts = [
    `<text class="title" x="${x}" y="${top + 16}">${escaped(name)}</text>`,
    `<text class="dim" x="${x}" y="${top + 32}">${escaped(unit)}</text>`,
  ];
  let y = top + HEAD;
  for (const { runtime, bars } of groups) {
    parts.push(`<text class="dim" x="${x}" y="${y + 14}">${runtime}</text>`);
    y += GROUP_HEAD;
    for (const bar of bars) {
      parts.push(drawBar(bar, x, y, scale));
      y += ROW;
    }
  }
  return parts.join("\n");
}

function drawBar({ peer, median, least, most }: Bar, x: number, y: number, scale: (value: number) => number): string {
  const kind = peer === "msgr" ? " own" : "", ground = peer.startsWith("framed") ? " ground" : "";
  const left = x + NAMES, middle = y + BAR / 2, text = y + BAR - 1;
  const round = (value: number) => Number(value.toFixed(1));
  return [
    `<text class="name${kind}" x="${left - 6}" y="${text}" text-anchor="end">${escaped(peer)}</text>`,
    `<rect class="bar${kind}${ground}" x="${left}" y="${y}" width="${
      round(Math.max(1, scale(median)))
    }" height="${BAR}"/>`,
    `<line class="spread" x1="${round(left + scale(least))}" x2="${
      round(left + scale(most))
    }" y1="${middle}" y2="${middle}"/>`,
    `<text class="${kind.trim() || "dim"}" x="${left + BARS + 6}" y="${text}">${readable(median)}</text>`,
  ].join("");
}

function escaped(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
}
