/**
 * What a message costs both sides together, without a socket: two messengers in one process on a network in memory. The least of many
 * rounds is printed, in ns per message.
 *
 * `deno run -A --import-map=tools/std/import_map.json bench/micro/messages.ts [size …]`, or with bun or node.
 *
 * @module
 */

import process from "node:process";
import { Message, Messenger } from "../../mod.ts";
import { MemoryNetwork } from "../../src/net/memory.ts";

const BATCH = 20_000, ROUNDS = 60;
const sizes = process.argv.slice(2).map(Number);

for (const size of sizes.length > 0 ? sizes : [64, 1024]) {
  const network = new MemoryNetwork({ capacity: 1 << 20 });
  const server = new Messenger({ network }), client = new Messenger({ network, sendHighWaterMark: 1 << 22 });
  let left = 0, done = () => {};
  server.addDispatcherTail({
    dispatch(message) {
      if (message.data.length === size && --left === 0) done();
    },
  });
  const connection = client.connectTo(await server.bind("127.0.0.1:0"));
  const data = new Uint8Array(size).map((_, i) => i);
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const finished = new Promise<void>((resolve) => done = resolve);
    left = BATCH;
    const start = performance.now();
    for (let i = 0; i < BATCH; i++) {
      if (i % 256 === 0) await connection.ready;
      connection.send(new Message(0x8001, { data }));
    }
    await finished;
    best = Math.min(best, (performance.now() - start) / BATCH * 1e6);
  }
  console.log(`${size} B: ${best.toFixed(0)} ns per message, both sides`);
  await client.shutdown();
  await server.shutdown();
}
