/**
 * One pair of runtimes: starts both programs, lets them exchange messages, and compares what each sent with what the other received.
 *
 * @module
 */

import type { Runtime } from "../runtimes.ts";
import type { Report } from "./control.ts";
import { PeerProcess } from "./peer_process.ts";

/** What every pair has to do. */
export interface Task {
  /** Messages in each direction. */
  readonly messages: number;
  readonly seed: number;
  /** The message that the client damages; 0 for none. */
  readonly corrupt: number;
  /** How often the client breaks the connection. */
  readonly cuts: number;
  /** Seconds without any progress after which a pair hangs. */
  readonly patience: number;
}

/** What became of a pair. */
export interface PairResult {
  readonly client: Runtime;
  readonly server: Runtime;
  /** Messages and bytes that arrived, in both directions together. */
  readonly messages: number;
  readonly bytes: number;
  readonly seconds: number;
  /** The median, in µs. */
  readonly roundTrip: number;
  /** How often the connection was broken. */
  readonly cuts: number;
  /** Messages that were sent again after that. */
  readonly replayed: number;
  /** Messages that came a second time, and were dropped before the program saw them. */
  readonly duplicates: number;
  /** Messages that were sent and did not arrive. */
  readonly lost: number;
  /** What was wrong, in words; nothing if all is well. */
  readonly problems: readonly string[];
}

/** The numbers of a pair that did not come to its end. */
const unknown = {
  messages: 0,
  bytes: 0,
  seconds: NaN,
  roundTrip: NaN,
  cuts: NaN,
  replayed: NaN,
  duplicates: NaN,
  lost: NaN,
};

/** How long a peer that hangs has to say how it is, in ms. */
const LAST_WORDS = 2000;

/** Lets a pair do its task. It never rejects: what goes wrong is among the problems. */
export async function runPair(
  client: Runtime,
  server: Runtime,
  task: Task,
  onProgress: (received: number) => void,
): Promise<PairResult> {
  const patience = new Patience(task.patience);
  const start = (runtime: Runtime, part: "client" | "server", args: readonly string[]): PeerProcess =>
    new PeerProcess(runtime, part, [`--messages=${task.messages}`, ...args], () => {
      const received = peers.reduce((sum, peer) => sum + peer.received, 0);
      if (patience.sees(received)) onProgress(received);
    });
  const peers: PeerProcess[] = [];
  peers.push(start(server, "server", ["--listen", `--seed=${task.seed + 1}`]));
  peers.push(start(client, "client", [`--seed=${task.seed}`, `--corrupt=${task.corrupt}`, `--cuts=${task.cuts}`]));
  try {
    return { client, server, ...await Promise.race([exchange(peers[1]!, peers[0]!, task), patience.end]) };
  } catch (error) {
    // A peer that is gone says so twice: as the reason, and when it is asked how it is.
    const problems = new Set([text(error), ...await Promise.all(peers.map(state))]);
    return { client, server, ...unknown, problems: [...problems] };
  } finally {
    patience.stop();
    await Promise.all(peers.map((peer) => peer.kill()));
  }
}

async function exchange(
  client: PeerProcess,
  server: PeerProcess,
  task: Task,
): Promise<Omit<PairResult, "client" | "server">> {
  const { address } = await server.reply("listening");
  client.order({ do: "connect", address });
  const [a, b] = await Promise.all([client.reply("done"), server.reply("done")]);

  client.order({ do: "ping" });
  const { roundTrip } = await client.reply("pinged");

  const [ours, theirs] = await Promise.all([report(client), report(server)]);
  const problems = [
    ...compare(client, ours, server, theirs, task.messages),
    ...compare(server, theirs, client, ours, task.messages),
  ];
  for (const peer of [client, server]) {
    const problem = await peer.leave();
    if (problem !== undefined) problems.push(problem);
  }
  return {
    messages: ours.received.count + theirs.received.count,
    bytes: ours.received.bytes + theirs.received.bytes,
    seconds: (Math.max(a.ended, b.ended) - Math.min(a.begun, b.begun)) / 1000,
    roundTrip,
    cuts: ours.cuts,
    replayed: ours.stats.replayed_messages + theirs.stats.replayed_messages,
    duplicates: ours.stats.duplicate_messages + theirs.stats.duplicate_messages,
    lost: ours.sent.count - theirs.received.count + theirs.sent.count - ours.received.count,
    problems,
  };
}

/** Asks a peer how it is. */
export function report(peer: PeerProcess): Promise<Report> {
  peer.order({ do: "report" });
  return peer.reply("report");
}

/** What is wrong with what went from one peer to the other. */
export function compare(
  from: PeerProcess,
  { sent }: Report,
  to: PeerProcess,
  report: Report,
  messages: number,
): string[] {
  const { received } = report;
  const problems = report.complaints.slice(0, 5).map((complaint) => `${to.label}: ${complaint}`);
  if (sent.count !== messages) problems.push(`${from.label} sent ${sent.count} messages instead of ${messages}`);
  if (received.count !== sent.count) {
    problems.push(`${to.label} received ${received.count} messages, but ${sent.count} were sent`);
  } else if (received.hash !== sent.hash) {
    problems.push(`${to.label} received other bytes than ${from.label} sent: the hashes over all messages differ`);
  }
  return problems;
}

/** How a peer is that hangs, or whose partner is gone. */
export async function state(peer: PeerProcess): Promise<string> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<undefined>((resolve) => timer = setTimeout(() => resolve(undefined), LAST_WORDS));
  try {
    const last = await Promise.race([report(peer), silence]);
    if (last === undefined) return `${peer.label} does not answer`;
    const { sent, received, complaints, state, queued, stats } = last;
    const lines = [
      `${peer.label} is ${state ?? "not connected"}: ${sent.count} sent, ${received.count} received, ${
        queued ?? 0
      } queued`,
      ...complaints.slice(0, 5),
      ...Object.entries(stats).map(([name, value]) => `${name} ${value}`),
    ];
    return lines.join("\n    ");
  } catch (error) {
    return text(error);
  } finally {
    clearTimeout(timer);
  }
}

/** What an error says. */
export function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Ends when nothing has happened for too long. */
export class Patience {
  /** It only ever rejects. */
  readonly end: Promise<never>;
  readonly #seconds: number;
  readonly #reject: (error: Error) => void;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #seen = 0;

  constructor(seconds: number) {
    this.#seconds = seconds;
    const { promise, reject } = Promise.withResolvers<never>();
    this.end = promise;
    this.#reject = reject;
    this.#begin();
  }

  /** Whether there are more than before; if so, the waiting begins anew. */
  sees(received: number): boolean {
    if (received === this.#seen) return false;
    this.#seen = received;
    this.#begin();
    return true;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #begin(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => this.#reject(new Error(`Nothing has happened for ${this.#seconds} s`)),
      this.#seconds * 1000,
    );
  }
}
