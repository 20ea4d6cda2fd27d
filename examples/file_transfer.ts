/**
 * Sends files. A broken connection is no matter, and where either program was ended in the middle, the next attempt goes on from what is there.
 * Start the receiver in one terminal with a folder to write to, and send from another:
 *
 *     deno run --allow-net=127.0.0.1:6813 --allow-read=/tmp/inbox --allow-write=/tmp/inbox examples/file_transfer.ts receive 127.0.0.1:6813 /tmp/inbox
 *     deno run --allow-net=127.0.0.1:6813 --allow-read=README.md examples/file_transfer.ts send 127.0.0.1:6813 README.md
 *
 *     bun run examples/file_transfer.ts receive 127.0.0.1:6813 /tmp/inbox
 *     bun run examples/file_transfer.ts send 127.0.0.1:6813 README.md
 *
 *     node examples/file_transfer.ts receive 127.0.0.1:6813 /tmp/inbox
 *     node examples/file_transfer.ts send 127.0.0.1:6813 README.md
 *
 * Where Deno cannot reach JSR, add --import-map=tools/std/import_map.json after deno run; Bun and Node need npm ci once.
 */

import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, rename, stat } from "node:fs/promises";
import { basename } from "node:path";
import process from "node:process";
import {
  bytesCodec,
  type Connection,
  jsonCodec,
  type Message,
  MessageType,
  Messenger,
  MessengerError,
  RequestError,
  RequestType,
} from "@msgr/pipe";

/** A file that was changed since is another file, and begins anew. */
interface Offer {
  readonly name: string;
  readonly size: number;
  readonly modified: number;
}

const Begin = new RequestType(
  new MessageType(0x8001, jsonCodec<Offer>()),
  new MessageType(0x8002, jsonCodec<number>()),
);
const Part = new MessageType(0x8003, bytesCodec);
const Finish = new RequestType(
  new MessageType(0x8004, jsonCodec<null>()),
  new MessageType(0x8005, jsonCodec<null>()),
);

const [role, address = "127.0.0.1:6813", path = ""] = process.argv.slice(2);
if (role === "receive") await receive(path);
else if (role === "send") await send(path);
else throw new Error("Say what to do: receive or send");

/** What a connection is in the middle of. */
interface Transfer extends Offer {
  readonly file: FileHandle;
  readonly partPath: string;
  have: number;
}

async function receive(folder: string): Promise<void> {
  const messenger = new Messenger({ absenceTimeout: 60_000 });
  const writers = new Map<string, Connection>();
  const stop = async (connection: Connection): Promise<void> => {
    const transfer = connection.context as Transfer | undefined;
    connection.context = undefined;
    if (transfer !== undefined) writers.delete(transfer.partPath);
    await transfer?.file.close();
  };

  messenger.onRequest(Begin, async (offer, { connection }) => {
    const { name, size, modified } = offer;
    // Peers choose a file's name, and not its folder.
    if (name !== basename(name) || name === "" || name === "." || name === "..") {
      throw new RequestError("bad_name", `Not the name of a file: ${name}`);
    }
    await stop(connection);
    const partPath = `${folder}/${name}.${Number(size)}-${Number(modified)}.part`;
    // Whoever comes last sends it: the one before may be dead.
    const earlier = writers.get(partPath);
    if (earlier !== undefined) await stop(earlier);
    writers.set(partPath, connection);
    const file = await open(partPath, "a");
    const { size: have } = await file.stat();
    connection.context = { ...offer, file, partPath, have } satisfies Transfer;
    console.log(`${name}: ${have} of ${size} bytes are here`);
    return have;
  }, { concurrency: 1 });

  // The next part waits for this one to be written, and the sender for it if that takes long.
  messenger.on(Part, async (bytes, { connection }) => {
    const transfer = connection.context as Transfer | undefined;
    if (transfer === undefined || transfer.have + bytes.byteLength > transfer.size) return connection.markDown();
    await transfer.file.appendFile(bytes);
    transfer.have += bytes.byteLength;
  });

  messenger.onRequest(Finish, async (_, { connection }) => {
    const transfer = connection.context as Transfer | undefined;
    if (transfer?.have !== transfer?.size || transfer === undefined) {
      throw new RequestError("incomplete", "Parts are missing");
    }
    await stop(connection);
    await rename(transfer.partPath, `${folder}/${transfer.name}`);
    console.log(`${transfer.name}: complete`);
    return null;
  });

  messenger.addDispatcherTail({ handleReset: stop, handleRemoteReset: stop });
  await mkdir(folder, { recursive: true });
  console.log(`Listening at ${(await messenger.bind(address)).endpoint}`);
  process.once("SIGINT", () => void messenger.shutdown());
}

async function send(path: string): Promise<void> {
  await using messenger = new Messenger();
  const connection = messenger.connectTo(address);
  const { size, mtimeMs } = await stat(path);
  const offer: Offer = { name: basename(path), size, modified: Math.trunc(mtimeMs) };
  while (!await attempt(connection, path, offer)) console.log("The receiver has restarted");
  await connection.close();
}

/** Returns whether the receiver has it all; it has not if it restarted meanwhile. */
async function attempt(connection: Connection, path: string, offer: Offer): Promise<boolean> {
  try {
    const have = await connection.request(Begin.message(offer));
    console.log(`Sending ${offer.size - have} of ${offer.size} bytes`);
    // Unlike send(), this stream ends with the session, so that nothing of an attempt gets into the next one.
    if (have < offer.size) await write(parts(path, have, offer.size), connection);
    await connection.request(Finish.message(null), { timeout: 600_000 });
    console.log("Done");
    return true;
  } catch (error) {
    if (error instanceof MessengerError && error.code === "session_reset") return false;
    throw error;
  }
}

async function write(messages: AsyncIterable<Message>, connection: Connection): Promise<void> {
  const writer = connection.writable.getWriter();
  for await (const message of messages) {
    await writer.ready;
    await writer.write(message);
  }
  await writer.close();
}

async function* parts(path: string, start: number, size: number): AsyncGenerator<Message> {
  const file = createReadStream(path, { start, end: size - 1, highWaterMark: 256 * 1024 });
  for await (const bytes of file) yield Part.message(bytes as Uint8Array);
}
