/**
 * Plays a schedule: real messengers on a simulated network in virtual time, with a checker behind every dispatcher.
 *
 * @module
 */

import type { Connection } from "../connection.ts";
import type { Dispatcher } from "../dispatcher.ts";
import { MessengerError } from "../errors.ts";
import { Message } from "../message.ts";
import { Messenger } from "../messenger.ts";
import { exponentialBackoff } from "../options.ts";
import type { MessengerStatus } from "../status.ts";
import type { Pipe } from "../pipe.ts";
import {
  losslessClient,
  losslessPeer,
  losslessPeerReuse,
  lossyClient,
  type Policy,
  type PolicyOptions,
  statefulServer,
  statelessServer,
} from "../policy.ts";
import type { PipeState } from "../session.ts";
import { Throttle } from "../throttle.ts";
import type { EntityAddress } from "../wire/address.ts";
import { AuthProtocol, Feature, MESSENGER_FEATURES, Tag, tagName } from "../wire/constants.ts";
import { EntityName } from "../wire/entity.ts";
import { DeliveryChecker, type DeliveryPromise, type Party } from "./delivery_checker.ts";
import {
  type Action,
  canBothDial,
  type EdgePlan,
  makeSchedule,
  type MessengerPlan,
  type Schedule,
} from "./schedule.ts";
import { SeededRandom } from "./seeded_random.ts";
import type { ConnectionFault, SimulatedConnection } from "./simulated_connection.ts";
import { type SimulatedHost, SimulatedNetwork } from "./simulated_network.ts";
import { type StateCoverage, watchPipes } from "./state_coverage.ts";
import { Trace } from "./trace.ts";
import { VirtualEnvironment } from "./virtual_environment.ts";

/** What became of a schedule. */
export interface Outcome {
  /** The schedule's seed. */
  readonly seed: number;
  /** What went wrong, in words; nothing if all went well. */
  readonly violations: readonly string[];
  /** Messages that were accepted for sending. */
  readonly sent: number;
  /** Messages that arrived. */
  readonly delivered: number;
  /** Connections that were made or tried. */
  readonly connections: number;
  /** Timers that fired and turns that were taken. */
  readonly steps: number;
  /** Virtual ms that it took. */
  readonly elapsed: number;
  /** What happened, where a trace was asked for. */
  readonly trace: string;
}

/** Options of {@linkcode simulate}. */
export interface SimulateOptions {
  /**
   * Whether to write a trace.
   *
   * @default {false}
   */
  readonly trace?: boolean;
  /** Where to count what the protocol went through. */
  readonly coverage?: StateCoverage;
  /**
   * Whether the data of some messages are streams, at the sender or at both ends.
   *
   * @default {false}
   */
  readonly streams?: boolean;
}

const PLAIN = 0x8001, FAST = 0x8002;
const PORT = 6800;
const LIMITS = { maxFrontBytes: 1024, maxMiddleBytes: 512, maxDataBytes: 4096 };
/** How long a handshake may take, and the answer to CLOSE, in virtual ms. */
const HANDSHAKE_TIMEOUT = 300;
/**
 * After how long a session is given up whose peer cannot be dialled and stays away, in virtual ms: longer than any pause of a schedule, and short enough for
 * {@linkcode PATIENCE}. A client that closes over a connection that is already broken, with its own Reader held up by a throttle, learns of neither; its server
 * has this to go by.
 */
const ABSENCE_TIMEOUT = 20_000;
/** How long the sessions may take to come to rest on a network without faults, in virtual ms. */
const PATIENCE = 30_000;
const PRIORITIES = [0, 0, 0, 127, 127, 63, 10, 1, 64, 196, 200, 255] as const;
/** What messages are made of: each begins somewhere else. */
const CONTENTS = new Uint8Array(16384).map((_, i) => (i * 167 + (i >> 8) * 13) & 255);
/** A feature that nobody has. */
const UNHEARD_OF = 1n << 50n;

