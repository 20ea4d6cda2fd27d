/** Requests and answers, 64 on their way at any time. */

import { type Bench, type Figures, rates, timed } from "../bench.ts";
import { Ask, type Client, pattern } from "../peer.ts";
import { settle } from "../traffic.ts";

const WINDOW = 64;

export async function measure(bench: Bench, size: number): Promise<Figures> {
  const client = await bench.connect();
  let sent = 0;
  const run = async (count: number) => {
    sent += count;
    await exchange(client, size, count);
  };
  const figures = rates(await timed(bench, run, { unit: WINDOW }), size);
  await settle(client, sent + 1);
  await client.close();
  return figures;
}

function exchange(client: Client, size: number, count: number): Promise<void> {
  const message = pattern(size, Ask.ECHO);
  let sent = 0, answered = 0;
  return new Promise((resolve, reject) => {
    client.onAnswer = (answer) => {
      if (answer.length !== size) reject(new Error(`Sent ${size} bytes, and ${answer.length} came back`));
      if (++answered === count) resolve();
      if (sent < count) {
        sent++;
        void client.send(message);
      }
    };
    while (sent < Math.min(WINDOW, count)) {
      sent++;
      void client.send(message);
    }
  });
}
