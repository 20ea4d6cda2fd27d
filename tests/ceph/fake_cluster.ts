/**
 * Monitors in memory and virtual time, which do what real ones do when they are told to. Their side of cephx is checked against real ones by the
 * tests in `tests/interop`: a client that both let in is right.
 *
 * @module
 */

import { type Connection, EntityAddress, EntityType, Message, Messenger, statelessServer } from "../../mod.ts";
import {
  CephxRequest,
  challengeKey,
  decodeTicketBlob,
  encodeTicketBlob,
  type TicketBlob,
} from "../../src/ceph/cephx_structures.ts";
import { randomBytes } from "../../src/ceph/aes.ts";
import { seal } from "../../src/ceph/cephx_envelope.ts";
import {
  AuthName,
  CEPH_FEATURES,
  type CommandReply,
  CryptoKey,
  Decoder,
  Encoder,
  makeTicket,
  MAuth,
  MAuthReply,
  MMonCommand,
  MMonCommandAck,
  MMonSubscribe,
  MonClient,
  type MonClientOptions,
  type SubscriptionRequest,
} from "../../src/ceph/mod.ts";
import { uuidBytes } from "../../src/ceph/mon_map.ts";
import { MemoryNetwork, VirtualEnvironment } from "../../src/testing.ts";

const EACCES = -13, EOPNOTSUPP = -95;
const MON_MAP = 4;
const FSID = "00112233-4455-6677-8899-aabbccddeeff";
const SERVICES = [EntityType.MON, EntityType.OSD, EntityType.MGR];

interface Client {
  readonly sessionKey: CryptoKey;
  readonly blob: Uint8Array;
}

/** A cluster: what its monitors agree on. */
export class FakeCluster implements AsyncDisposable {
  readonly network = new MemoryNetwork();
  readonly environment: VirtualEnvironment;
  readonly fsid = FSID;
  /** Keys by name; nothing for a cluster without authentication. */
  keys: Map<string, CryptoKey> | undefined;
  /** How long tickets are good, in ms. */
  ttl = 3_600_000;
  /** The secret of all services. */
  readonly serviceKey = newKey();
  readonly monitors: FakeMonitor[] = [];
  /** By `global_id`. */
  readonly clients = new Map<number, Client>();
  nextGlobalId = 4100;
  epoch = 1;

  constructor(seed = 1) {
    this.environment = new VirtualEnvironment({ seed });
  }

  /** Starts a monitor. */
  async start(address = `10.0.0.${this.monitors.length + 1}:6789`): Promise<FakeMonitor> {
    const monitor = new FakeMonitor(this, address);
    this.monitors.push(monitor);
    await monitor.start();
    return monitor;
  }

  /** Lets a name in, and gives its key. */
  addKey(name: string): string {
    this.keys ??= new Map();
    this.keys.set(name, newKey());
    return this.keys.get(name)!.toString();
  }

  /** Options for a client of this cluster. */
  options(options: Partial<MonClientOptions> = {}): MonClientOptions {
    const monitors = this.monitors.map(({ address }) => address);
    return { monitors, network: this.network, environment: this.environment, ...options };
  }

  /** A client of this cluster. */
  connect(options: Partial<MonClientOptions> = {}): Promise<MonClient> {
    return this.settle(MonClient.connect(this.options(options)));
  }

  /** Lets virtual time go on until a promise settles. */
  async settle<T>(promise: Promise<T>, ms = 600_000): Promise<T> {
    let settled = false;
    promise.then(() => settled = true, () => settled = true);
    if (await this.environment.run({ until: () => settled, ms })) return await promise;
    throw new Error(`Nothing happened for ${ms} ms`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.monitors.map((monitor) => monitor.stop()));
  }
}

function newKey(): CryptoKey {
  return new CryptoKey(randomBytes(16));
}

