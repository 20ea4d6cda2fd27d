/**
 * A room in which everybody hears everybody, in one order. A line said while the connection is broken is heard when it is back. Start the room,
 * then join it from other terminals and type (words behind the name are said at once):
 *
 *     deno run --allow-net=127.0.0.1:6812 examples/chat.ts room 127.0.0.1:6812
 *     deno run --allow-net=127.0.0.1:6812 examples/chat.ts join 127.0.0.1:6812 Ada
 *
 *     bun run examples/chat.ts room 127.0.0.1:6812
 *     bun run examples/chat.ts join 127.0.0.1:6812 Ada
 *
 *     node examples/chat.ts room 127.0.0.1:6812
 *     node examples/chat.ts join 127.0.0.1:6812 Ada
 *
 * Where Deno cannot reach JSR, add --import-map=tools/std/import_map.json after deno run; Bun and Node need npm ci once.
 */

import process from "node:process";
import { createInterface } from "node:readline";
import { jsonCodec, MessageType, Messenger, textCodec } from "@msgr/pipe";

const Join = new MessageType(0x8001, textCodec);
const Say = new MessageType(0x8002, textCodec);
const Said = new MessageType(0x8003, jsonCodec<{ who: string; text: string }>());

const [role, address = "127.0.0.1:6812", name = "somebody", ...greeting] = process.argv.slice(2);
if (role === "room") await room();
else if (role === "join") await join();
else throw new Error("Say what to do: room or join");

async function room(): Promise<void> {
  const messenger = new Messenger({ absenceTimeout: 60_000 });
  const tell = (who: unknown, text: string): void => {
    console.log(`${who}: ${text}`);
    for (const connection of messenger.connections) connection.send(Said.message({ who: String(who), text }));
  };
  messenger.on(Join, (who, { connection }) => {
    connection.context = who;
    tell(who, "is here");
  });
  messenger.on(Say, (text, { connection }) => tell(connection.context, text));
  messenger.addDispatcherTail({ handleReset: (connection) => tell(connection.context, "has left") });
  console.log(`Listening at ${(await messenger.bind(address)).endpoint}`);
  process.once("SIGINT", () => void messenger.shutdown());
}

async function join(): Promise<void> {
  await using messenger = new Messenger();
  messenger.on(Said, ({ who, text }) => console.log(`${who}: ${text}`));
  // A room that has restarted does not know who is in it.
  messenger.addDispatcherTail({ handleRemoteReset: (connection) => void connection.send(Join.message(name)) });
  const connection = messenger.connectTo(address);
  connection.send(Join.message(name));
  if (greeting.length > 0) connection.send(Say.message(greeting.join(" ")));
  for await (const line of createInterface({ input: process.stdin })) connection.send(Say.message(line));
  await connection.close();
}
