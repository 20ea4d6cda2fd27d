/**
 * A network whose connections the program breaks itself, as a bad line would.
 *
 * @module
 */

import type { ConnectOptions, Listener, ListenOptions, Network, Socket, SocketAddress } from "../../mod.ts";

/** Another network, whose dialled sockets can be cut. */
export class CutNetwork implements Network {
  readonly name: string;
  readonly flush: Network["flush"];
  /** How many connections were cut. */
  cuts = 0;
  readonly #network: Network;
  #latest: Socket | undefined;

  /** @param network Where the sockets come from. */
  constructor(network: Network) {
    this.name = network.name;
    this.flush = network.flush;
    this.#network = network;
  }

  /** Breaks the latest connection: what is on its way in either direction is lost. */
  cut(): void {
    this.cuts++;
    this.#latest?.abort(new Error("Cut by the demo"));
  }

  async connect(address: SocketAddress, options?: ConnectOptions): Promise<Socket> {
    return this.#latest = await this.#network.connect(address, options);
  }

  listen(address: SocketAddress, options?: ListenOptions): Promise<Listener> {
    return this.#network.listen(address, options);
  }
}
