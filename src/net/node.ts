/**
 * The network on `node:net`: Node's own, and a fallback wherever else that module exists.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { existsSync } from "node:fs";
import { lstat, unlink } from "node:fs/promises";
import { createConnection, createServer, Socket as NodeSocket } from "node:net";
import type { OnReadOpts, Server, SocketConstructorOpts } from "node:net";
import { dirname } from "node:path";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import type { TLSSocket } from "node:tls";
import { NetworkError } from "../errors.ts";
import { AcceptQueue } from "./accept_queue.ts";
import { checkAddress, describe } from "./address.ts";
import type { ConnectOptions, Listener, ListenOptions, Network, Socket, SocketAddress, TlsOptions } from "./network.ts";
import { connectError, listenError, networkError } from "./runtime_error.ts";
import { Slab } from "./slab.ts";
import { listenOverStalePath } from "./stale_path.ts";
import { type Driver, StreamSocket } from "./stream_socket.ts";
import { checkServerTls, expectedName, stillbornSocket } from "./tls.ts";

/** How long a client may take for its side of the TLS handshake, in ms. */
const TLS_HANDSHAKE_TIMEOUT = 10_000;

/**
 * The network on `node:net`.
 *
 * @example
 * ```ts ignore
 * import { nodeNetwork } from "@msgr/pipe/node";
 *
 * const listener = await nodeNetwork().listen({ transport: "tcp", hostname: "127.0.0.1", port: 0 });
 * ```
 */
export function nodeNetwork(): Network {
  return network;
}

const network: Network = { name: "node", flush: "microtask", connect, listen };

function connect(address: SocketAddress, options: ConnectOptions = {}): Promise<Socket> {
  const { signal, noDelay = true, tls } = options;
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    checkAddress(address, "connect to", 1);
    const reading = tls === undefined && canReadIntoSlabs ? new SlabReading() : undefined;
    const native = dial(address, noDelay, tls, reading?.options);
    const connected = tls === undefined ? "connect" : "secureConnect";
    const onError = (error: Error): void => settle(() => reject(connectError(error, address)));
    const onAbort = (): void => {
      settle(() => reject(signal?.reason));
      // A late failure of the attempt is of no interest, and would be thrown if nobody listened.
      native.on("error", () => {});
      native.destroy();
    };
    const onConnect = (): void =>
      settle(() => resolve(new NodeDriver(native, noDelay, unnamed(address), address, reading).socket));
    const settle = (outcome: () => void): void => {
      native.off("error", onError).off(connected, onConnect);
      signal?.removeEventListener("abort", onAbort);
      outcome();
    };
    native.once("error", onError).once(connected, onConnect);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}

function dial(
  address: SocketAddress,
  noDelay: boolean,
  tls: TlsOptions | undefined,
  onread: OnReadOpts | undefined,
): NodeSocket {
  const options = { ...endpoint(address), allowHalfOpen: true, noDelay };
  if (tls === undefined) return createConnection(onread === undefined ? options : { ...options, onread });
  const { ca, cert, key } = tls;
  const name = expectedName(tls, address);
  // An IP address is no name to ask a server for; what it has to prove is the host, unless we say otherwise.
  const servername = tls.serverName === undefined ? {} : { servername: name };
  try {
    return connectTls({ ...options, ...servername, ca, cert, key });
  } catch (error) {
    throw connectError(error, address);
  }
}

async function listen(address: SocketAddress, options: ListenOptions = {}): Promise<Listener> {
  const { backlog = 512, noDelay = true, tls } = options;
  checkAddress(address, "listen on", 0);
  const queue = new AcceptQueue(backlog);
  const handshaking = new Map<string, NodeSocket>();
  const server = await listenOverStalePath(network, address, () => {
    const { promise, resolve, reject } = Promise.withResolvers<Server>();
    const server = tls === undefined
      ? createServer({ allowHalfOpen: true, noDelay })
      : secureServer(tls, noDelay, address, queue, handshaking);
    server.on(tls === undefined ? "connection" : "secureConnection", (accepted: NodeSocket) => {
      const { native, reading } = tls === undefined ? readIntoSlabs(accepted) : { native: accepted };
      const { socket } = new NodeDriver(native, noDelay, address, unnamed(address), reading);
      // Without an address it was lost before we had it.
      if (address.transport === "tcp" && native.remoteAddress === undefined) socket.abort();
      else queue.push(socket);
    });
    server.once("error", (error) => reject(listenError(truly(error, address), address)));
    server.listen({ ...endpoint(address), backlog }, () => resolve(server));
    return promise;
  }, removeSocket);
  return new NodeListening(server, address, queue, handshaking);
}

