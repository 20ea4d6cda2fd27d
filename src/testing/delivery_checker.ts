/**
 * Whether what was promised was kept: every message accounted for, between any number of messengers.
 *
 * @module
 */

import type { Connection } from "../connection.ts";
import type { Dispatcher, ResetInfo } from "../dispatcher.ts";
import type { Message } from "../message.ts";
import { Priority } from "../wire/constants.ts";

/** What two parties' policies promise about the messages from one to the other. */
export interface DeliveryPromise {
  /** Whether the session is lossy: the accepting side's policy decides that. */
  readonly lossy: boolean;
  /**
   * Whether both sides look for sessions that the other has lost. `losslessPeer()` alone of the lossless policies does not: what was queued for a
   * lost session is then sent to the next, and may arrive in both.
   */
  readonly told: boolean;
}

/** Options of {@linkcode DeliveryChecker}. */
export interface DeliveryCheckerOptions {
  /** What is promised from one party to another. By default: lossless, and told. */
  readonly promise?: (from: string, to: string) => DeliveryPromise;
  /** Told of everything that is seen. */
  readonly log?: (what: string) => void;
}

/** The messages of one sender from one reset to the next. */
export interface Outgoing {
  /** Who sends. */
  readonly from: Party;
  /** Who is to receive. */
  readonly to: string;
  /** In the order of sending. */
  readonly sent: Sent[];
  /** How it ended, if it did. */
  end: "told" | "own" | undefined;
  /** What the sender was told of messages that were dropped. */
  dropped: number;
}

/** What one connection brought a receiver from one reset to the next. */
export interface Incoming {
  /** The latest message of each lane: sender, priority, and way of dispatch. */
  readonly latest: Map<string, number>;
}

/** One message. */
export interface Sent {
  /** How many were sent before it, by anybody. */
  readonly index: number;
  /** What was sent. */
  readonly message: Message;
  /** The priority that it has on its way. */
  readonly priority: number;
  /** The session that it was sent in. */
  readonly outgoing: Outgoing;
  /** Where it arrived, if it did. */
  arrived: Incoming | undefined;
  /** Where else it arrived. */
  again: Incoming[] | undefined;
  /** Whether the receiver has died since it was sent: nobody can say what became of it. */
  isExcused: boolean;
}

const LOSSLESS: DeliveryPromise = { lossy: false, told: true };

/**
 * Watches dispatchers and what is sent, and says what went wrong:
 *
 * - what arrives was sent, by that sender to that receiver, and is the same to the last byte;
 * - within a session nothing arrives twice, and within a priority nothing out of order;
 * - a message is missing only if the sender was told of a reset, with `dropped` covering all that is missing, or ended the session
 *   itself, or the receiving process died;
 * - what is missing of a lossy session is its end: nothing in between.
 *
 * It knows messages by their `tid`, so each needs one of its own.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Message, Messenger } from "@msgr/pipe";
 * import { DeliveryChecker, SimulatedNetwork, VirtualEnvironment } from "@msgr/pipe/testing";
 *
 * const environment = new VirtualEnvironment({ seed: 1 });
 * const network = new SimulatedNetwork(environment);
 * const checker = new DeliveryChecker();
 * const [ann, bob] = [checker.party("ann"), checker.party("bob")];
 *
 * const server = new Messenger({ network: network.host("10.0.0.1"), environment });
 * server.addDispatcherTail(bob.watch({ dispatch: () => {} })); // Your own dispatcher goes here.
 * const client = new Messenger({ network: network.host("10.0.0.2"), environment });
 * client.addDispatcherTail(ann.watch({}));
 * await server.bind("10.0.0.1:6800");
 * const connection = client.connectTo("10.0.0.1:6800");
 *
 * for (let tid = 1; tid <= 100; tid++) ann.send(connection, new Message(0x8001, { tid }), "bob");
 * environment.setTimer(() => network.cut("10.0.0.1", "10.0.0.2"), 5);
 * await environment.run({ ms: 10_000 });
 * assertEquals([checker.finish(), checker.delivered], [[], 100]);
 *
 * const ended = Promise.all([server.shutdown(), client.shutdown()]);
 * await environment.run();
 * await ended;
 * ```
 */
