/**
 * 100,000 messages that were sent into a connection that swallows them, which is then cut: the time from the cut until the peer has them all.
 * Reconnecting is part of it. The ratio is to the one-way rate. Only the messenger can do this.
 */

import { type Bench, type Figures, rates, timed } from "../bench.ts";
import { Ask, pattern, wireBytes } from "../peer.ts";
import { connectWith } from "../peers/msgr.ts";
import { SwallowingNetwork } from "../peers/swallowing_network.ts";
import { defaultNetwork } from "../../src/net/default.ts";
import { usage } from "../usage.ts";
import { sendAll, settle } from "../traffic.ts";

const COUNT = 100_000, WARM_UP = 3;

export async function measure(bench: Bench, size: number): Promise<Figures> {
  for (let i = 0; i < WARM_UP; i++) await cutAndReplay(bench, size);
  const replayed = rates(await cutAndReplay(bench, size), size);
  const client = await bench.connect();
  const undisturbed = rates(await timed(bench, (count) => sendAll(client, size, count)), size);
  await client.close();
  return { ...replayed, ratio: replayed.msgs_per_s! / undisturbed.msgs_per_s! };
}

async function cutAndReplay(bench: Bench, size: number) {
  const network = new SwallowingNetwork(await defaultNetwork());
  const client = connectWith(bench.port, { network });
  await settle(client, 1);
  network.swallow();
  const message = pattern(size, Ask.SINK);
  for (let i = 0; i < COUNT; i++) void client.send(message);
  await network.hasSwallowed(COUNT * wireBytes(size));
  const server = await bench.server({ collect: false }), before = usage({ collect: false });
  const start = performance.now();
  network.cut();
  await settle(client, COUNT + 1);
  const seconds = (performance.now() - start) / 1000;
  const clientCpu = usage({ collect: false }).cpu - before.cpu;
  const serverCpu = (await bench.server({ collect: false })).cpu - server.cpu;
  await client.close();
  return { count: COUNT, seconds, cpu: clientCpu + serverCpu };
}