/** A server of TLS that hands failures to the queue, and keeps those that are about to be secured in `handshaking`. */
function secureServer(
  tls: TlsOptions,
  noDelay: boolean,
  address: SocketAddress,
  queue: AcceptQueue,
  handshaking: Map<string, NodeSocket>,
): Server {
  const { cert, key } = checkServerTls(tls, address);
  const { ca, requireClientCertificate: requestCert = false } = tls;
  const ours = { allowHalfOpen: true, noDelay, handshakeTimeout: TLS_HANDSHAKE_TIMEOUT };
  try {
    return createTlsServer({ ...ours, ca, cert, key, requestCert })
      .on("connection", (native: NodeSocket) => {
        const peer = peerOf(native);
        // What has a path has no name to be found by; its time is up soon enough.
        if (peer === undefined) return;
        handshaking.set(peer, native);
        native.once("close", () => handshaking.delete(peer));
      })
      .on("secureConnection", (native: TLSSocket) => handshaking.delete(peerOf(native) ?? ""))
      .on("tlsClientError", (error: Error, native: TLSSocket) => {
        const remote = seamAddress(native.remoteAddress, native.remotePort) ?? unnamed(address);
        // Who says nothing until the time is up would stay for ever.
        native.destroy();
        const failure = networkError(error, `Lost the connection to ${describe(remote)}`);
        queue.push(stillbornSocket(failure, address, remote));
      });
  } catch (error) {
    throw listenError(error, address);
  }
}

/** What TCP and the TLS above it have in common: the port at the other end. */
function peerOf({ remoteAddress, remotePort }: NodeSocket): string | undefined {
  return remotePort === undefined ? undefined : `${remoteAddress} ${remotePort}`;
}

/** The error that the system gave: libuv has always said EACCES of a path in no folder. */
function truly(error: NodeJS.ErrnoException, address: SocketAddress): Error {
  const deceptive = error.code === "EACCES" && address.transport === "unix" && !existsSync(dirname(address.path));
  return deceptive ? Object.assign(new Error("No such folder", { cause: error }), { code: "ENOENT" }) : error;
}

async function removeSocket(path: string): Promise<boolean> {
  if (!(await lstat(path)).isSocket()) return false;
  await unlink(path);
  return true;
}

function endpoint(address: SocketAddress): { host: string; port: number } | { path: string } {
  return address.transport === "unix" ? { path: address.path } : { host: address.hostname, port: address.port };
}

class NodeListening implements Listener {
  readonly address: SocketAddress;
  readonly #server: Server;
  readonly #queue: AcceptQueue;
  readonly #handshaking: ReadonlyMap<string, NodeSocket>;
  #closed: Promise<void> | undefined;

  constructor(
    server: Server,
    address: SocketAddress,
    queue: AcceptQueue,
    handshaking: ReadonlyMap<string, NodeSocket>,
  ) {
    this.#server = server;
    this.#queue = queue;
    this.#handshaking = handshaking;
    const bound = server.address();
    this.address = address.transport === "tcp" && typeof bound === "object" && bound !== null
      ? { transport: "tcp", hostname: bound.address, port: bound.port }
      : address;
    // The operating system could not accept: an iteration says so, and the next one may fare better.
    server.on("error", (error) => queue.fail(networkError(error, `Cannot accept on ${describe(this.address)}`)));
  }

