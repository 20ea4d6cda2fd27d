/**
 * What a workload is given, what it returns, and how it is timed.
 *
 * @module
 */

import type { Client, Peer } from "./peer.ts";
import { type Question, type Usage, usage } from "./usage.ts";

/** How long things take, in seconds. */
export interface Times {
  /** Before a measurement. */
  readonly warmUp: number;
  /** The measurement. */
  readonly measure: number;
  /** In how many slices that is taken. Between two of them the others have theirs. */
  readonly slices: number;
}

/** What a workload works with. */
export interface Bench {
  /** The peer's name. */
  readonly name: string;
  readonly peer: Peer;
  readonly port: number;
  readonly times: Times;
  /** Opens another connection to the server. */
  connect(): Promise<Client>;
  /** Asks the server's process what it has used. */
  server(question: Question): Promise<Usage>;
  /** Waits for its turn. Meanwhile the others have theirs. */
  turn(): Promise<void>;
}

/** What was measured. Every workload fills in what it knows. */
export interface Figures {
  readonly msgs_per_s?: number;
  /** Contents only, 10^6 bytes. */
  readonly mb_per_s?: number;
  readonly p50_us?: number;
  readonly p99_us?: number;
  /** Processor time of both processes. */
  readonly cpu_us_per_message?: number;
  /** What a connection costs the server's process. */
  readonly bytes_per_connection?: number;
  /** What it costs the client's. */
  readonly client_bytes_per_connection?: number;
  readonly connects_per_s?: number;
  /** What a queued message costs the sender beside its contents. */
  readonly bytes_per_message?: number;
  /** The rate, by that of the same messages on one connection that nothing happens to. */
  readonly ratio?: number;
}

/** A measurement that took its time. */
export interface Timed {
  readonly count: number;
  readonly seconds: number;
  /** Of both processes, in µs. */
  readonly cpu: number;
}

/** Sends and receives that many messages: as a slice of the measurement, which are numbered from 0, or to warm up. */
export type Run = (count: number, slice?: number) => Promise<void>;

/** Options of {@linkcode timed}. */
export interface TimedOptions {
  /** What is smallest, and what every count is a multiple of. */
  readonly unit?: number;
  /** The most that fits into memory. */
  readonly most?: number;
  /** How many times as long as others it takes to warm up. */
  readonly warmUps?: number;
}

/**
 * The share of a warm-up that a process has to be at work, and how many times as long it may take until it was: on a machine that does something
 * else as well, time alone warms nothing.
 */
const LEAST_BUSY = 0.3, MOST_PATIENCE = 3;

/** Warms up, finds out how many messages take as long as they should, and times so many. */
export async function timed(bench: Bench, run: Run, options: TimedOptions = {}): Promise<Timed> {
  const [only] = await timedTogether(bench, [run], options);
  return only!;
}

/** Times several things that are to be compared with each other. */
export async function timedTogether(bench: Bench, runs: readonly Run[], options: TimedOptions = {}): Promise<Timed[]> {
  const all: { run: Run; slice: number; timed: Timed }[] = [];
  for (const run of runs) {
    const slice = await calibrate(run, bench.times, options);
    all.push({ run, slice, timed: { count: 0, seconds: 0, cpu: 0 } });
  }
  const { slices } = bench.times;
  for (let i = 0; i < slices; i++) {
    // What is timed in one piece goes on while it is warm.
    if (slices > 1) await bench.turn();
    for (const one of all) one.timed = sum(one.timed, await timedSlice(bench, one.run, one.slice, i));
  }
  return all.map(({ timed }) => timed);
}

async function timedSlice(bench: Bench, run: Run, count: number, slice: number): Promise<Timed> {
  const server = await bench.server({ collect: false }), client = usage({ collect: false });
  const start = performance.now();
  await run(count, slice);
  const seconds = (performance.now() - start) / 1000;
  const clientCpu = usage({ collect: false }).cpu - client.cpu;
  const serverCpu = (await bench.server({ collect: false })).cpu - server.cpu;
  return { count, seconds, cpu: clientCpu + serverCpu };
}

function sum(a: Timed, b: Timed): Timed {
  return { count: a.count + b.count, seconds: a.seconds + b.seconds, cpu: a.cpu + b.cpu };
}

/** The figures that follow from a timed run of messages of one size. */
export function rates({ count, seconds, cpu }: Timed, size: number): Figures {
  return {
    msgs_per_s: count / seconds,
    mb_per_s: count * size / seconds / 1e6,
    cpu_us_per_message: cpu / count,
  };
}

/**
 * How many messages take as long as a slice should. Finding out is the warm-up as well, in steps that are long enough to be timed: compilers
 * need to have seen the code before its speed means anything, and the more code there is, the longer.
 */
async function calibrate(run: Run, times: Times, options: TimedOptions): Promise<number> {
  const { unit = 1, most = Infinity, warmUps = 1 } = options, warmUp = times.warmUp * warmUps;
  // The first one connects.
  await run(unit);
  const begun = performance.now(), used = ownCpu(), step = Math.min(times.measure, times.warmUp) / 4;
  const isWarm = (seconds: number) =>
    seconds >= warmUp && (ownCpu() - used >= warmUp * LEAST_BUSY || seconds >= warmUp * MOST_PATIENCE);
  // Something else may have the processor for a while, so only the best is worth believing.
  let best = 0;
  for (let count = unit;;) {
    const start = performance.now();
    await run(count);
    const now = performance.now(), took = (now - start) / 1000;
    best = Math.max(best, count / took);
    if (took < step && 2 * count <= most) count *= 2;
    else if (isWarm((now - begun) / 1000)) break;
  }
  return unit * Math.max(1, Math.floor(Math.min(most, best * times.measure) / times.slices / unit));
}

/** Processor time of this process, in seconds. */
function ownCpu(): number {
  return usage({ collect: false }).cpu / 1e6;
}

/** Waits for the next answer. */
export function nextAnswer(client: Client): Promise<Uint8Array> {
  return new Promise((resolve) => client.onAnswer = resolve);
}
