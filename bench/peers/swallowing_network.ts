/**
 * A network whose first connection turns into a hole: what is written disappears, until it is cut. Later ones are as they are.
 *
 * @module
 */

import type { ConnectOptions, Listener, ListenOptions, Network, Socket, SocketAddress } from "../../mod.ts";

/** Another network, whose first dialled connection swallows messages on demand. */
export class SwallowingNetwork implements Network {
  readonly name: string;
  readonly flush: Network["flush"];
  readonly #network: Network;
  #first: Socket | undefined;
  #swallowing = false;
  #swallowed = 0;
  #wanted = Infinity;
  #enough = Promise.withResolvers<void>();

  /** @param network Where the sockets come from. */
  constructor(network: Network) {
    this.name = network.name;
    this.flush = network.flush;
    this.#network = network;
  }

  /** From now on, what is written does not arrive. */
  swallow(): void {
    this.#swallowing = true;
  }

  /** Fulfils when that many bytes did not arrive. */
  hasSwallowed(bytes: number): Promise<void> {
    this.#wanted = bytes;
    if (this.#swallowed >= bytes) this.#enough.resolve();
    return this.#enough.promise;
  }

  /** Breaks the connection. */
  cut(): void {
    this.#first?.abort(new Error("Cut by the bench"));
  }

  async connect(address: SocketAddress, options?: ConnectOptions): Promise<Socket> {
    const socket = await this.#network.connect(address, options);
    return this.#first === undefined ? this.#first = this.#withHole(socket) : socket;
  }

  listen(address: SocketAddress, options?: ListenOptions): Promise<Listener> {
    return this.#network.listen(address, options);
  }

  #withHole(socket: Socket): Socket {
    const writer = socket.writable.getWriter();
    const writable = new WritableStream<Uint8Array>({
      write: (chunk) => {
        if (!this.#swallowing) return writer.write(chunk);
        this.#swallowed += chunk.length;
        if (this.#swallowed >= this.#wanted) this.#enough.resolve();
      },
      close: () => writer.close(),
      abort: (reason) => writer.abort(reason),
    });
    return {
      readable: socket.readable,
      writable,
      localAddress: socket.localAddress,
      remoteAddress: socket.remoteAddress,
      closed: socket.closed,
      abort: (reason) => socket.abort(reason),
    };
  }
}
