/** Messages in one direction, as fast as the receiver takes them. Over when the receiver has said that it has them all. */

import { type Bench, type Figures, rates, timed } from "../bench.ts";
import * as bare from "../peers/bare.ts";
import { sendAll } from "../traffic.ts";

export async function measure(bench: Bench, size: number): Promise<Figures> {
  const client = await bench.connect();
  const run = bench.name === "bare"
    ? (count: number) => bare.oneway(client, size, count)
    : (count: number) => sendAll(client, size, count);
  const figures = rates(await timed(bench, run), size);
  await client.close();
  return figures;
}