export class DeliveryChecker {
  /** What went wrong so far, in words. */
  readonly violations: string[] = [];
  /** Messages that arrived, each counted once. */
  delivered = 0;

  readonly #promise: (from: string, to: string) => DeliveryPromise;
  readonly #log: ((what: string) => void) | undefined;
  readonly #sent = new Map<number, Sent>();
  readonly #outgoing: Outgoing[] = [];
  /** Messages of living sessions that have to arrive yet. */
  #pending = 0;

  /** Makes a checker that has seen nothing. */
  constructor(options: DeliveryCheckerOptions = {}) {
    this.#promise = options.promise ?? (() => LOSSLESS);
    this.#log = options.log;
  }

  /** How many messages have been sent. */
  get sent(): number {
    return this.#sent.size;
  }

  /** How many messages are still on their way: accepted on sessions that have not ended, and not delivered. */
  get pending(): number {
    return this.#pending;
  }

  /** Adds a party: one messenger, or the several that follow each other in one place. */
  party(name: string): Party {
    return new Party(name, this);
  }

  /**
   * Looks at everything once nothing is on its way any more.
   *
   * @returns All that went wrong, in words; nothing if all went well.
   */
  finish(): readonly string[] {
    for (const outgoing of this.#outgoing) this.#account(outgoing);
    return this.violations;
  }

  /** Notes what went wrong. */
  violate(what: string): void {
    this.violations.push(what);
    this.#log?.(`VIOLATION: ${what}`);
  }

  /** Notes a new session of a sender. For {@linkcode Party}. */
  begin(from: Party, to: string): Outgoing {
    const outgoing: Outgoing = { from, to, sent: [], end: undefined, dropped: 0 };
    this.#outgoing.push(outgoing);
    return outgoing;
  }

  /** Notes that a sender's session is over. For {@linkcode Party}. */
  end(outgoing: Outgoing, how: "told" | "own", dropped: number): void {
    if (outgoing.end !== undefined) return;
    outgoing.end = how;
    outgoing.dropped = dropped;
    for (const sent of outgoing.sent) if (isPending(sent)) this.#pending--;
  }

  /** Notes that the receiver of messages is no more. For {@linkcode Party}. */
  excuse(to: string): void {
    for (const outgoing of this.#outgoing) {
      if (outgoing.to !== to) continue;
      for (const sent of outgoing.sent) {
        if (isPending(sent) && outgoing.end === undefined) this.#pending--;
        sent.isExcused = true;
      }
    }
  }

  /** Notes that a message was accepted. For {@linkcode Party}. */
  accepted(outgoing: Outgoing, message: Message): void {
    if (this.#sent.has(message.tid)) throw new Error(`Cannot watch two messages with the tid ${message.tid}`);
    const sent: Sent = {
      index: this.#sent.size,
      message,
      priority: Math.min(message.priority || Priority.DEFAULT, Priority.HIGHEST),
      outgoing,
      arrived: undefined,
      again: undefined,
      isExcused: false,
    };
    this.#sent.set(message.tid, sent);
    outgoing.sent.push(sent);
    this.#pending++;
    this.#log?.(`${outgoing.from.name} sends ${message.tid} to ${outgoing.to}, priority ${sent.priority}`);
  }

  /** Notes that a message arrived. For {@linkcode Party}. */
  arrived(at: Party, incoming: Incoming, message: Message, way: string): void {
    const sent = this.#sent.get(message.tid);
    this.#log?.(`${at.name} is given ${message.tid}, seq ${message.seq}`);
    if (sent === undefined) return this.violate(`${at.name} was given ${message.tid}, which nobody sent`);
    const { outgoing } = sent, { from } = outgoing;
    const what = `${message.tid} of ${from.name}`;
    if (outgoing.to !== at.name) this.violate(`${at.name} was given ${what}, which was for ${outgoing.to}`);
    const difference = differenceOf(sent.message, message);
    if (difference !== undefined) this.violate(`${at.name} was given ${what} with another ${difference}`);
    if (sent.arrived === incoming || sent.again?.includes(incoming)) {
      this.violate(`${at.name} was given ${what} twice in one session`);
    } else if (sent.arrived !== undefined && (this.#promise(from.name, at.name).told || this.#isLossy(outgoing))) {
      this.violate(`${at.name} was given ${what} in two sessions`);
    }
    const lane = `${from.name} ${sent.priority} ${way}`, latest = incoming.latest.get(lane);
    if (latest !== undefined && latest > sent.index) {
      this.violate(`${at.name} was given ${what} after one that was sent later`);
    }
    incoming.latest.set(lane, sent.index);
    if (sent.arrived === undefined) {
      if (isPending(sent) && outgoing.end === undefined) this.#pending--;
      sent.arrived = incoming;
      this.delivered++;
    } else {
      (sent.again ??= []).push(incoming);
    }
  }

  #isLossy({ from, to }: Outgoing): boolean {
    return this.#promise(from.name, to).lossy;
  }

  #account(outgoing: Outgoing): void {
    const { from, to, sent, end, dropped } = outgoing;
    const missing = sent.filter(({ arrived, isExcused }) => arrived === undefined && !isExcused);
    const name = (messages: readonly Sent[]) => messages.slice(0, 5).map(({ message }) => message.tid).join(", ");
    const session = `from ${from.name} to ${to}`;
    if (end === undefined && missing.length > 0) {
      this.violate(`${missing.length} messages ${session} are missing and nobody was told: ${name(missing)}`);
    } else if (end === "told" && missing.length > dropped && !this.#isLossy(outgoing)) {
      this.violate(
        `${missing.length} messages ${session} are missing and only ${dropped} were told of: ${name(missing)}`,
      );
    }
    if (dropped > sent.length) {
      this.violate(`${dropped} messages ${session} were told of as dropped and only ${sent.length} were sent`);
    }
    // What is lost is lost with the session's end, so nothing behind it in its priority may have arrived.
    const lost = new Map<number, Sent>();
    for (const one of sent) {
      if (one.isExcused) continue;
      const earlier = lost.get(one.priority);
      if (one.arrived === undefined) lost.set(one.priority, earlier ?? one);
      else if (earlier !== undefined) {
        this.violate(`${one.message.tid} ${session} arrived and ${earlier.message.tid} before it did not`);
      }
    }
  }
}

/** One side of the conversations that a {@linkcode DeliveryChecker} watches. */
export class Party {
  /** Its name. */
  readonly name: string;
  readonly #checker: DeliveryChecker;
  #outgoing = new Map<Connection, Outgoing>();
  #incoming = new Map<Connection, Incoming>();
  /** Counts the messengers that have been here: what a dead one still sees does not count. */
  #life = 0;

