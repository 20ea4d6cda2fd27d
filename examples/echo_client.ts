/**
 * Sends three messages to the echo server and prints what comes back. Run it in the checkout while the server runs:
 *
 *     deno run --allow-net examples/echo_client.ts 127.0.0.1:6800
 *     bun run examples/echo_client.ts              (after npm ci)
 *     node examples/echo_client.ts                 (after npm ci; Node 24 or later)
 *
 * Where Deno cannot reach JSR, add --import-map=tools/std/import_map.json after --allow-net.
 */

import process from "node:process";
import { MessageType, Messenger, textCodec } from "@msgr/pipe";

const Text = new MessageType(0x8001, textCodec);
const texts = ["one", "two", "three"];

await using client = new Messenger();
const { promise: allBack, resolve } = Promise.withResolvers<void>();
client.on(Text, (text) => {
  console.log(`Back came: ${text}`);
  if (text === texts.at(-1)) resolve();
});
client.addDispatcherTail({
  handleRefused: (connection) => console.log(`Nobody listens at ${connection.peerAddress.endpoint} yet`),
});

const connection = client.connectTo(process.argv[2] ?? "127.0.0.1:6800");
for (const text of texts) connection.send(Text.message(text));
await allBack;
await connection.close();
