/**
 * A worker behind the HTTP server of fan_out_server.ts, which shows how to start both. It runs on all three:
 *
 *     deno run --allow-net=127.0.0.1:6817 examples/fan_out_worker.ts 127.0.0.1:6817
 *     bun run examples/fan_out_worker.ts 127.0.0.1:6817
 *     node examples/fan_out_worker.ts 127.0.0.1:6817
 *
 * Where Deno cannot reach JSR, add --import-map=tools/std/import_map.json after deno run; Bun and Node need npm ci once.
 */

import process from "node:process";
import { Messenger } from "@msgr/pipe";
import { Count } from "./fan_out_messages.ts";

const messenger = new Messenger();
messenger.onRequest(Count, (text) => ({ words: text.split(/\s+/).filter((word) => word !== "").length }));
console.log(`Listening at ${(await messenger.bind(process.argv[2] ?? "127.0.0.1:6817")).endpoint}`);
process.once("SIGINT", () => void messenger.shutdown());
