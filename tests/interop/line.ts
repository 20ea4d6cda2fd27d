/**
 * A network with a proxy in front of every daemon.
 *
 * @module
 */

import { defaultNetwork } from "../../src/net/default.ts";
import type { ConnectOptions, Listener, ListenOptions, Network, Socket, SocketAddress } from "../../src/net/network.ts";
import { Proxy, type Tap } from "./proxy.ts";

/** The runtime's network, but for the proxies that it dials in place of the daemons. */
export class Line implements Network, AsyncDisposable {
  readonly #network: Network;
  readonly #proxies = new Map<string, Promise<Proxy>>();
  readonly #tap: Tap | undefined;

  private constructor(network: Network, tap: Tap | undefined) {
    this.#network = network;
    this.#tap = tap;
  }

  /** Makes one; `tap` sees what passes to all daemons. */
  static async make(tap?: Tap): Promise<Line> {
    return new Line(await defaultNetwork(), tap);
  }

  get name(): string {
    return this.#network.name;
  }

  get flush(): "microtask" | "macrotask" {
    return this.#network.flush;
  }

  /** The proxy in front of the daemon at that address: `"127.0.0.1:6800"`. */
  async to(daemon: string): Promise<Proxy> {
    const [hostname, port] = daemon.split(":") as [string, string];
    const make = async () => {
      const proxy = await Proxy.start(this.#network, { transport: "tcp", hostname, port: Number(port) });
      proxy.tap = this.#tap;
      return proxy;
    };
    const proxy = this.#proxies.get(daemon) ?? make();
    this.#proxies.set(daemon, proxy);
    return await proxy;
  }

  async connect(address: SocketAddress, options?: ConnectOptions): Promise<Socket> {
    if (address.transport !== "tcp") return await this.#network.connect(address, options);
    const proxy = await this.to(`${address.hostname}:${address.port}`);
    return await this.#network.connect(proxy.address, options);
  }

  listen(address: SocketAddress, options?: ListenOptions): Promise<Listener> {
    return this.#network.listen(address, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const proxy of this.#proxies.values()) await (await proxy)[Symbol.asyncDispose]();
  }
}
