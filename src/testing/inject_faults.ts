/**
 * Ceph's fault injection for real sockets: a wrapper around any network.
 *
 * @module
 */

import { type Environment, sleep } from "../environment.ts";
import { MessengerError, NetworkError } from "../errors.ts";
import type { ConnectOptions, Listener, ListenOptions, Network, Socket, SocketAddress } from "../net/network.ts";

/** What {@linkcode injectFaults} injects, by Ceph's names and in Ceph's units: times are in **seconds**. */
export interface InjectedFaults {
  /**
   * Each read and each write breaks its connection with a probability of one in this many; 0 for never. Ceph's
   * `ms_inject_socket_failures`.
   *
   * @default {0}
   */
  readonly msInjectSocketFailures?: number;
  /**
   * Waits up to this long, in seconds, before a connection is handed over that was dialled or accepted. Ceph's `ms_inject_internal_delays`.
   *
   * @default {0}
   */
  readonly msInjectInternalDelays?: number;
  /**
   * With which probability, 0 to 1, what has arrived is delivered late; all that follows waits behind it. Ceph's
   * `ms_inject_delay_probability`. Ceph delays messages; a socket knows nothing of them, so these are chunks of bytes.
   *
   * @default {0}
   */
  readonly msInjectDelayProbability?: number;
  /**
   * How late that is at most, in seconds. Ceph's `ms_inject_delay_max`.
   *
   * @default {1}
   */
  readonly msInjectDelayMax?: number;
}

/**
 * Wraps a network so that its connections suffer what Ceph's tests inject. `ms_inject_delay_type` and `ms_inject_delay_msg_type` are missing: a
 * socket does not know who is at its other end, nor what a message is. Wrap the network of the messengers that are to suffer instead.
 *
 * @param network The network to wrap.
 * @param environment Where waiting and chance come from: `systemEnvironment`, or a seeded one.
 * @param faults What to inject.
 * @throws {MessengerError} With code `invalid`, naming the option and its range.
 *
 * @example
 * ```ts
 * import { Messenger, systemEnvironment } from "@msgr/pipe";
 * import { injectFaults, MemoryNetwork } from "@msgr/pipe/testing";
 *
 * const network = injectFaults(new MemoryNetwork(), systemEnvironment, { msInjectSocketFailures: 500 });
 * await using messenger = new Messenger({ network });
 * await messenger.bind("127.0.0.1:6800");
 * ```
 */
export function injectFaults(network: Network, environment: Environment, faults: InjectedFaults): Network {
  check("msInjectSocketFailures", faults.msInjectSocketFailures, Number.MAX_SAFE_INTEGER);
  check("msInjectInternalDelays", faults.msInjectInternalDelays, 3600);
  check("msInjectDelayProbability", faults.msInjectDelayProbability, 1);
  check("msInjectDelayMax", faults.msInjectDelayMax, 3600);
  const injector = new Injector(environment, faults);
  return {
    name: `${network.name} with faults`,
    flush: network.flush,
    connect: async (address: SocketAddress, options?: ConnectOptions) => {
      const socket = await network.connect(address, options);
      await injector.delay();
      if (!options?.signal?.aborted) return injector.wrap(socket);
      socket.abort(options.signal.reason);
      throw options.signal.reason;
    },
    listen: async (address: SocketAddress, options?: ListenOptions) =>
      injector.wrapListener(await network.listen(address, options)),
  };
}

class Injector {
  readonly #environment: Environment;
  readonly #failures: number;
  readonly #internalDelays: number;
  readonly #delayProbability: number;
  readonly #delayMax: number;

  constructor(environment: Environment, faults: InjectedFaults) {
    this.#environment = environment;
    this.#failures = faults.msInjectSocketFailures ?? 0;
    this.#internalDelays = faults.msInjectInternalDelays ?? 0;
    this.#delayProbability = faults.msInjectDelayProbability ?? 0;
    this.#delayMax = faults.msInjectDelayMax ?? 1;
  }

  async delay(): Promise<void> {
    if (this.#internalDelays === 0) return;
    await sleep(this.#environment, this.#internalDelays * this.#environment.random() * 1000);
  }

  wrapListener(listener: Listener): Listener {
    // deno-lint-ignore no-this-alias
    const injector = this;
    return {
      address: listener.address,
      close: () => listener.close(),
      [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
      async *[Symbol.asyncIterator]() {
        for await (const socket of listener) {
          await injector.delay();
          yield injector.wrap(socket);
        }
      },
    };
  }

  wrap(socket: Socket): Socket {
    const reader = socket.readable.getReader(), writer = socket.writable.getWriter();
    // Whoever reads or writes hears of the failure there.
    reader.closed.catch(() => {});
    writer.closed.catch(() => {});
    writer.ready.catch(() => {});
    const readable = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const { done, value } = await reader.read();
        this.#maybeFail(socket);
        if (this.#delayProbability > 0 && this.#environment.random() < this.#delayProbability) {
          await sleep(this.#environment, this.#delayMax * this.#environment.random() * 1000);
        }
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    }, { highWaterMark: 0 });
    const writable = new WritableStream<Uint8Array>({
      write: (chunk) => {
        this.#maybeFail(socket);
        return writer.write(chunk);
      },
      close: () => writer.close(),
      abort: (reason) => writer.abort(reason),
    });
    return {
      readable,
      writable,
      localAddress: socket.localAddress,
      remoteAddress: socket.remoteAddress,
      closed: socket.closed,
      abort: (reason) => socket.abort(reason),
    };
  }

  #maybeFail(socket: Socket): void {
    if (this.#failures === 0 || this.#environment.random() * this.#failures >= 1) return;
    const error = new NetworkError("connection_lost", "Injecting a socket failure");
    socket.abort(error);
    throw error;
  }
}

function check(option: string, value: number | undefined, most: number): void {
  if (value === undefined || (value >= 0 && value <= most)) return;
  throw new MessengerError("invalid", `Bad option ${option}: got ${value}, expected 0 to ${most}`);
}