  [Symbol.asyncIterator](): AsyncIterator<Socket> {
    return this.#queue[Symbol.asyncIterator]();
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #close(): Promise<void> {
    // The server's own "close" waits for every socket it ever accepted; the port is free before that.
    this.#server.close();
    this.#queue.close();
    for (const native of this.#handshaking.values()) native.destroy();
    return Promise.resolve();
  }
}

/** Whether this is Node, and not another runtime's `node:net`. */
const isNode = !("Deno" in globalThis) && !("Bun" in globalThis);
/**
 * Whether sockets can read into memory of ours. Otherwise Node allocates 64 KiB for each read, however little comes, and no longer message ever comes in
 * one piece. The other runtimes' `node:net` does not know how.
 */
const canReadIntoSlabs = isNode;

/** Bytes that are about to be filled: to clear them first would cost as much as to copy what comes. */
function allocate(length: number): Uint8Array {
  // A plain view: a Buffer's slice() would share memory where a Uint8Array's copies.
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
}

/** What quiet sockets read into, one at a time: what has come is copied out at once, so that an idle one needs no memory to read into. */
const QUIET_BYTES = new Uint8Array(64 * 1024);
/** A socket that gets as much at once is busy: it has slabs of its own. */
const BUSY_READ = 8 * 1024, SMALLEST_SLAB = 64 * 1024;
const NO_BYTES = new Uint8Array(0);

/** Little is copied next to what came before, as by `Buffer.from`: memory of its own would take longer than all else that reading costs. */
const LITTLE = 1024, LITTLE_SLAB = 8 * 1024;
let littleSlab: Uint8Array = NO_BYTES, littleUsed = 0;

/** A copy of the first `count` bytes that a quiet socket has read. */
function copyOut(count: number): Uint8Array {
  if (count > LITTLE) return QUIET_BYTES.slice(0, count);
  if (littleUsed + count > littleSlab.length) {
    littleSlab = allocate(LITTLE_SLAB);
    littleUsed = 0;
  }
  const copy = littleSlab.subarray(littleUsed, littleUsed += count);
  copy.set(QUIET_BYTES.subarray(0, count));
  return copy;
}

/** Where a socket reads to, as Node wants to know it. */
class SlabReading {
  /** Whose bytes they are, from the time when there is one. */
  driver: NodeDriver | undefined;
  readonly options: OnReadOpts;
  #slab: Slab | undefined;
  #destination: Uint8Array | undefined;

  constructor() {
    this.options = { buffer: () => this.#room(), callback: (count) => this.driver!.received(this.#take(count)) };
  }

  #room(): Uint8Array {
    this.#destination = this.driver?.socket.takeDestination();
    return this.#destination ?? this.#slab?.room() ?? QUIET_BYTES;
  }

  #take(count: number): Uint8Array {
    if (this.#destination !== undefined) return this.#destination.subarray(0, count);
    const chunk = this.#slab?.take(count) ?? copyOut(count);
    if (this.#slab?.isQuiet) this.#slab = undefined;
    else if (count >= BUSY_READ) this.#slab ??= new Slab(allocate, SMALLEST_SLAB);
    return chunk;
  }
}

/**
 * An accepted socket that reads into slabs. Node lets only those choose that dial, so this moves the connection to a new socket of Node's; where it
 * is not to be found in the usual place, the accepted one does.
 */
function readIntoSlabs(accepted: NodeSocket): { native: NodeSocket; reading?: SlabReading } {
  const holder = accepted as unknown as { _handle: { useUserBuffer?: unknown } | null };
  const handle = holder._handle;
  if (!canReadIntoSlabs || typeof handle?.useUserBuffer !== "function") return { native: accepted };
  const reading = new SlabReading();
  holder._handle = null;
  accepted.destroy();
  const options = { handle, allowHalfOpen: true, onread: reading.options } as SocketConstructorOpts;
  return { native: new NodeSocket(options), reading };
}

/** Moves bytes between a Node socket and its streams. */
class NodeDriver implements Driver {
  readonly isEventDriven = true;
  readonly socket: StreamSocket;
  readonly #native: NodeSocket;
  #failure: Error | undefined;
  #paused = false;
  #shut = false;
  /** Whether it reads to memory of ours, and writes are mostly done at once: with TLS neither is so. */
  readonly #isPlain: boolean;
  /** Something was read since the last write. */
  #hasRead = false;

