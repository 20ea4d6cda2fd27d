/**
 * A network in memory on which everything that happens to real ones can happen, when a seed or a test says so.
 *
 * @module
 */

import type { Environment } from "../environment.ts";
import { NetworkError } from "../errors.ts";
import { AcceptQueue } from "../net/accept_queue.ts";
import { checkAddress, describe } from "../net/address.ts";
import type { ConnectOptions, Listener, ListenOptions, Network, Socket, SocketAddress } from "../net/network.ts";
import { tlsNotSupported } from "../net/runtime_error.ts";
import { SeededRandom } from "./seeded_random.ts";
import { type ConnectionFault, type ConnectionHost, type End, SimulatedConnection } from "./simulated_connection.ts";

/** Options of {@linkcode SimulatedNetwork}. */
export interface SimulatedNetworkOptions {
  /**
   * Where the random numbers for latencies begin.
   *
   * @default {0}
   */
  readonly seed?: number;
  /**
   * Least and most ms that bytes are on their way.
   *
   * @default {[0.1, 2]}
   */
  readonly latency?: readonly [least: number, most: number];
  /**
   * Bytes that a connection holds in each direction before a write has to wait.
   *
   * @default {65536}
   */
  readonly capacity?: number;
  /** Decides what befalls a connection that is about to be dialled. */
  readonly faults?: (from: string, to: SocketAddress) => readonly ConnectionFault[];
  /** Told of what happens to connections. */
  readonly log?: (event: string) => void;
  /** Shown the bytes that an end writes; they are only to be looked at. */
  readonly tap?: (connection: SimulatedConnection, from: End, bytes: Uint8Array) => void;
}

/**
 * A network in memory with latency and faults. Each program on it has a {@linkcode SimulatedHost}, which it is given as its `network`.
 *
 * @example Cutting a connection
 * ```ts
 * import { assertEquals, assertRejects } from "@std/assert";
 * import { SimulatedNetwork, VirtualEnvironment } from "@msgr/pipe/testing";
 *
 * const environment = new VirtualEnvironment();
 * const network = new SimulatedNetwork(environment);
 * const listener = await network.host("10.0.0.1").listen({ transport: "tcp", hostname: "10.0.0.1", port: 6800 });
 * const dialled = network.host("10.0.0.2").connect(listener.address);
 * await environment.run();
 * const socket = await dialled;
 * network.cut("10.0.0.1", "10.0.0.2");
 * await environment.run();
 * await assertRejects(() => socket.readable.getReader().read());
 * await listener.close();
 * assertEquals([network.openSockets, network.openListeners], [0, 0]);
 * ```
 */
export class SimulatedNetwork {
  /** Where time comes from. */
  readonly environment: Environment;
  /** Connections that have been made or tried so far. */
  attempts = 0;

  readonly #options: SimulatedNetworkOptions;
  readonly #random: SeededRandom;
  readonly #listening = new Map<string, SimulatedListener>();
  readonly #connections = new Set<SimulatedConnection>();
  readonly #ports = new Map<string, number>();
  readonly #connectionHost: ConnectionHost;
  #openSockets = 0;

