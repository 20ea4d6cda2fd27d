/** NATS: a broker, nats-server, between the two processes. What it uses counts as the server's. */

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";
import type { Client, Peer } from "../peer.ts";
import { installed } from "./install.ts";

const SUBJECT = "bench";
/** Bytes that may be on their way to the broker before the sender waits for it. */
const MOST_WAITING = 1024 * 1024;
/** Where Linux counts processor time, in hundredths of a second, and resident memory, in pages. */
const USER = 11, SYSTEM = 12, TICK = 10_000, RESIDENT = 21, PAGE = 4096;

interface Message {
  readonly data: Uint8Array;
  readonly reply?: string;
}
interface Connection {
  publish(subject: string, data: Uint8Array, options?: { readonly reply: string }): void;
  subscribe(subject: string, options: { callback(error: Error | null, message: Message): void }): void;
  flush(): Promise<void>;
  close(): Promise<void>;
}
interface Nats {
  connect(options: unknown): Promise<Connection>;
  createInbox(): string;
}

let broker: number | undefined;

async function connect(port: number): Promise<Connection> {
  return await installed<Nats>("@nats-io/transport-node").connect({ servers: `127.0.0.1:${port}`, reconnect: false });
}

export const peer: Peer = {
  async serve(service) {
    const port = await startBroker();
    const connection = await connect(port);
    connection.subscribe(SUBJECT, {
      callback(_, message) {
        const answer = service.take(message.data);
        if (answer !== undefined) connection.publish(message.reply!, answer);
      },
    });
    await connection.flush();
    return port;
  },

  async connect(port) {
    const connection = await connect(port);
    const inbox = { reply: installed<Nats>("@nats-io/transport-node").createInbox() };
    let waiting = 0;
    const client: Client = {
      send(message) {
        connection.publish(SUBJECT, message, inbox);
        if ((waiting += message.length) < MOST_WAITING) return;
        waiting = 0;
        return connection.flush();
      },
      onAnswer: () => {},
      close: () => connection.close(),
    };
    connection.subscribe(inbox.reply, { callback: (_, message) => client.onAnswer(message.data) });
    return client;
  },

  helpers() {
    if (broker === undefined || process.platform !== "linux") return { cpu: 0, rss: 0 };
    // The program's name, the second field, may hold spaces.
    const fields = readFileSync(`/proc/${broker}/stat`, "utf8").split(") ")[1]!.split(" ").map(Number);
    return { cpu: (fields[USER]! + fields[SYSTEM]!) * TICK, rss: fields[RESIDENT]! * PAGE };
  },
};

/** Starts nats-server, of the system's package, on a free port; it ends with this process. */
async function startBroker(): Promise<number> {
  const port = await freePort();
  const child = spawn("nats-server", ["-a", "127.0.0.1", "-p", String(port)], { stdio: ["ignore", "ignore", "pipe"] });
  broker = child.pid;
  process.on("exit", () => child.kill("SIGKILL"));
  const log = createInterface({ input: child.stderr! });
  return await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`nats-server ended with ${code}`)));
    log.on("line", (line) => {
      if (line.includes("Server is ready")) resolve(port);
    });
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
