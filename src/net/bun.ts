/**
 * The network on Bun's own sockets.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { lstat, unlink } from "node:fs/promises";
import { NetworkError } from "../errors.ts";
import { abortable } from "./abortable.ts";
import { AcceptQueue } from "./accept_queue.ts";
import { checkAddress, describe } from "./address.ts";
import type { ConnectOptions, Listener, ListenOptions, Network, Socket, SocketAddress } from "./network.ts";
import { connectError, listenError, networkError } from "./runtime_error.ts";
import { listenOverStalePath } from "./stale_path.ts";
import { type Driver, StreamSocket } from "./stream_socket.ts";

/** Up to this length JavaScriptCore keeps an array's bytes in its own heap. */
const SMALL_ARRAY = 1000;

interface BunSocket {
  data: BunDriver;
  readonly localAddress?: string;
  readonly localPort?: number;
  readonly remoteAddress?: string;
  readonly remotePort?: number;
  /** Returns how many bytes the kernel took; keeps none of the others; -1 on a socket that is closed. */
  write(chunk: Uint8Array, offset: number, length: number): number;
  shutdown(): void;
  end(): void;
  terminate(): void;
  pause(): void;
  resume(): void;
  setNoDelay(on: boolean): boolean;
}

interface BunListener {
  readonly hostname: string;
  readonly port: number;
  stop(closeConnections?: boolean): void;
}

interface BunHandlers {
  readonly binaryType: "uint8array";
  open(socket: BunSocket): void;
  data(socket: BunSocket, chunk: Uint8Array): void;
  drain(socket: BunSocket): void;
  end(socket: BunSocket): void;
  close(socket: BunSocket, error?: unknown): void;
  error(socket: BunSocket, error: unknown): void;
  connectError?(socket: BunSocket, error: unknown): void;
}

type BunEndpoint = { readonly hostname: string; readonly port: number } | { readonly unix: string };

declare const Bun: {
  connect(options: BunEndpoint & { allowHalfOpen: true; socket: BunHandlers }): Promise<BunSocket>;
  listen(options: BunEndpoint & { allowHalfOpen: true; backlog: number; socket: BunHandlers }): BunListener;
};

/**
 * The network on Bun's own sockets.
 *
 * Bun has no way to call off an attempt to connect. One that is aborted rejects at once, but to a host that does not answer the operating
 * system goes on trying (for about two minutes on Linux), and Bun does not let the process end by itself meanwhile.
 *
 * @example
 * ```ts ignore
 * import { bunNetwork } from "@msgr/pipe/bun";
 *
 * const listener = await bunNetwork().listen({ transport: "tcp", hostname: "127.0.0.1", port: 0 });
 * ```
 */
export function bunNetwork(): Network {
  return network;
}

const network: Network = { name: "bun", flush: "macrotask", connect, listen };

async function connect(address: SocketAddress, options: ConnectOptions = {}): Promise<Socket> {
  const { signal, noDelay = true, tls } = options;
  signal?.throwIfAborted();
  if (tls !== undefined) return await (await networkWithTls()).connect(address, options);
  checkAddress(address, "connect to", 1);
  const native = Bun.connect({
    ...endpoint(address),
    allowHalfOpen: true,
    socket: handlers((socket) => {
      socket.data = new BunDriver(socket, noDelay, unnamed(address), address);
    }),
  });
  try {
    const { data } = await abortable(native, signal);
    signal?.throwIfAborted();
    return data.socket;
  } catch (error) {
    if (!signal?.aborted) throw connectError(error, address);
    // Bun takes no signal: the attempt goes on, and what comes of it is closed unseen.
    native.then((late) => late.terminate(), () => {});
    throw signal.reason;
  }
}

async function listen(address: SocketAddress, options: ListenOptions = {}): Promise<Listener> {
  const { backlog = 512, noDelay = true, tls } = options;
  if (tls !== undefined) return await (await networkWithTls()).listen(address, options);
  checkAddress(address, "listen on", 0);
  const queue = new AcceptQueue(backlog);
  let bound = address;
  const native = await listenOverStalePath(network, address, () => {
    try {
      return Bun.listen({
        ...endpoint(address),
        allowHalfOpen: true,
        backlog,
        socket: handlers((socket) => {
          socket.data = new BunDriver(socket, noDelay, bound, unnamed(address));
          // Without an address it was lost before we had it.
          if (address.transport === "tcp" && socket.remoteAddress === undefined) socket.terminate();
          else queue.push(socket.data.socket);
        }),
      });
    } catch (error) {
      throw listenError(error, address);
    }
  }, removeSocket);
  if (address.transport === "tcp") bound = { ...address, port: native.port };
  return new BunListening(native, bound, queue);
}

