/**
 * A network inside the program: for tests, simulations, and messengers that live in one process.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";
import { AcceptQueue } from "./accept_queue.ts";
import { checkAddress, describe } from "./address.ts";
import { MemoryLink } from "./memory_link.ts";
import type { ConnectOptions, Listener, ListenOptions, Network, Socket, SocketAddress } from "./network.ts";
import { tlsNotSupported } from "./runtime_error.ts";
import { type Driver, StreamSocket } from "./stream_socket.ts";

/** Where ports that nobody chose begin, as on most systems. */
const FIRST_PORT = 49152;
const PORTS = 65536 - FIRST_PORT;

/** Options of {@linkcode MemoryNetwork}. */
export interface MemoryNetworkOptions {
  /**
   * Bytes that a connection holds in each direction before a write has to wait, as a kernel's socket buffers do.
   *
   * @default {262144}
   */
  readonly capacity?: number;
}

/**
 * A network inside the program. Networks know nothing of each other; any address can be listened on; ports that nobody chose are given out in
 * order, so that the same program sees the same addresses every time. It uses no timer and no clock.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { MemoryNetwork } from "@msgr/pipe/testing";
 *
 * const network = new MemoryNetwork();
 * const listener = await network.listen({ transport: "tcp", hostname: "10.0.0.1", port: 6789 });
 * const socket = await network.connect(listener.address);
 * assertEquals(network.openSockets, 2);
 * socket.abort();
 * await listener.close();
 * assertEquals(network.openSockets, 0);
 * ```
 */
export class MemoryNetwork implements Network {
  readonly name = "memory";
  readonly flush = "microtask";
  readonly #capacity: number;
  readonly #listening = new Map<string, MemoryListening>();
  #openSockets = 0;
  #nextPort = 0;

  /** Makes a network on which nobody listens yet. */
  constructor(options: MemoryNetworkOptions = {}) {
    this.#capacity = options.capacity ?? 256 * 1024;
  }

  /** Ends of connections that are not closed yet: two for each connection. */
  get openSockets(): number {
    return this.#openSockets;
  }

  /** Listeners that are not closed yet. */
  get openListeners(): number {
    return this.#listening.size;
  }

