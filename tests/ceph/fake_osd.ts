/**
 * OSDs in memory and virtual time. Like real ones they say nothing to who asks the wrong one, drop what they were sent while they are blocked, and know
 * what they have carried out already.
 *
 * @module
 */

import { type Connection, Message, Messenger, statelessServer } from "../../mod.ts";
import {
  CEPH_FEATURES,
  CephxService,
  Decoder,
  Encoder,
  type MonClientOptions,
  MOSDMap,
  RadosClient,
  type RadosOptions,
} from "../../src/ceph/mod.ts";
import { uuidBytes } from "../../src/ceph/mon_map.ts";
import { hashObject, placementSeed } from "../../src/ceph/object_hash.ts";
import {
  comparePositions,
  decodePosition,
  encodePosition,
  FIRST_POSITION,
  type ObjectPosition,
} from "../../src/ceph/object_position.ts";
import {
  BackoffOp,
  HEAD,
  MOSDBackoff,
  MOSDOp,
  MOSDOpReply,
  type OsdOutcome,
  type OsdRequest,
} from "../../src/ceph/osd_messages.ts";
import { isWrite, type OsdOperation, OsdOperationCode } from "../../src/ceph/osd_operations.ts";
import { FakeCluster, type FakeMonitor } from "./fake_cluster.ts";

const ENOENT = -2;
const NOTHING = new Uint8Array(0);

/** An object, which all OSDs have. */
export interface FakeObject {
  data: Uint8Array;
  mtime: number;
  readonly keys: Map<string, Uint8Array>;
  /** How many bytes it is said to have, where that is a lie. */
  readonly claimedSize?: number;
}

/** A cluster with OSDs, and a pool `p` with number 1. */
export class FakeRados implements AsyncDisposable {
  readonly cluster: FakeCluster;
  readonly osds: FakeOsd[] = [];
  monitor!: FakeMonitor;
  epoch = 10;
  pgNum = 8;
  flags = "";
  /** Whether the pool is there. */
  hasPool = true;
  /** Which OSD takes the requests for a placement group; the first that is up, where nothing is said. */
  readonly primaries = new Map<number, number>();
  readonly objects = new Map<string, FakeObject>();
  /** Writes that were carried out, by who made them and their number; and how often they came. */
  readonly carriedOut = new Map<string, { status: number; times: number }>();
  /** Answers to commands in place of ours. */
  refuses: ((prefix: string) => { status: number; text: string } | undefined) | undefined;

  readonly #serving = new Map<number, { serving: string; since: number }>();

  private constructor(cluster: FakeCluster) {
    this.cluster = cluster;
  }

  /** Starts a monitor and OSDs. */
  static async start(osds = 1, cluster = new FakeCluster()): Promise<FakeRados> {
    const rados = new FakeRados(cluster);
    rados.monitor = await cluster.start();
    rados.monitor.answer = (command) => rados.#answer(JSON.parse(command));
    rados.monitor.subscribed = (connection, what) => {
      const wanted = what.get("osdmap");
      if (wanted !== undefined && wanted.start <= rados.epoch) rados.sendMap(connection);
    };
    for (let i = 0; i < osds; i++) {
      const osd = new FakeOsd(rados, i);
      rados.osds.push(osd);
      await osd.start();
    }
    rados.change();
    return rados;
  }

  /** A client of this cluster. */
  connect(options: Partial<MonClientOptions & RadosOptions> = {}): Promise<RadosClient> {
    return this.cluster.settle(RadosClient.connect({ ...this.cluster.options(options), ...options }));
  }

