/**
 * 1,000,000 messages that are sent at once, without a look at whether the sender had better wait. All are the same bytes, so the memory is what
 * a queued message costs beside its contents; where the sender copies them, they count.
 */

import { type Bench, type Figures, rates } from "../bench.ts";
import { Ask, type Client, pattern } from "../peer.ts";
import { usage } from "../usage.ts";
import { settle } from "../traffic.ts";

const WARM_UP = 50_000, COUNT = 1_000_000;

export async function measure(bench: Bench, size: number): Promise<Figures> {
  const client = await bench.connect();
  sendAtOnce(client, size, WARM_UP);
  await settle(client, WARM_UP + 1);
  const server = await bench.server({ collect: true }), before = usage({ collect: true });
  const start = performance.now();
  sendAtOnce(client, size, COUNT);
  // Looking costs time that is not theirs.
  const looking = performance.now(), queueing = usage({ collect: false }).cpu - before.cpu;
  const full = usage({ collect: true });
  const sending = performance.now();
  await settle(client, COUNT + 1);
  const seconds = (performance.now() - sending + looking - start) / 1000;
  const clientCpu = usage({ collect: false }).cpu - full.cpu + queueing;
  const serverCpu = (await bench.server({ collect: false })).cpu - server.cpu;
  const cpu = clientCpu + serverCpu;
  await client.close();
  return { ...rates({ count: COUNT, seconds, cpu }, size), bytes_per_message: (full.rss - before.rss) / COUNT };
}

function sendAtOnce(client: Client, size: number, count: number): void {
  const message = pattern(size, Ask.SINK);
  for (let i = 0; i < count; i++) void client.send(message);
}
