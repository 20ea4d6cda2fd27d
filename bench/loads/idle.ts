/**
 * 2,000 connections that have exchanged one message and are then quiet: what each costs either process in memory, and how fast they come to processes that
 * have seen many.
 */

import type { Bench, Figures } from "../bench.ts";
import type { Client } from "../peer.ts";
import { open } from "../traffic.ts";
import { usage } from "../usage.ts";

const CONNECTIONS = 2000;
/** Connections that fill the pools before memory is looked at. They stay. */
const BEFORE = 200;
/** How often as many connections come and go before their rate is taken: V8 is not done with compiling before the ten thousandth. */
const WARM_UPS = 8;
/** How long things may take to be as they will stay, in ms. */
const SETTLING = 500;

export async function measure(bench: Bench, size: number): Promise<Figures> {
  await open(bench, BEFORE, size);
  const before = await memory(bench);
  const clients = await open(bench, CONNECTIONS, size);
  const after = await memory(bench);
  await closeAll(clients);
  for (let i = 0; i < WARM_UPS; i++) await closeAll(await open(bench, CONNECTIONS, size));
  const start = performance.now();
  await open(bench, CONNECTIONS, size);
  const seconds = (performance.now() - start) / 1000;
  return {
    connects_per_s: CONNECTIONS / seconds,
    bytes_per_connection: (after.server - before.server) / CONNECTIONS,
    client_bytes_per_connection: (after.client - before.client) / CONNECTIONS,
  };
}

/** Ends connections, and gives the server the time to. */
async function closeAll(clients: readonly Client[]): Promise<void> {
  await Promise.all(clients.map((client) => client.close()));
  await settling();
}

/** Resident memory of both processes, once what a moment made is gone. */
async function memory(bench: Bench): Promise<{ readonly server: number; readonly client: number }> {
  await settling();
  return { server: (await bench.server({ collect: true })).rss, client: usage({ collect: true }).rss };
}

function settling(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, SETTLING));
}
