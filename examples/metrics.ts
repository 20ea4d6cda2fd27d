/**
 * A messenger's counters as OpenTelemetry metrics. Here a meter of a few lines stands in for OpenTelemetry's, so that this runs without it:
 *
 *     deno run --allow-net=127.0.0.1:6820 examples/metrics.ts 127.0.0.1:6820
 *     bun run examples/metrics.ts 127.0.0.1:6820
 *     node examples/metrics.ts 127.0.0.1:6820
 *
 * Where Deno cannot reach JSR, add --import-map=tools/std/import_map.json after deno run; Bun and Node need npm ci once. With OpenTelemetry:
 *
 *     import { metrics } from "@opentelemetry/api";
 *     observe(metrics.getMeter("@msgr/pipe"), messenger);
 */

import process from "node:process";
import { Message, Messenger, type MessengerStats } from "@msgr/pipe";

/** What is used of OpenTelemetry's `Meter`. */
interface Meter {
  createObservableCounter(name: string, options: { unit: string }): Observable;
  createObservableGauge(name: string, options: { unit: string }): Observable;
}
interface Observable {
  addCallback(callback: (result: { observe(value: number): void }) => void): void;
}

/** Those of `messenger.stats()` that go up and down; all others only rise. */
const GAUGES = new Set<keyof MessengerStats>([
  "msgr_active_connections",
  "pending_requests",
  "dispatch_queue_len",
  "dispatch_throttle_bytes",
]);

/** Lets a meter read all of a messenger's counters whenever it exports. */
export function observe(meter: Meter, messenger: Messenger): void {
  for (const name of Object.keys(messenger.stats()) as (keyof MessengerStats)[]) {
    const options = { unit: name.endsWith("_bytes") ? "By" : "1" };
    const observable = GAUGES.has(name)
      ? meter.createObservableGauge(name, options)
      : meter.createObservableCounter(name, options);
    observable.addCallback((result) => result.observe(messenger.stats()[name]));
  }
}

const exports: (() => void)[] = [];
const create = (name: string, { unit }: { unit: string }): Observable => ({
  addCallback: (callback) =>
    void exports.push(() => callback({ observe: (value) => console.log(`${name} ${value} ${unit}`) })),
});

await using server = new Messenger();
server.addDispatcherTail({ dispatch: () => {} });
observe({ createObservableCounter: create, createObservableGauge: create }, server);

const address = await server.bind(process.argv[2] ?? "127.0.0.1:6820");
await using client = new Messenger();
const connection = client.connectTo(address);
for (let tid = 1; tid <= 3; tid++) connection.send(new Message(0x8001, { data: new Uint8Array(1000) }));
await connection.flush();
for (const write of exports) write();