  /** Parties are made by {@linkcode DeliveryChecker.party}. */
  constructor(name: string, checker: DeliveryChecker) {
    this.name = name;
    this.#checker = checker;
  }

  /**
   * Wraps a dispatcher, so that the checker sees what it is given. Wrap one of a messenger's, which takes all messages.
   *
   * @param inner The program's own dispatcher.
   */
  watch(inner: Dispatcher): Dispatcher {
    const life = this.#life;
    const isAlive = (): boolean => this.#life === life;
    // A dispatcher may be an object of a class: its methods want to be called on itself.
    const methods = METHODS.filter((name) => inner[name] !== undefined);
    const watched: Dispatcher = {
      ...Object.fromEntries(methods.map((name) => [name, inner[name]!.bind(inner)])),
      dispatch: (message) => {
        if (isAlive()) this.#arrived(message, "queued");
        return inner.dispatch?.(message);
      },
      handleReset: (connection, info) => {
        if (isAlive()) this.#reset(connection, info);
        return inner.handleReset?.(connection, info);
      },
      handleRemoteReset: (connection, info) => {
        if (isAlive()) {
          this.#reset(connection, info);
          this.#incoming.delete(connection);
        }
        return inner.handleRemoteReset?.(connection, info);
      },
    };
    if (inner.fastDispatch === undefined) return watched;
    return {
      ...watched,
      fastDispatch: (message) => {
        if (isAlive()) this.#arrived(message, "fast");
        inner.fastDispatch!(message);
      },
    };
  }