/**
 * Plays the schedule of a seed to its end and checks that everything was kept that is promised.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { simulate } from "@msgr/pipe/testing";
 *
 * assertEquals((await simulate(1)).violations, []);
 * ```
 */
export function simulate(schedule: number | Schedule, options: SimulateOptions = {}): Promise<Outcome> {
  return new Simulation(typeof schedule === "number" ? makeSchedule(schedule) : schedule, options).run();
}

/** Where a messenger is, or several in turn. */
interface Place {
  readonly index: number;
  readonly plan: MessengerPlan;
  readonly party: Party;
  readonly edges: readonly EdgePlan[];
  nonce: number;
  /** Counts the messengers that have been here. */
  life: number;
  host: SimulatedHost;
  messenger: Messenger;
  /** Where it listens. */
  address: EntityAddress | undefined;
  throttles: Throttle[];
  /** The latest connection that each peer has opened. */
  readonly accepted: Map<number, Connection>;
}

class Simulation {
  readonly #schedule: Schedule;
  readonly #environment: VirtualEnvironment;
  readonly #network: SimulatedNetwork;
  readonly #checker: DeliveryChecker;
  readonly #random: SeededRandom;
  readonly #coverage: StateCoverage | undefined;
  readonly #trace: Trace | undefined;
  readonly #streams: boolean;
  readonly #promise: (from: string, to: string) => DeliveryPromise;
  readonly #places: Place[] = [];
  /** Where whoever has a nonce is. */
  readonly #byNonce = new Map<number, number>();
  /** Faults that wait for the next connection of two hosts. */
  readonly #armed = new Map<string, ConnectionFault[][]>();
  /** Connections whose handshake is over. */
  readonly #agreed = new WeakSet<SimulatedConnection>();
  readonly #background = new Set<Promise<void>>();
  /** Connections that a program waits for the end of. */
  readonly #closing = new Set<Connection>();
  #isHealed = false;
  #isOver = false;
  /** The connect_seq with which Pipes were opened. */
  readonly #openedWith = new WeakMap<Pipe, number>();
  /** When Pipes said CLOSE, or were told it. */
  readonly #closingSince = new WeakMap<Pipe, number>();
  /** The latest fault was that of a Pipe that had said CLOSE. */
  #wasClosing = false;
  #nextTid = 1;
  /** Messages that nobody could send when their time came: the next who sends anything sends them too. */
  #owed = 0;

