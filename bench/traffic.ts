/**
 * What the workloads have in common: opening connections, sending, and asking whether all arrived.
 *
 * @module
 */

import { type Bench, nextAnswer } from "./bench.ts";
import { Ask, type Client, pattern, readVerdict } from "./peer.ts";

/** How many connections are being opened at a time. */
const AT_ONCE = 32;

/** Sends `count` messages, the last of which asks how many came. */
export async function sendAll(client: Client, size: number, count: number): Promise<void> {
  const message = pattern(size, Ask.SINK);
  for (let i = 1; i < count; i++) {
    const wait = client.send(message);
    if (wait !== undefined) await wait;
  }
  await settle(client, count, size);
}

/** Asks whether `count` messages arrived, this question included. */
export async function settle(client: Client, count: number, size = 64): Promise<void> {
  const answer = nextAnswer(client);
  await client.send(pattern(size, Ask.LAST));
  const { messages, wrong } = readVerdict(await answer);
  if (messages !== count || wrong > 0) {
    throw new Error(`Of ${count} messages ${messages} arrived, ${wrong} of them damaged`);
  }
}

/** Opens connections; each has had its first answer. */
export async function open(bench: Bench, count: number, size: number): Promise<Client[]> {
  const clients: Client[] = [];
  let begun = 0;
  const openSome = async () => {
    while (begun++ < count) {
      const client = await bench.connect(), answer = nextAnswer(client);
      await client.send(pattern(size, Ask.ECHO));
      await answer;
      clients.push(client);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, openSome));
  return clients;
}
