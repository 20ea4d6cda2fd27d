/**
 * Whether anything stays behind: many messages through one lossless session that is cut again and again.
 *
 * `soak.ts MESSAGES CUTS` prints a line of JSON. It wants a runtime that lets it collect garbage: `node --expose-gc`,
 * `deno run --v8-flags=--expose-gc`, or Bun.
 *
 * @module
 */

import process from "node:process";
import { losslessPeer, Message, Messenger, Throttle } from "../../mod.ts";
import { SimulatedNetwork, VirtualEnvironment } from "../../src/testing.ts";

/** What was left of a soak. */
export interface SoakReport {
  /** Messages that arrived, each once and in order. */
  readonly delivered: number;
  /** Times that the session was opened again. */
  readonly reconnects: number;
  /** Bytes of heap in use after a tenth of the messages, and after all of them. */
  readonly heap: readonly [before: number, after: number];
  /** Messages still queued or unacknowledged, and items in throttles and dispatch queues, before the shutdown. */
  readonly queued: number;
  /** Timers, sockets, listeners and Pipes after the shutdown. */
  readonly left: number;
}

if (import.meta.main) {
  const [messages = 1_000_000, cuts = 1000] = process.argv.slice(2).map(Number);
  console.log(JSON.stringify(await soak(messages, cuts)));
}

/** Sends so many messages in both directions together, and cuts the connection so often. */
async function soak(messages: number, cuts: number): Promise<SoakReport> {
  const environment = new VirtualEnvironment({ seed: 1 }), network = new SimulatedNetwork(environment, { seed: 1 });
  const throttles: Throttle[] = [];
  let delivered = 0, sent = 0;
  /** What each messenger has sent, and what it is to be given next. */
  const tids: [number, number] = [0, 0], expected: [number, number] = [1, 1];
  const messengers = (["10.0.0.1", "10.0.0.2"] as const).map((host, i) => {
    const messenger = new Messenger({ network: network.host(host), environment, nonce: i + 1 });
    const throttlerBytes = new Throttle(4096), throttlerMessages = new Throttle(50);
    throttles.push(throttlerBytes, throttlerMessages);
    messenger.setPolicy(losslessPeer({ throttlerBytes, throttlerMessages }));
    messenger.addDispatcherTail({
      dispatch: ({ tid }) => {
        if (tid !== expected[i]) throw new Error(`${host} was given ${tid}, not ${expected[i]}`);
        expected[i]++;
        delivered++;
        // Some are handled late, so that the throttles bite.
        if (tid % 50 === 0) return environment.sleep(0.5);
      },
    });
    return messenger;
  });
  const [a, b] = messengers as [Messenger, Messenger];
  const bound = [a.bind("10.0.0.1:6800"), b.bind("10.0.0.2:6800")];
  await environment.run();
  await Promise.all(bound);
  const there = a.connectTo(b.address), data = new Uint8Array(64);
  let before = 0;
  for (let cut = 0; cut < cuts; cut++) {
    if (cut === Math.floor(cuts / 10)) before = heapUsed();
    const back = b.findConnection(a.address);
    const upTo = Math.floor(messages * (cut + 1) / cuts);
    for (; sent < upTo; sent++) {
      const connection = back === undefined || sent % 2 === 0 ? there : back;
      connection.send(new Message(1, { tid: ++tids[connection === there ? 0 : 1], data }));
    }
    environment.setTimer(() => network.cut("10.0.0.1", "10.0.0.2"), environment.random() * 5);
    await environment.run({ ms: 6 });
    await environment.run({ until: () => delivered === sent && there.queued === 0 && (back?.queued ?? 0) === 0 });
  }
  await environment.run({ ms: 100 });
  const after = heapUsed();
  const inUse = [...throttles.map(({ current, waiting }) => current + waiting), there.queued];
  for (const messenger of messengers) inUse.push(messenger.stats().dispatch_queue_len);
  const reconnects = a.stats().reconnects + b.stats().reconnects;
  const ended = messengers.map((messenger) => messenger.shutdown());
  await environment.run();
  await Promise.all(ended);
  const left = [environment.timers, network.openSockets, network.openListeners];
  for (const messenger of messengers) left.push(messenger.stats().msgr_active_connections);
  return { delivered, reconnects, heap: [before, after], queued: sum(inUse), left: sum(left) };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function heapUsed(): number {
  const { gc, Bun } = globalThis as { gc?: () => void; Bun?: { gc(force: boolean): void } };
  for (let i = 0; i < 3; i++) {
    gc?.();
    Bun?.gc(true);
  }
  return process.memoryUsage().heapUsed;
}
