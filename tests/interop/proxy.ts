/**
 * Stands in front of a daemon, and passes on what it is sent.
 *
 * @module
 */

import type { Listener, Network, Socket, TcpAddress } from "../../src/net/network.ts";

/** Who said something that passes a proxy. */
export type Way = "client" | "server";

/** Sees everything that passes: between which ports, and who said it. */
export type Tap = (clientPort: number, serverPort: number, from: Way, bytes: Uint8Array) => void;

/** A proxy whose connections can be cut, and which can turn everyone away. */
export class Proxy implements AsyncDisposable {
  readonly #network: Network;
  readonly #to: TcpAddress;
  readonly #listener: Listener;
  readonly #accepting: Promise<void>;
  readonly #sockets = new Set<Socket>();
  /** Connections that were made. */
  connections = 0;
  /** While set, connections end as soon as they are made. */
  isClosed = false;
  /** Sees what passes. */
  tap: Tap | undefined;

  private constructor(network: Network, to: TcpAddress, listener: Listener) {
    this.#network = network;
    this.#to = to;
    this.#listener = listener;
    this.#accepting = (async () => {
      for await (const socket of listener) void this.#pass(socket);
    })();
  }

  /** Begins to listen on a free port. */
  static async start(network: Network, to: TcpAddress): Promise<Proxy> {
    const listener = await network.listen({ transport: "tcp", hostname: "127.0.0.1", port: 0 });
    return new Proxy(network, to, listener);
  }

  /** Where it listens. */
  get address(): TcpAddress {
    return this.#listener.address as TcpAddress;
  }

  /** Breaks all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.abort();
  }

  /** Breaks all connections and lets no more in. */
  close(): void {
    this.isClosed = true;
    this.cut();
  }

  /** Lets connections in again. */
  open(): void {
    this.isClosed = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener.close();
    await this.#accepting;
    this.cut();
    await Promise.all([...this.#sockets].map((socket) => socket.closed));
  }

  async #pass(near: Socket): Promise<void> {
    if (this.isClosed) return near.abort();
    this.connections++;
    this.#keep(near);
    const far = await this.#network.connect(this.#to).catch(() => near.abort());
    if (far === undefined) return;
    this.#keep(far);
    const { port } = near.remoteAddress as TcpAddress;
    const ways = [
      near.readable.pipeThrough(this.#watch(port, "client")).pipeTo(far.writable),
      far.readable.pipeThrough(this.#watch(port, "server")).pipeTo(near.writable),
    ];
    for (const way of ways) {
      way.catch(() => {
        near.abort();
        far.abort();
      });
    }
  }

  #watch(port: number, from: Way): TransformStream<Uint8Array, Uint8Array> {
    return new TransformStream({
      transform: (bytes, controller) => {
        this.tap?.(port, this.#to.port, from, bytes);
        controller.enqueue(bytes);
      },
    });
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    void socket.closed.then(() => this.#sockets.delete(socket));
  }
}
