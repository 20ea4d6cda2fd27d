/**
 * Stands where a monitor says it is, and passes on what it is sent to where the monitor really is.
 *
 * @module
 */

import type { Listener, Network, Socket, TcpAddress } from "../../src/net/network.ts";

/** A proxy whose connections can be cut, and which can go away. */
export class Proxy implements AsyncDisposable {
  readonly #network: Network;
  readonly #at: TcpAddress;
  readonly #to: TcpAddress;
  readonly #sockets = new Set<Socket>();
  #listener: Listener | undefined;
  #accepting: Promise<void> = Promise.resolve();
  /** Connections that were made. */
  connections = 0;

  constructor(network: Network, at: TcpAddress, to: TcpAddress) {
    this.#network = network;
    this.#at = at;
    this.#to = to;
  }

  /** Begins to listen. */
  async start(): Promise<void> {
    const listener = this.#listener = await this.#network.listen(this.#at);
    this.#accepting = (async () => {
      for await (const socket of listener) void this.#pass(socket);
    })();
  }

  /** Breaks all connections. */
  cut(): void {
    for (const socket of this.#sockets) socket.abort();
  }

  /** Breaks all connections and lets no more in. */
  async stop(): Promise<void> {
    await this.#listener?.close();
    await this.#accepting;
    this.cut();
    await Promise.all([...this.#sockets].map((socket) => socket.closed));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #pass(near: Socket): Promise<void> {
    this.connections++;
    this.#keep(near);
    const far = await this.#network.connect(this.#to).catch(() => near.abort());
    if (far === undefined) return;
    this.#keep(far);
    const ways = [near.readable.pipeTo(far.writable), far.readable.pipeTo(near.writable)];
    for (const way of ways) {
      way.catch(() => {
        near.abort();
        far.abort();
      });
    }
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    void socket.closed.then(() => this.#sockets.delete(socket));
  }
}
