/**
 * The runtime's own sockets, without messages: as many bytes as the messenger puts on the wire, in large writes, or of one message back and
 * forth. Nothing that is built on these sockets can be faster.
 */

import { Ask, type Client, type Peer } from "../peer.ts";

/** What a message costs on the wire beside its contents: tag, header and footer. */
export const FRAME_BYTES = 75;
/** How much is put into one write. */
const WRITE_BYTES = 64 * 1024;

/** A socket of the runtime, as little as the bench needs of it. */
interface Bare {
  write(bytes: Uint8Array): void | Promise<void>;
  onData: (chunk: Uint8Array) => void;
  close(): void;
}

/**
 * The first message says what is to come: its first byte, and in the next four how many bytes. It is 8 bytes long.
 */
function opening(ask: number, length: number): Uint8Array {
  const bytes = new Uint8Array(8);
  bytes[0] = ask;
  new DataView(bytes.buffer).setUint32(4, length, true);
  return bytes;
}

function serveOne(socket: Bare): void {
  let ask = -1, left = 0, echo = 0, got = 0;
  socket.onData = (chunk) => {
    let bytes = chunk;
    if (ask < 0) {
      ask = bytes[0]!;
      echo = left = new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
      bytes = bytes.subarray(8);
    }
    if (ask === Ask.SINK) {
      left -= bytes.length;
      if (left <= 0) {
        void socket.write(new Uint8Array(8));
        ask = -1;
      }
      return;
    }
    got += bytes.length;
    for (; got >= echo; got -= echo) void socket.write(new Uint8Array(echo));
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
    const client: Client & { begin(ask: number, length: number): void | Promise<void> } = {
      begin: (ask, length) => socket.write(opening(ask, length)),
      send: (bytes) => socket.write(bytes),
      onAnswer: () => {},
      close: () => socket.close(),
    };
    socket.onData = (chunk) => client.onAnswer(chunk.length);
    return client;
  },
};

/** Moves as many bytes one way as `count` messages of `size` bytes take. */
export async function oneway(client: Client, size: number, count: number): Promise<void> {
  const total = (size + FRAME_BYTES) * count, chunk = new Uint8Array(WRITE_BYTES);
  const done = new Promise<void>((resolve) => client.onAnswer = () => resolve());
  await (client as Client & { begin(ask: number, length: number): Promise<void> }).begin(Ask.SINK, total);
  for (let left = total; left > 0; left -= WRITE_BYTES) {
    const wait = client.send(left < WRITE_BYTES ? chunk.subarray(0, left) : chunk);
    if (wait !== undefined) await wait;
  }
  await done;
}

/** Sends one message's bytes back and forth. */
export async function pingpong(client: Client, size: number, count: number, took: Float64Array): Promise<void> {
  const length = size + FRAME_BYTES, bytes = new Uint8Array(length);
  await (client as Client & { begin(ask: number, length: number): Promise<void> }).begin(Ask.ECHO, length);
  let left = 0, resolve = () => {};
  client.onAnswer = (got) => {
    left -= got;
    if (left <= 0) resolve();
  };
  for (let i = 0; i < count; i++) {
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
