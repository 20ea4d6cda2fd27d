/**
 * Two programs exchange messages in both directions over a line that is cut all the time.
 *
 * @module
 */

import { compare, Patience, report, state, text } from "../demo/pair.ts";
import { PeerProcess } from "../demo/peer_process.ts";
import { randomNumbers, traffic } from "../demo/traffic.ts";
import type { Runtime } from "../runtimes.ts";
import { Proxy } from "./proxy.ts";

/** What to do. */
export interface CutsTask {
  /** Messages in each direction. */
  readonly messages: number;
  readonly cuts: number;
  readonly seed: number;
  /** The longest message, in bytes. */
  readonly longest: number;
  /** Seconds without any progress after which the run hangs. */
  readonly patience: number;
}

/** What became of it; `problems` is empty if all is well. */
export interface CutsResult {
  readonly lost: number;
  /** Messages that a program saw a second time, or before their turn. */
  readonly outOfTurn: number;
  readonly received: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly cuts: number;
  readonly connections: number;
  readonly replayed: number;
  readonly duplicates: number;
  readonly problems: readonly string[];
}

/** What a message has on the wire beside its contents, and what its ack adds, in bytes. */
const OVERHEAD = 75;
const SCRIPT = "tools/chaos/peer.ts";

/** Runs it. Rejects if a program dies or hangs, with its last words. */
export async function runCuts(
  client: Runtime,
  server: Runtime,
  task: CutsTask,
  onProgress: (received: number, cuts: number) => void,
): Promise<CutsResult> {
  const { messages, seed, longest } = task;
  const bytes = wireBytes(messages, seed, longest) + wireBytes(messages, seed + 1, longest);
  await using proxy = new Proxy({
    random: randomNumbers(seed + 2),
    cuts: task.cuts,
    // Even if every connection lasted as long as it can, all cuts are made before the end.
    bytesPerCut: bytes / (2 * Math.max(1, task.cuts)),
  });
  const port = await proxy.listen();
  const patience = new Patience(task.patience);
  const peers: PeerProcess[] = [];
  const start = (runtime: Runtime, part: "client" | "server", seed: number, args: string[] = []): PeerProcess => {
    const all = [`--messages=${messages}`, `--expect=${messages}`, `--longest=${longest}`, `--seed=${seed}`, ...args];
    const peer = new PeerProcess(runtime, part, all, () => {
      const received = peers.reduce((sum, each) => sum + each.received, 0);
      if (patience.sees(received)) onProgress(received, proxy.cuts);
    }, SCRIPT);
    peers.push(peer);
    return peer;
  };
  try {
    const run = async (): Promise<CutsResult> => {
      const b = start(server, "server", seed + 1, [`--advertise=${port}`]), a = start(client, "client", seed);
      proxy.target = Number((await b.reply("listening")).address);
      a.order({ do: "connect", address: `127.0.0.1:${port}` });
      const done = await Promise.all([a.reply("done"), b.reply("done")]);
      const [ours, theirs] = await Promise.all([report(a), report(b)]);
      const problems = [
        ...compare(a, ours, b, theirs, messages),
        ...compare(b, theirs, a, ours, messages),
      ];
      for (const { told } of [ours, theirs]) {
        if (told !== undefined) problems.push(`a session was lost, ${told} dropped`);
      }
      for (const peer of [a, b]) {
        const problem = await peer.leave();
        if (problem !== undefined) problems.push(problem);
      }
      return {
        lost: ours.sent.count - theirs.received.count + theirs.sent.count - ours.received.count,
        outOfTurn: ours.complaints.length + theirs.complaints.length,
        received: ours.received.count + theirs.received.count,
        bytes: ours.received.bytes + theirs.received.bytes,
        seconds: (Math.max(...done.map(({ ended }) => ended)) - Math.min(...done.map(({ begun }) => begun))) / 1000,
        cuts: proxy.cuts,
        connections: proxy.connections,
        replayed: ours.stats.replayed_messages + theirs.stats.replayed_messages,
        duplicates: ours.stats.duplicate_messages + theirs.stats.duplicate_messages,
        problems,
      };
    };
    return await Promise.race([run(), patience.end]);
  } catch (error) {
    throw new Error([...new Set([text(error), ...await Promise.all(peers.map(state))])].join("\n  "));
  } finally {
    patience.stop();
    await Promise.all(peers.map((peer) => peer.kill()));
  }
}

function wireBytes(messages: number, seed: number, longest: number): number {
  let sum = 0;
  for (const data of traffic(messages, seed, longest)) sum += data.length + OVERHEAD;
  return sum;
}
