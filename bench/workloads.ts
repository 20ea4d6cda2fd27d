/**
 * What is measured, and with whom.
 *
 * @module
 */

import type { Figures } from "./bench.ts";

/** What has a file in `loads/`, beside the check. */
export type Workload = "oneway" | "window" | "pingpong" | "idle" | "connections" | "queued" | "replay";

/** One thing to measure. */
export interface Case {
  readonly workload: Workload;
  /** Bytes of a message's contents. */
  readonly size: number;
  /** Both processes on one core: what a round trip costs, and not how long it takes to wake another core. */
  readonly pinned?: true;
  /** Whether it is part of a quick run. */
  readonly quick?: boolean;
}

/** Everything that is measured, in the order of the report. */
export const cases: readonly Case[] = [
  { workload: "oneway", size: 64, quick: true },
  { workload: "oneway", size: 1024 },
  { workload: "oneway", size: 65_536 },
  { workload: "oneway", size: 1_048_576 },
  { workload: "window", size: 64, quick: true },
  { workload: "window", size: 1024 },
  { workload: "pingpong", size: 64 },
  { workload: "pingpong", size: 1024 },
  { workload: "pingpong", size: 65_536 },
  { workload: "pingpong", size: 64, pinned: true, quick: true },
  { workload: "pingpong", size: 1024, pinned: true },
  { workload: "pingpong", size: 65_536, pinned: true },
  { workload: "idle", size: 64 },
  { workload: "connections", size: 64 },
  { workload: "queued", size: 64 },
  { workload: "replay", size: 64 },
];

/** The figure that a workload is about. */
export interface Headline {
  readonly field: keyof Figures;
  /** What it is called. */
  readonly unit: string;
  readonly better: "more" | "less";
}

const rate: Headline = { field: "msgs_per_s", unit: "messages/s", better: "more" };

const headlines: Readonly<Record<Workload, Headline>> = {
  oneway: rate,
  window: { ...rate, unit: "round trips/s" },
  pingpong: { field: "p50_us", unit: "µs (p50)", better: "less" },
  idle: { field: "bytes_per_connection", unit: "bytes/connection", better: "less" },
  connections: rate,
  queued: rate,
  replay: rate,
};

/** From which size on it is the bytes that cost, and not the message. */
const LARGE = 65_536;

/** What a workload is about. */
export function headlineOf({ workload, size }: Pick<Case, "workload" | "size">): Headline {
  const headline = headlines[workload];
  return headline === rate && size >= LARGE ? { field: "mb_per_s", unit: "MB/s", better: "more" } : headline;
}

/** What is measured, under its name in the reports. */
export interface Contestant {
  /** Its file in `peers/`, without the ending. */
  readonly file: string;
  readonly workloads: readonly Workload[];
  /** Whether `bench/peers/package.json` has to be installed for it. */
  readonly installed?: boolean;
  /** Why there is nothing to try, by runtime. */
  readonly absent?: Readonly<Record<string, string>>;
}

const messages: readonly Workload[] = ["oneway", "window", "pingpong"];
const everything: readonly Workload[] = [...messages, "idle", "connections"];

/** This module, in the ways it can be used. */
const own: Readonly<Record<string, Contestant>> = {
  "msgr": { file: "msgr", workloads: [...everything, "queued", "replay"] },
  "msgr-streams": { file: "msgr_streams", workloads: messages },
  "msgr-requests": { file: "msgr_requests", workloads: ["window", "pingpong"] },
};

/** What this module stands on, and what a hurried programmer would write on it. */
const ground: Readonly<Record<string, Contestant>> = {
  "framed": { file: "framed", workloads: [...everything, "queued"] },
  "framed-batched": { file: "framed_batched", workloads: [...everything, "queued"] },
  "bare": { file: "bare", workloads: ["oneway", "pingpong"] },
};

/** What a user would pick instead. */
export const others: Readonly<Record<string, Contestant>> = {
  "ws": { file: "ws", workloads: everything, installed: true },
  "builtin-ws": {
    file: "builtin_ws",
    workloads: everything,
    absent: { node: "Node has a WebSocket client, and no server for it" },
  },
  "zeromq": { file: "zeromq", workloads: everything, installed: true },
  "nats": { file: "nats", workloads: everything, installed: true },
  "grpc": { file: "grpc", workloads: everything, installed: true },
  "grpc-unary": { file: "grpc_unary", workloads: ["window", "pingpong"], installed: true },
  "rsocket": { file: "rsocket", workloads: everything, installed: true },
  "socket.io": { file: "socket_io", workloads: everything, installed: true },
};

/** Everybody by name. */
export const contestants: Readonly<Record<string, Contestant>> = { ...own, ...ground, ...others };

/** Who takes part unless others are named. */
export const home: readonly string[] = [...Object.keys(own), ...Object.keys(ground)];

/** Who takes part where there is little time, and in what the guard compares. */
export const basics: readonly string[] = ["msgr", ...Object.keys(ground)];

/** Who takes part in the comparison with others. */
export const field: readonly string[] = ["msgr", ...Object.keys(others)];
