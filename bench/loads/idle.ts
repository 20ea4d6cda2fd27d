/**
 * 2,000 connections that have exchanged one message and are then quiet: how fast they come, and what each costs either process in memory.
 */

import type { Bench, Figures } from "../bench.ts";
import { open } from "../traffic.ts";
import { usage } from "../usage.ts";

const CONNECTIONS = 2000;
/** Connections that warm up the compilers and fill the pools. They stay. */
const BEFORE = 200;
/** How long things may take to be as they will stay, in ms. */
const SETTLING = 500;

export async function measure(bench: Bench, size: number): Promise<Figures> {
  await open(bench, BEFORE, size);
  const before = await memory(bench);
  const start = performance.now();
  const clients = await open(bench, CONNECTIONS, size);
  const seconds = (performance.now() - start) / 1000;
  const after = await memory(bench);
  // Whoever is not used any more may be collected.
  for (const client of clients) client.onAnswer = () => {};
  return {
    connects_per_s: CONNECTIONS / seconds,
    bytes_per_connection: (after.server - before.server) / CONNECTIONS,
    client_bytes_per_connection: (after.client - before.client) / CONNECTIONS,
  };
}

/** Resident memory of both processes, once what a moment made is gone. */
async function memory(bench: Bench): Promise<{ readonly server: number; readonly client: number }> {
  await new Promise((resolve) => setTimeout(resolve, SETTLING));
  return { server: (await bench.server({ collect: true })).rss, client: usage({ collect: true }).rss };
}
