/**
 * A program sends messages to another one that is killed in the middle and started again at the same address. Its messenger must say that the
 * session is gone, and the numbers must add up: every message has arrived before, has arrived after, or is among those it said were dropped.
 *
 * @module
 */

import { Patience, report, state, text } from "../demo/pair.ts";
import { PeerProcess } from "../demo/peer_process.ts";
import { randomNumbers, Tally, traffic } from "../demo/traffic.ts";
import type { Runtime } from "../runtimes.ts";
import type { CutsTask } from "./cuts.ts";
import { Proxy } from "./proxy.ts";

/** What became of it; `problems` is empty if all is well. */
export interface RestartResult {
  /** Messages that arrived before the kill, and after it. */
  readonly before: number;
  readonly after: number;
  /** Messages that arrived nowhere. */
  readonly missing: number;
  /** Messages that the survivor was told were dropped. Some of them may have arrived all the same. */
  readonly dropped: number;
  readonly cuts: number;
  readonly problems: readonly string[];
}

/** What the survivor queues at most, in bytes: little, so that it has something to send after the restart. */
const WINDOW = 256 * 1024;
const SCRIPT = "tools/chaos/peer.ts";

/** Runs it. Rejects if a program dies or hangs, with its last words. */
export async function runRestart(client: Runtime, server: Runtime, task: CutsTask): Promise<RestartResult> {
  const { messages, seed, longest } = task;
  const random = randomNumbers(seed);
  await using proxy = new Proxy({ random, cuts: task.cuts, bytesPerCut: 100_000 });
  const port = await proxy.listen();
  const patience = new Patience(task.patience);
  const peers: PeerProcess[] = [];
  const killed = Promise.withResolvers<void>();
  // Somewhere in the middle half.
  const due = Math.floor(messages * (0.25 + 0.5 * random()));
  const start = (runtime: Runtime, part: "client" | "server", args: string[]): PeerProcess => {
    const peer = new PeerProcess(runtime, part, [`--longest=${longest}`, ...args], () => {
      patience.sees(peers.reduce((sum, { received }) => sum + received, 0));
      if (peer.received >= due) killed.resolve();
    }, SCRIPT);
    peers.push(peer);
    return peer;
  };
  const serve = async (): Promise<PeerProcess> => {
    const peer = start(server, "server", [`--advertise=${port}`, "--journal"]);
    proxy.target = Number((await peer.reply("listening")).address);
    return peer;
  };
  try {
    const run = async (): Promise<RestartResult> => {
      const victim = await serve();
      const survivor = start(client, "client", [
        `--messages=${messages}`,
        `--seed=${seed}`,
        `--window=${WINDOW}`,
      ]);
      survivor.order({ do: "connect", address: `127.0.0.1:${port}` });
      await killed.promise;
      proxy.target = undefined;
      await victim.kill();
      const successor = await serve();
      await survivor.reply("done");
      let ours = await report(survivor);
      while (ours.told === undefined) ours = await report(survivor);
      const problems: string[] = [];
      // It ends the session in order, when all has been acknowledged.
      const end = await survivor.leave();
      if (end !== undefined) problems.push(end);
      const theirs = await report(successor);

      const first = theirs.first ?? messages + 1, after = theirs.received.count, before = victim.received;
      const dropped = ours.told ?? 0, missing = first - 1 - before;
      const check = (holds: boolean, problem: string): void => void (holds || problems.push(problem));
      check(ours.told !== undefined, "the survivor was not told that the session is gone");
      check(first + after - 1 === messages, `after the restart came ${first} to ${first + after - 1} of ${messages}`);
      check(missing >= 0, `message ${first} came after the restart, though ${before} had come before it`);
      // What is missing beyond that had been acknowledged: it died in the queue of the process that was killed, or behind its journal.
      check(dropped < first, `${dropped} were said to be dropped of ${first - 1} that were sent before the restart`);
      const tally = new Tally();
      let tid = 0;
      for (const data of traffic(messages, seed, longest)) if (++tid >= first) tally.add(data);
      check(tally.sum().hash === theirs.received.hash, "what came after the restart has other contents");
      const ends = theirs.complaints.filter((complaint) => !complaint.startsWith("the session ended, 0 dropped"));
      problems.push(...ours.complaints, ...ends);
      return { before, after, missing, dropped, cuts: proxy.cuts, problems };
    };
    return await Promise.race([run(), patience.end]);
  } catch (error) {
    throw new Error([...new Set([text(error), ...await Promise.all(peers.map(state))])].join("\n  "));
  } finally {
    patience.stop();
    await Promise.all(peers.map((peer) => peer.kill()));
  }
}
