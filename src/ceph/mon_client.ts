/**
 * A client of a cluster's monitors.
 *
 * @module
 */

import type { Authorizer } from "../auth.ts";
import { type Environment, systemEnvironment } from "../environment.ts";
import { MessengerError, NetworkError } from "../errors.ts";
import type { Message } from "../message.ts";
import { Messenger } from "../messenger.ts";
import type { Network } from "../net/network.ts";
import { exponentialBackoff } from "../options.ts";
import type { MessengerStatus } from "../status.ts";
import { lossyClient } from "../policy.ts";
import type { EntityAddress } from "../wire/address.ts";
import { EntityType } from "../wire/constants.ts";
import { EntityName } from "../wire/entity.ts";
import { AuthClient } from "./auth_client.ts";
import { AuthName } from "./auth_name.ts";
import { CephConf, parseMonHost } from "./ceph_conf.ts";
import { CommandError } from "./command_error.ts";
import { CryptoKey } from "./crypto_key.ts";
import { CEPH_FEATURES } from "./features.ts";
import { parseKeyring } from "./keyring.ts";
import {
  type CommandReply,
  type MapVersions,
  MAuthReply,
  MConfig,
  MMonCommand,
  MMonCommandAck,
  MMonGetVersion,
  MMonGetVersionReply,
  MMonSubscribe,
  MStatfs,
  MStatfsReply,
  type Statfs,
} from "./mon_messages.ts";
import type { MonMap } from "./mon_map.ts";
import { MonRequests } from "./mon_requests.ts";
import { MonSession } from "./mon_session.ts";
import { SUBSCRIBABLE, type SubscriptionHandler, Subscriptions } from "./subscriptions.ts";

/** How many ms one monitor may take to let us in before the next is tried. */
const HUNT_PATIENCE = 5_000;
/** After how many ms a session was worth it, even if nothing was asked. */
const GOOD_SESSION = 10_000;
/** How long to wait when all monitors were tried in vain so many times: 0.1 s, then twice as long each time, at most 5 s. */
const huntPause = exponentialBackoff({ initial: 100, max: 5_000 });

/** Options of {@linkcode MonClient.connect}. */
export interface MonClientOptions {
  /** Where the monitors are: one or more addresses, or text as `mon_host` has it. Without it, `conf` has to say so. */
  readonly monitors?: string | readonly string[];
  /** The text of a `ceph.conf`: `mon_host` and `auth_client_required` are taken from it. */
  readonly conf?: string;
  /**
   * Who the client is.
   *
   * @default {"client.admin"}
   */
  readonly name?: string;
  /** Its key, in base64. With a key the client insists on cephx; without one it knows of no authentication. */
  readonly key?: string | CryptoKey;
  /** The text of a keyring that holds its key. */
  readonly keyring?: string;
  /**
   * How many ms to try before {@linkcode MonClient.connect} fails; 0 for ever.
   *
   * @default {30000}
   */
  readonly timeout?: number;
  /** Gives the attempt to connect up; afterwards it is of no effect. */
  readonly signal?: AbortSignal;
  /**
   * How many ms a command may take, with all waiting for a monitor; 0 for ever.
   *
   * @default {60000}
   */
  readonly commandTimeout?: number;
  /**
   * How to open sockets.
   *
   * @default {that of the runtime}
   */
  readonly network?: Network;
  /**
   * Time and chance. Challenges do not come from it: those nobody may foresee.
   *
   * @default {the system's}
   */
  readonly environment?: Environment;
  /** Told of everything that happens to connections. */
  readonly log?: (status: MessengerStatus) => void;
}

/** Options of one request. */
export interface RequestOptions {
  /** Gives the request up: it then rejects with the signal's reason. The monitors may carry it out nevertheless. */
  readonly signal?: AbortSignal;
  /**
   * How many ms it may take; 0 for ever.
   *
   * @default {that of the client}
   */
  readonly timeout?: number;
}

