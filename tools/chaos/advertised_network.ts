/**
 * Listening behind a proxy: the address that is advertised is the proxy's, as it is where real ones stand before a service.
 *
 * @module
 */

import type { ConnectOptions, Listener, ListenOptions, Network, Socket, SocketAddress } from "../../mod.ts";

/** Another network, whose listeners are elsewhere than they say. */
export class AdvertisedNetwork implements Network {
  readonly name: string;
  readonly flush: Network["flush"];
  /** Where the latest listener really is. */
  port = 0;
  readonly #network: Network;

  /** @param network Where the sockets come from. */
  constructor(network: Network) {
    this.name = network.name;
    this.flush = network.flush;
    this.#network = network;
  }

  connect(address: SocketAddress, options?: ConnectOptions): Promise<Socket> {
    return this.#network.connect(address, options);
  }

  async listen(advertised: SocketAddress, options?: ListenOptions): Promise<Listener> {
    const listener = await this.#network.listen({ transport: "tcp", hostname: "127.0.0.1", port: 0 }, options);
    if (listener.address.transport === "tcp") this.port = listener.address.port;
    return {
      address: advertised,
      close: () => listener.close(),
      [Symbol.asyncIterator]: () => listener[Symbol.asyncIterator](),
      [Symbol.asyncDispose]: () => listener.close(),
    };
  }
}