  /** Makes a new map of what there is now, and tells nobody. */
  change(): void {
    this.epoch++;
    for (let seed = 0; seed < this.pgNum; seed++) {
      const serving = `${this.primary(seed)} of ${this.pgNum}`;
      if (this.#serving.get(seed)?.serving !== serving) this.#serving.set(seed, { serving, since: this.epoch });
    }
  }

  /** Since which map a placement group is where it is: an OSD drops what was sent by an older one. */
  servedSince(seed: number): number {
    return this.#serving.get(seed)?.since ?? 0;
  }

  /** Makes a new map, and tells those who are connected to the monitor. */
  publish(): void {
    this.change();
    for (const connection of this.monitor.connections) this.sendMap(connection);
  }

  /** Tells one of them that there is a map. */
  sendMap(connection: Connection): void {
    const front = new Encoder().raw(uuidBytes(this.cluster.fsid)).u32(1).u32(this.epoch).bytes(NOTHING).u32(0);
    connection.send(new Message(MOSDMap.type, { version: 4, front: front.u32(1).u32(this.epoch).u32(0).finish() }));
  }

  /** Which OSD takes the requests for a placement group; -1 for none. */
  primary(seed: number): number {
    return this.primaries.get(seed) ?? this.osds.find(({ isUp }) => isUp)?.id ?? -1;
  }

  /** What an object holds, as text. */
  text(object: string): string | undefined {
    const found = this.objects.get(object);
    return found && new TextDecoder().decode(found.data);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.osds.map((osd) => osd.stop()));
    await this.cluster[Symbol.asyncDispose]();
  }

  #answer({ prefix, object }: { prefix: string; object?: string }): { status: number; text: string; data: Uint8Array } {
    const refusal = this.refuses?.(prefix);
    if (refusal !== undefined) return { ...refusal, data: NOTHING };
    const answer = prefix === "osd dump" ? this.#dump() : this.#place(object!);
    return { status: 0, text: "", data: new TextEncoder().encode(JSON.stringify(answer)) };
  }

  #dump(): unknown {
    const pool = {
      pool: 1,
      pool_name: "p",
      type: 1,
      object_hash: 2,
      pg_num: this.pgNum,
      stripe_width: 0,
      flags_names: "hashpspool",
      last_force_op_resend: "0",
    };
    return {
      epoch: this.epoch,
      flags: this.flags,
      pools: this.hasPool ? [pool] : [],
      osds: this.osds.map(({ id, isUp, address, nonce }) => ({
        osd: id,
        up: isUp ? 1 : 0,
        public_addrs: { addrvec: [{ type: "v2", addr: address, nonce }, { type: "v1", addr: address, nonce }] },
      })),
    };
  }

  #place(object: string): unknown {
    const seed = placementSeed(hashObject(object), this.pgNum), primary = this.primary(seed);
    return {
      epoch: this.epoch,
      pgid: `1.${seed.toString(16)}`,
      acting: primary < 0 ? [] : [primary],
      acting_primary: primary,
    };
  }
}

/** One OSD. */
export class FakeOsd {
  readonly #rados: FakeRados;
  #messenger: Messenger | undefined;
  readonly id: number;
  isUp = false;
  nonce = 100;
  /** What it was asked, in the order in which that came. */
  readonly received: OsdRequest[] = [];
  /** Carries out what it is asked, but does not say so. */
  mute = false;
  /** Answers that are withheld, where they are. */
  withheld: (() => void)[] | undefined;
  /** Breaks its connections when it is asked something; with `"after"` it has carried it out by then; with `"blocked"` when a client has agreed to wait. */
  hangsUp: "before" | "after" | "blocked" | undefined;
  /** Answers requests with this error. */
  error = 0;
  /** Placement groups that it does not serve for now. */
  readonly blocked = new Set<number>();
  /** Range of objects that it does not serve in these. */
  blockedRange: readonly [ObjectPosition, ObjectPosition] = [FIRST_POSITION, { ...FIRST_POSITION, isMax: true }];
  /** Backoffs that were acknowledged. */
  acknowledged = 0;
  /** Answers with what no client can read. */
  talksNonsense = false;
  /** What each client was told not to send, by placement group: until it has agreed to that, it cannot be told to go on. */
  readonly #backoffs = new Map<Connection, Map<number, { isAcknowledged: boolean; isOver: boolean }>>();

  constructor(rados: FakeRados, id: number) {
    this.#rados = rados;
    this.id = id;
  }

  get address(): string {
    return `10.0.1.${this.id + 1}:6800`;
  }

  /** Everyone who is connected. */
  get connections(): Connection[] {
    return this.#messenger!.connections;
  }