/** Bun's own sockets report a handshake that fails in a way of each version; its `node:tls` keeps to Node's. */
async function networkWithTls(): Promise<Network> {
  return (await import("./node.ts")).nodeNetwork();
}

async function removeSocket(path: string): Promise<boolean> {
  if (!(await lstat(path)).isSocket()) return false;
  await unlink(path);
  return true;
}

function endpoint(address: SocketAddress): BunEndpoint {
  return address.transport === "unix" ? { unix: address.path } : { hostname: address.hostname, port: address.port };
}

function handlers(open: (socket: BunSocket) => void): BunHandlers {
  return {
    binaryType: "uint8array",
    open,
    data: (socket, chunk) => socket.data.onData(chunk),
    drain: (socket) => socket.data.onDrain(),
    end: (socket) => socket.data.socket.ended(),
    close: (socket, error) => socket.data.onClose(error),
    error: (socket, error) => {
      socket.data.onClose(error);
      socket.terminate();
    },
    // Bun.connect rejects as well; without this handler Bun prints the error.
    connectError: () => {},
  };
}

class BunListening implements Listener {
  readonly address: SocketAddress;
  readonly #native: BunListener;
  readonly #queue: AcceptQueue;

  constructor(native: BunListener, address: SocketAddress, queue: AcceptQueue) {
    this.#native = native;
    this.#queue = queue;
    this.address = address;
  }

  [Symbol.asyncIterator](): AsyncIterator<Socket> {
    return this.#queue[Symbol.asyncIterator]();
  }

  close(): Promise<void> {
    this.#native.stop();
    this.#queue.close();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Moves bytes between a Bun socket and its streams. Bun writes at once or not at all, and reads until it is told to pause. */
class BunDriver implements Driver {
  readonly isEventDriven = true;
  readonly socket: StreamSocket;
  readonly #native: BunSocket;
  #paused = false;
  #shut = false;
  #unsent: Uint8Array | undefined;
  #sent = 0;

  constructor(native: BunSocket, noDelay: boolean, local: SocketAddress, remote: SocketAddress) {
    this.#native = native;
    // Bun's default is no delay.
    if (!noDelay) native.setNoDelay(false);
    this.socket = new StreamSocket(this, local, seamAddress(native.remoteAddress, native.remotePort) ?? remote);
  }

  get localAddress(): SocketAddress | undefined {
    return seamAddress(this.#native.localAddress, this.#native.localPort);
  }

  get copiesUpTo(): number {
    return SMALL_ARRAY;
  }

  pull(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#native.resume();
  }

  /** Not cleared. A plain view: a Buffer's slice() would share memory where a Uint8Array's copies. */
  allocate(length: number): Uint8Array {
    return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
  }

  write(chunk: Uint8Array): boolean {
    this.#unsent = chunk;
    this.#sent = 0;
    return this.#send();
  }

  shutdown(): boolean {
    this.#shut = true;
    this.#native.shutdown();
    return true;
  }

  close(): void {
    this.#native.end();
  }

  terminate(): void {
    this.#native.terminate();
  }

  onData(chunk: Uint8Array): void {
    if (this.socket.received(chunk)) return;
    this.#paused = true;
    this.#native.pause();
  }

  onDrain(): void {
    if (this.#unsent !== undefined && this.#send()) this.socket.written();
  }

  onClose(error: unknown): void {
    // Once this end has been shut down, Bun reports the peer's end as a close and nothing else.
    if (error instanceof Error) this.socket.broken(networkError(error, this.#lost()));
    else if (this.#shut) this.socket.ended();
    else this.socket.broken(new NetworkError("connection_lost", `${this.#lost()}: it was closed`));
    this.socket.released();
  }

  /** Hands the kernel what it takes now. Returns whether that was all; if not, `drain` calls again. */
  #send(): boolean {
    const chunk = this.#unsent!;
    const count = this.#native.write(chunk, this.#sent, chunk.byteLength - this.#sent);
    if (count < 0) {
      this.#unsent = undefined;
      // What the peer sent before it went may still be on its way to `data`.
      this.socket.writeFailed(new NetworkError("connection_lost", `${this.#lost()}: it takes no more bytes`));
      return false;
    }
    this.#sent += count;
    if (this.#sent < chunk.byteLength) return false;
    this.#unsent = undefined;
    return true;
  }

  #lost(): string {
    return `Lost the connection to ${describe(this.socket.remoteAddress)}`;
  }
}

function seamAddress(hostname: string | undefined, port: number | undefined): SocketAddress | undefined {
  return hostname === undefined || port === undefined ? undefined : { transport: "tcp", hostname, port };
}

/** An end that the operating system has no name for: that of a Unix-domain socket that dialled. */
function unnamed(address: SocketAddress): SocketAddress {
  return address.transport === "unix" ? { transport: "unix", path: "" } : { ...address, port: 0 };
}
