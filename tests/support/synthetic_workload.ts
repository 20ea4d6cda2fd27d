/**
 * Many messengers that do everything at random, and are checked for what was promised.
 *
 * @module
 */

import { assert, assertEquals } from "@std/assert";
import {
  type Connection,
  type Dispatcher,
  exponentialBackoff,
  Message,
  Messenger,
  type MessengerOptions,
  type Policy,
} from "../../mod.ts";
import type { Network } from "../../src/net/network.ts";
import type { SeededRandom } from "../../src/testing/seeded_random.ts";
import { eventually } from "./eventually.ts";

const PING = 0x8001, PONG = 0x8002, COMMAND = 0x8003;
/** Ceph's limits; its longest message has 4 MiB. */
const MAX_IN_FLIGHT = 64, LONGEST = 64 * 1024, LEAST_TO_DROP = 10;

/** Who takes part. */
export interface WorkloadOptions {
  readonly servers: number;
  readonly clients: number;
  readonly serverPolicy: () => Policy;
  readonly clientPolicy: () => Policy;
  /** The most connections at a time. */
  readonly maxConnections: number;
  readonly network: Network;
  readonly random: SeededRandom;
  readonly messenger?: MessengerOptions;
}

/** Ceph's `SyntheticWorkload` and `SyntheticDispatcher`. */
export class SyntheticWorkload {
  readonly #options: WorkloadOptions;
  readonly #servers: Messenger[] = [];
  readonly #clients: Messenger[] = [];
  /** The connections that messages are sent on, with their two ends. */
  readonly #connections = new Map<Connection, { readonly from: Messenger; readonly to: Messenger }>();
  /** Pings whose answers have not arrived, by connection and in order. */
  readonly #outstanding = new Map<Connection, { readonly seq: number; readonly data: Uint8Array }[]>();
  /** The latest ping and pong of each connection. */
  readonly #latest = new Map<Connection, Map<number, number>>();
  readonly #bytes: Uint8Array;
  #seq = 0;
  /** What must not have happened; the first is told. */
  readonly #complaints: string[] = [];
  /** Answers that arrived. */
  answered = 0;
  /** Times that a socket broke. */
  faults = 0;

  private constructor(options: WorkloadOptions) {
    this.#options = options;
    this.#bytes = Uint8Array.from({ length: 2 * LONGEST }, () => options.random.int(0, 255));
  }