  /**
   * Sends a message as `connection.send` does, and expects it to arrive at the party `to`.
   *
   * @param connection The connection.
   * @param message The message.
   * @param to The name of the party at its other end.
   * @param whole What arrives, where the message itself does not tell: one whose data are a stream.
   */
  send(connection: Connection, message: Message, to: string, whole: Message = message): boolean {
    if (!connection.send(message)) return false;
    let outgoing = this.#outgoing.get(connection);
    if (outgoing === undefined) this.#outgoing.set(connection, outgoing = this.#checker.begin(this, to));
    this.#checker.accepted(outgoing, whole);
    return true;
  }

  /** Ends a session as `connection.markDown` does: nobody promises anything about what was not delivered. */
  markDown(connection: Connection): void {
    connection.markDown();
    this.ended(connection);
    this.#outgoing.delete(connection);
  }

  /**
   * The program has ended the session, by address for example: nobody promises anything about what was not delivered. The other side may have
   * acknowledged messages that no dispatcher has seen yet, and drops them when it hears of the end.
   */
  ended(connection: Connection): void {
    const outgoing = this.#outgoing.get(connection);
    if (outgoing !== undefined) this.#checker.end(outgoing, "own", 0);
  }

  /**
   * The messenger that was here is no more: nobody promises anything about what it had queued, nor about what was on its way to it.
   */
  died(): void {
    this.#life++;
    for (const outgoing of this.#outgoing.values()) this.#checker.end(outgoing, "own", 0);
    this.#outgoing = new Map();
    this.#incoming = new Map();
    this.#checker.excuse(this.name);
  }

  /** The messenger here has another address now, and its sessions are over: what was on its way to the old one may be lost. */
  moved(): void {
    this.#checker.excuse(this.name);
  }

  #arrived(message: Message, way: string): void {
    const { connection } = message;
    let incoming = this.#incoming.get(connection);
    if (incoming === undefined) this.#incoming.set(connection, incoming = { latest: new Map() });
    this.#checker.arrived(this, incoming, message, way);
  }

  #reset(connection: Connection, { dropped }: ResetInfo): void {
    const outgoing = this.#outgoing.get(connection);
    if (outgoing === undefined) {
      if (dropped > 0) this.#checker.violate(`${this.name} was told of ${dropped} dropped messages and had sent none`);
      return;
    }
    this.#checker.end(outgoing, "told", dropped);
    this.#outgoing.delete(connection);
  }
}

function isPending(sent: Sent): boolean {
  return sent.arrived === undefined && !sent.isExcused;
}

const METHODS = [
  "canFastDispatch",
  "fastPreprocess",
  "handleConnect",
  "handleFastConnect",
  "handleAccept",
  "handleFastAccept",
  "handleRefused",
  "getAuthorizer",
  "verifyAuthorizer",
] as const;
const NUMBERS = ["type", "priority", "version", "compatVersion", "dataOffset"] as const;
const SEGMENTS = ["front", "middle", "data"] as const;

/** The first part of a message in which two differ. */
function differenceOf(sent: Message, received: Message): string | undefined {
  for (const part of NUMBERS) {
    if (part === "priority" && sent.priority === 0) continue;
    if (sent[part] !== received[part]) return part;
  }
  if (sent.dataLength !== received.dataLength) return "dataLength";
  // Data that are received as a stream are for its reader to look at.
  return SEGMENTS.find((part) => !(part === "data" && received.isStreamed) && !isEqual(sent[part], received[part]));
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
