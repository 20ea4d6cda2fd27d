/**
 * A little traffic on each of 1,000 connections: they take turns to send 64 messages, the last of which is answered, and 16 of them are waiting
 * for their answer at any time. The ratio is to the same bursts on one connection.
 */

import { type Bench, type Figures, rates, timedTogether } from "../bench.ts";
import { Ask, type Client, pattern } from "../peer.ts";
import { open, settle } from "../traffic.ts";

const CONNECTIONS = 1000, BURST = 64, BURSTS_AT_ONCE = 16;

export async function measure(bench: Bench, size: number): Promise<Figures> {
  const all = await open(bench, CONNECTIONS, size);
  let sent = CONNECTIONS;
  const traffic = (clients: readonly Client[]) => async (count: number) => {
    sent += count;
    await bursts(clients, size, count / BURST);
  };
  const both = await timedTogether(bench, [traffic(all.slice(0, 1)), traffic(all)], { unit: BURST });
  const [one, many] = both.map((timed) => rates(timed, size)) as [Figures, Figures];
  await settle(all[0]!, sent + 1);
  return { ...many, ratio: many.msgs_per_s! / one.msgs_per_s! };
}

function bursts(clients: readonly Client[], size: number, count: number): Promise<void> {
  const sink = pattern(size, Ask.SINK), echo = pattern(size, Ask.ECHO);
  let sent = 0, answered = 0;
  return new Promise((resolve) => {
    const next = () => {
      const client = clients[sent++ % clients.length]!;
      for (let i = 1; i < BURST; i++) void client.send(sink);
      void client.send(echo);
    };
    for (const client of clients) {
      client.onAnswer = () => {
        if (++answered === count) resolve();
        if (sent < count) next();
      };
    }
    while (sent < Math.min(BURSTS_AT_ONCE, count)) next();
  });
}
