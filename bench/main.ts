/**
 * Measures the messenger on each runtime against what it stands on: bare sockets that move the same bytes, and messages with a length in
 * front by hand. Every figure comes from two processes; peers take turns round by round; medians are printed, with their ratio to ours.
 *
 * `deno task bench [--quick] [--rounds=N] [--json=FILE] [deno] [bun] [node]`
 *
 * @module
 */

import { appendFileSync } from "node:fs";
import { cpus } from "node:os";
import process from "node:process";
import { spawn } from "node:child_process";
import { install } from "../tools/install.ts";
import { type Runtime, runtimeCommand, runtimes } from "../tools/runtimes.ts";

interface Workload {
  readonly workload: "oneway" | "window" | "pingpong";
  readonly size: number;
  readonly count: number;
  readonly peers: readonly string[];
}

interface Result {
  readonly msgs_per_s: number;
  readonly mb_per_s: number;
  readonly p50_us?: number;
  readonly p99_us?: number;
}

const args = process.argv.slice(2);
const quick = args.includes("--quick");
const option = (name: string) => args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
const rounds = Number(option("rounds") ?? (quick ? 3 : 5));
const json = option("json");
const wanted = runtimes.filter((runtime) => args.includes(runtime));

const all: readonly Workload[] = [
  { workload: "oneway", size: 64, count: 500_000, peers: ["msgr", "framed", "bare"] },
  { workload: "oneway", size: 1024, count: 100_000, peers: ["msgr", "framed", "bare"] },
  { workload: "oneway", size: 65536, count: 4_000, peers: ["msgr", "framed", "bare"] },
  { workload: "oneway", size: 1048576, count: 400, peers: ["msgr", "framed", "bare"] },
  { workload: "window", size: 64, count: 100_000, peers: ["msgr", "framed"] },
  { workload: "pingpong", size: 64, count: 10_000, peers: ["msgr", "framed", "bare"] },
];
const workloads = quick
  ? all.filter(({ workload, size }) => size === 64 || (workload === "oneway" && size === 65536))
  : all;

await install();
console.log(
  `${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} cores; medians of ${rounds} rounds, loopback TCP\n`,
);
const results = new Map<string, Result[]>();
for (let round = 0; round < rounds; round++) {
  for (const { workload, size, count, peers } of workloads) {
    for (const runtime of wanted.length > 0 ? wanted : runtimes) {
      // Each round begins with another peer, so that none always follows the same one.
      for (let i = 0; i < peers.length; i++) {
        const peer = peers[(i + round) % peers.length]!;
        const result = await measure(runtime, peer, workload, size, count);
        const key = keyOf(runtime, workload, size, peer);
        results.set(key, [...results.get(key) ?? [], result]);
        if (json !== undefined) {
          appendFileSync(json, `${JSON.stringify({ peer, runtime, workload, size, round, ...result })}\n`);
        }
      }
    }
  }
}
for (const { workload, size, peers } of workloads) {
  for (const runtime of wanted.length > 0 ? wanted : runtimes) report(runtime, workload, size, peers);
}

function keyOf(runtime: Runtime, workload: string, size: number, peer: string): string {
  return `${runtime} ${workload} ${size} ${peer}`;
}

async function measure(runtime: Runtime, peer: string, workload: string, size: number, count: number): Promise<Result> {
  const server = start(runtime, ["serve", peer]);
  try {
    const { port } = await server.line() as { port: number };
    const client = start(runtime, ["run", peer, String(port), workload, String(size), String(count)]);
    return await client.line() as Result;
  } finally {
    server.end();
  }
}

function start(runtime: Runtime, workerArgs: string[]) {
  const { command, args } = runtimeCommand(runtime, "bench/worker.ts", workerArgs, { permissions: ["-A"] });
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  return {
    line: () =>
      new Promise<unknown>((resolve, reject) => {
        let text = "";
        child.stdout.on("data", (chunk) => {
          text += chunk;
          if (text.includes("\n")) resolve(JSON.parse(text));
        });
        child.on("exit", (code) => reject(new Error(`${command} ${args.join(" ")} ended with ${code}`)));
      }),
    end: () => child.stdin.end(),
  };
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

/** One line for each workload: ours, and our ratio to each of the others. A time's ratio is theirs to ours, so that more is better. */
function report(runtime: Runtime, workload: string, size: number, peers: readonly string[]): void {
  const of = (peer: string, field: keyof Result) =>
    median((results.get(keyOf(runtime, workload, size, peer)) ?? []).map((result) => result[field] ?? NaN));
  const field = workload === "pingpong" ? "p50_us" : "msgs_per_s";
  const ours = of("msgr", field);
  const figure = workload === "pingpong"
    ? `${ours.toFixed(1)} µs (p50)`
    : `${Math.round(ours).toLocaleString("en")} msgs/s, ${of("msgr", "mb_per_s").toFixed(0)} MB/s`;
  const ratios = peers.filter((peer) => peer !== "msgr").map((peer) => {
    const ratio = workload === "pingpong" ? of(peer, field) / ours : ours / of(peer, field);
    return `${ratio.toFixed(2)}x ${peer}`;
  });
  console.log(
    `${runtime.padEnd(5)} ${workload.padEnd(8)} ${String(size).padStart(8)} B  ${figure.padEnd(36)} ${
      ratios.join("   ")
    }`,
  );
}