  /** Connects to a listener of this network. */
  async connect(address: SocketAddress, options: ConnectOptions = {}): Promise<Socket> {
    const { signal, tls } = options;
    signal?.throwIfAborted();
    if (tls !== undefined) throw tlsNotSupported("connect to", address);
    checkAddress(address, "connect to", 1);
    // An attempt takes a moment, in which it can be given up.
    await undefined;
    signal?.throwIfAborted();
    const listening = this.#find(address);
    if (listening === undefined || listening.queue.full) {
      const code = listening === undefined && address.transport === "unix" ? "unreachable" : "refused";
      throw new NetworkError(
        code,
        `Cannot connect to ${describe(address)}: nobody ${listening ? "accepts" : "listens"} there`,
      );
    }
    const local: SocketAddress = address.transport === "unix"
      ? { transport: "unix", path: "" }
      : { ...address, port: this.#freePort(address.hostname) };
    const there = new MemoryLink(this.#capacity);
    const back = new MemoryLink(this.#capacity);
    const socket = this.#open(back, there, local, address);
    listening.queue.push(this.#open(there, back, address, local));
    return socket;
  }

  /** Listens on any address that nobody on this network listens on. */
  async listen(address: SocketAddress, options: ListenOptions = {}): Promise<Listener> {
    const { backlog = 512, tls } = options;
    if (tls !== undefined) throw tlsNotSupported("listen on", address);
    checkAddress(address, "listen on", 0);
    await undefined;
    const bound = address.transport === "tcp" && address.port === 0
      ? { ...address, port: this.#freePort(address.hostname) }
      : address;
    const key = keyOf(bound);
    if (this.#listening.has(key)) {
      throw new NetworkError("address_in_use", `Cannot listen on ${describe(address)}: somebody does already`);
    }
    const listening = new MemoryListening(bound, backlog, () => this.#listening.delete(key));
    this.#listening.set(key, listening);
    return listening;
  }

  #open(incoming: MemoryLink, outgoing: MemoryLink, local: SocketAddress, remote: SocketAddress): Socket {
    this.#openSockets++;
    return new MemoryDriver(incoming, outgoing, local, remote, () => this.#openSockets--).socket;
  }

  #find(address: SocketAddress): MemoryListening | undefined {
    const exact = this.#listening.get(keyOf(address));
    if (exact !== undefined || address.transport === "unix") return exact;
    const any = address.hostname.includes(":") ? "::" : "0.0.0.0";
    return this.#listening.get(keyOf({ ...address, hostname: any }));
  }

  #freePort(hostname: string): number {
    for (let tries = 0; tries < PORTS; tries++) {
      const port = FIRST_PORT + this.#nextPort;
      this.#nextPort = (this.#nextPort + 1) % PORTS;
      if (this.#find({ transport: "tcp", hostname, port }) === undefined) return port;
    }
    throw new NetworkError("address_not_available", `Cannot use ${hostname}: every port is taken`);
  }
}

function keyOf(address: SocketAddress): string {
  if (address.transport === "unix" || !address.hostname.includes(":")) return describe(address);
  // One IPv6 address has many spellings.
  const { hostname, port } = new URL(`tcp://[${address.hostname.split("%", 1)[0]}]:${address.port}`);
  return `${hostname}:${port}`;
}

class MemoryListening implements Listener {
  readonly address: SocketAddress;
  readonly queue: AcceptQueue;
  readonly #release: () => void;
  #closed = false;

  constructor(address: SocketAddress, backlog: number, release: () => void) {
    this.address = address;
    this.queue = new AcceptQueue(backlog);
    this.#release = release;
  }

  [Symbol.asyncIterator](): AsyncIterator<Socket> {
    return this.queue[Symbol.asyncIterator]();
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#release();
      this.queue.close();
    }
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** One end of a connection: reads from one link and writes to the other. */
class MemoryDriver implements Driver {
  readonly isEventDriven = false;
  readonly readsInPlace = true;
  readonly socket: StreamSocket;
  readonly #incoming: MemoryLink;
  readonly #outgoing: MemoryLink;
  readonly #release: () => void;
  #wanted = false;
  #delivering = false;
  #sending = false;
  #unsent: Uint8Array | undefined;
  #sent = 0;
  #open = true;

  constructor(
    incoming: MemoryLink,
    outgoing: MemoryLink,
    local: SocketAddress,
    remote: SocketAddress,
    release: () => void,
  ) {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    this.#release = release;
    this.socket = new StreamSocket(this, local, remote);
    incoming.onReadable = (): void => this.#deliver();
    outgoing.onWritable = (): void => this.#resume();
  }

  pull(): void {
    this.#wanted = true;
    this.#deliver();
  }

  write(chunk: Uint8Array): boolean {
    this.#unsent = chunk;
    this.#sent = 0;
    return this.#send();
  }

  shutdown(): boolean {
    this.#outgoing.end();
    return true;
  }

  close(): void {
    this.#free();
    if (!this.#incoming.ended) this.#incoming.break();
  }

  terminate(): void {
    this.#free();
    this.#outgoing.break();
    this.#incoming.break();
  }

  #deliver(): void {
    // Reading makes room, which lets the other end write, which calls this again with later bytes.
    if (this.#delivering) return;
    this.#delivering = true;
    while (this.#wanted && this.#open) {
      const chunk = this.#incoming.read();
      if (chunk === undefined) break;
      this.#wanted = this.#received(chunk);
    }
    this.#delivering = false;
    if (!this.#open) return;
    if (this.#incoming.ended) this.socket.ended();
    else if (this.#incoming.broken) this.#lose();
  }

  /** Hands on what has arrived, and puts it where whoever reads wants it. Whether more is wanted. */
  #received(chunk: Uint8Array): boolean {
    const destination = this.socket.takeDestination();
    if (destination === undefined) return this.socket.received(chunk);
    const count = Math.min(chunk.length, destination.length);
    destination.set(chunk.subarray(0, count));
    const isWanted = this.socket.received(destination.subarray(0, count));
    return count < chunk.length ? this.socket.received(chunk.subarray(count)) : isWanted;
  }

  #resume(): void {
    if (!this.#open) return;
    if (this.#outgoing.broken) this.#lose();
    else if (this.#send()) this.socket.written();
  }

  #send(): boolean {
    const chunk = this.#unsent;
    // Writing lets the other end read, which makes room, which calls this again before `write` has returned.
    if (chunk === undefined || this.#sending) return false;
    this.#sending = true;
    for (let count = -1; count !== 0 && this.#sent < chunk.byteLength; this.#sent += count) {
      count = this.#outgoing.write(chunk, this.#sent);
    }
    this.#sending = false;
    if (this.#sent < chunk.byteLength) return false;
    this.#unsent = undefined;
    return true;
  }

  /** The connection broke: what is under way can still be read, and nothing after it. */
  #lose(): void {
    for (let chunk = this.#incoming.read(); chunk !== undefined; chunk = this.#incoming.read()) {
      this.#received(chunk);
    }
    if (this.#incoming.ended) this.socket.ended();
    this.socket.broken(
      new NetworkError(
        "connection_lost",
        `Lost the connection to ${describe(this.socket.remoteAddress)}: the other end is gone`,
      ),
    );
  }

  #free(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#release();
    this.socket.released();
  }
}
