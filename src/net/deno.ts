/**
 * The network on Deno's own sockets. Needs `--allow-net`; for Unix-domain paths also `--allow-read` and `--allow-write` of the path.
 *
 * @module
 */

import type { NetworkError } from "../errors.ts";
import { abortable } from "./abortable.ts";
import { AcceptQueue } from "./accept_queue.ts";
import { checkAddress, describe } from "./address.ts";
import type { ConnectOptions, Listener, ListenOptions, Network, Socket, SocketAddress, TlsOptions } from "./network.ts";
import { connectError, listenError, networkError, tlsNotSupported } from "./runtime_error.ts";
import { Slab } from "./slab.ts";
import { listenOverStalePath } from "./stale_path.ts";
import { type Driver, StreamSocket } from "./stream_socket.ts";
import { checkServerTls, expectedName } from "./tls.ts";

interface DenoAddress {
  readonly transport: string;
  readonly hostname?: string;
  readonly port?: number;
  readonly path?: string | null;
}

interface DenoConn {
  readonly localAddr: DenoAddress;
  readonly remoteAddr: DenoAddress;
  read(into: Uint8Array): Promise<number | null>;
  write(from: Uint8Array): Promise<number>;
  closeWrite(): Promise<void>;
  close(): void;
  setNoDelay?(on: boolean): void;
  /** With TLS only. */
  handshake?(): Promise<unknown>;
}

type DenoTlsConn = Required<Pick<DenoConn, "handshake">> & DenoConn;

interface DenoTlsOptions {
  readonly hostname: string;
  readonly caCerts: string[];
}

interface DenoListener {
  readonly addr: DenoAddress;
  accept(): Promise<DenoConn>;
  close(): void;
}

declare const Deno: {
  connect(options: SocketAddress & { readonly signal?: AbortSignal }): Promise<DenoConn>;
  listen(options: SocketAddress & { readonly tcpBacklog?: number }): DenoListener;
  startTls(conn: DenoConn, options: DenoTlsOptions): Promise<DenoTlsConn>;
  connectTls(
    options: DenoTlsOptions & { port: number; cert: string; key: string; [SERVER_NAME]: string },
  ): Promise<DenoTlsConn>;
  listenTls(
    options: { hostname: string; port: number; tcpBacklog: number; cert: string; key: string },
  ): DenoListener;
  lstat(path: string): Promise<{ readonly isSocket: boolean | null }>;
  remove(path: string): Promise<void>;
};

/** Deno's way to name a server otherwise than by where it is; a Deno that does not know it would expect the address in the certificate. */
const SERVER_NAME = Symbol.for("unstableServerName");
/** A new connection reads into so many bytes, which is what it costs while it is idle. */
const SMALLEST_SLAB = 1024;

/**
 * The network on Deno's own sockets.
 *
 * @example
 * ```ts ignore
 * import { denoNetwork } from "@msgr/pipe/deno";
 *
 * const listener = await denoNetwork().listen({ transport: "tcp", hostname: "127.0.0.1", port: 0 });
 * ```
 */
export function denoNetwork(): Network {
  return network;
}

const network: Network = { name: "deno", flush: "microtask", connect, listen };

async function connect(address: SocketAddress, options: ConnectOptions = {}): Promise<Socket> {
  const { signal, noDelay = true, tls } = options;
  signal?.throwIfAborted();
  checkAddress(address, "connect to", 1);
  if (tls !== undefined) return await connectTls(address, tls, noDelay, signal);
  const conn = await dial(address, signal);
  return new DenoDriver(conn, noDelay).socket;
}

