/**
 * Sends every message back. Run it in the checkout, with an address or without, and then the client; Ctrl-C ends it:
 *
 *     deno run --allow-net examples/echo_server.ts 127.0.0.1:6800
 *     bun run examples/echo_server.ts              (after npm ci)
 *     node examples/echo_server.ts                 (after npm ci; Node 24 or later)
 *
 * Where Deno cannot reach JSR, add --import-map=tools/std/import_map.json after --allow-net.
 */

import process from "node:process";
import { MessageType, Messenger, textCodec } from "@msgr/pipe";

const Text = new MessageType(0x8001, textCodec);

const server = new Messenger();
server.on(Text, (text, message) => {
  console.log(`${message.connection.peerAddress} says: ${text}`);
  message.connection.send(Text.message(text));
});
server.addDispatcherTail({
  handleReset: (connection) => console.log(`${connection.peerAddress} is gone`),
});

const address = await server.bind(process.argv[2] ?? "127.0.0.1:6800");
console.log(`Listening at ${address.endpoint}`);

// Nothing is left after that, so the program ends.
process.once("SIGINT", () => void server.shutdown());