/** One monitor. */
export class FakeMonitor {
  readonly #cluster: FakeCluster;
  #messenger: Messenger | undefined;
  readonly address: string;
  /** What it was told, by the type of the message. */
  readonly received: Message[] = [];
  /** Says nothing any more, though it takes all it is sent. */
  mute = false;
  /** Breaks all connections as soon as it is asked for maps. */
  hangsUp = false;
  /** Is told what was subscribed to. */
  subscribed: (connection: Connection, what: ReadonlyMap<string, SubscriptionRequest>) => void = () => {};
  /** Answers commands with this. */
  answer: (command: string) => CommandReply | undefined = (command) => ({
    status: 0,
    text: "",
    data: new TextEncoder().encode(command),
  });

  constructor(cluster: FakeCluster, address: string) {
    this.#cluster = cluster;
    this.address = address;
  }

  async start(): Promise<void> {
    const { network, environment } = this.#cluster;
    const messenger = this.#messenger = new Messenger({ name: "mon.0", nonce: 0, network, environment });
    messenger.setPolicy(statelessServer({ featuresSupported: CEPH_FEATURES }));
    messenger.addDispatcherTail({ dispatch: (message) => this.#dispatch(message) });
    await messenger.bind(this.address);
  }

  async stop(): Promise<void> {
    await this.#messenger?.shutdown();
  }

  /** Breaks all connections. */
  cut(): void {
    this.#messenger!.markDownAll();
  }

  /** Who is connected. */
  get connections(): Connection[] {
    return this.#messenger!.connections;
  }

  /** The commands that it was given. */
  get commands(): string[] {
    return this.received.filter((message) => MMonCommand.matches(message)).map((message) =>
      MMonCommand.read(message).command
    );
  }

  /** Sends a map of all monitors. */
  sendMap(connection: Connection): void {
    const { epoch, monitors } = this.#cluster;
    const encoder = new Encoder();
    const struct = (version: number, compat: number, write: (body: Encoder) => void) => {
      const body = new Encoder();
      write(body);
      return new Encoder().u8(version).u8(compat).bytes(body.finish()).finish();
    };
    const addresses = (address: string) => {
      const { host, port } = EntityAddress.parse(address);
      const ip = host.split(".").map(Number);
      // As msgr v2 would have it, and then as v1.
      return [2, 1].map((kind) =>
        new Encoder().u8(1).raw(
          struct(1, 1, (body) => {
            body.u32(kind).u32(0).u32(16).u16(2).raw(Uint8Array.of(port >> 8, port, ...ip)).raw(new Uint8Array(8));
          }),
        ).finish()
      );
    };
    const feature = struct(1, 1, (body) => body.u64(0));
    encoder.raw(struct(9, 6, (body) => {
      body.raw(uuidBytes(FSID)).u32(epoch).time(0).time(0).raw(feature).raw(feature);
      body.list(monitors, ({ address }) => {
        body.string(address).raw(struct(5, 1, (info) => {
          info.string(address).u8(2).list(addresses(address), (one) => info.raw(one)).u16(0).u16(0).u32(0);
        }));
      });
      body.list(monitors, ({ address }) => body.string(address)).u8(16).u32(0).u8(1).u32(0).u8(0).string("").u32(0);
    }));
    connection.send(new Message(MON_MAP, { version: 1, front: new Encoder().bytes(encoder.finish()).finish() }));
  }

  #dispatch(message: Message): void {
    this.received.push(message);
    if (this.mute) return;
    if (MAuth.matches(message)) this.#auth(message);
    else if (MMonSubscribe.matches(message) && this.hangsUp) this.cut();
    else if (MMonSubscribe.matches(message)) {
      const what = MMonSubscribe.read(message);
      if (what.has("monmap")) this.sendMap(message.connection);
      this.subscribed(message.connection, what);
    } else if (MMonCommand.matches(message)) {
      const reply = this.answer(MMonCommand.read(message).command);
      if (reply !== undefined) message.connection.send(MMonCommandAck.message(reply, { tid: message.tid }));
    }
  }

  #reply({ connection }: Message, protocol: number, result: number, globalId: number, payload = new Encoder()): void {
    connection.send(MAuthReply.message({ protocol, result, globalId, payload: payload.finish(), text: "" }));
  }

