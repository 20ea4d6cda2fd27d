/** No measurement: whether every byte arrives as it was sent, in order, in both directions. What fails here is not measured. */

import type { Bench, Figures } from "../bench.ts";
import { Ask, type Client, isPattern, numberOf, pattern } from "../peer.ts";
import * as bare from "../peers/bare.ts";
import { settle } from "../traffic.ts";

const SIZES = [8, 64, 1000, 65_536, 1_048_576], COUNT = 5;

export async function measure(bench: Bench): Promise<Figures> {
  const client = await bench.connect();
  if (bench.name === "bare") {
    // It has no messages, and counts bytes.
    await bare.oneway(client, 64, 1000);
    await bare.pingpong(client, 64, new Float64Array(10));
  } else {
    for (const size of SIZES) await oneWay(client, size);
    for (const size of SIZES) await bothWays(bench, client, size);
  }
  await client.close();
  return {};
}

async function oneWay(client: Client, size: number): Promise<void> {
  for (let i = 0; i < COUNT; i++) await client.send(pattern(size, Ask.CHECK, i));
  await settle(client, COUNT + 1);
}

async function bothWays({ peer }: Bench, client: Client, size: number): Promise<void> {
  const missing = new Set(Array.from({ length: COUNT }, (_, i) => i));
  const done = new Promise<void>((resolve, reject) => {
    client.onAnswer = (answer) => {
      const [next] = missing, number = peer.unordered ? numberOf(answer) : next!;
      if (answer.length !== size || !missing.delete(number) || !isPattern(answer, Ask.ECHO, number)) {
        reject(new Error(`Answer ${number} of ${size} bytes came back damaged or out of its turn`));
      }
      if (missing.size === 0) resolve();
    };
  });
  for (let i = 0; i < COUNT; i++) void client.send(pattern(size, Ask.ECHO, i));
  await done;
  await settle(client, COUNT + 1);
}
