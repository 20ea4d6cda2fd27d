/**
 * What a client wants to be told of by its monitor.
 *
 * @module
 */

import type { Message } from "../message.ts";
import { MMonMap, MOSDMap, type SubscriptionRequest } from "./mon_messages.ts";

/** The type of the messages that a subscription brings, and how to see which epoch they lead to. */
interface Kind {
  readonly type: number;
  readonly epoch?: (message: Message) => number;
}

const kinds: Readonly<Record<string, Kind>> = {
  monmap: { type: MMonMap.type, epoch: (message) => MMonMap.read(message).epoch },
  osdmap: { type: MOSDMap.type, epoch: (message) => Math.max(0, ...osdEpochs(message)) },
  config: { type: 62 },
  mdsmap: { type: 21 },
  fsmap: { type: 45 },
  mgrmap: { type: 0x704 },
  servicemap: { type: 0x707 },
};

function osdEpochs(message: Message): number[] {
  const { incremental, full } = MOSDMap.read(message);
  return [...incremental.keys(), ...full.keys()];
}

/** What can be subscribed to. */
export const SUBSCRIBABLE: readonly string[] = Object.keys(kinds);

/** Is given every message of a subscription. */
export type SubscriptionHandler = (message: Message) => void;

interface Subscription {
  start: number;
  readonly handlers: Set<SubscriptionHandler>;
}

/** Subscriptions by their name, with the epochs that have arrived. Ceph's `MonSub`. */
export class Subscriptions {
  readonly #byName = new Map<string, Subscription>();

  /** Adds a handler. Whether the monitor has to be asked: it has not been for that name. */
  add(name: string, start: number, handler: SubscriptionHandler): boolean {
    const existing = this.#byName.get(name);
    if (existing !== undefined) {
      existing.handlers.add(handler);
      return false;
    }
    this.#byName.set(name, { start, handlers: new Set([handler]) });
    return true;
  }

  /** Takes a handler back. Monitors cannot be told so; the next one just is not asked. */
  remove(name: string, handler: SubscriptionHandler): void {
    const subscription = this.#byName.get(name);
    subscription?.handlers.delete(handler);
    if (subscription?.handlers.size === 0) this.#byName.delete(name);
  }

  /** What to ask a monitor for. */
  request(names: Iterable<string> = this.#byName.keys()): Map<string, SubscriptionRequest> {
    return new Map([...names].map((name) => [name, { start: this.#byName.get(name)!.start, onetime: false }]));
  }

  /**
   * Hands a message to the handlers of its subscription.
   *
   * @throws {MessengerError} With code `bad_message`.
   */
  handle(message: Message): boolean {
    for (const [name, subscription] of this.#byName) {
      const kind = kinds[name]!;
      if (kind.type !== message.type) continue;
      if (kind.epoch !== undefined) subscription.start = Math.max(subscription.start, kind.epoch(message) + 1);
      for (const handler of [...subscription.handlers]) handler(message);
      return true;
    }
    return false;
  }
}
