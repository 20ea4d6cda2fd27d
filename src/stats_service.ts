/**
 * Tells whoever asks what a messenger's connections are doing, over one of them: what `msgr top` shows.
 *
 * @example
 * ```ts
 * import { Messenger } from "@msgr/pipe";
 * import { statsService } from "@msgr/pipe/stats";
 *
 * await using messenger = new Messenger();
 * statsService(messenger);
 * await messenger.bind("127.0.0.1:0");
 * // msgr top 127.0.0.1:…
 * ```
 *
 * @module
 */

import type { Connection } from "./connection.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { systemEnvironment } from "./environment.ts";
import type { Message } from "./message.ts";
import { jsonCodec, MessageType } from "./message_type.ts";
import type { Messenger } from "./messenger.ts";
import type { PipeState } from "./session.ts";
import type { MessengerStats } from "./stats.ts";
import { entityTypeLabel } from "./wire/entity.ts";

/** What one connection has done so far, and is doing now. */
export interface ConnectionStats {
  /** Where the peer is. */
  readonly peer: string;
  /** What kind of entity it is: `"client"`, `"osd"`. */
  readonly type: string;
  /** What the connection is doing. */
  readonly state: PipeState;
  /** Whether a throttle keeps it from being read: what has come is handled too slowly. */
  readonly isHeld: boolean;
  /** Messages that wait to be sent, or to be acknowledged. */
  readonly queued: number;
  /** Messages that have come. */
  readonly received: number;
  /** Bytes of their segments. */
  readonly receivedBytes: number;
  /** How often the session was opened again on a new socket. */
  readonly reconnects: number;
  /** Whether it is the one that the question came by. */
  readonly isAsking: boolean;
}

/** What a messenger has done so far, and is doing now. */
export interface StatsSnapshot {
  /** Who it is: `"osd.3"`. */
  readonly name: string;
  /** Where it is. */
  readonly address: string;
  /** When the snapshot was made, in ms since 1970. */
  readonly time: number;
  /** Since when connections are counted: when the service was added, in ms since 1970. */
  readonly since: number;
  /** The messenger's counters. */
  readonly stats: MessengerStats;
  /** Every connection whose session is alive. */
  readonly connections: readonly ConnectionStats[];
}

/** Asks for a {@linkcode StatsSnapshot}. The answer has the question's `tid`. */
export const StatsRequest: MessageType<null> = new MessageType(0xff01, { encode: () => ({}), decode: () => null });

/** The answer to that. */
export const StatsReply: MessageType<StatsSnapshot> = new MessageType(0xff02, jsonCodec(checkSnapshot));

/**
 * Has a messenger answer {@linkcode StatsRequest}s. Add it before the messenger's first connection: it counts from then on.
 *
 * Everyone who may open a connection may ask, and is told the addresses of all peers. Counting costs every message a look into a map.
 */
export function statsService(messenger: Messenger): void {
  messenger.addDispatcherHead(new StatsService(messenger));
}

/** What is counted for one connection. */
interface Tally {
  received: number;
  receivedBytes: number;
  opened: number;
}

class StatsService implements Dispatcher {
  readonly #messenger: Messenger;
  readonly #since = systemEnvironment.now();
  readonly #tallies = new WeakMap<Connection, Tally>();

  constructor(messenger: Messenger) {
    this.#messenger = messenger;
  }

  fastPreprocess({ connection, byteLength }: Message): void {
    const tally = this.#tally(connection);
    tally.received++;
    tally.receivedBytes += byteLength;
  }

  handleFastConnect(connection: Connection): void {
    this.#tally(connection).opened++;
  }

  handleFastAccept(connection: Connection): void {
    this.#tally(connection).opened++;
  }

  dispatch(message: Message): boolean {
    if (!StatsRequest.matches(message)) return false;
    message.connection.send(StatsReply.message(this.#snapshot(message.connection), { tid: message.tid }));
    return true;
  }

  #tally(connection: Connection): Tally {
    let tally = this.#tallies.get(connection);
    if (tally === undefined) this.#tallies.set(connection, tally = { received: 0, receivedBytes: 0, opened: 0 });
    return tally;
  }

  #snapshot(asking: Connection): StatsSnapshot {
    const { name, address, connections } = this.#messenger;
    return {
      name: name.toString(),
      address: address.toString(),
      time: systemEnvironment.now(),
      since: this.#since,
      stats: this.#messenger.stats(),
      connections: connections.map((connection) => {
        const { received, receivedBytes, opened } = this.#tally(connection);
        return {
          peer: connection.peerAddress.toString(),
          type: connection.peerType === 0 ? "?" : entityTypeLabel(connection.peerType),
          state: connection.state,
          isHeld: connection.describe().isHeld,
          queued: connection.queued,
          received,
          receivedBytes,
          reconnects: Math.max(0, opened - 1),
          isAsking: connection === asking,
        };
      }),
    };
  }
}

/** Makes sure of the shape of a snapshot: whoever sent it may be anybody. */
function checkSnapshot(value: unknown): StatsSnapshot {
  const { name, address, time, since, stats, connections } = fields(value, "snapshot");
  hold({ name, address }, "string");
  hold({ time, since, ...fields(stats, "stats") }, "number");
  if (!Array.isArray(connections)) throw new TypeError("connections is no list");
  for (const connection of connections) {
    const { peer, type, state, isHeld, queued, received, receivedBytes, reconnects, isAsking } = fields(
      connection,
      "connection",
    );
    hold({ peer, type, state }, "string");
    hold({ queued, received, receivedBytes, reconnects }, "number");
    hold({ isHeld, isAsking }, "boolean");
  }
  return value as StatsSnapshot;
}

function fields(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  throw new TypeError(`${what} is no object`);
}

function hold(values: Record<string, unknown>, type: "string" | "number" | "boolean"): void {
  for (const [name, value] of Object.entries(values)) {
    const actual: string = typeof value;
    if (actual !== type) throw new TypeError(`${name} is no ${type}`);
  }
}
