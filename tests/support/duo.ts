/**
 * Two messengers, each behind an {@linkcode Interceptor} of its own.
 *
 * @module
 */

import { assertEquals } from "@std/assert";
import {
  type Connection,
  type ConnectToOptions,
  losslessPeerReuse,
  Message,
  Messenger,
  type MessengerOptions,
  type Policy,
} from "../../mod.ts";
import type { Network } from "../../src/net/network.ts";
import { Interceptor } from "./interceptor.ts";
import { Recorder } from "./recorder.ts";

/** What distinguishes one of the two. */
export interface SideOptions extends MessengerOptions {
  /** @default {losslessPeerReuse()} */
  readonly policy?: Policy;
  /** Whether it listens. */
  readonly bound?: boolean;
  /** Whether it answers every message. */
  readonly answers?: boolean;
}

/** A messenger, what it was told, and what it dials through. */
export class Side {
  readonly messenger: Messenger;
  readonly network: Interceptor;
  readonly told: Recorder;

  constructor(network: Network, options: SideOptions) {
    const { policy, answers = false, bound: _, ...rest } = options;
    this.network = new Interceptor(network);
    // The first attempt after a fault is made at once, as it is by default.
    this.messenger = new Messenger({ network: this.network, backoff: (attempt) => attempt === 0 ? 0 : 5, ...rest });
    this.messenger.setPolicy(policy ?? losslessPeerReuse());
    this.told = new Recorder({ answers });
    this.messenger.addDispatcherTail(this.told);
  }

  /** The transaction numbers of what has arrived, in order. */
  get tids(): number[] {
    return this.told.messages.map(({ tid }) => tid);
  }

  /** Its only connection. */
  get connection(): Connection {
    const { connections } = this.messenger;
    assertEquals(connections.length, 1, "connections that are alive");
    return connections[0]!;
  }

  /** Its connection to the other side. */
  to(other: Side, options?: ConnectToOptions): Connection {
    return this.messenger.connectTo(other.messenger.address, options);
  }

  /** Fulfils when so many messages have arrived. */
  has(count: number): Promise<void> {
    return this.told.until(() => this.told.messages.length >= count);
  }
}

/** Two messengers on one network. Disposing of them asserts that nothing is left. */
export class Duo implements AsyncDisposable {
  readonly a: Side;
  readonly b: Side;

  private constructor(a: Side, b: Side) {
    this.a = a;
    this.b = b;
  }

  /** Makes the two; `b` listens unless it is told not to. */
  static async open(network: Network, a: SideOptions = {}, b: SideOptions = {}): Promise<Duo> {
    const duo = new Duo(new Side(network, a), new Side(network, b));
    if (a.bound ?? false) await duo.a.messenger.bind("127.0.0.1:0");
    if (b.bound ?? true) await duo.b.messenger.bind("127.0.0.1:0");
    return duo;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { network } of [this.a, this.b]) network.bury();
    await this.a.messenger.shutdown();
    await this.b.messenger.shutdown();
    for (const { messenger } of [this.a, this.b]) {
      const { dispatch_queue_len, dispatch_throttle_bytes, msgr_active_connections } = messenger.stats();
      assertEquals([dispatch_queue_len, dispatch_throttle_bytes, msgr_active_connections], [0, 0, 0]);
    }
  }
}

/** A message that is known by its number. */
export function numbered(tid: number): Message {
  return new Message(1000, { tid, data: new Uint8Array(tid % 50).fill(tid) });
}

/** The whole numbers from `first` to `last`. */
export function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}