/** Options of a command. */
export interface CommandOptions extends RequestOptions {
  /** What the command is to read: `ceph … -i file`. */
  readonly input?: Uint8Array;
}

/** A command as the monitors know it: its first words, and its arguments by their names. */
export interface Command {
  /** The words that say which command it is: `"osd pool create"`. */
  readonly prefix: string;
  /** An argument, or `format`: `"json"`, `"json-pretty"`, `"plain"`. */
  readonly [argument: string]: unknown;
}

/**
 * A session with the monitors of a cluster: with one at a time, and with another when that one is gone. Ceph's `MonClient`.
 *
 * What was asked and is not answered when a monitor dies is asked again of the next one: a command may thus be carried out twice, as it may by Ceph's own
 * clients. Ceph's commands are made for that.
 *
 * @example
 * ```ts
 * import { MonClient } from "@msgr/pipe/ceph";
 *
 * export async function health(key: string): Promise<string> {
 *   await using client = await MonClient.connect({ monitors: ["127.0.0.1:6789"], name: "client.admin", key });
 *   const { health } = await client.json<{ health: { status: string } }>({ prefix: "status" });
 *   return health.status;
 * }
 * ```
 */
export class MonClient implements AsyncDisposable {
  /** Who the client is. */
  readonly name: string;
  /** What carries the session. Connections to a cluster's other daemons that are made on it present our tickets. */
  readonly messenger: Messenger;

  readonly #options: MonClientOptions;
  readonly #environment: Environment;
  readonly #given: readonly EntityAddress[];
  readonly #auth: AuthClient;
  readonly #requests: MonRequests;
  readonly #subscriptions = new Subscriptions();
  readonly #first = Promise.withResolvers<void>();
  readonly #closing = Promise.withResolvers<MessengerError | undefined>();
  #hunting: Promise<void> = Promise.resolve();
  #session: MonSession | undefined;
  #monMap: MonMap | undefined;
  #config: ReadonlyMap<string, string> = new Map();
  #lastError: MessengerError | undefined;
  #over: MessengerError | undefined;
  #hasAnswered = false;
  #wakeUp: () => void = () => {};

  private constructor(options: MonClientOptions) {
    const { name = "client.admin", environment = systemEnvironment, log = () => {} } = options;
    const conf = CephConf.parse(options.conf ?? "");
    const { monitors = conf.get("mon_host", name) ?? "" } = options;
    this.name = name;
    this.#options = options;
    this.#environment = environment;
    this.#given = parseMonHost(typeof monitors === "string" ? monitors : monitors.join(" "));
    this.#auth = new AuthClient(AuthName.parse(name), findKey(options, name, conf));
    this.#requests = new MonRequests(environment);
    this.messenger = new Messenger({
      name: "client.?",
      network: options.network,
      environment,
      log: (event) => {
        log(event);
        this.#watch(event);
      },
    });
    this.messenger.setPolicy(lossyClient({ featuresSupported: CEPH_FEATURES }));
    this.messenger.addDispatcherTail({
      // A monitor that says no may hang up at once, and a message that waits is lost with its connection.
      canFastDispatch: (message) => MAuthReply.matches(message),
      fastDispatch: (message) => void this.#dispatch(message),
      dispatch: (message) => this.#dispatch(message),
      handleReset: (connection, { error }) => {
        if (connection === this.#session?.connection) {
          this.#session.end(error ?? new MessengerError("closed", "The connection was closed"));
        }
      },
      getAuthorizer: (peerType) => peerType === EntityType.MON ? undefined : this.#auth.authorizer(peerType),
    });
    this.#subscriptions.add("monmap", 0, () => {});
  }

