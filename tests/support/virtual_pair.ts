/**
 * Two messengers on a simulated network in virtual time.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  type Connection,
  losslessPeerReuse,
  Messenger,
  type MessengerOptions,
  type MessengerStatus,
  type Policy,
} from "../../mod.ts";
import { SimulatedNetwork, type SimulatedNetworkOptions, VirtualEnvironment } from "../../src/testing.ts";
import { Recorder } from "./recorder.ts";

/** What distinguishes one of the two. */
export interface VirtualSideOptions extends MessengerOptions {
  /** @default {losslessPeerReuse()} */
  readonly policy?: Policy;
  /** @default {true} */
  readonly bound?: boolean;
}

/** Options of {@linkcode VirtualPair.play}. */
export interface VirtualPairOptions {
  readonly a?: VirtualSideOptions;
  readonly b?: VirtualSideOptions;
  /** @default {one with a latency of 1 ms} */
  readonly network?: SimulatedNetworkOptions;
  /** @default {0} */
  readonly seed?: number;
}

/** A messenger, where it is, and what it was told. */
export interface VirtualSide {
  readonly host: string;
  readonly messenger: Messenger;
  readonly told: Recorder;
  readonly log: MessengerStatus[];
  /** The transaction numbers of what has arrived, in order. */
  readonly tids: number[];
}

/** The two, on hosts of their own: a's address is the smaller one. What is left at the end fails the test. */
export class VirtualPair {
  readonly environment: VirtualEnvironment;
  readonly network: SimulatedNetwork;
  readonly a: VirtualSide;
  readonly b: VirtualSide;

  private constructor({ a = {}, b = {}, network = {}, seed = 0 }: VirtualPairOptions) {
    this.environment = new VirtualEnvironment({ seed });
    this.network = new SimulatedNetwork(this.environment, { latency: [1, 1], ...network });
    this.a = this.#side("10.0.0.1", 1, a);
    this.b = this.#side("10.0.0.2", 2, b);
  }

  /** Plays a scenario with two messengers, and ends them. */
  static async play(options: VirtualPairOptions, scenario: (pair: VirtualPair) => Promise<void>): Promise<void> {
    const pair = new VirtualPair(options);
    const { a, b, environment, network } = pair;
    for (const [side, { bound = true } = {}] of [[a, options.a], [b, options.b]] as const) {
      if (bound) await pair.finish(side.messenger.bind(`${side.host}:6800`));
    }
    try {
      await scenario(pair);
    } finally {
      await pair.finish(Promise.all([a.messenger.shutdown(), b.messenger.shutdown()]));
      // The last words of sockets are still on their way.
      await environment.run();
    }
    assertEquals([environment.timers, network.openSockets, network.openListeners], [0, 0, 0]);
    for (const { messenger } of [a, b]) {
      const { dispatch_queue_len, msgr_active_connections } = messenger.stats();
      assertEquals([dispatch_queue_len, msgr_active_connections], [0, 0]);
    }
  }

  /** a's connection to b. */
  dial(): Connection {
    return this.a.messenger.connectTo(this.b.messenger.address);
  }

  /** b's connection to a. */
  get back(): Connection {
    const connection = this.b.messenger.connections[0];
    assert(connection !== undefined, "a has connected");
    return connection;
  }

  /** Lets `ms` go by. */
  async pass(ms: number): Promise<void> {
    await this.environment.run({ ms });
  }

  /** Lets time go by until the condition holds. @returns How long that took, in ms. */
  async until(condition: () => boolean): Promise<number> {
    const start = this.environment.elapsed;
    assert(await this.environment.run({ until: condition, ms: 3_600_000 }), "it did not come in an hour");
    return this.environment.elapsed - start;
  }

  /** Lets time go by until a promise settles. */
  async finish<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    promise.then(() => isSettled = true, () => isSettled = true);
    await this.until(() => isSettled);
    return await promise;
  }

  #side(host: string, nonce: number, options: VirtualSideOptions): VirtualSide {
    const { policy = losslessPeerReuse(), bound: _, ...rest } = options, log: MessengerStatus[] = [];
    const messenger = new Messenger({
      network: this.network.host(host),
      environment: this.environment,
      nonce,
      log: (event) => void log.push(event),
      ...rest,
    });
    messenger.setPolicy(policy);
    const told = new Recorder();
    messenger.addDispatcherTail(told);
    return {
      host,
      messenger,
      told,
      log,
      get tids() {
        return told.messages.map(({ tid }) => tid);
      },
    };
  }
}
