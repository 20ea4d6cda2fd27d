/**
 * One entity's presence on the network.
 *
 * @module
 */

import { Connection, sessionOf } from "./connection.ts";
import { DispatchQueue } from "./dispatch_queue.ts";
import type { Dispatcher } from "./dispatcher.ts";
import { sleep } from "./environment.ts";
import { MessengerError, NetworkError } from "./errors.ts";
import { endpointOf, entityAddress, socketAddress } from "./handshake.ts";
import { FlushQueue } from "./flush_queue.ts";
import { IdleWatch } from "./idle_watch.ts";
import { Loopback } from "./loopback.ts";
import type { Message } from "./message.ts";
import type { MessageType } from "./message_type.ts";
import type { RequestHandler, RequestHandlerOptions } from "./request_handlers.ts";
import type { RequestType } from "./request_type.ts";
import { defaultNetwork } from "./net/default.ts";
import type { Listener, Network, Socket } from "./net/network.ts";
import { type MessengerOptions, type ResolvedOptions, resolveOptions, streamedTypes } from "./options.ts";
import { Pipe } from "./pipe.ts";
import type { PipeHost } from "./pipe_host.ts";
import { type Policy, PolicySet } from "./policy.ts";
import { Session } from "./session.ts";
import { Counters, type MessengerStats } from "./stats.ts";
import type { ConnectionStatus, MessengerStatus } from "./status.ts";
import { type StatusEvents, type StatusOptions, StatusSource } from "./status_events.ts";
import { Throttle } from "./throttle.ts";
import { TypeHandlers } from "./type_handlers.ts";
import { EntityAddress } from "./wire/address.ts";
import { EntityType, Protocol } from "./wire/constants.ts";
import { EntityName, entityTypeLabel, parseEntityType } from "./wire/entity.ts";

/** What `rebind` adds to the nonce, so that peers see another entity. Ceph's number. */
const REBIND_NONCE_STEP = 1_000_000;
/** How long accepting pauses when the system refuses to (too many open files), in ms. */
const ACCEPT_ERROR_PAUSE = 100;

/** Options of {@linkcode Messenger.bind}. */
export interface BindOptions {
  /** First and last port to try, where the address names port 0. Ceph's `ms_bind_port_min` and `ms_bind_port_max`. */
  readonly ports?: readonly [first: number, last: number];
  /** Ports of that range to leave out. */
  readonly avoidPorts?: Iterable<number>;
}

/** Options of {@linkcode Messenger.connectTo}. */
export interface ConnectToOptions {
  /**
   * What kind of entity the peer is, as a number or a word: it decides the policy and the protocol version.
   *
   * @default {"client"}
   */
  readonly type?: string | number;
}

/**
 * A Messenger: who we are, where we listen, our sessions, and who is told of what they bring. One is enough for a
 * process. Ceph's `SimpleMessenger`.
 *
 * Every session is carried by a Pipe, which has a Reader and a Writer; messages go through the DispatchQueue to the
 * Dispatchers; callers hold a Connection.
 *
 * @example Two messengers in one process
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { jsonCodec, MessageType, Messenger } from "@msgr/pipe";
 * import { MemoryNetwork } from "@msgr/pipe/testing";
 *
 * const Add = new MessageType(0x8001, jsonCodec<{ a: number; b: number }>());
 * const Sum = new MessageType(0x8002, jsonCodec<{ sum: number }>());
 * const network = new MemoryNetwork();
 *
 * await using server = new Messenger({ network });
 * server.on(Add, ({ a, b }, message) => void message.connection.send(Sum.message({ sum: a + b })));
 * await server.bind("127.0.0.1:6800");
 *
 * await using client = new Messenger({ network });
 * const { promise, resolve } = Promise.withResolvers<number>();
 * client.on(Sum, ({ sum }) => resolve(sum));
 * client.connectTo("127.0.0.1:6800").send(Add.message({ a: 1, b: 2 }));
 * assertEquals(await promise, 3);
 * ```
 */
export class Messenger implements AsyncDisposable {
  readonly #options: ResolvedOptions;
  readonly #policies = new PolicySet();
  readonly #counters = new Counters();
  readonly #status: StatusSource<MessengerStatus>;
  readonly #dispatchThrottle: Throttle;
  readonly #dispatchQueue: DispatchQueue;
  readonly #flushQueue: FlushQueue;
  /** What Pipes see of us; our name and address are kept there. */
  readonly #host: Host;
  readonly #handlers: TypeHandlers;
  readonly #loopback: Loopback;
  readonly #streamedTypes: Set<number>;