  /** Makes a network on which nobody listens yet. */
  constructor(environment: Environment, options: SimulatedNetworkOptions = {}) {
    this.environment = environment;
    this.#options = options;
    this.#random = new SeededRandom(options.seed ?? 0, 1);
    const { latency = [0.1, 2], capacity = 65536, tap } = options;
    this.#connectionHost = {
      environment,
      random: this.#random,
      capacity,
      latency,
      released: (connection) => {
        this.#openSockets--;
        if (connection.openEnds === 0) this.#connections.delete(connection);
      },
      event: (connection, what) => this.log(connection, what),
      written: (connection, from, bytes) => tap?.(connection, from, bytes),
    };
  }

  /** Ends of connections that are not closed yet. */
  get openSockets(): number {
    return this.#openSockets;
  }

  /** Listeners that are not closed yet. */
  get openListeners(): number {
    return this.#listening.size;
  }

  /** Connections of which an end is not closed yet. */
  get connections(): readonly SimulatedConnection[] {
    return [...this.#connections];
  }

  /** Connections between two hosts, whoever dialled. */
  between(a: string, b: string): SimulatedConnection[] {
    return this.connections.filter(({ from, to }) =>
      (hostOf(from) === a && hostOf(to) === b) || (hostOf(from) === b && hostOf(to) === a)
    );
  }

  /** Breaks all connections between two hosts; both ends notice. */
  cut(a: string, b: string): void {
    for (const connection of this.between(a, b)) connection.cut();
  }

  /** A program's place on the network: an IP address. After a crash, the host that comes back is a new one. */
  host(hostname: string): SimulatedHost {
    return new SimulatedHost(hostname, this);
  }

  /** Tells the log. For the network's own parts. */
  log(connection: SimulatedConnection | undefined, what: string): void {
    const { log } = this.#options;
    if (log === undefined) return;
    log(
      connection === undefined
        ? what
        : `#${connection.id} ${describe(connection.from)} > ${describe(connection.to)}: ${what}`,
    );
  }

  /** Dials. For {@linkcode SimulatedHost}. */
  dial(host: SimulatedHost, address: SocketAddress, signal: AbortSignal | undefined): Promise<Socket> {
    const { environment } = this;
    const id = ++this.attempts;
    const faults = this.#options.faults?.(host.hostname, address) ?? [];
    const from: SocketAddress = { transport: "tcp", hostname: host.hostname, port: this.freePort(host.hostname) };
    const { promise, resolve, reject } = Promise.withResolvers<Socket>();
    const giveUp = (): void => {
      environment.clearTimer(timer);
      reject(signal!.reason);
    };
    const answer = (): void => {
      signal?.removeEventListener("abort", giveUp);
      if (!host.isAlive) return reject(unreachable(address));
      const listener = this.#listening.get(describe(address));
      if (listener === undefined || listener.queue.full || faults.some(({ kind }) => kind === "refuse")) {
        this.log(undefined, `#${id} ${describe(from)} > ${describe(address)}: refused`);
        return reject(new NetworkError("refused", `Cannot connect to ${describe(address)}: nobody listens there`));
      }
      const connection = new SimulatedConnection(this.#connectionHost, id, from, address, faults);
      this.#connections.add(connection);
      this.#openSockets += 2;
      host.own(connection, "dialler");
      listener.host.own(connection, "acceptor");
      this.log(connection, faults.length === 0 ? "connected" : `connected, with ${JSON.stringify(faults)}`);
      listener.queue.push(connection.acceptor);
      resolve(connection.dialler);
    };
    let timer: unknown;
    if (faults.some(({ kind }) => kind === "no_answer")) {
      this.log(undefined, `#${id} ${describe(from)} > ${describe(address)}: no answer`);
    } else {
      const [least, most] = this.#connectionHost.latency;
      timer = environment.setTimer(answer, 2 * (least + this.#random.next() * (most - least)));
    }
    signal?.addEventListener("abort", giveUp, { once: true });
    return promise;
  }

  /** Listens. For {@linkcode SimulatedHost}. */
  open(host: SimulatedHost, address: SocketAddress, backlog: number): Listener {
    const bound = address.transport === "tcp" && address.port === 0
      ? { ...address, port: this.freePort(address.hostname) }
      : address;
    const key = describe(bound);
    if (this.#listening.has(key)) {
      throw new NetworkError("address_in_use", `Cannot listen on ${key}: somebody does already`);
    }
    const listener = new SimulatedListener(host, bound, backlog, () => this.#listening.delete(key));
    this.#listening.set(key, listener);
    host.ownListener(listener);
    return listener;
  }

  /** The next port of a host that nobody has used. */
  freePort(hostname: string): number {
    const port = this.#ports.get(hostname) ?? 49152;
    this.#ports.set(hostname, port === 65535 ? 49152 : port + 1);
    return port;
  }
}

/** A program's place on a {@linkcode SimulatedNetwork}. */
export class SimulatedHost implements Network {
  /** The adapter's name. */
  readonly name = "simulated";
  /** When a writer hands queued messages over. */
  readonly flush = "microtask";
  /** Its IP address. */
  readonly hostname: string;
  /** Whether it has not crashed. */
  isAlive = true;

  readonly #network: SimulatedNetwork;
  readonly #connections = new Map<SimulatedConnection, End>();
  readonly #listeners = new Set<Listener>();

  /** Hosts are made by {@linkcode SimulatedNetwork.host}. */
  constructor(hostname: string, network: SimulatedNetwork) {
    this.hostname = hostname;
    this.#network = network;
  }

  /** Connects to a listener of the network. */
  async connect(address: SocketAddress, options: ConnectOptions = {}): Promise<Socket> {
    const { signal, tls } = options;
    signal?.throwIfAborted();
    if (tls !== undefined) throw tlsNotSupported("connect to", address);
    checkAddress(address, "connect to", 1);
    if (!this.isAlive) throw unreachable(address);
    return await this.#network.dial(this, address, signal);
  }

  /** Listens on an address of the network. */
  async listen(address: SocketAddress, options: ListenOptions = {}): Promise<Listener> {
    const { backlog = 512, tls } = options;
    if (tls !== undefined) throw tlsNotSupported("listen on", address);
    checkAddress(address, "listen on", 0);
    await undefined;
    if (!this.isAlive) throw unreachable(address);
    return this.#network.open(this, address, backlog);
  }

  /**
   * The program on this host dies: its sockets and listeners are gone at once, and it can open no others. Whoever held the other ends is told,
   * as by the kernel of a killed process, or when `silent` is set finds out when it sends, as after a power failure.
   */
  crash(silent = false): void {
    this.isAlive = false;
    this.#network.log(undefined, `${this.hostname} crashed${silent ? " silently" : ""}`);
    // Closing a listener aborts what nobody has accepted, aloud; by then it has to be dead.
    for (const [connection, end] of this.#connections) connection.die(end, !silent);
    for (const listener of this.#listeners) void listener.close();
    this.#connections.clear();
  }

  /** Notes a connection that dies with the host. For the network. */
  own(connection: SimulatedConnection, end: End): void {
    this.#connections.set(connection, end);
    const socket = end === "dialler" ? connection.dialler : connection.acceptor;
    void socket.closed.then(() => this.#connections.delete(connection));
  }

  /** Notes a listener that dies with the host. For the network. */
  ownListener(listener: Listener): void {
    this.#listeners.add(listener);
  }
}

class SimulatedListener implements Listener {
  readonly address: SocketAddress;
  readonly queue: AcceptQueue;
  readonly host: SimulatedHost;
  readonly #release: () => void;
  #closed = false;

  constructor(host: SimulatedHost, address: SocketAddress, backlog: number, release: () => void) {
    this.host = host;
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

function hostOf(address: SocketAddress): string {
  return address.transport === "tcp" ? address.hostname : address.path;
}

function unreachable(address: SocketAddress): NetworkError {
  return new NetworkError("unreachable", `Cannot connect to ${describe(address)}: this host has crashed`);
}
