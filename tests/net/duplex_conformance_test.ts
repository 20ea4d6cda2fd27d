/** What `socketFromDuplex` makes of other people's streams keeps the promises of the seam: here of streams of the network in memory. */

import { socketFromDuplex } from "../../src/net/duplex.ts";
import { MemoryNetwork } from "../../src/net/memory.ts";
import type { Listener, Network, Socket } from "../../src/net/network.ts";
import { testNetwork } from "./conformance.ts";

class WrappedNetwork implements Network {
  readonly name = "duplex";
  readonly flush = "microtask";
  readonly memory = new MemoryNetwork();

  async connect(...args: Parameters<Network["connect"]>): Promise<Socket> {
    return wrap(await this.memory.connect(...args));
  }

  async listen(...args: Parameters<Network["listen"]>): Promise<Listener> {
    const listener = await this.memory.listen(...args);
    return {
      address: listener.address,
      close: () => listener.close(),
      [Symbol.asyncDispose]: () => listener.close(),
      [Symbol.asyncIterator]: () => {
        const sockets = listener[Symbol.asyncIterator]();
        return {
          next: async () => {
            const { done, value } = await sockets.next();
            return done ? { done, value: undefined } : { done: false, value: wrap(value) };
          },
          return: async () => await sockets.return?.() ?? { done: true, value: undefined },
        };
      },
    };
  }
}

function wrap({ readable, writable, localAddress, remoteAddress }: Socket): Socket {
  return socketFromDuplex({ readable, writable }, localAddress, remoteAddress);
}

await testNetwork("duplex", () => new WrappedNetwork(), {
  noAbortAfterEnd: "a WritableStream that was closed cannot be aborted",
  noFiles: "the memory network has no file system and every address is its own",
  open: (network) => {
    const { openSockets, openListeners } = (network as WrappedNetwork).memory;
    return openSockets + openListeners;
  },
});
