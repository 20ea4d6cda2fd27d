/**
 * What a dispatcher that never settles costs on real TCP: two servers, one of them with a client at which it is stuck and which goes on sending 8 MiB a
 * second, while each exchanges messages with others.
 *
 * `stall.ts ROUNDS` prints a line of JSON. It wants a runtime that lets it collect garbage: `node --expose-gc`,
 * `deno run --v8-flags=--expose-gc`, or Bun.
 *
 * @module
 */

import process from "node:process";
import { Message, Messenger, type MessengerOptions, statefulServer, systemEnvironment, Throttle } from "../../mod.ts";

const MIB = 1024 * 1024;
/** What the stuck dispatcher may hold, and what its sender may queue. */
const LIMIT = MIB;
const DATA = new Uint8Array(64 * 1024), BYTES_PER_MS = 8 * MIB / 1000;
/** For how long `ready` has to be pending before the measurement begins, in ms: then the system's socket buffers are full too. */
const FULL = 1000;
/** Who exchanges messages with each server, how many in a round, and of what size: a short round may pass undisturbed on a busy machine. */
const CLIENTS = 3, MESSAGES = 300, PAYLOAD = new Uint8Array(1000);
/** Rounds that are not measured. */
const WARM_UP = 20;
const NEVER = 666;

/** What a stalled dispatcher did. */
export interface StallReport {
  /** Bytes that the sender would have sent. */
  readonly offered: number;
  /** Bytes that `send()` took. */
  readonly accepted: number;
  /** Whether `ready` was pending when it ended. */
  readonly isPending: boolean;
  /** Bytes that the stuck server had read and not handled. */
  readonly held: number;
  /** Bytes of memory in use when the sender had been stopped, and after all rounds. */
  readonly memory: readonly [before: number, after: number];
  /** The shortest round of each server, in ms. */
  readonly fastest: { readonly calm: number; readonly stalled: number };
  /** Times that any session was opened again. */
  readonly reconnects: number;
}

async function stall(rounds: number): Promise<StallReport> {
  const calm = await Exchange.open(), stalled = await Exchange.open();
  // Before anything is measured code is compiled, and buffers are made.
  for (let round = 0; round < WARM_UP; round++) for (const exchange of [calm, stalled]) await exchange.round();

  const sender = new Messenger({ name: "mds.0", sendHighWaterMark: LIMIT });
  sender.addDispatcherTail({});
  const connection = sender.connectTo(stalled.server.address, { type: "osd" });
  const start = performance.now();
  let accepted = 0, readySince = start, isPending = false, isOver = false;
  const offered = (): number => (performance.now() - start) * BYTES_PER_MS;
  const sending = (async () => {
    while (!isOver) {
      isPending = true;
      await connection.ready;
      isPending = false;
      readySince = performance.now();
      if (offered() < accepted) await sleep(5);
      else if (connection.send(new Message(NEVER, { data: DATA }))) accepted += DATA.length;
    }
  })();
  while (!isPending || performance.now() - readySince < FULL) await sleep(10);

  const before = memoryInUse();
  const fastest = { calm: Infinity, stalled: Infinity };
  // In turn, so that whatever else this machine does befalls both.
  for (let round = 0; round < rounds; round++) {
    fastest.calm = Math.min(fastest.calm, await calm.round());
    fastest.stalled = Math.min(fastest.stalled, await stalled.round());
  }
  const report = {
    offered: Math.round(offered()),
    accepted,
    isPending,
    held: stalled.server.stats().dispatch_throttle_bytes,
    memory: [before, memoryInUse()] as const,
    fastest,
    reconnects: stalled.server.stats().reconnects + calm.server.stats().reconnects,
  };
  isOver = true;
  await sender.shutdown();
  await sending;
  for (const exchange of [calm, stalled]) await exchange.close();
  return report;
}

/** A server and the clients that it answers. */
class Exchange {
  readonly server: Messenger;
  readonly #clients: { readonly messenger: Messenger; received: number; done: () => void }[] = [];

  private constructor() {
    this.server = this.#messenger({ name: "osd.0" });
    this.server.setPolicy(statefulServer({ throttlerBytes: new Throttle(LIMIT) }), "mds");
    this.server.addDispatcherTail({
      dispatch: (message) => {
        if (message.type === NEVER) return new Promise<void>(() => {});
        message.connection.send(new Message(2, { tid: message.tid, data: message.data }));
      },
    });
  }

  static async open(): Promise<Exchange> {
    const exchange = new Exchange();
    await exchange.server.bind("127.0.0.1:0");
    for (let i = 0; i < CLIENTS; i++) {
      const client = { messenger: exchange.#messenger({}), received: 0, done: () => {} };
      client.messenger.addDispatcherTail({
        dispatch: () => {
          if (++client.received === MESSAGES) client.done();
        },
      });
      exchange.#clients.push(client);
    }
    return exchange;
  }

  /** Every client sends as fast as it can, and gets everything back. @returns How long that took, in ms. */
  async round(): Promise<number> {
    const start = performance.now();
    await Promise.all(this.#clients.map(async (client) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      client.received = 0;
      client.done = resolve;
      const connection = client.messenger.connectTo(this.server.address, { type: "osd" });
      for (let tid = 1; tid <= MESSAGES; tid++) {
        await connection.ready;
        connection.send(new Message(1, { tid, data: PAYLOAD }));
      }
      await promise;
    }));
    return performance.now() - start;
  }

  async close(): Promise<void> {
    for (const { messenger } of this.#clients) await messenger.shutdown();
    await this.server.shutdown();
  }

  #messenger(options: MessengerOptions): Messenger {
    return new Messenger({ sendHighWaterMark: 256 * 1024, ...options });
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => systemEnvironment.setTimer(resolve, ms));
}

function memoryInUse(): number {
  const { gc, Bun } = globalThis as { gc?: (how: unknown) => void; Bun?: { gc(force: boolean): void } };
  for (let i = 0; i < 3; i++) {
    gc?.({ type: "major", execution: "sync", flavor: "last-resort" });
    Bun?.gc(true);
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

if (import.meta.main) {
  const [rounds = 100] = process.argv.slice(2).map(Number);
  console.log(JSON.stringify(await stall(rounds)));
}