  #auth(message: Message): void {
    const { protocol, payload } = MAuth.read(message), decoder = new Decoder(payload), { connection } = message;
    if (protocol === 2) return this.#cephx(message, decoder);
    decoder.u8();
    const methods = decoder.list(() => decoder.u32()), name = AuthName.decode(decoder), claimed = decoder.u64();
    const globalId = claimed || this.#cluster.nextGlobalId++, { keys } = this.#cluster;
    const chosen = keys === undefined ? 1 : 2;
    if (!methods.includes(chosen)) return this.#reply(message, 0, EOPNOTSUPP, 0);
    const challenge = this.#cluster.environment.chance.next() * 2 ** 50;
    connection.context = { name: name.toString(), challenge: BigInt(Math.floor(challenge)), globalId, claimed };
    if (chosen === 2) {
      return this.#reply(message, 2, 0, globalId, new Encoder().u8(1).u64Big(BigInt(Math.floor(challenge))));
    }
    this.#reply(message, 1, 0, globalId);
    this.sendMap(connection);
  }

  #cephx(message: Message, decoder: Decoder): void {
    const { name, challenge, globalId, claimed } = message.connection.context as {
      name: string;
      challenge: bigint;
      globalId: number;
      claimed: number;
    };
    const { clients, ttl } = this.#cluster, type = decoder.u16(), key = this.#cluster.keys!.get(name);
    if (type === CephxRequest.GET_PRINCIPAL_SESSION_KEY) {
      const reply = new Encoder().u16(type).u32(0).raw(this.#serviceTickets(clients.get(globalId)!.sessionKey, name));
      return this.#reply(message, 2, 0, globalId, reply);
    }
    decoder.u8();
    const clientChallenge = decoder.u64Big(), proof = decoder.u64Big(), old = decodeTicketBlob(decoder);
    const owned = clients.get(globalId);
    const isOwner = claimed === 0 || (owned !== undefined && String(owned.blob) === String(old.blob));
    if (key === undefined || proof !== challengeKey(key.secret, challenge, clientChallenge) || !isOwner) {
      return this.#reply(message, 2, EACCES, globalId);
    }
    const sessionKey = newKey(), blob = randomBytes(32);
    const previous = old.blob.length === 0 ? undefined : owned?.sessionKey;
    clients.set(globalId, { sessionKey, blob });
    const ticket = encodeTickets(
      [{ service: EntityType.AUTH, sessionKey, ticket: { secretId: 1n, blob } }],
      key.secret,
      ttl,
      previous,
    );
    const extra = this.#serviceTickets(sessionKey, name);
    this.#reply(message, 2, 0, globalId, new Encoder().u16(type).u32(0).raw(ticket).u32(0).bytes(extra));
    if (previous === undefined || claimed !== 0) this.sendMap(message.connection);
  }

  #serviceTickets(authKey: CryptoKey, name: string): Uint8Array {
    const { ttl, environment, serviceKey, clients } = this.#cluster;
    const globalId = [...clients].find(([, { sessionKey }]) => sessionKey === authKey)![0];
    const expires = environment.now() + ttl;
    const tickets = SERVICES.map((service) =>
      makeTicket({ service, key: serviceKey, name: AuthName.parse(name), globalId, expires })
    );
    return encodeTickets(tickets, authKey.secret, ttl);
  }
}

interface Granted {
  readonly service: number;
  readonly sessionKey: CryptoKey;
  readonly ticket: TicketBlob;
}

function encodeTickets(tickets: Granted[], secret: Uint8Array, ttl: number, previous?: CryptoKey): Uint8Array {
  const encoder = new Encoder().u8(1);
  encoder.list(tickets, ({ service, sessionKey, ticket }) => {
    encoder.u32(service).u8(1).bytes(seal(secret, (inner) => sessionKey.encode(inner.u8(1)).time(ttl)));
    const plain = encodeTicketBlob(new Encoder(), ticket).finish();
    if (previous === undefined) encoder.u8(0).bytes(plain);
    else encoder.u8(1).bytes(seal(previous.secret, (inner) => inner.bytes(plain)));
  });
  return encoder.finish();
}