async function dial(address: SocketAddress, signal: AbortSignal | undefined): Promise<DenoConn> {
  let conn: DenoConn;
  try {
    conn = await Deno.connect(signal === undefined ? address : { ...address, signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw connectError(error, address);
  }
  if (signal?.aborted) conn.close();
  signal?.throwIfAborted();
  return conn;
}

async function connectTls(
  address: SocketAddress,
  tls: TlsOptions,
  noDelay: boolean,
  signal: AbortSignal | undefined,
): Promise<Socket> {
  if (address.transport === "unix") throw tlsNotSupported("connect to", address, "Deno has no TLS over paths");
  const name = expectedName(tls, address);
  const { cert, key, ca } = tls;
  const caCerts = ca === undefined ? [] : [ca];
  let securing: Promise<DenoTlsConn>;
  if (cert !== undefined && key !== undefined) {
    const { hostname, port } = address;
    securing = Deno.connectTls({ hostname, port, caCerts, cert, key, [SERVER_NAME]: name });
  } else {
    const conn = await dial(address, signal);
    // The connection inside TLS does not let one say it.
    if (noDelay) setNoDelay(conn);
    securing = Deno.startTls(conn, { hostname: name, caCerts });
  }
  const handshake = securing.then(async (conn) => {
    await conn.handshake();
    return conn;
  });
  try {
    return new DenoDriver(await abortable(handshake, signal), noDelay).socket;
  } catch (error) {
    // An attempt that was given up may go on for a while; what comes of it is closed unseen.
    securing.then((late) => late.close(), () => {});
    signal?.throwIfAborted();
    throw connectError(error, address);
  }
}

async function listen(address: SocketAddress, options: ListenOptions = {}): Promise<Listener> {
  const { backlog = 512, noDelay = true, tls } = options;
  checkAddress(address, "listen on", 0);
  const keys = tls === undefined ? undefined : serverKeys(address, tls);
  const native = await listenOverStalePath(network, address, () => {
    try {
      if (address.transport === "unix") return Deno.listen(address);
      const where = { ...address, tcpBacklog: backlog };
      return keys === undefined ? Deno.listen(where) : Deno.listenTls({ ...where, ...keys });
    } catch (error) {
      throw listenError(error, address);
    }
  }, removeSocket);
  // A client waits for its handshake, whether anybody here wants it yet or not.
  return new DenoListening(native, noDelay, keys === undefined ? 0 : backlog);
}

function serverKeys(address: SocketAddress, tls: TlsOptions): { cert: string; key: string } {
  if (address.transport === "unix") throw tlsNotSupported("listen on", address, "Deno has no TLS over paths");
  if (tls.requireClientCertificate) {
    throw tlsNotSupported("listen on", address, "Deno cannot ask clients for certificates");
  }
  return checkServerTls(tls, address);
}

async function removeSocket(path: string): Promise<boolean> {
  if (!(await Deno.lstat(path)).isSocket) return false;
  await Deno.remove(path);
  return true;
}

/** Accepts on demand, since connections that nobody asked for may stay with the operating system; or ahead of it. */
class DenoListening implements Listener {
  readonly address: SocketAddress;
  readonly #native: DenoListener;
  readonly #noDelay: boolean;
  readonly #ahead: boolean;
  readonly #queue: AcceptQueue;
  #accepting: Promise<void> | undefined;
  #closed = false;

  /** @param ahead How many connections to accept before somebody asks for them. */
  constructor(native: DenoListener, noDelay: boolean, ahead: number) {
    this.#native = native;
    this.#noDelay = noDelay;
    this.address = seamAddress(native.addr);
    this.#ahead = ahead > 0;
    this.#queue = new AcceptQueue(Math.max(ahead, 1), () => this.#accept());
    if (this.#ahead) this.#accept();
  }

  [Symbol.asyncIterator](): AsyncIterator<Socket> {
    return this.#queue[Symbol.asyncIterator]();
  }

  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#native.close();
      this.#queue.close();
    }
    // The port is free only when the pending accept has been called off.
    await this.#accepting;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #accept(): void {
    this.#accepting ??= this.#acceptWhileWanted();
  }

  async #acceptWhileWanted(): Promise<void> {
    while (this.#queue.wanted || (this.#ahead && !this.#queue.full)) {
      try {
        const conn = await this.#native.accept();
        // Deno would begin with the handshake when somebody reads or writes; who does hears of its failure.
        conn.handshake?.().catch(() => {});
        this.#queue.push(new DenoDriver(conn, this.#noDelay).socket);
      } catch (error) {
        const failure = networkError(error, `Cannot accept on ${describe(this.address)}`);
        // A connection that was lost before we had it says nothing about the next one.
        if (failure.code === "connection_lost") continue;
        if (!this.#queue.wanted) break;
        this.#queue.fail(failure);
      }
    }
    // In the same turn as the last look at the queue: an iteration that begins to wait after it has to start this again.
    this.#accepting = undefined;
  }
}

/** Moves bytes between a Deno connection and its streams: reads into slabs, writes until all is out. */
class DenoDriver implements Driver {
  readonly isEventDriven = true;
  readonly readsInPlace = true;
  readonly socket: StreamSocket;
  readonly #conn: DenoConn;
  readonly #slab = new Slab((length) => new Uint8Array(length), SMALLEST_SLAB);
  /** Where the bytes go that are being read, unless that is the slab. */
  #destination: Uint8Array | undefined;
  #reading = false;
  #unsent: Uint8Array = new Uint8Array(0);

  constructor(conn: DenoConn, noDelay: boolean) {
    this.#conn = conn;
    if (noDelay) setNoDelay(conn);
    this.socket = new StreamSocket(this, seamAddress(conn.localAddr), seamAddress(conn.remoteAddr));
  }

  pull(): void {
    if (this.#reading) return;
    this.#reading = true;
    this.#read();
  }

  write(chunk: Uint8Array): boolean {
    this.#unsent = chunk;
    this.#conn.write(chunk).then(this.#onWritten, this.#onWriteFailed);
    return false;
  }

  shutdown(): boolean {
    this.#conn.closeWrite().then(() => this.socket.written(), this.#onWriteFailed);
    return false;
  }

  close(): void {
    this.#conn.close();
    this.socket.released();
  }

  /** Deno has no way to send a reset: the peer sees an end, and the reset only when it writes. */
  terminate(): void {
    this.close();
  }

  #read(): void {
    this.#destination = this.socket.takeDestination();
    this.#conn.read(this.#destination ?? this.#slab.room()).then(this.#onRead, this.#onReadFailed);
  }

  readonly #onRead = (count: number | null): void => {
    if (count === null) {
      this.#reading = false;
      this.socket.ended();
      return;
    }
    this.#reading = this.socket.received(this.#destination?.subarray(0, count) ?? this.#slab.take(count));
    if (this.#reading) this.#read();
  };

  readonly #onReadFailed = (error: unknown): void => {
    this.#reading = false;
    this.socket.broken(this.#lost(error));
  };

  readonly #onWritten = (count: number): void => {
    if (count === this.#unsent.byteLength) return this.socket.written();
    this.write(this.#unsent.subarray(count));
  };

  readonly #onWriteFailed = (error: unknown): void => {
    this.socket.writeFailed(this.#lost(error));
  };

  #lost(error: unknown): NetworkError {
    return networkError(error, `Lost the connection to ${describe(this.socket.remoteAddress)}`);
  }
}

/** Deno leaves Nagle's algorithm on at both ends. */
function setNoDelay(conn: DenoConn): void {
  try {
    conn.setNoDelay?.(true);
  } catch {
    // Some systems refuse when the connection is lost already, which the first read will say.
  }
}

function seamAddress(address: DenoAddress): SocketAddress {
  if (address.transport === "unix") return { transport: "unix", path: address.path ?? "" };
  return { transport: "tcp", hostname: address.hostname ?? "", port: address.port ?? 0 };
}
