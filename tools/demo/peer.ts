/**
 * One of the demo's two programs: it exchanges messages with the other one, in both directions at once, and adds up what it sent and what
 * arrived. The same file runs on Deno, with `--allow-net` and nothing else, on Bun and on Node.
 *
 * @module
 */

import process from "node:process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { bytesCodec, type Connection, MessageType, Messenger } from "../../mod.ts";
import { defaultNetwork } from "../../src/net/default.ts";
import type { Order, Reply } from "./control.ts";
import { CutNetwork } from "./cut_network.ts";
import { Tally, traffic } from "./traffic.ts";

const Bulk = new MessageType(0x8001, bytesCodec);
const Ping = new MessageType(0x8002, bytesCodec);
const Pong = new MessageType(0x8003, bytesCodec);

const { values: options } = parseArgs({
  options: {
    /** Waits for the other program instead of connecting to it. */
    listen: { type: "boolean", default: false },
    /** How many messages to send, and to expect. */
    messages: { type: "string", default: "10000" },
    /** What is sent follows from it. */
    seed: { type: "string", default: "1" },
    /** Which message to damage after it was added up, to show that it does not go unnoticed. */
    corrupt: { type: "string", default: "0" },
    /** How often to break the connection while messages arrive. */
    cuts: { type: "string", default: "0" },
  },
});
const messages = Number(options.messages), corrupt = Number(options.corrupt), cuts = Number(options.cuts);

const sent = new Tally(), received = new Tally();
const complaints: string[] = [];
let connection: Connection | undefined;
let begun = 0;
let pong = Promise.withResolvers<void>();

const network = new CutNetwork(await defaultNetwork());
const messenger = new Messenger({ network });

messenger.on(Bulk, (data, { tid, connection }) => {
  received.add(data);
  if (tid !== received.count) complaints.push(`message ${tid} arrived as number ${received.count}`);
  // Messages that arrived before a cut are still handled after it.
  const due = network.cuts < cuts && received.count > messages * (network.cuts + 1) / (cuts + 1);
  if (due && connection.isConnected) network.cut();
  sayIfDone();
});
messenger.on(Ping, (data, message) => void message.connection.send(Pong.message(data)));
messenger.on(Pong, () => pong.resolve());

messenger.addDispatcherTail({
  handleAccept: (accepted) => void exchange(accepted),
  handleReset: (_, { dropped, error }) => void complaints.push(`the session ended, ${dropped} dropped: ${error}`),
  handleRemoteReset: (_, { dropped }) => void complaints.push(`the peer lost the session, ${dropped} dropped`),
});

/** Sends all messages, as fast as the other program takes them. */
async function exchange(peer: Connection): Promise<void> {
  if (connection !== undefined) return;
  connection = peer;
  begun = Date.now();
  for (const data of traffic(messages, Number(options.seed))) {
    await connection.ready;
    sent.add(data);
    const tid = sent.count;
    if (!connection.send(Bulk.message(tid === corrupt ? damaged(data) : data, { tid }))) return;
  }
  sayIfDone();
}

function damaged(data: Uint8Array): Uint8Array {
  return data.length === 0 ? Uint8Array.of(1) : data.with(0, data[0]! ^ 1);
}

function sayIfDone(): void {
  if (sent.count === messages && received.count === messages) say({ is: "done", begun, ended: Date.now() });
}

/** The median of many round trips, in µs. Those before the runtime has warmed up are not counted. */
async function ping(peer: Connection): Promise<number> {
  const data = new Uint8Array(64), times: number[] = [];
  for (let i = -200; i < 1000; i++) {
    pong = Promise.withResolvers();
    const start = performance.now();
    peer.send(Ping.message(data));
    await pong.promise;
    if (i >= 0) times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[times.length / 2]! * 1000;
}

async function obey(order: Order): Promise<void> {
  switch (order.do) {
    case "connect":
      return await exchange(messenger.connectTo(order.address));
    case "ping":
      return say({ is: "pinged", roundTrip: await ping(connection!) });
    case "report":
      return say({
        is: "report",
        sent: sent.sum(),
        received: received.sum(),
        complaints,
        cuts: network.cuts,
        state: connection?.state,
        queued: connection?.queued,
        stats: messenger.stats(),
      });
  }
}

/** Nothing of the messenger is left after its shutdown, so the program ends by itself. The timer is for the day when that is not true. */
async function leave(): Promise<void> {
  setTimeout(() => process.exit(1), 5000).unref();
  clearInterval(progress);
  await Promise.all(messenger.connections.map((each) => each.close()));
  await messenger.shutdown();
}

function say(reply: Reply): void {
  console.log(JSON.stringify(reply));
}

const progress = setInterval(() => say({ is: "progress", sent: sent.count, received: received.count }), 100);
createInterface({ input: process.stdin })
  .on("line", (line) => void obey(JSON.parse(line)))
  .on("close", () => void leave());
if (options.listen) say({ is: "listening", address: String(await messenger.bind("127.0.0.1:0")) });