  /** Makes the messengers. */
  static async open(options: WorkloadOptions): Promise<SyntheticWorkload> {
    const workload = new SyntheticWorkload(options);
    const { servers, clients, serverPolicy, clientPolicy } = options;
    for (let i = 0; i < servers + clients; i++) {
      const isServer = i < servers, policy = isServer ? serverPolicy() : clientPolicy();
      const messenger = new Messenger({
        network: options.network,
        name: isServer ? `osd.${i}` : "client.?",
        nonce: 1000 + i,
        backoff: exponentialBackoff({ initial: 5, max: 50 }),
        log: ({ type }) => {
          if (type === "fault") workload.faults++;
        },
        ...options.messenger,
      });
      messenger.setPolicy(policy);
      messenger.addDispatcherTail(workload.#dispatcher());
      // As in Ceph: whoever may sleep has to be dialled.
      if (isServer || policy.standby) await messenger.bind("127.0.0.1:0");
      (isServer ? workload.#servers : workload.#clients).push(messenger);
    }
    return workload;
  }

  /** How many connections there are to send on. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Adds a connection. Ceph's `generate_connection`. */
  connect(): void {
    const { random, serverPolicy, maxConnections } = this.#options;
    if (this.#connections.size >= maxConnections) return;
    const server = random.pick(this.#servers), client = random.pick(this.#clients);
    const fromServer = !serverPolicy().server && random.chance(0.5);
    const [from, to] = fromServer ? [server, client] : [client, server];
    const connection = from.connectTo(to.address, { type: fromServer ? "client" : "osd" });
    this.#connections.set(connection, { from, to });
  }

  /** Sends a ping, or now and then something that overtakes. Ceph's `send_message`. */
  async send(): Promise<void> {
    const { random } = this.#options;
    await eventually(() => this.#inFlight() <= MAX_IN_FLIGHT || this.#complaints.length > 0);
    if (this.#connections.size === 0) return;
    const connection = random.pick([...this.#connections.keys()]);
    if (random.chance(0.05)) {
      connection.send(new Message(COMMAND, { priority: 200, front: new TextEncoder().encode("command") }));
      return;
    }
    const start = random.int(0, LONGEST);
    const data = this.#bytes.subarray(start, start + random.int(32, LONGEST));
    const seq = ++this.#seq;
    if (!this.#connections.get(connection)!.from.getPolicy(connection.peerType).lossy) {
      const list = this.#outstanding.get(connection) ?? [];
      list.push({ seq, data });
      this.#outstanding.set(connection, list);
    }
    if (!connection.send(new Message(PING, { tid: seq, data }))) this.#forget(connection);
  }

  /** Marks a connection down, and between equals the other end of it as well. Ceph's `drop_connection`. */
  drop(): void {
    if (this.#connections.size < LEAST_TO_DROP) return;
    const { random, serverPolicy } = this.#options;
    const connection = random.pick([...this.#connections.keys()]);
    const { from, to } = this.#connections.get(connection)!;
    this.#forget(connection);
    connection.markDown();
    if (serverPolicy().server) return;
    const other = to.findConnection(from.address);
    if (other === undefined) return;
    this.#forget(other);
    other.markDown();
  }

  /** Waits for every answer, ends all, and looks whether anything is left. Ceph's `wait_for_done`. */
  async done(): Promise<void> {
    await eventually(() => this.#inFlight() === 0 || this.#complaints.length > 0);
    await this.close();
    assertEquals(this.#complaints[0], undefined);
    for (const messenger of [...this.#servers, ...this.#clients]) {
      const stats = messenger.stats();
      assertEquals([stats.dispatch_queue_len, stats.dispatch_throttle_bytes, stats.msgr_active_connections], [0, 0, 0]);
      // Not even the protocol sees a message twice: Ceph's tests set `ms_die_on_old_message` for that.
      assertEquals([stats.duplicate_messages, stats.protocol_errors], [0, 0]);
    }
  }

  /** Ends all. */
  async close(): Promise<void> {
    for (const messenger of [...this.#clients, ...this.#servers]) await messenger.shutdown();
  }

  /** How everything is, for the message of a failure. */
  describe(): string {
    const lines = [...this.#outstanding].filter(([, list]) => list.length > 0).map(([connection, list]) => {
      const { from, to } = this.#connections.get(connection) ?? {};
      const other = from && to?.findConnection(from.address);
      return `${from?.address} → ${connection.peerAddress}: ${connection.state}, ${connection.queued} queued, ` +
        `waits for ${list.map(({ seq }) => seq).join()}; the other end is ${other?.state}, ${other?.queued} queued`;
    });
    return lines.join("\n");
  }

  #inFlight(): number {
    let count = 0;
    for (const list of this.#outstanding.values()) count += list.length;
    return count;
  }

  #forget(connection: Connection): void {
    this.#outstanding.delete(connection);
    this.#connections.delete(connection);
  }

  #dispatcher(): Dispatcher {
    return {
      canFastDispatch: ({ type }) => type === PING || type === COMMAND,
      fastDispatch: (message) => {
        if (message.type === COMMAND) return;
        this.#checkOrder(message);
        message.connection.send(new Message(PONG, { tid: message.tid, data: message.data }));
      },
      dispatch: (message) => {
        this.#checkOrder(message);
        this.#answer(message);
      },
      handleRemoteReset: (connection) => void this.#outstanding.delete(connection),
      handleReset: (connection) => this.#forget(connection),
    };
  }

  /** Numbers only ever rise: nothing comes twice or overtakes, whatever the policy. */
  #checkOrder({ connection, type, tid }: Message): void {
    let latest = this.#latest.get(connection);
    if (latest === undefined) this.#latest.set(connection, latest = new Map());
    const before = latest.get(type) ?? 0;
    latest.set(type, tid);
    if (tid <= before) {
      this.#complaints.push(
        `${type === PING ? "ping" : "pong"} ${tid} of ${connection.peerAddress} came after ${before}`,
      );
    }
  }

  #answer({ connection, tid, data }: Message): void {
    this.answered++;
    const list = this.#outstanding.get(connection);
    const index = list?.findIndex(({ seq }) => seq === tid) ?? -1;
    if (list === undefined || index < 0) return;
    const [ping] = list.splice(index, 1);
    if (index > 0) this.#complaints.push(`pong ${tid} came, and before it should have come ${list[0]!.seq}`);
    if (ping!.data.length !== data.length || ping!.data.some((byte, i) => data[i] !== byte)) {
      this.#complaints.push(`pong ${tid} has other contents than its ping`);
    }
  }
}

/** In so many of a hundred operations: a new connection, one dropped, a message; otherwise nothing for a moment. */
export interface Mix {
  readonly connect: number;
  readonly drop: number;
  readonly send: number;
}

/** Does so many operations, each drawn at random, after making connections to begin with. */
export async function play(
  workload: SyntheticWorkload,
  random: SeededRandom,
  first: number,
  operations: number,
  mix: Mix,
) {
  for (let i = 0; i < first; i++) workload.connect();
  for (let i = 0; i < operations; i++) {
    const draw = random.int(0, 99);
    if (draw < mix.connect) workload.connect();
    else if (draw < mix.connect + mix.drop) workload.drop();
    else if (draw < mix.connect + mix.drop + mix.send) await workload.send();
    else await new Promise((resolve) => setTimeout(resolve, random.next()));
  }
  assert(workload.answered > 0, "answers came");
}
