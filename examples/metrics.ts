/**
 * A messenger's counters as OpenTelemetry metrics. They are printed here; exporters that send them to a collector take the same place.
 *
 *     deno run --allow-net=127.0.0.1:6820 examples/metrics.ts 127.0.0.1:6820
 *     bun run examples/metrics.ts 127.0.0.1:6820
 *     node examples/metrics.ts 127.0.0.1:6820
 *
 * Where Deno cannot reach JSR, add --import-map=tools/std/import_map.json after deno run; Bun and Node need npm ci once.
 */

import { type Meter, metrics } from "@opentelemetry/api";
import { MeterProvider, PeriodicExportingMetricReader, type PushMetricExporter } from "@opentelemetry/sdk-metrics";
import process from "node:process";
import { Message, Messenger, type MessengerStats } from "@msgr/pipe";

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
    observable.addCallback((result) =>
      result.observe(messenger.stats()[name], { messenger: messenger.name.toString() })
    );
  }
}

/** Counts what happens to connections, by its type and, where something broke, by the error's code. */
export async function countStatuses(meter: Meter, messenger: Messenger): Promise<void> {
  const counter = meter.createCounter("msgr_status_events", { unit: "1" });
  for await (const { type, error } of messenger.status()) counter.add(1, { type, ...(error && { code: error.code }) });
}

const printer: PushMetricExporter = {
  export({ scopeMetrics }, done): void {
    for (const { descriptor: { name, unit }, dataPoints } of scopeMetrics.flatMap(({ metrics }) => metrics)) {
      for (const { value, attributes } of dataPoints) console.log(name, value, unit, JSON.stringify(attributes));
    }
    done({ code: 0 });
  },
  forceFlush: () => Promise.resolve(),
  shutdown: () => Promise.resolve(),
};

const provider = new MeterProvider({ readers: [new PeriodicExportingMetricReader({ exporter: printer })] });
metrics.setGlobalMeterProvider(provider);

const server = new Messenger({ name: "osd.7" });
server.addDispatcherTail({ dispatch: () => {} });
observe(metrics.getMeter("@msgr/pipe"), server);
const counted = countStatuses(metrics.getMeter("@msgr/pipe"), server);

const address = await server.bind(process.argv[2] ?? "127.0.0.1:6820");
const client = new Messenger();
const connection = client.connectTo(address, { type: "osd" });
for (let tid = 1; tid <= 3; tid++) connection.send(new Message(0x8001, { data: new Uint8Array(1000) }));
await connection.flush();
await client.shutdown();
await server.shutdown();
await counted;
// Exports once more.
await provider.shutdown();
