/**
 * One of the two processes of a measurement. `worker.ts serve PEER` prints its port; `worker.ts run PEER PORT WORKLOAD SIZE COUNT` prints a
 * result. Both speak JSON, a line each.
 *
 * @module
 */

import process from "node:process";
import { Ask, type Client, payload, type Peer } from "./peer.ts";
import * as bare from "./peers/bare.ts";

const [role, name, ...rest] = process.argv.slice(2);
const { peer } = await import(`./peers/${name}.ts`) as { peer: Peer };

if (role === "serve") {
  console.log(JSON.stringify({ port: await peer.serve() }));
  // The parent's end is this process' end.
  process.stdin.resume();
  process.stdin.on("end", () => process.exit(0));
} else {
  const [port, workload, size, count] = [Number(rest[0]), rest[1]!, Number(rest[2]), Number(rest[3])];
  const client = await peer.connect(port);
  console.log(JSON.stringify(await measure(client, workload, size, count)));
  await client.close();
  process.exit(0);
}

async function measure(client: Client, workload: string, size: number, count: number) {
  const took = new Float64Array(workload === "pingpong" ? count : 0);
  // Compilers need to have seen the code before its speed means anything.
  await run(client, workload, size, Math.ceil(count / 2), new Float64Array(took.length));
  const start = performance.now();
  await run(client, workload, size, count, took);
  const seconds = (performance.now() - start) / 1000;
  took.sort();
  return {
    msgs_per_s: count / seconds,
    mb_per_s: count * size / seconds / 1e6,
    ...(took.length > 0 ? { p50_us: took[took.length >> 1], p99_us: took[Math.floor(took.length * 0.99)] } : {}),
  };
}

async function run(client: Client, workload: string, size: number, count: number, took: Float64Array): Promise<void> {
  if (name === "bare") {
    if (workload === "oneway") await bare.oneway(client, size, count);
    else await bare.pingpong(client, size, count, took);
    return;
  }
  if (workload === "oneway") await oneway(client, size, count);
  else if (workload === "window") await inFlight(client, size, count, 64);
  else await pingpong(client, size, count, took);
}

/** Sends all as fast as the receiver lets it; over when the receiver has said that it has the last. */
async function oneway(client: Client, size: number, count: number): Promise<void> {
  const done = new Promise<void>((resolve) => client.onAnswer = () => resolve());
  const message = payload(size, Ask.SINK);
  for (let i = 1; i < count; i++) {
    const wait = client.send(message);
    if (wait !== undefined) await wait;
  }
  void client.send(payload(size, Ask.LAST));
  await done;
}

/** Keeps `window` requests on their way. */
function inFlight(client: Client, size: number, count: number, window: number): Promise<void> {
  const message = payload(size, Ask.ECHO);
  let sent = 0, answered = 0;
  return new Promise((resolve) => {
    client.onAnswer = () => {
      if (++answered === count) resolve();
      if (sent++ < count) void client.send(message);
    };
    for (; sent < Math.min(window, count); sent++) void client.send(message);
  });
}

/** One request at a time. */
async function pingpong(client: Client, size: number, count: number, took: Float64Array): Promise<void> {
  const message = payload(size, Ask.ECHO);
  let resolve = () => {};
  client.onAnswer = () => resolve();
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    const answered = new Promise<void>((r) => resolve = r);
    void client.send(message);
    await answered;
    took[i] = (performance.now() - start) * 1000;
  }
}