  /** Starts, as another process than before. */
  async start(): Promise<void> {
    const { network, environment, keys, serviceKey } = this.#rados.cluster;
    this.nonce++;
    const messenger = this.#messenger = new Messenger({
      name: `osd.${this.id}`,
      nonce: this.nonce,
      network,
      environment,
    });
    messenger.setPolicy(statelessServer({ featuresSupported: CEPH_FEATURES }));
    if (keys !== undefined) {
      messenger.addDispatcherHead(new CephxService({ service: "osd", keys: new Map([[0n, serviceKey]]), environment }));
    }
    messenger.addDispatcherTail({ dispatch: (message) => this.#dispatch(message) });
    await messenger.bind(this.address);
    this.isUp = true;
  }

  async stop(): Promise<void> {
    this.isUp = false;
    await this.#messenger?.shutdown();
  }

  /** Breaks all connections. */
  cut(): void {
    this.#messenger!.markDownAll();
  }

  /** Serves a placement group again. */
  unblock(seed: number): void {
    this.blocked.delete(seed);
    for (const [connection, backoffs] of this.#backoffs) {
      const backoff = backoffs.get(seed);
      if (backoff === undefined) continue;
      backoff.isOver = true;
      if (backoff.isAcknowledged) this.#endBackoff(connection, seed);
    }
  }

  /** Whether an object is one of those that are not served where a placement group is blocked. */
  #isInRange({ object: name, hash }: OsdRequest): boolean {
    const [begin, end] = this.blockedRange, position = { ...FIRST_POSITION, name, hash, pool: 1n, snapshot: HEAD };
    return comparePositions(position, begin) === 0 ||
      (comparePositions(position, begin) > 0 && comparePositions(position, end) < 0);
  }

  #beginBackoff(connection: Connection, seed: number): void {
    const backoffs = this.#backoffs.get(connection) ?? new Map();
    this.#backoffs.set(connection, backoffs.set(seed, { isAcknowledged: false, isOver: false }));
    this.#sendBackoff(connection, seed, BackoffOp.BLOCK);
  }

  #acknowledged(connection: Connection, seed: number): void {
    this.acknowledged++;
    if (this.hangsUp === "blocked") return this.cut();
    const backoff = this.#backoffs.get(connection)!.get(seed)!;
    backoff.isAcknowledged = true;
    if (backoff.isOver) this.#endBackoff(connection, seed);
  }

  #endBackoff(connection: Connection, seed: number): void {
    this.#backoffs.get(connection)!.delete(seed);
    this.#sendBackoff(connection, seed, BackoffOp.UNBLOCK);
  }

  #sendBackoff(connection: Connection, seed: number, op: number): void {
    const [begin, end] = this.blockedRange, group = { pool: 1, seed, shard: -1 };
    connection.send(MOSDBackoff.message({ group, epoch: this.#rados.epoch, op, id: seed + 1, begin, end }));
  }

  #dispatch(message: Message): void {
    const { connection } = message, rados = this.#rados;
    if (MOSDBackoff.matches(message)) return this.#acknowledged(connection, MOSDBackoff.read(message).group.seed);
    if (!MOSDOp.matches(message) || connection.isClosed) return;
    const request = MOSDOp.read(message), seed = placementSeed(request.hash, rados.pgNum);
    this.received.push({ ...request, operations: request.operations.map(copied) });
    if (this.hangsUp === "before") return this.cut();
    if (request.epoch < rados.epoch) rados.sendMap(connection);
    if (rados.primary(seed) !== this.id || request.group.seed !== seed) return;
    if (request.epoch < rados.servedSince(seed)) return;
    if (this.#isInRange(request)) {
      if (this.#backoffs.get(connection)?.has(seed)) return;
      if (this.blocked.has(seed)) return this.#beginBackoff(connection, seed);
    }
    const answer = this.#carryOut(request);
    if (this.hangsUp === "after") return this.cut();
    if (this.mute) return;
    if (this.talksNonsense) {
      return void connection.send(new Message(MOSDOpReply.type, { tid: message.tid, version: 8 }));
    }
    const { object, flags, attempt } = request, { epoch } = rados;
    const reply = { object, flags, epoch, attempt, version: 1, isRedirect: false, ...answer };
    const send = () => void connection.send(MOSDOpReply.message(reply, { tid: message.tid }));
    if (this.withheld === undefined) send();
    else this.withheld.push(send);
  }

  #carryOut(request: OsdRequest): { status: number; outcomes: OsdOutcome[] } {
    const { operations, id } = request,
      failed = (status: number) => ({
        status,
        outcomes: operations.map(({ code }) => ({ code, status, output: NOTHING })),
      });
    if (this.error !== 0) return failed(this.error);
    const { carriedOut } = this.#rados, key = `${id!.client} ${id!.tid}`, before = carriedOut.get(key);
    if (before !== undefined) {
      before.times++;
      return failed(before.status);
    }
    const outcomes = operations.map((operation) => ({ code: operation.code, ...this.#apply(request, operation) }));
    const status = outcomes.find((outcome) => outcome.status < 0)?.status ?? outcomes.at(-1)!.status;
    if (operations.some(isWrite)) carriedOut.set(key, { status, times: 1 });
    return { status, outcomes };
  }

  #apply(request: OsdRequest, operation: OsdOperation): { status: number; output: Uint8Array } {
    const { objects } = this.#rados, { object: name, mtime } = request, found = objects.get(name);
    const parameters = new Decoder(operation.parameters),
      { code } = operation,
      input = Uint8Array.from(operation.input ?? []);
    const done = (output: Uint8Array = NOTHING, status = 0) => ({ status, output });
    if (code === OsdOperationCode.PGNLS) return this.#list(request, parameters.u64(), input);
    if (found === undefined && (!isWrite(operation) || code === OsdOperationCode.DELETE)) return done(NOTHING, ENOENT);
    const object: FakeObject = found ?? { data: NOTHING, mtime, keys: new Map<string, Uint8Array>() };
    switch (code) {
      case OsdOperationCode.STAT:
        return done(new Encoder().u64(object.claimedSize ?? object.data.length).time(object.mtime).finish());
      case OsdOperationCode.READ: {
        const from = parameters.u64();
        return done(object.data.slice(from, from + parameters.u64()));
      }
      case OsdOperationCode.OMAPGETVALS: {
        const decoder = new Decoder(input), after = decoder.string(), most = decoder.u64(), prefix = decoder.string();
        const matching = [...object.keys].sort(([a], [b]) => a < b ? -1 : 1).filter(([key]) =>
          key > after && key.startsWith(prefix)
        );
        const encoder = new Encoder();
        encoder.list(matching.slice(0, most), ([key, value]) => encoder.string(key).bytes(value));
        return done(encoder.u8(matching.length > most ? 1 : 0).finish());
      }
      case OsdOperationCode.DELETE:
        objects.delete(name);
        return done();
      case OsdOperationCode.WRITEFULL:
        object.data = input;
        break;
      case OsdOperationCode.APPEND:
        object.data = written(object.data, object.data.length, input);
        break;
      case OsdOperationCode.WRITE:
        object.data = written(object.data, parameters.u64(), input);
        break;
      case OsdOperationCode.OMAPSETVALS: {
        const decoder = new Decoder(input);
        for (const [key, value] of decoder.map(() => decoder.string(), () => decoder.bytes())) {
          object.keys.set(key, value);
        }
        break;
      }
      case OsdOperationCode.OMAPRMKEYS: {
        const decoder = new Decoder(input);
        for (const key of decoder.list(() => decoder.string())) object.keys.delete(key);
        break;
      }
    }
    object.mtime = mtime;
    objects.set(name, object);
    return done();
  }

  #list({ group }: OsdRequest, most: number, input: Uint8Array): { status: number; output: Uint8Array } {
    const { objects, pgNum } = this.#rados, from = decodePosition(new Decoder(input));
    const names = [...objects.keys()].filter((name) => placementSeed(hashObject(name), pgNum) === group.seed).sort();
    const rest = names.filter((name) => name >= from.name), page = rest.slice(0, most), next = rest[most];
    const output = new Encoder().struct(1, 1, (e) => {
      encodePosition(e, { ...FIRST_POSITION, name: next ?? "" }).list(
        page,
        (name) => e.string("").string(name).string(""),
      );
    });
    return { status: next === undefined ? 1 : 0, output: output.finish() };
  }
}

/** Messages are views of buffers that are used again. */
function copied(operation: OsdOperation): OsdOperation {
  return {
    ...operation,
    parameters: Uint8Array.from(operation.parameters),
    input: Uint8Array.from(operation.input ?? []),
  };
}

function written(before: Uint8Array, at: number, bytes: Uint8Array): Uint8Array {
  const after = new Uint8Array(Math.max(before.length, at + bytes.length));
  after.set(before);
  after.set(bytes, at);
  return after;
}
