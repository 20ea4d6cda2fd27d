/** One request at a time. */

import { type Bench, type Figures, rates, timed } from "../bench.ts";
import { Ask, type Client, pattern } from "../peer.ts";
import * as bare from "../peers/bare.ts";
import { settle } from "../traffic.ts";

/** How many times are kept. */
const MOST = 1_000_000;
/** In so much more time as many messages come by as elsewhere within a tenth of it: compilers go by how often they see the code. */
const WARM_UPS = 3;

export async function measure(bench: Bench, size: number): Promise<Figures> {
  const client = await bench.connect(), times = new Float64Array(MOST);
  let sent = 0, measured = 0;
  const run = async (count: number, slice?: number) => {
    sent += count;
    const from = slice === undefined ? 0 : slice * count, took = times.subarray(from, from + count);
    measured = from + count;
    await (bench.name === "bare" ? bare.pingpong(client, size, took) : roundTrips(client, size, took));
  };
  const figures = rates(await timed(bench, run, { most: MOST, warmUps: WARM_UPS }), size);
  if (bench.name !== "bare") await settle(client, sent + 1);
  await client.close();
  const took = times.subarray(0, measured).sort();
  return { ...figures, p50_us: took[took.length >> 1]!, p99_us: took[Math.floor(took.length * 0.99)]! };
}

/** Makes as many round trips as there is room for their times, in µs. */
async function roundTrips(client: Client, size: number, took: Float64Array): Promise<void> {
  const message = pattern(size, Ask.ECHO);
  let length = 0, resolve = () => {};
  client.onAnswer = (answer) => {
    length = answer.length;
    resolve();
  };
  for (let i = 0; i < took.length; i++) {
    const start = performance.now();
    const answered = new Promise<void>((r) => resolve = r);
    void client.send(message);
    await answered;
    took[i] = (performance.now() - start) * 1000;
    if (length !== size) throw new Error(`Sent ${size} bytes, and ${length} came back`);
  }
}
