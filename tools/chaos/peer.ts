/**
 * One of the two programs of the chaos run. Whatever arrives is added up in the middle of reading (`fastDispatch`), so nothing is acknowledged that
 * has not been added up.
 *
 * @module
 */

import process from "node:process";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { bytesCodec, type Connection, MessageType, Messenger } from "../../mod.ts";
import { defaultNetwork } from "../../src/net/default.ts";
import type { Order, Reply } from "../demo/control.ts";
import { Tally, traffic } from "../demo/traffic.ts";
import { AdvertisedNetwork } from "./advertised_network.ts";

const Bulk = new MessageType(0x8001, bytesCodec);

const { values: options } = parseArgs({
  options: {
    /** The port of the proxy before this program, which is what the other one dials. */
    advertise: { type: "string" },
    /** How many messages to send, and to expect. */
    messages: { type: "string", default: "0" },
    expect: { type: "string", default: "0" },
    seed: { type: "string", default: "1" },
    /** The longest message, in bytes. */
    longest: { type: "string", default: "4096" },
    /** How much to queue before waiting, in bytes. */
    window: { type: "string", default: String(4 * 1024 * 1024) },
    /** Tells of every message before it is acknowledged. */
    journal: { type: "boolean", default: false },
  },
});
const messages = Number(options.messages), expected = Number(options.expect);

const sent = new Tally(), received = new Tally();
const complaints: string[] = [];
let connection: Connection | undefined;
let first: number | undefined, told: number | undefined;
let begun = 0;

const network = new AdvertisedNetwork(await defaultNetwork());
const messenger = new Messenger({ network, sendHighWaterMark: Number(options.window) });

messenger.addDispatcherTail({
  canFastDispatch: () => true,
  fastDispatch: ({ data, tid }) => {
    first ??= tid;
    if (tid !== first + received.count) complaints.push(`message ${tid} arrived instead of ${first + received.count}`);
    received.add(data);
    if (options.journal) sayProgress();
    sayIfDone();
  },
  handleAccept: (accepted) => void exchange(accepted),
  handleReset: (_, { dropped, error }) => void complaints.push(`the session ended, ${dropped} dropped: ${error}`),
  handleRemoteReset: (_, { dropped }) => void (told = (told ?? 0) + dropped),
});

/** Sends all messages, as fast as the other program takes them. */
async function exchange(peer: Connection): Promise<void> {
  if (connection !== undefined) return;
  connection = peer;
  begun = Date.now();
  for (const data of traffic(messages, Number(options.seed), Number(options.longest))) {
    await peer.ready;
    sent.add(data);
    if (!peer.send(Bulk.message(data, { tid: sent.count }))) return;
  }
  sayIfDone();
}

function sayIfDone(): void {
  if (sent.count === messages && received.count === expected) say({ is: "done", begun, ended: Date.now() });
}

function obey(order: Order): void {
  switch (order.do) {
    case "connect":
      return void exchange(messenger.connectTo(order.address));
    case "report":
      return say({
        is: "report",
        sent: sent.sum(),
        received: received.sum(),
        complaints,
        cuts: 0,
        first,
        told,
        state: connection?.state,
        queued: connection?.queued,
        stats: messenger.stats(),
      });
  }
}

async function leave(): Promise<void> {
  setTimeout(() => process.exit(1), 10_000).unref();
  clearInterval(progress);
  await Promise.all(messenger.connections.map((each) => each.close()));
  await messenger.shutdown();
}

function sayProgress(): void {
  say({ is: "progress", sent: sent.count, received: received.count });
}

function say(reply: Reply): void {
  console.log(JSON.stringify(reply));
}

const progress = setInterval(sayProgress, 100);
createInterface({ input: process.stdin })
  .on("line", (line) => obey(JSON.parse(line)))
  .on("close", () => void leave());
if (options.advertise !== undefined) {
  await messenger.bind(`127.0.0.1:${options.advertise}`);
  say({ is: "listening", address: String(network.port) });
}