  #network: Network | undefined;
  #globalSeq = 0;
  #binding: Promise<Listener> | undefined;
  #listener: Listener | undefined;
  #accepting: Promise<void> | undefined;
  #dispatcherAdded = Promise.withResolvers<void>();
  #hasToldNoDispatcher = false;
  #shutdown: Promise<void> | undefined;
  #isOver = false;
  readonly #pipes = new Set<Pipe>();
  readonly #byAddress = new Map<string, Pipe>();
  readonly #byEndpoint = new Map<string, Pipe>();
  #allReaped: PromiseWithResolvers<void> | undefined;

  /**
   * Makes a messenger; it does nothing yet.
   *
   * @param options Who this is, and the limits it keeps.
   * @throws {MessengerError} With code `invalid`, naming the option and its range.
   */
  constructor(options: MessengerOptions = {}) {
    this.#options = resolveOptions(options);
    const { environment, onDispatchError } = this.#options;
    this.#status = new StatusSource(options.log && this.#options.log);
    this.#network = options.network;
    this.#streamedTypes = streamedTypes(options);
    const name = EntityName.parse(options.name ?? "client.?");
    const address = EntityAddress.from("", 0, options.nonce ?? Math.floor(environment.random() * 2 ** 32));
    this.#dispatchThrottle = new Throttle(this.#options.dispatchThrottleBytes);
    this.#flushQueue = new FlushQueue((run) => {
      if (this.#network?.flush === "macrotask") environment.nextTurn(run);
      else queueMicrotask(run);
    });
    this.#dispatchQueue = new DispatchQueue(onDispatchError, (message) => this.#unhandled(message), this.#flushQueue);
    this.#host = this.#makeHost(name, address);
    this.#handlers = new TypeHandlers((connection, error) => this.#fail(connection, error), onDispatchError);
    this.#loopback = new Loopback(this.#host);
  }

  /** Who we are. */
  get name(): EntityName {
    return this.#host.name;
  }

  /** Changes who we are: a Ceph client's number is known once it has authenticated. Ceph's `set_myname`. */
  set name(name: EntityName) {
    this.#host.name = name;
  }

  /**
   * Where we are: the bound address, or once a peer has told us, our host without a port. Ceph's `get_myaddr`.
   */
  get address(): EntityAddress {
    return this.#host.address;
  }

  /** The connection to ourselves: what is sent on it is dispatched here, without a socket. Ceph's `get_loopback_connection`. */
  get loopback(): Connection {
    return this.#loopback.session.connection;
  }

  /** Every connection to a peer whose session is alive. */
  get connections(): Connection[] {
    return [...this.#pipes].filter((pipe) => pipe.session.isAnnounced && pipe.state !== "closed").map((pipe) =>
      pipe.session.connection
    );
  }

  /** What the messenger has done so far, in numbers. */
  stats(): MessengerStats {
    const c = this.#counters;
    return {
      msgr_recv_messages: c.recvMessages,
      msgr_send_messages: c.sendMessages,
      msgr_recv_bytes: c.recvBytes,
      msgr_send_bytes: c.sendBytes,
      msgr_created_connections: c.createdConnections,
      msgr_active_connections: this.#pipes.size,
      connect_attempts: c.connectAttempts,
      reconnects: c.reconnects,
      replayed_messages: c.replayed,
      duplicate_messages: c.duplicates,
      dropped_messages: c.dropped,
      protocol_errors: c.protocolErrors,
      pending_requests: c.pendingRequests,
      late_replies: c.lateReplies,
      dispatch_queue_len: this.#dispatchQueue.length,
      dispatch_throttle_bytes: this.#dispatchThrottle.current,
    };
  }

  /**
   * What happens to the messenger and its connections, as it happens. It ends with the shutdown.
   *
   * @param options How much to keep for a reader that is behind.
   * @throws {MessengerError} With code `invalid` for an option out of its range.
   *
   * @example
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { Messenger } from "@msgr/pipe";
   * import { MemoryNetwork } from "@msgr/pipe/testing";
   *
   * const messenger = new Messenger({ network: new MemoryNetwork() });
   * const events = messenger.status();
   * messenger.connectTo("127.0.0.1:6800").sendKeepalive();
   * const types: string[] = [];
   * for await (const status of events) {
   *   types.push(status.type);
   *   if (status.type === "fault") types.push(status.error.code);
   *   if (status.type === "backoff") await messenger.shutdown();
   * }
   * assertEquals(types, ["connecting", "fault", "refused", "backoff", "closed"]);
   * ```
   */
  status(options: StatusOptions = {}): StatusEvents<MessengerStatus> {
    const events = this.#status.listen(options);
    if (this.#isOver) this.#status.end();
    return events;
  }

  /** Asks a dispatcher after all others. Ceph's `add_dispatcher_tail`. */
  addDispatcherTail(dispatcher: Dispatcher): void {
    this.#dispatchQueue.add(dispatcher, "tail");
    this.#dispatcherAdded.resolve();
  }

  /** Asks a dispatcher before all others. Ceph's `add_dispatcher_head`. */
  addDispatcherHead(dispatcher: Dispatcher): void {
    this.#dispatchQueue.add(dispatcher, "head");
    this.#dispatcherAdded.resolve();
  }

  /**
   * Handles the messages of one type. A later handler of the same type takes the place of an earlier one. Dispatchers that were added before the
   * first handler are asked first.
   *
   * A message whose contents do not fit its type ends its connection.
   *
   * @param type The type of message.
   * @param handler Is given the contents and the message. The connection's next message waits until a returned promise settles.
   */
  on<T>(type: MessageType<T>, handler: (body: T, message: Message) => void | Promise<void>): void {
    if (this.#handlers.size === 0) this.addDispatcherTail(this.#handlers);
    this.#handlers.set(type, handler);
    if (type.isStreamed) this.#streamedTypes.add(type.type);
  }

  /**
   * Answers the requests of one type, which peers make with `connection.request`. It stands beside the handlers of {@linkcode on}, in their order.
   *
   * What the handler throws ends no connection: the caller gets a `RequestError`. So it does for a request whose contents do not fit its type.
   *
   * @param type The type of request.
   * @param handler Is given the contents and the message; what it returns, or its promise, is the reply. Replies need not keep the order of the
   * requests.
   * @param options How many to answer at once.
   * @throws {MessengerError} With code `invalid` for an option out of its range.
   *
   * @example
   * ```ts
   * import { assertEquals } from "@std/assert";
   * import { bytesCodec, jsonCodec, MessageType, Messenger, RequestError, RequestType, textCodec } from "@msgr/pipe";
   *
   * const Read = new RequestType(new MessageType(0x8001, textCodec), new MessageType(0x8002, bytesCodec));
   * const files = new Map([["a", Uint8Array.of(1, 2, 3)]]);
   *
   * await using messenger = new Messenger();
   * messenger.onRequest(Read, async (name) => {
   *   await Promise.resolve();
   *   return files.get(name) ?? Promise.reject(new RequestError("not_found", `There is no file ${name}`));
   * }, { concurrency: 4 });
   * assertEquals(await messenger.loopback.request(Read.message("a")), Uint8Array.of(1, 2, 3));
   * ```
   */
  onRequest<Request, Reply>(
    type: RequestType<Request, Reply>,
    handler: RequestHandler<Request, Reply>,
    options: RequestHandlerOptions = {},
  ): void {
    const isFirst = this.#handlers.size === 0;
    this.#handlers.setRequest(type, handler, options);
    if (type.request.isStreamed) this.#streamedTypes.add(type.request.type);
    if (isFirst) this.addDispatcherTail(this.#handlers);
  }

  /** Sets the policy for all peers, or for those of one kind; connections that exist keep theirs. Ceph's `set_policy`. */
  setPolicy(policy: Policy, type?: string | number): void {
    this.#policies.set(type === undefined ? undefined : parseEntityType(type), policy);
  }

  /** The policy for peers of a kind. Ceph's `get_policy`. */
  getPolicy(type: string | number): Policy {
    return this.#policies.get(parseEntityType(type));
  }

  /**
   * Listens for peers. They are let in as soon as there is a dispatcher, or a handler of {@linkcode on}.
   *
   * @param address Where: `"127.0.0.1:6800"`, `"[::1]:0"`, `"0.0.0.0:6800"`, `"unix:/run/a.sock"`. Port 0 is any free port.
   * @param options A range of ports to choose from.
   * @returns The address that others may connect to.
   * @throws {NetworkError} With code `address_in_use`, `address_not_available`, `permission_denied`, …
   * @throws {MessengerError} With code `invalid` if it is bound already, `closed` after the shutdown.
   */
  async bind(address: string | EntityAddress, options: BindOptions = {}): Promise<EntityAddress> {
    this.#checkOpen("bind");
    const wanted = typeof address === "string" ? EntityAddress.parse(address) : address;
    if (this.#binding !== undefined || this.#listener !== undefined) {
      throw new MessengerError("invalid", `Cannot bind to ${wanted.endpoint}: the messenger is bound already`);
    }
    const binding = this.#binding = this.#listen(wanted, options);
    let listener: Listener;
    try {
      listener = await binding;
    } finally {
      this.#binding = undefined;
    }
    if (this.#shutdown !== undefined) {
      await listener.close();
      this.#checkOpen("bind");
    }
    this.#listener = listener;
    this.#host.address = entityAddress(listener.address).withNonce(this.#host.address.nonce);
    this.#accepting = this.#accept(listener);
    this.#status.tell({ type: "listening", address: this.#host.address.toString() });
    return this.#host.address;
  }

  /**
   * Listens elsewhere, as another entity: all sessions end, the nonce changes. Ceph's `rebind`.
   *
   * @param options A range of ports to choose from; the port in use now is left out.
   */
  async rebind(options: BindOptions = {}): Promise<EntityAddress> {
    const { host, port, kind, nonce } = this.#host.address;
    await this.#stopListening();
    this.markDownAll();
    this.#host.address = EntityAddress.from("", 0, (nonce + REBIND_NONCE_STEP) >>> 0);
    const avoidPorts = [...(options.avoidPorts ?? []), port];
    return await this.bind(EntityAddress.from(kind === "unix" ? `unix:${host}` : host, 0), { ...options, avoidPorts });
  }

  /**
   * The connection to a peer: the one there is, or a new one, which dials when the first message is sent. It never fails; what
   * goes wrong is told to the dispatchers. Ceph's `get_connection` and `connect_to`.
   *
   * @param address Where the peer is: `"127.0.0.1:6800"`, `"unix:/run/a.sock"`. With a nonce (`"127.0.0.1:6800/7"`) only the
   * entity with that nonce will do; without one, whoever listens there.
   * @param options What kind of entity it is.
   * @throws {MessengerError} With code `invalid` for an address nobody can listen at, or if the policy for that kind never dials;
   * `closed` after the shutdown.
   */
  connectTo(address: string | EntityAddress, options: ConnectToOptions = {}): Connection {
    this.#checkOpen("connect");
    const anyNonce = typeof address === "string" && !/[/#]\d+$/.test(address.replace(/^unix:/, ""));
    const peer = typeof address === "string" ? EntityAddress.parse(address) : address;
    const type = parseEntityType(options.type ?? EntityType.CLIENT);
    if (!peer.isListening || peer.isBlank) {
      throw new MessengerError("invalid", `Cannot connect to ${peer}: nobody can listen there`);
    }
    if (anyNonce ? peer.endpoint === this.#host.address.endpoint : peer.equals(this.#host.address)) {
      return this.loopback;
    }
    const existing = (anyNonce ? this.#byEndpoint.get(peer.endpoint) : undefined) ?? this.#host.findPipe(peer);
    if (existing !== undefined) return existing.session.connection;
    if (this.#policies.get(type).server) {
      throw new MessengerError(
        "invalid",
        `Cannot connect to ${peer}: the policy for ${entityTypeLabel(type)} never dials`,
      );
    }
    const session = this.#host.newSession();
    session.peerAddress = peer;
    session.peerType = type;
    session.isAnnounced = true;
    const pipe = Pipe.connecting(this.#host, session, anyNonce);
    this.#add(pipe);
    this.#host.register(pipe);
    return session.connection;
  }

  /** The connection to a peer, if its session is alive. */
  findConnection(address: string | EntityAddress): Connection | undefined {
    const peer = typeof address === "string" ? EntityAddress.parse(address) : address;
    return this.#host.findPipe(peer)?.session.connection;
  }

  /** Ends the session with a peer; the dispatchers are told with `handleReset`. Ceph's `mark_down` by address. */
  markDown(address: string | EntityAddress): void {
    const peer = typeof address === "string" ? EntityAddress.parse(address) : address;
    const pipe = this.#host.findPipe(peer);
    pipe?.markDownWithReset(new MessengerError("closed", `The connection to ${peer} was marked down`));
  }

  /** Ends every session; the dispatchers are told with `handleReset`. Ceph's `mark_down_all`. */
  markDownAll(): void {
    for (const pipe of [...this.#pipes]) {
      pipe.markDownWithReset(new MessengerError("closed", `The connection to ${pipe.peer} was marked down`));
    }
  }

  /**
   * Stops listening and ends every session; the dispatchers are told with `handleReset`. It does not wait for dispatchers that are at work. To
   * send what is queued first, await `connection.close()`. Ceph's `shutdown` and `wait`.
   *
   * @returns A promise that fulfils when no socket, timer or task of the messenger is left. Another call returns the same.
   */
  shutdown(): Promise<void> {
    return this.#shutdown ??= this.#stop();
  }

  /** Makes a messenger usable again after its shutdown, unbound, with its dispatchers and policies. Ceph's `start`. */
  async start(): Promise<void> {
    await this.#shutdown;
    this.#shutdown = undefined;
    this.#isOver = false;
    this.#dispatchQueue.restart();
    this.#loopback.restart();
  }

  /** {@linkcode shutdown}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.shutdown();
  }

  async #stop(): Promise<void> {
    // A bind that is on its way closes its listener itself.
    await this.#binding?.catch(() => {});
    await this.#stopListening();
    this.markDownAll();
    this.#loopback.stop();
    await this.#dispatchQueue.stop();
    if (this.#pipes.size > 0) {
      this.#allReaped = Promise.withResolvers();
      await this.#allReaped.promise;
    }
    this.#host.address = EntityAddress.from("", 0, this.#host.address.nonce);
    this.#isOver = true;
    this.#status.end();
  }

  #checkOpen(what: string): void {
    if (this.#shutdown !== undefined) {
      throw new MessengerError("closed", `Cannot ${what}: the messenger was shut down`);
    }
  }

  /** Ends a connection that brought a message nobody can read. */
  #fail(connection: Connection, error: MessengerError): void {
    for (const pipe of this.#pipes) {
      if (pipe.session.connection === connection) pipe.markDownWithReset(error);
    }
  }

  async #listen(address: EntityAddress, options: BindOptions): Promise<Listener> {
    const network = await this.#host.network();
    const where = socketAddress(address), { tls } = this.#options;
    if (where.transport === "unix" || where.port !== 0 || options.ports === undefined) {
      return await network.listen(where, { tls });
    }
    const [first, last] = options.ports, avoid = new Set(options.avoidPorts ?? []);
    for (let port = first; port <= last; port++) {
      if (avoid.has(port)) continue;
      try {
        return await network.listen({ ...where, port }, { tls });
      } catch (error) {
        if (!(error instanceof NetworkError) || error.code !== "address_in_use") throw error;
      }
    }
    throw new NetworkError(
      "address_in_use",
      `Cannot listen on ${address.host}: no port of ${first} to ${last} is free`,
    );
  }

  /** Lets peers in until the listener is closed. Ceph's `Accepter`. */
  async #accept(listener: Listener): Promise<void> {
    while (this.#listener === listener) {
      try {
        for await (const socket of listener) {
          if (this.#dispatchQueue.dispatchers.length === 0) {
            this.#tellNoDispatcher(endpointOf(socket));
            await this.#dispatcherAdded.promise;
          }
          this.#welcome(socket);
        }
        return;
      } catch (error) {
        if (this.#listener !== listener) return;
        this.#status.tell({ type: "listen_error", error: error as MessengerError });
        await sleep(this.#options.environment, ACCEPT_ERROR_PAUSE);
      }
    }
  }

  #welcome(socket: Socket): void {
    if (this.#shutdown !== undefined || this.#listener === undefined) return socket.abort();
    this.#add(Pipe.accepting(this.#host, this.#host.newSession(), socket));
  }

  /** Once: whoever keeps dialling, or sending, would fill the log. */
  #tellNoDispatcher(peer: string, connection?: Connection): void {
    if (this.#hasToldNoDispatcher || !this.#status.isWatched) return;
    this.#hasToldNoDispatcher = true;
    this.#status.tell({ type: "no_dispatcher", peer, connection });
  }

  /** Nobody wanted a message. */
  #unhandled({ connection, type }: Message): void {
    const own = sessionOf(connection).status;
    if (!this.#status.isWatched && own === undefined) return;
    const { peerAddress, state } = connection, peer = peerAddress.toString();
    if (this.#dispatchQueue.dispatchers.length === 0) this.#tellNoDispatcher(peer, connection);
    const status: ConnectionStatus = { type: "unhandled_message", messageType: type, connection, peer, state };
    this.#status.tell(status);
    own?.tell(status);
  }

  #add(pipe: Pipe): void {
    this.#pipes.add(pipe);
    this.#counters.createdConnections++;
  }

  async #stopListening(): Promise<void> {
    const listener = this.#listener;
    this.#listener = undefined;
    if (listener === undefined) return;
    this.#dispatcherAdded.resolve();
    this.#dispatcherAdded = Promise.withResolvers();
    await listener.close();
    await this.#accepting;
  }

  /** What Pipes see of this messenger. */
  #makeHost(name: EntityName, address: EntityAddress): Host {
    return {
      name,
      address,
      options: this.#options,
      policies: this.#policies,
      dispatchQueue: this.#dispatchQueue,
      dispatchThrottle: this.#dispatchThrottle,
      idleWatch: new IdleWatch(this.#options.environment, this.#options.readTimeout, this.#pipes),
      counters: this.#counters,
      status: this.#status,
      streamedTypes: this.#streamedTypes,
      streamedLimits: { ...this.#options, maxDataBytes: this.#options.maxStreamedDataBytes },
      network: async () => this.#network ??= await defaultNetwork(),
      defer: (writer) => this.#flushQueue.add(writer),
      messageTaken: () => this.#flushQueue.taken(),
      nextGlobalSeq: (above = 0) => this.#globalSeq = Math.max(this.#globalSeq, above) + 1,
      protocolVersion: (peerType, role) => {
        if (peerType === this.#host.name.type) return this.#options.clusterProtocol;
        return PROTOCOLS.get(role === "connect" ? peerType : this.#host.name.type) ?? 0;
      },
      learnAddress: (seen) => {
        if (this.#host.address.isBlank && !seen.isBlank) this.#host.address = this.#host.address.withHostOf(seen);
      },
      newSession: () => {
        const session = new Session(this.#dispatchQueue.newId(), this.#options.sendHighWaterMark);
        session.connection = new Connection(session);
        return session;
      },
      findPipe: (address) => {
        const exact = this.#byAddress.get(address.key);
        if (exact !== undefined) return exact;
        const other = this.#byEndpoint.get(address.endpoint);
        return other?.anyNonce ? other : undefined;
      },
      register: (pipe) => {
        const { peerAddress } = pipe.session;
        this.#byAddress.set(peerAddress.key, pipe);
        if (peerAddress.isListening) this.#byEndpoint.set(peerAddress.endpoint, pipe);
      },
      unregister: (pipe) => {
        const { key, endpoint } = pipe.session.peerAddress;
        if (this.#byAddress.get(key) === pipe) this.#byAddress.delete(key);
        if (this.#byEndpoint.get(endpoint) === pipe) this.#byEndpoint.delete(endpoint);
      },
      reap: (pipe) => {
        this.#pipes.delete(pipe);
        if (this.#pipes.size === 0) this.#allReaped?.resolve();
      },
    };
  }
}

/** No getters: V8 makes a dictionary of an object literal that has some, and every message looks several things up in this one. */
type Host = Omit<PipeHost, "name" | "address"> & { name: EntityName; address: EntityAddress };

/** The protocol version that each kind of entity speaks as a server. */
const PROTOCOLS = new Map<number, number>([
  [EntityType.MON, Protocol.MON],
  [EntityType.OSD, Protocol.OSD],
  [EntityType.MDS, Protocol.MDS],
]);

export type { MessengerOptions };