  constructor(schedule: Schedule, { trace = false, coverage, streams = false }: SimulateOptions) {
    this.#schedule = schedule;
    this.#streams = streams;
    const { seed, edges, messengers } = schedule;
    this.#environment = new VirtualEnvironment({ seed });
    this.#random = new SeededRandom(seed, 3);
    this.#coverage = coverage;
    this.#trace = trace ? new Trace(this.#environment) : undefined;
    const log = trace ? { log: (what: string) => this.#trace!.add(what) } : {};
    const promises = new Map(
      edges.flatMap((edge) => {
        const [a, b] = [messengers[edge.a]!.name, messengers[edge.b]!.name];
        const lossy = edge.pairing.endsWith("statelessServer") || edge.obstacle === "protocol";
        const told = !edge.pairing.split("-").includes("losslessPeer");
        return [`${a} ${b}`, `${b} ${a}`].map((pair) => [pair, { lossy, told }] as const);
      }),
    );
    this.#promise = (from, to) => promises.get(`${from} ${to}`)!;
    this.#checker = new DeliveryChecker({ promise: this.#promise, ...log });
    this.#network = new SimulatedNetwork(this.#environment, {
      seed,
      capacity: schedule.capacity,
      faults: (from, to) => to.transport === "tcp" ? this.#takeFaults(from, to.hostname) : [],
      tap: (connection, from, bytes) => {
        this.#trace?.add(`#${connection.id} the ${from} writes ${bytes.length} bytes`);
        if (from === "acceptor") this.#sawReply(connection, bytes);
      },
      ...log,
    });
  }

  async run(): Promise<Outcome> {
    const schedule = this.#schedule, environment = this.#environment, checker = this.#checker;
    watchPipes((pipe, from, to) => {
      if (to === "open") this.#openedWith.set(pipe, pipe.connectSeq);
      // A socket that broke is given up before the state changes; a handshake that failed at its end has told the peer nothing yet.
      if (from === "open" && to === "connecting" && pipe.link === undefined) {
        if (pipe.connectSeq <= this.#openedWith.get(pipe)!) {
          checker.violate(`${pipe.peer} is dialled with an old connect_seq`);
        }
      }
      if (to === "closing") this.#closingSince.set(pipe, environment.elapsed);
      if (to === "closed" && pipe.closeRequested) this.#watchClose(pipe, from);
      this.#coverage?.count("state", to);
      this.#coverage?.count("transition", `${from} > ${to}`);
      this.#trace?.add(`${pipe.host.name} and ${pipe.peer}: ${from} > ${to}`);
    });
    try {
      for (const [index, plan] of schedule.messengers.entries()) this.#places.push(this.#newPlace(index, plan));
      for (const place of this.#places) this.#start(place);
      for (const action of schedule.actions) environment.setTimer(() => this.#act(action), action.at);
      await environment.run({ ms: schedule.healAt });
      this.#heal();
      this.#nudge();
      if (!await environment.run({ ms: PATIENCE, until: () => this.#isAtRest() })) this.#reportUnrest();
      this.#isOver = true;
      this.#checkSockets();
      this.#checkReplays();
      await this.#end();
      checker.finish();
    } catch (error) {
      checker.violate(error instanceof Error ? `${error.message}\n${error.stack}` : String(error));
    }
    watchPipes(undefined);
    return {
      seed: schedule.seed,
      violations: checker.violations,
      sent: checker.sent,
      delivered: checker.delivered,
      connections: this.#network.attempts,
      steps: environment.steps,
      elapsed: environment.elapsed,
      trace: this.#trace?.text ?? "",
    };
  }

  // ------------------------------------------------------------------ messengers

  #newPlace(index: number, plan: MessengerPlan): Place {
    const edges = this.#schedule.edges.filter(({ a, b }) => a === index || b === index);
    const place = {
      index,
      plan,
      edges,
      party: this.#checker.party(plan.name),
      nonce: (index + 1) * 1000,
      life: 0,
      address: undefined,
      accepted: new Map(),
    } as unknown as Place;
    this.#byNonce.set(place.nonce, index);
    return place;
  }

  #start(place: Place): void {
    const { plan, index, nonce } = place, life = ++place.life;
    const environment = this.#environment;
    place.host = this.#network.host(plan.hostname);
    place.throttles = [];
    place.accepted.clear();
    const messenger = place.messenger = new Messenger({
      name: plan.name,
      nonce,
      network: place.host,
      environment,
      ...LIMITS,
      dispatchThrottleBytes: plan.dispatchThrottleBytes,
      handshakeTimeout: HANDSHAKE_TIMEOUT,
      readTimeout: 500,
      absenceTimeout: ABSENCE_TIMEOUT,
      backoff: exponentialBackoff({ initial: 5, max: 100, jitter: 0.5 }),
      clusterProtocol: plan.clusterProtocol,
      // Where others overtake what waits for its reader, an end would leave gaps that say nothing.
      streamedTypes: this.#streams && plan.dispatch !== "fast" ? [PLAIN] : [],
      log: (event) => this.#sawStatus(place, event),
      onDispatchError: (error) => this.#checker.violate(`A dispatcher of ${plan.name} failed: ${error}`),
    });
    for (const edge of place.edges) {
      const peer = this.#schedule.messengers[edge.a === index ? edge.b : edge.a]!;
      messenger.setPolicy(this.#policy(place, edge), EntityName.parse(peer.name).type);
    }
    messenger.addDispatcherTail(place.party.watch(this.#dispatcher(place, life)));
    place.address = undefined;
    if (!plan.isBound) return;
    this.#inBackground(place, async () => {
      const address = await messenger.bind(`${plan.hostname}:${PORT}`);
      if (place.life === life) place.address = address;
    });
  }

  #policy(place: Place, edge: EdgePlan): Policy {
    const isA = edge.a === place.index;
    const [messages, bytes] = place.plan.throttles;
    const throttlerMessages = messages > 0 ? new Throttle(messages) : undefined;
    const throttlerBytes = bytes > 0 ? new Throttle(bytes) : undefined;
    for (const throttle of [throttlerMessages, throttlerBytes]) if (throttle) place.throttles.push(throttle);
    const without = edge.without.reduce((bits, name) => bits | Feature[name], 0n);
    const options: PolicyOptions = {
      featuresSupported: (MESSENGER_FEATURES | Feature.CEPHX_V2) & ~without,
      featuresRequired: edge.obstacle === "features" && !isA && !this.#isHealed ? UNHEARD_OF : 0n,
      throttlerMessages,
      throttlerBytes,
    };
    switch (edge.pairing.split("-")[isA ? 0 : 1]) {
      case "lossyClient":
        return lossyClient(options);
      case "losslessClient":
        return losslessClient(options);
      case "losslessPeer":
        return losslessPeer(options);
      case "losslessPeerReuse":
        return losslessPeerReuse(options);
      case "statefulServer":
        return statefulServer(options);
      default:
        return statelessServer(options);
    }
  }

  #dispatcher(place: Place, life: number): Dispatcher {
    const { plan } = place, isAlive = () => place.life === life;
    const handle = (message: Message): void => {
      if (!isAlive() || message.version === 1 || !this.#random.chance(0.15)) return;
      const to = this.#byNonce.get(message.connection.peerAddress.nonce);
      if (to !== undefined) this.#send(place, message.connection, to, 1);
    };
    const dispatcher: Dispatcher = {
      dispatch: (message) => {
        handle(message);
        if (message.isStreamed) return this.#readData(plan.name, message);
        if (plan.dispatch === "slow" && this.#random.chance(0.5)) {
          return this.#environment.sleep(this.#random.next() * 4);
        }
      },
      handleAccept: (connection) => {
        if (isAlive()) this.#note(place, connection);
      },
      handleReset: (connection, { dropped, error }) => {
        this.#trace?.add(`${plan.name} is told of a reset of ${connection.peerAddress}, ${dropped} dropped: ${error}`);
      },
      handleRemoteReset: (connection, { dropped }) => {
        this.#trace?.add(`${plan.name} is told of a remote reset of ${connection.peerAddress}, ${dropped} dropped`);
      },
      getAuthorizer: () => {
        let bytes = Uint8Array.of(1);
        return {
          protocol: AuthProtocol.NONE,
          get bytes() {
            return bytes;
          },
          addChallenge: (challenge) => {
            bytes = Uint8Array.of(1, ...challenge);
            return true;
          },
        };
      },
      ...(plan.dispatch === "fast"
        ? { canFastDispatch: (message: Message) => message.type === FAST, fastDispatch: handle }
        : {}),
    };
    const isGuarded = place.edges.some(({ obstacle, b }) => obstacle === "authorizer" && b === place.index);
    if (!plan.isChallenging && !isGuarded) return dispatcher;
    return {
      ...dispatcher,
      verifyAuthorizer: ({ authorizer, challenge }) => {
        if (isGuarded && !this.#isHealed) return { valid: false };
        if (!plan.isChallenging) return { valid: authorizer[0] === 1 };
        if (challenge === undefined) return { valid: false, challenge: Uint8Array.of(42) };
        return { valid: authorizer[1] === challenge[0] };
      },
    };
  }

  #note(place: Place, connection: Connection): void {
    const peer = this.#byNonce.get(connection.peerAddress.nonce);
    if (peer !== undefined) place.accepted.set(peer, connection);
  }

  // ---------------------------------------------------------------------- deeds

  #act(action: Action): void {
    this.#trace?.add(`-- ${JSON.stringify(action)}`);
    const places = this.#places;
    this.#checkConnections();
    switch (action.do) {
      case "send": {
        const [from, to] = [places[action.from]!, places[action.to]!];
        const count = action.count + this.#owed;
        this.#owed = 0;
        const connection = this.#connection(from, to.index);
        if (connection !== undefined) {
          this.#send(from, connection, to.index, count);
          break;
        }
        // A server that does not know its client yet: the client speaks first.
        const back = this.#connection(to, from.index);
        if (back !== undefined) this.#send(to, back, from.index, count);
        else this.#owed = count;
        break;
      }
      case "dial":
        this.#connection(places[action.from]!, action.to);
        break;
      case "keepalive":
        this.#connection(places[action.from]!, action.to)?.sendKeepalive();
        break;
      case "close": {
        const connection = this.#known(places[action.from]!, action.to);
        if (connection === undefined) break;
        this.#closing.add(connection);
        void connection.close().then(() => this.#closing.delete(connection));
        break;
      }
      case "mark_down": {
        const from = places[action.from]!, connection = this.#known(from, action.to);
        if (connection === undefined) break;
        if (action.by === "connection") from.party.markDown(connection);
        else {
          from.party.ended(connection);
          from.messenger.markDown(connection.peerAddress);
        }
        break;
      }
      case "rebind": {
        const place = places[action.who]!, { life } = place;
        if (place.address === undefined) break;
        this.#byNonce.set(place.nonce += 1_000_000, place.index);
        this.#inBackground(place, async () => {
          const address = await place.messenger.rebind();
          if (place.life !== life) return;
          place.address = address;
          place.party.moved();
        });
        this.#environment.setTimer(() => this.#forgetTheDead(false), this.#random.int(1, 40));
        break;
      }
      case "restart": {
        const place = places[action.who]!, { messenger } = place;
        if (!place.host.isAlive) break;
        place.host.crash(action.silent);
        place.address = undefined;
        place.party.died();
        place.life++;
        this.#inBackground(place, () => messenger.shutdown());
        if (!action.sameNonce) this.#byNonce.set(place.nonce += 1, place.index);
        this.#environment.setTimer(() => this.#start(place), this.#random.int(0, 30));
        this.#environment.setTimer(() => this.#forgetTheDead(false), this.#random.int(1, 60));
        break;
      }
      case "cut":
        for (const connection of this.#between(action.a, action.b)) connection.cut(action.notice);
        break;
      case "fault":
        if (action.when === "next") {
          const key = this.#key(action.a, action.b), waiting = this.#armed.get(key) ?? [];
          waiting.push([...action.faults]);
          this.#armed.set(key, waiting);
        } else {
          for (const connection of this.#between(action.a, action.b)) {
            for (const fault of action.faults) connection.inflict(fault);
          }
        }
    }
  }

  /** Sends messages of all kinds. */
  #send(from: Place, connection: Connection, to: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const message = this.#message(), name = this.#places[to]!.plan.name;
      const isStream = this.#streams && message.dataLength > 0 && this.#random.chance(0.3);
      if (!from.party.send(connection, isStream ? this.#streamed(message) : message, name, message)) this.#owed++;
    }
  }

  /** The same message, whose data come in pieces, now and then after a while. */
  #streamed(message: Message): Message {
    const { type, tid, priority, version, compatVersion, front, middle, data: bytes, dataLength } = message;
    const random = this.#random, isSlow = random.chance(0.3);
    let at = 0;
    const data = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        if (isSlow) await this.#environment.sleep(random.next() * 3);
        if (at === bytes.length) return controller.close();
        const length = random.int(1, bytes.length);
        controller.enqueue(bytes.subarray(at, at + length));
        at = Math.min(bytes.length, at + length);
      },
    }, { highWaterMark: 0 });
    return new Message(type, { tid, priority, version, compatVersion, front, middle, data, dataLength });
  }

  /** Reads the data of a message, which are known by its number, and takes a while for it now and then. */
  async #readData(name: string, { tid, dataLength, dataStream, source }: Message): Promise<void> {
    const isSlow = this.#random.chance(0.3);
    let at = 0;
    try {
      for await (const chunk of dataStream) {
        if (!chunk.every((byte, i) => byte === CONTENTS[tid % 4096 + at + i])) {
          this.#checker.violate(`${name} was given other data with ${tid} than were sent, behind ${at} bytes`);
        }
        at += chunk.length;
        if (isSlow) await this.#environment.sleep(this.#random.next() * 3);
      }
      if (at !== dataLength) {
        this.#checker.violate(`${name} was given ${at} bytes of data with ${tid}, not ${dataLength}`);
      }
    } catch (error) {
      const { code } = error as MessengerError;
      if (code === "session_reset" || code === "closed") return;
      // Who is not told that the peer has lost the session finds another message under the number.
      if (code === "aborted" && !this.#promise(String(source), name).told) return;
      this.#checker.violate(`${name}, data of ${tid}: ${error}`);
    }
  }

  #message(): Message {
    const random = this.#random, tid = this.#nextTid++;
    const part = (length: number) => CONTENTS.subarray(tid % 4096, tid % 4096 + length);
    const kind = random.next();
    const data = kind < 0.1
      ? 0
      : kind < 0.8
      ? random.int(1, 200)
      : kind < 0.95
      ? random.int(1, 1500)
      : LIMITS.maxDataBytes;
    return new Message(random.chance(0.3) ? FAST : PLAIN, {
      tid,
      priority: random.pick(PRIORITIES),
      version: random.chance(0.2) ? 1 : 2,
      front: part(kind > 0.98 ? LIMITS.maxFrontBytes : random.int(0, 40)),
      middle: part(kind > 0.97 ? LIMITS.maxMiddleBytes : random.chance(0.1) ? random.int(0, 100) : 0),
      data: part(data),
    });
  }

  /** The connection to send on: a new one where that is allowed. */
  #connection(from: Place, to: number): Connection | undefined {
    const edge = from.edges.find(({ a, b }) => (a === to || b === to) && a !== b)!, target = this.#places[to]!;
    const mayDial = edge.a === from.index || canBothDial(edge);
    if (!mayDial || target.address === undefined) return this.#known(from, to);
    const { address } = target, type = EntityName.parse(target.plan.name).type;
    try {
      return from.messenger.connectTo(edge.anyNonce ? address.endpoint : address, { type });
    } catch (error) {
      // Its messenger has crashed, and the next is not there yet.
      if (error instanceof MessengerError && error.code === "closed") return undefined;
      throw error;
    }
  }

  /** The connection there is, whoever opened it. */
  #known(from: Place, to: number): Connection | undefined {
    const accepted = from.accepted.get(to);
    if (accepted !== undefined && !accepted.isClosed) return accepted;
    const { address } = this.#places[to]!;
    return address === undefined ? undefined : from.messenger.findConnection(address);
  }

  /** Programs find out that a peer is gone for good, and end their sessions with it. */
  #forgetTheDead(all: boolean): void {
    for (const place of this.#places) {
      for (const connection of place.messenger.connections) {
        const { nonce, endpoint, host } = connection.peerAddress;
        const peer = this.#places.find(({ plan }) => plan.hostname === host)!;
        // Who was dialled without a nonce may be anyone at that address.
        const isAnyone = peer.address?.endpoint === endpoint && (nonce === 0 || !all);
        const isThere = peer.nonce === nonce && (peer.address === undefined || peer.address.endpoint === endpoint);
        if (isThere || isAnyone) continue;
        this.#trace?.add(`${place.plan.name} forgets ${connection.peerAddress}`);
        place.party.markDown(connection);
      }
    }
  }

  #inBackground(place: Place, work: () => Promise<unknown>): void {
    const { life } = place;
    const done: Promise<void> = work().then(() => {}, (error) => {
      // Whoever has crashed meanwhile cannot finish anything.
      if (place.life === life) this.#checker.violate(`${place.plan.name}: ${error}`);
    }).finally(() => this.#background.delete(done));
    this.#background.add(done);
  }

  // --------------------------------------------------------------------- faults

  #key(a: number, b: number): string {
    return a < b ? `${a} ${b}` : `${b} ${a}`;
  }

  #between(a: number, b: number): SimulatedConnection[] {
    const [one, other] = [this.#places[a]!.plan, this.#places[b]!.plan];
    return this.#network.between(one.hostname, other.hostname);
  }

  #takeFaults(from: string, to: string): readonly ConnectionFault[] {
    const index = (hostname: string) => Number(hostname.split(".")[3]) - 1;
    return this.#armed.get(this.#key(index(from), index(to)))?.shift() ?? [];
  }

  /** No more faults; what stood between messengers is gone; each sends a last message to each. */
  #heal(): void {
    this.#trace?.add("-- the network heals");
    this.#isHealed = true;
    this.#armed.clear();
    this.#forgetTheDead(true);
    for (const edge of this.#schedule.edges) {
      const [a, b] = [this.#places[edge.a]!, this.#places[edge.b]!];
      if (edge.obstacle === "protocol") {
        for (const connection of a.messenger.connections) a.party.markDown(connection);
        continue;
      }
      if (edge.obstacle === "features") {
        b.messenger.setPolicy(this.#policy(b, edge), EntityName.parse(a.plan.name).type);
      }
      for (const [from, to] of [[a, edge.b], [b, edge.a]] as const) {
        const connection = this.#connection(from, to);
        if (connection === undefined) continue;
        const count = 1 + this.#owed;
        this.#owed = 0;
        this.#send(from, connection, to, count);
        // A side that cannot dial waits for the other to have a reason to.
        connection.sendKeepalive();
      }
    }
  }

  /** A stateful server cannot dial: who sleeps, or has ended the session, has to give it a chance to speak, or to hear of the end. */
  #nudge(): void {
    if (this.#isOver) return;
    for (const { a, b, pairing } of this.#schedule.edges) {
      if (pairing.endsWith("statefulServer")) this.#connection(this.#places[a]!, b)?.sendKeepalive();
    }
    this.#environment.setTimer(() => this.#nudge(), 200);
  }

  /**
   * An orderly close of a lossless session ends with the answer of the peer. Without one the peer may not know, and drops what it has acknowledged
   * and not dispatched when it hears of the next session. In a lossy session nobody knows what has arrived.
   */
  #watchClose(pipe: Pipe, from: PipeState | "new"): void {
    const waited = this.#environment.elapsed - (this.#closingSince.get(pipe) ?? 0);
    const isAnswered = from === "closing" && !this.#wasClosing && waited < HANDSHAKE_TIMEOUT;
    if (!pipe.policy.lossy && (from === "open" || isAnswered)) return;
    const { connection } = pipe.session, place = this.#places.find(({ plan }) => plan.name === String(pipe.host.name));
    queueMicrotask(() => {
      if (connection.isClosed) place?.party.ended(connection);
    });
  }

  // ----------------------------------------------------------------- invariants

  #isAtRest(): boolean {
    if (this.#checker.pending > 0 || this.#background.size > 0 || this.#closing.size > 0) return false;
    return this.#places.every(({ messenger }) =>
      messenger.stats().dispatch_queue_len === 0 && messenger.connections.every(({ queued }) => queued === 0)
    );
  }

  #reportUnrest(): void {
    const states = this.#places.flatMap(({ plan, messenger }) =>
      messenger.connections.map((connection) =>
        `${plan.name} to ${connection.peerAddress}: ${connection.state}, ${connection.queued} queued`
      )
    );
    this.#checker.violate(
      `No rest ${PATIENCE} ms after the last fault, ${this.#checker.pending} messages on their way; ${
        states.join("; ")
      }`,
    );
  }

  /** A messenger has one living session with a peer. */
  #checkConnections(): void {
    for (const { plan, messenger } of this.#places) {
      const peers = messenger.connections.map(({ peerAddress }) => peerAddress.key);
      if (new Set(peers).size < peers.length) {
        this.#checker.violate(`${plan.name} has two sessions with one peer: ${peers.join(", ")}`);
      }
    }
  }

  /** Two messengers at rest share one socket at most. */
  #checkSockets(): void {
    this.#checkConnections();
    for (const { a, b } of this.#schedule.edges) {
      const open = this.#between(a, b).filter(({ openEnds }) => openEnds === 2);
      if (open.length > 1) {
        const ids = open.map(({ id }) => `#${id}`).join(", ");
        this.#checker.violate(`${open.length} connections between messengers ${a} and ${b}: ${ids}`);
      }
    }
  }

  /** Where both sides of each session say in SEQ what they have, nothing is sent twice. */
  #checkReplays(): void {
    for (const { plan, messenger, edges } of this.#places) {
      const { duplicate_messages } = messenger.stats();
      if (duplicate_messages > 0 && edges.every(({ without }) => !without.includes("RECONNECT_SEQ"))) {
        this.#checker.violate(`${plan.name} was sent ${duplicate_messages} messages that it had said it has`);
      }
    }
  }

  /** Shuts everything down, and looks for what is left. */
  async #end(): Promise<void> {
    this.#trace?.add("-- shutdown");
    for (const place of this.#places) this.#inBackground(place, () => place.messenger.shutdown());
    const environment = this.#environment;
    await environment.run({ ms: PATIENCE });
    const left: [string, number][] = [
      ["timers", environment.timers],
      ["sockets", this.#network.openSockets],
      ["listeners", this.#network.openListeners],
      ["tasks", this.#background.size],
    ];
    for (const { plan: { name }, messenger, throttles } of this.#places) {
      const stats = messenger.stats();
      left.push(
        [`pipes of ${name}`, stats.msgr_active_connections],
        [`messages in the dispatch queue of ${name}`, stats.dispatch_queue_len],
        [`bytes in the dispatch throttle of ${name}`, stats.dispatch_throttle_bytes],
        [`items in the throttles of ${name}`, throttles.reduce((sum, t) => sum + t.current + t.waiting, 0)],
      );
    }
    for (const [what, count] of left) if (count !== 0) this.#checker.violate(`After the shutdown: ${count} ${what}`);
  }

  // ------------------------------------------------------------------- coverage

  #sawReply(connection: SimulatedConnection, bytes: Uint8Array): void {
    // The first that an acceptor writes is its banner; then each reply leaves in one write.
    if (bytes[0] === 0x63 || this.#agreed.has(connection)) return;
    const tag = bytes[0]!;
    this.#coverage?.count("reply", tagName(tag));
    this.#trace?.add(`#${connection.id} reply ${tagName(tag)}`);
    if (tag === Tag.READY || tag === Tag.SEQ) this.#agreed.add(connection);
  }

  #sawStatus(place: Place, status: MessengerStatus): void {
    const { type, peer, state, error } = status;
    this.#wasClosing = type === "fault" && state === "closing";
    // Every error of this network has a better code: this one is a bug that passed for a fault.
    if (error?.code === "network") {
      const cause = error.cause instanceof Error ? error.cause.stack : error.message;
      this.#checker.violate(`${place.plan.name} failed: ${cause}`);
    }
    if (type === "race") this.#coverage?.count("race", status.row);
    if (this.#trace === undefined) return;
    const more = [state, type === "race" ? `row ${status.row}` : undefined, error?.message].filter((part) =>
      part !== undefined
    ).join(", ");
    this.#trace.add(`${place.plan.name} and ${peer ?? "-"}: ${type} (${more})`);
  }
}
