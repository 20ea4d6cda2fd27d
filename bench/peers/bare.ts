/**
 * The runtime's own sockets, without messages: as many bytes as the messenger puts on the wire, in large writes, or of one message back and
 * forth. Nothing that is built on these sockets can be faster.
 */

import { nextAnswer } from "../bench.ts";
import { Ask, type Client, type Peer, wireBytes } from "../peer.ts";

/** How much is put into one write. */
const WRITE_BYTES = 64 * 1024;

/** A socket of the runtime, as little as the bench needs of it. */
interface Bare {
  write(bytes: Uint8Array): void | Promise<void>;
  onData: (chunk: Uint8Array) => void;
  close(): void;
}

/** Bytes of an opening, with which every run begins. */
const OPENING = 16;

/** Says what is to come: how many bytes, and after how many of them each time as many are wanted back. */
function opening(ask: number, unit: number, total: number): Uint8Array {
  const bytes = new Uint8Array(OPENING), view = new DataView(bytes.buffer);
  bytes[0] = ask;
  view.setUint32(4, unit, true);
  view.setFloat64(8, total, true);
  return bytes;
}

function serveOne(socket: Bare): void {
  let ask = 0, unit = 0, left = 0, got = 0;
  socket.onData = (chunk) => {
    let bytes = chunk;
    if (left === 0) {
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      ask = bytes[0]!;
      unit = view.getUint32(4, true);
      left = view.getFloat64(8, true);
      bytes = bytes.subarray(OPENING);
    }
    left -= bytes.length;
    if (ask === Ask.SINK) {
      if (left === 0) void socket.write(new Uint8Array(8));
      return;
    }
    got += bytes.length;
    for (; got >= unit; got -= unit) void socket.write(new Uint8Array(unit));
  };
}

async function listen(accept: (socket: Bare) => void): Promise<number> {
  const { Bun, Deno } = globalThis as unknown as { Bun?: AnyBun; Deno?: AnyDeno };
  if (Bun !== undefined) {
    return Bun.listen({ hostname: "127.0.0.1", port: 0, socket: bunHandlers(accept) }).port;
  }
  if (Deno !== undefined) {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    (async () => {
      for await (const conn of listener) accept(denoSocket(conn));
    })();
    return listener.addr.port;
  }
  const { createServer } = await import("node:net");
  const server = createServer({ noDelay: true }, (socket) => accept(nodeSocket(socket)));
  return await new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port))
  );
}

async function dial(port: number): Promise<Bare> {
  const { Bun, Deno } = globalThis as unknown as { Bun?: AnyBun; Deno?: AnyDeno };
  if (Bun !== undefined) {
    return await new Promise((resolve) => {
      void Bun.connect({ hostname: "127.0.0.1", port, socket: bunHandlers(resolve) });
    });
  }
  if (Deno !== undefined) return denoSocket(await Deno.connect({ hostname: "127.0.0.1", port }));
  const { connect } = await import("node:net");
  return await new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => resolve(nodeSocket(socket)));
  });
}

export const peer: Peer = {
  serve: () => listen(serveOne),

  async connect(port) {
    const socket = await dial(port);
    const client: Client = {
      send: (bytes) => socket.write(bytes),
      onAnswer: () => {},
      close: () => socket.close(),
    };
    socket.onData = (chunk) => client.onAnswer(chunk);
    return client;
  },
};

/** Moves as many bytes one way as `count` messages of `size` bytes take. */
export async function oneway(client: Client, size: number, count: number): Promise<void> {
  const total = wireBytes(size) * count, chunk = new Uint8Array(WRITE_BYTES);
  const done = nextAnswer(client);
  await client.send(opening(Ask.SINK, 0, total));
  for (let left = total; left > 0; left -= WRITE_BYTES) {
    const wait = client.send(left < WRITE_BYTES ? chunk.subarray(0, left) : chunk);
    if (wait !== undefined) await wait;
  }
  await done;
}

/** Sends one message's bytes back and forth, as often as there is room for the times in µs. */
export async function pingpong(client: Client, size: number, took: Float64Array): Promise<void> {
  const length = wireBytes(size), bytes = new Uint8Array(length);
  await client.send(opening(Ask.ECHO, length, length * took.length));
  let left = 0, resolve = () => {};
  client.onAnswer = (got) => {
    left -= got.length;
    if (left <= 0) resolve();
  };
  for (let i = 0; i < took.length; i++) {
    const start = performance.now();
    left = length;
    const answered = new Promise<void>((r) => resolve = r);
    void client.send(bytes);
    await answered;
    took[i] = (performance.now() - start) * 1000;
  }
}

// ------------------------------------------------------------------ runtimes

interface AnyBunSocket {
  data: { bare: Bare; queue: Uint8Array[]; drained: (() => void)[] };
  write(bytes: Uint8Array): number;
  terminate(): void;
}
interface AnyBun {
  listen(options: unknown): { port: number };
  connect(options: unknown): Promise<unknown>;
}
interface AnyDenoConn {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  setNoDelay(on: boolean): void;
  close(): void;
}
interface AnyDeno {
  listen(options: unknown): AsyncIterable<AnyDenoConn> & { addr: { port: number } };
  connect(options: unknown): Promise<AnyDenoConn>;
}

function bunHandlers(opened: (socket: Bare) => void): unknown {
  const pump = (socket: AnyBunSocket) => {
    const { queue, drained } = socket.data;
    while (queue.length > 0) {
      const written = socket.write(queue[0]!);
      if (written < queue[0]!.length) {
        queue[0] = queue[0]!.subarray(Math.max(0, written));
        return;
      }
      queue.shift();
      drained.shift()!();
    }
  };
  return {
    binaryType: "uint8array",
    open(socket: AnyBunSocket) {
      const queue: Uint8Array[] = [], drained: (() => void)[] = [];
      const bare: Bare = {
        write(bytes) {
          const settled = new Promise<void>((resolve) => drained.push(resolve));
          queue.push(bytes);
          if (queue.length === 1) pump(socket);
          return settled;
        },
        onData: () => {},
        close: () => socket.terminate(),
      };
      socket.data = { bare, queue, drained };
      opened(bare);
    },
    data: (socket: AnyBunSocket, chunk: Uint8Array) => socket.data.bare.onData(chunk),
    drain: pump,
    error: () => {},
  };
}

function denoSocket(conn: AnyDenoConn): Bare {
  conn.setNoDelay(true);
  const bare: Bare = {
    async write(bytes) {
      for (let at = 0; at < bytes.length;) at += await conn.write(at === 0 ? bytes : bytes.subarray(at));
    },
    onData: () => {},
    close: () => conn.close(),
  };
  (async () => {
    const buffer = new Uint8Array(256 * 1024);
    for (;;) {
      const got = await conn.read(buffer).catch(() => null);
      if (got === null) return;
      bare.onData(buffer.subarray(0, got));
    }
  })();
  return bare;
}

function nodeSocket(socket: import("node:net").Socket): Bare {
  const bare: Bare = {
    write: (bytes) => new Promise((resolve) => socket.write(bytes, () => resolve())),
    onData: () => {},
    close: () => void socket.destroy(),
  };
  socket.on("data", (chunk: Uint8Array) => bare.onData(chunk));
  socket.on("error", () => {});
  return bare;
}