  /**
   * Finds a monitor, authenticates, and gets the map of the monitors.
   *
   * @param options Where the monitors are, and who we are.
   * @throws {MessengerError} With code `invalid` for options that cannot be; `auth` if the name or the key is refused.
   * @throws {NetworkError} With code `timed_out` if no monitor was found in time; its `cause` is what went wrong last.
   */
  static async connect(options: MonClientOptions): Promise<MonClient> {
    options.signal?.throwIfAborted();
    const client = new MonClient(options);
    const { signal, timeout = 30_000 } = options;
    const timer = timeout === 0 ? undefined : client.#environment.setTimer(() => {
      const { cause, text } = client.#whatFailed();
      client.#first.reject(new NetworkError("timed_out", `No monitor let us in within ${timeout} ms${text}`, cause));
    }, timeout);
    const aborted = () => client.#first.reject(signal!.reason);
    signal?.addEventListener("abort", aborted);
    client.#hunting = client.#hunt();
    try {
      await client.#first.promise;
      return client;
    } catch (error) {
      await client.close();
      throw error;
    } finally {
      client.#environment.clearTimer(timer);
      signal?.removeEventListener("abort", aborted);
    }
  }

  /** The map of the monitors, as of now. */
  get monMap(): MonMap {
    return this.#monMap!;
  }

  /** The cluster's id. */
  get fsid(): string {
    return this.monMap.fsid;
  }

  /** The number by which the cluster knows the client: it is `client.4123` in addresses and logs. */
  get globalId(): number {
    return this.#auth.globalId;
  }

  /** Where the monitor is that the client talks to now; nothing while it looks for one. */
  get monitor(): EntityAddress | undefined {
    return this.#session?.isOpen ? this.#session.address : undefined;
  }

  /** The options that the monitors have for this client. */
  get config(): ReadonlyMap<string, string> {
    return this.#config;
  }

  /** Fulfils when the client is over: with nothing after {@linkcode close}, else with the reason, such as a name that was removed. */
  get closed(): Promise<MessengerError | undefined> {
    return this.#closing.promise;
  }

  /**
   * Has the monitors carry out a command, and gives what they say to it, whether it went well or not.
   *
   * @param command The command and its arguments.
   * @param options When to give it up, and what it is to read.
   * @returns `status`: 0, or a negative error number of Linux. `text`: what people are to be told. `data`: the output.
   * @throws {NetworkError} With code `timed_out`.
   * @throws {MessengerError} With code `closed` after {@linkcode close}; `auth` once the name was refused.
   */
  async command(command: Command, options: CommandOptions = {}): Promise<CommandReply> {
    const text = JSON.stringify(command), { fsid } = this;
    const make = (tid: number) => MMonCommand.message({ fsid, command: text, input: options.input }, { tid });
    return MMonCommandAck.read(await this.#request(make, MMonCommandAck.type, `"${command.prefix}"`, options));
  }

  /**
   * Has the monitors carry out a command that answers with JSON.
   *
   * @throws {CommandError} If the monitors refuse it or fail; it has their `status`.
   * @throws {MessengerError} As {@linkcode command}; with code `bad_message` if the answer is no JSON.
   */
  async json<T = unknown>(command: Command, options: CommandOptions = {}): Promise<T> {
    const reply = await this.command({ format: "json", ...command }, options);
    if (reply.status < 0) throw new CommandError(command.prefix, reply);
    try {
      return JSON.parse(new TextDecoder().decode(reply.data)) as T;
    } catch (cause) {
      throw new MessengerError("bad_message", `The answer to "${command.prefix}" is no JSON`, { cause });
    }
  }

  /**
   * Asks which versions of a map there are: `"osdmap"`, `"monmap"`, `"mdsmap"`.
   *
   * @throws {MessengerError} As {@linkcode command}.
   */
  async mapVersions(what: string, options: RequestOptions = {}): Promise<MapVersions> {
    const make = (tid: number) => MMonGetVersion.message({ handle: tid, what }, { tid });
    return MMonGetVersionReply.read(await this.#request(make, MMonGetVersionReply.type, `for ${what}`, options));
  }

  /**
   * Asks how full the cluster is.
   *
   * @throws {MessengerError} As {@linkcode command}.
   */
  async statfs(options: RequestOptions = {}): Promise<Statfs> {
    const make = (tid: number) => MStatfs.message(this.fsid, { tid });
    return MStatfsReply.read(await this.#request(make, MStatfsReply.type, "statfs", options));
  }

  /**
   * Asks to be told of a map, now and whenever it changes, whichever monitor tells it.
   *
   * @param what `"osdmap"`, `"monmap"`, `"config"`, `"mgrmap"`, `"fsmap"`, `"mdsmap"` or `"servicemap"`.
   * @param handler Is given the messages. For those of OSD maps there is {@linkcode MOSDMap}.
   * @param options `start`: the first epoch that is wanted; 0 for the newest. It counts for the first subscriber only.
   * @returns Takes the subscription back.
   * @throws {MessengerError} With code `invalid` for anything else.
   */
  subscribe(what: string, handler: SubscriptionHandler, options: { readonly start?: number } = {}): () => void {
    if (!SUBSCRIBABLE.includes(what)) {
      throw new MessengerError("invalid", `Bad subscription: got "${what}", expected ${SUBSCRIBABLE.join(", ")}`);
    }
    // Each call is a subscriber of its own, even with the same function.
    const own: SubscriptionHandler = (message) => handler(message);
    if (this.#subscriptions.add(what, options.start ?? 0, own) && this.#session?.isOpen) {
      this.#session.connection.send(MMonSubscribe.message(this.#subscriptions.request([what])));
    }
    return () => this.#subscriptions.remove(what, own);
  }

  /**
   * What proves to a daemon of that kind who we are; nothing if the monitors gave no ticket for it.
   *
   * @param service The kind: `EntityType.OSD`, `EntityType.MDS` or `EntityType.MGR`.
   */
  authorizer(service: number): Authorizer | undefined {
    return this.#auth.authorizer(service);
  }

  /** Ends the session. Requests that were not answered reject with code `closed`. */
  async close(): Promise<void> {
    this.#finish(undefined);
    await this.#hunting;
    await this.messenger.shutdown();
  }

  /** {@linkcode close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #request(
    make: (tid: number) => Message,
    replyType: number,
    what: string,
    options: RequestOptions,
  ): Promise<Message> {
    options.signal?.throwIfAborted();
    if (this.#over !== undefined) throw this.#over;
    const { signal, timeout = this.#options.commandTimeout ?? 60_000 } = options;
    const { message, reply } = this.#requests.add(make, replyType, what, { signal, timeout });
    // Without a session it waits for the next one.
    if (this.#session?.isOpen) this.#session.connection.send(message);
    return await reply;
  }

  #dispatch(message: Message): boolean {
    const session = this.#session;
    if (session === undefined || message.connection !== session.connection) return false;
    const wasForSession = session.handle(message);
    try {
      if (MConfig.matches(message)) this.#config = MConfig.read(message);
      const wasAnswer = this.#requests.handle(message);
      this.#hasAnswered ||= wasAnswer;
      return this.#subscriptions.handle(message) || wasAnswer || wasForSession || MConfig.matches(message);
    } catch (error) {
      if (!(error instanceof MessengerError) || error.code !== "bad_message") throw error;
      session.end(error);
      return true;
    }
  }

  /** Ends a session whose connection fails while it is not open yet: the messenger would dial for ever. */
  #watch({ type, peer, error }: MessengerStatus): void {
    const session = this.#session;
    if (type !== "fault" || error === undefined || session === undefined || session.isOpen) return;
    if (session.address.toString() === peer) session.end(error);
  }

  /** Looks for a monitor, and for the next one when it is gone, until the client is over. */
  async #hunt(): Promise<void> {
    let lost: EntityAddress | undefined, inVain = 0;
    while (this.#over === undefined) {
      inVain++;
      for (const address of this.#candidates(lost)) {
        const session = await this.#open(address);
        if (this.#over !== undefined) return;
        if (session === undefined) continue;
        const start = this.#environment.now();
        this.#hasAnswered = false;
        this.#lastError = await session.ended;
        lost = address;
        // A monitor that lets us in only to hang up is not to be dialled without end.
        if (this.#hasAnswered || this.#environment.now() - start > GOOD_SESSION) inVain = 0;
        break;
      }
      if (this.#over === undefined) await this.#pause(huntPause(inVain, 0));
    }
  }

  /** One attempt at a monitor; nothing if it failed. */
  async #open(address: EntityAddress): Promise<MonSession | undefined> {
    for (let attempt = 0; attempt < 2 && this.#over === undefined; attempt++) {
      const hadTicket = this.#auth.globalId !== 0;
      if (!hadTicket) this.messenger.name = new EntityName(EntityType.CLIENT);
      const connection = this.messenger.connectTo(address, { type: EntityType.MON });
      const session = this.#session = new MonSession(connection, this.#auth, this.#environment, HUNT_PATIENCE, {
        authenticated: () => this.messenger.name = new EntityName(EntityType.CLIENT, this.#auth.globalId),
        monMap: (map) => this.#monMap = map,
      });
      try {
        await session.opened;
        this.#start(session);
        return session;
      } catch (error) {
        this.#lastError = error as MessengerError;
        if (this.#lastError.code !== "auth") return undefined;
        // A ticket grows too old to be renewed; then only the key counts.
        if (hadTicket) this.#auth.forget();
        else this.#finish(this.#lastError);
      }
    }
    return undefined;
  }

  /** A monitor has let us in: tells it what we want. */
  #start({ connection }: MonSession): void {
    connection.send(MMonSubscribe.message(this.#subscriptions.request()));
    for (const message of this.#requests.messages) connection.send(message);
    this.#first.resolve();
  }

  /** All monitors that we know of, in no order, but the one that was lost last. */
  #candidates(lost: EntityAddress | undefined): EntityAddress[] {
    const mapped = this.#monMap?.monitors.flatMap(({ address }) => address ?? []) ?? [];
    const unique = new Map([...mapped, ...this.#given].map((address) => [address.key, address]));
    const rank = ({ key }: EntityAddress) => key === lost?.key ? 1 : this.#environment.random();
    return [...unique.values()].map((address) => ({ address, rank: rank(address) }))
      .sort((a, b) => a.rank - b.rank).map(({ address }) => address);
  }

  async #pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#environment.setTimer(resolve, ms);
    this.#wakeUp = resolve;
    await promise;
    this.#environment.clearTimer(timer);
  }

  /** Ends the client, once. */
  #finish(error: MessengerError | undefined): void {
    if (this.#over !== undefined) return;
    this.#over = error ?? new MessengerError("closed", "The monitor client was closed");
    this.#session?.end(this.#over);
    this.#wakeUp();
    this.#requests.rejectAll(this.#over);
    this.#first.reject(this.#over);
    this.#closing.resolve(error);
  }

  #whatFailed(): { cause?: ErrorOptions; text: string } {
    const cause = this.#lastError;
    return cause === undefined ? { text: "" } : { cause: { cause }, text: `: ${cause.message}` };
  }
}

/** The key to authenticate with; nothing where no authentication is wanted. */
function findKey({ key, keyring }: MonClientOptions, name: string, conf: CephConf): CryptoKey | undefined {
  const methods = conf.get("auth_client_required", name)?.split(/[\s,;]+/);
  if (methods !== undefined && !methods.includes("cephx")) return undefined;
  if (key !== undefined) return typeof key === "string" ? CryptoKey.parse(key) : key;
  if (keyring === undefined) return undefined;
  const found = parseKeyring(keyring).get(name);
  if (found === undefined) throw new MessengerError("invalid", `Bad keyring: it has no key of ${name}`);
  return found;
}