  constructor(
    native: NodeSocket,
    noDelay: boolean,
    local: SocketAddress,
    remote: SocketAddress,
    reading?: SlabReading,
  ) {
    this.#native = native;
    this.#isPlain = reading !== undefined;
    // The other runtimes' `node:net` does not heed the option.
    if (noDelay && !isNode) native.setNoDelay(true);
    this.socket = new StreamSocket(this, local, seamAddress(native.remoteAddress, native.remotePort) ?? remote);
    if (reading === undefined) native.on("data", (chunk: Uint8Array) => this.#onData(chunk));
    else {
      reading.driver = this;
      // Nothing but the end comes by way of events.
      native.resume();
    }
    // After a failure of TLS there is an end, which the peer never meant.
    native.on("end", () => this.#failure === undefined ? this.socket.ended() : this.#onClosedEarly());
    native.on("error", (error) => {
      this.#failure = error;
    });
    native.on("close", () => this.#onClose());
  }

  get localAddress(): SocketAddress | undefined {
    return seamAddress(this.#native.localAddress, this.#native.localPort);
  }

  get readsInPlace(): boolean {
    return this.#isPlain;
  }

  pull(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#native.resume();
  }

  allocate(length: number): Uint8Array {
    return allocate(length);
  }

  write(chunk: Uint8Array): boolean {
    const settled = this.#isAnswer() ? undefined : this.#onWritten;
    this.#native.write(chunk, settled);
    return settled === undefined && this.#isWritten();
  }

  writev(chunks: readonly Uint8Array[]): boolean {
    const { length } = chunks, settled = this.#isAnswer() ? undefined : this.#onWritten;
    this.#native.cork();
    for (let i = 0; i < length; i++) this.#native.write(chunks[i]!, i === length - 1 ? settled : undefined);
    this.#native.uncork();
    return settled === undefined && this.#isWritten();
  }

  shutdown(): boolean {
    this.#shut = true;
    this.#native.end(this.#onWritten);
    return false;
  }

  close(): void {
    this.#native.destroy();
  }

  terminate(): void {
    // A Unix-domain socket knows no reset, nor does Node through TLS; and one that was shut down cannot send it: Node would report that as an error
    // and never close.
    const plainTcp = this.socket.remoteAddress.transport === "tcp" && !("encrypted" in this.#native);
    if (plainTcp && !this.#shut) this.#native.resetAndDestroy();
    else this.#native.destroy();
  }

  /**
   * Whether this is the first write since something was read. Node calls back in a turn of its own, which costs as much as a small message; but where one write follows
   * another, what is sent until then makes the next one larger.
   */
  #isAnswer(): boolean {
    const isAnswer = this.#hasRead;
    this.#hasRead = false;
    return isAnswer;
  }

  /** Whether the kernel has taken all of a write without a callback. If not, a write of nothing tells of it. */
  #isWritten(): boolean {
    const native = this.#native;
    if (native.writableLength === 0 && native.errored === null && !native.destroyed) return true;
    native.write(NO_BYTES, this.#onWritten);
    return false;
  }

  /** Bytes have come into a slab. Whether to go on reading. */
  received(chunk: Uint8Array): boolean {
    this.#hasRead = this.#isPlain;
    this.#paused = !this.socket.received(chunk);
    return !this.#paused;
  }

  #onData(chunk: Uint8Array): void {
    // A plain view: a Buffer's slice() would share memory where a Uint8Array's copies.
    if (!this.received(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength))) this.#native.pause();
  }

  readonly #onWritten = (error?: Error | null): void => {
    if (error === undefined || error === null) this.socket.written();
  };

  #onClose(): void {
    if (this.#failure !== undefined || !this.#native.readableEnded || !this.#native.writableFinished) {
      this.#onClosedEarly();
    }
    this.socket.released();
  }

  #onClosedEarly(): void {
    const action = `Lost the connection to ${describe(this.socket.remoteAddress)}`;
    this.socket.broken(
      this.#failure === undefined
        ? new NetworkError("connection_lost", `${action}: it was closed`)
        : networkError(this.#failure, action),
    );
  }
}

function seamAddress(hostname: string | undefined, port: number | undefined): SocketAddress | undefined {
  return hostname === undefined || port === undefined ? undefined : { transport: "tcp", hostname, port };
}

/** An end that the operating system has no name for: that of a Unix-domain socket that dialled. */
function unnamed(address: SocketAddress): SocketAddress {
  return address.transport === "unix" ? { transport: "unix", path: "" } : { ...address, port: 0 };
}
