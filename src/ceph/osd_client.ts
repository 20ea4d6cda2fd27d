/**
 * Brings requests to the OSDs that they are for, as often as it takes.
 *
 * @module
 */

import type { Connection } from "../connection.ts";
import type { Environment } from "../environment.ts";
import { MessengerError, NetworkError } from "../errors.ts";
import type { Message } from "../message.ts";
import { exponentialBackoff } from "../options.ts";
import type { EntityAddress } from "../wire/address.ts";
import { EntityType } from "../wire/constants.ts";
import type { MonClient } from "./mon_client.ts";
import { MOSDMap } from "./mon_messages.ts";
import { hashObject } from "./object_hash.ts";
import type { ObjectPosition } from "./object_position.ts";
import type { OsdMap } from "./osd_map.ts";
import {
  BackoffOp,
  HEAD,
  MOSDBackoff,
  MOSDOpReply,
  type OsdBackoff,
  OsdFlag,
  type OsdReply,
  requestMessage,
} from "./osd_messages.ts";
import type { OsdFaults } from "./osd_faults.ts";
import { isWrite, type OsdOperation } from "./osd_operations.ts";
import { OsdPlacement, type OsdRoute, type OsdTarget } from "./osd_placement.ts";
import { OsdSession } from "./osd_session.ts";
import { Pauses } from "./rados_pauses.ts";

/** How long to wait before an OSD is dialled that has hung up so many times without an answer: at first not at all, at most 1 s. */
const dialPause = exponentialBackoff({ initial: 100, max: 1_000 });
/** How often an OSD that owes an answer is asked for a sign of life, in ms. */
const PING_INTERVAL = 5_000;
/** After how many ms of silence its connection counts as broken. */
const PING_TIMEOUT = 30_000;

/** How long a request may take, and what gives it up. */
export interface OsdLimits {
  /** Gives the request up. The OSD may carry it out nevertheless. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds until it is given up; 0 for never. */
  readonly timeout: number;
}

/** A request that was not answered yet. Ceph's `Objecter::Op`. */
interface Pending {
  readonly tid: number;
  /** Who we were when it was made: with `tid` it is what OSDs know the request by. */
  readonly client: number;
  readonly target: OsdTarget;
  readonly hash: number;
  readonly operations: readonly OsdOperation[];
  readonly flags: number;
  readonly mtime: number;
  readonly resolve: (reply: OsdReply) => void;
  readonly reject: (reason: unknown) => void;
  attempts: number;
  /** By which session it was sent; nothing if it has to be sent. */
  session: OsdSession | undefined;
  /** By which route it was sent. */
  route: OsdRoute | undefined;
  /** What it waits for, in words. */
  waitsFor: string;
}

/** What went wrong with an OSD since it has last said something. */
interface Trouble {
  /** How often it has hung up. */
  resets: number;
  /** Whether we wait before we dial it again. */
  isPausing: boolean;
}

/**
 * Requests to OSDs. Each is sent again whenever it may have been lost, under the same number, by which OSDs recognise what they have carried out: it is
 * carried out once. Ceph's `Objecter`.
 */
export class OsdClient {
  readonly #mon: MonClient;
  readonly #environment: Environment;
  readonly #pauses: Pauses;
  readonly #placement: OsdPlacement;
  /** In the order in which they were made: they are sent, and sent again, in that order. */
  readonly #pending = new Map<number, Pending>();
  readonly #sessions = new Map<number, OsdSession>();
  readonly #troubles = new Map<number, Trouble>();
  readonly #faults: OsdFaults;
  #lastTid = 0;
  #over: MessengerError | undefined;
  #pingTimer: unknown;

  /**
   * Makes a client that has asked for nothing yet.
   *
   * @param mon Tells where the OSDs are, and its messenger has our connections to them.
   * @param environment Time.
   * @param faults What breaks on that messenger.
   */
  constructor(mon: MonClient, environment: Environment, faults: OsdFaults) {
    this.#mon = mon;
    this.#faults = faults;
    this.#environment = environment;
    this.#pauses = new Pauses(environment);
    this.#placement = new OsdPlacement(mon, this.#pauses, {
      changed: () => this.#placementChanged(),
      failed: (error) => this.#rejectAll(error),
    });
    mon.messenger.addDispatcherTail({
      dispatch: (message) => this.#dispatch(message),
      handleReset: (connection) => this.#wasReset(this.#sessionOf(connection)),
    });
    void mon.closed.then((error) => this.close(error));
  }

  /**
   * The newest map that we have heard of.
   *
   * @throws {MessengerError} As `MonClient.json()`.
   */
  async map(): Promise<OsdMap> {
    if (this.#over !== undefined) throw this.#over;
    return await this.#placement.map();
  }

  /**
   * The newest map that the monitors have, whatever we have heard.
   *
   * @throws {MessengerError} As `MonClient.json()`.
   */
  async newestMap(): Promise<OsdMap> {
    if (this.#over !== undefined) throw this.#over;
    return await this.#placement.newestMap();
  }

  /**
   * Has an OSD carry out operations on an object, together.
   *
   * @param target The object.
   * @param operations What to do with it.
   * @param what The same in words, for errors: `read "a" in pool "p"`.
   * @param limits When to stop waiting.
   * @returns What became of it, whether it went well or not.
   * @throws {NetworkError} With code `timed_out`, and what it waited for; its `cause` is what broke last, if something did.
   * @throws {MessengerError} With code `not_found` if the pool is gone; `closed`; and what `MonClient.json()` throws.
   */
  async execute(
    target: OsdTarget,
    operations: readonly OsdOperation[],
    what: string,
    { signal, timeout }: OsdLimits,
  ): Promise<OsdReply> {
    signal?.throwIfAborted();
    if (this.#over !== undefined) throw this.#over;
    const { promise, resolve, reject } = Promise.withResolvers<OsdReply>();
    const flags = operations.some(isWrite) ? OsdFlag.WRITE | OsdFlag.FULL_TRY : OsdFlag.READ;
    const pending: Pending = {
      tid: ++this.#lastTid,
      client: this.#mon.globalId,
      target,
      hash: target.seed ?? hashObject(target.object, target.namespace),
      operations,
      flags: flags | OsdFlag.ONDISK | OsdFlag.KNOWN_REDIR | (target.seed === undefined ? 0 : OsdFlag.PGOP),
      mtime: this.#environment.now(),
      resolve,
      reject,
      attempts: 0,
      session: undefined,
      route: undefined,
      waitsFor: "",
    };
    const aborted = () => reject(signal!.reason);
    signal?.addEventListener("abort", aborted);
    const timer = timeout === 0
      ? undefined
      : this.#environment.setTimer(() => reject(this.#timedOut(what, timeout, pending)), timeout);
    this.#pending.set(pending.tid, pending);
    this.#send(pending);
    this.#planPing();
    try {
      return await promise;
    } finally {
      this.#pending.delete(pending.tid);
      this.#environment.clearTimer(timer);
      signal?.removeEventListener("abort", aborted);
      if (this.#pending.size === 0) this.#stopPing();
    }
  }

  /** Gives up everything that was asked, and all connections. */
  close(error?: MessengerError): void {
    if (this.#over !== undefined) return;
    this.#over = error ?? new MessengerError("closed", "The RADOS client was closed");
    this.#rejectAll(this.#over);
    for (const session of this.#sessions.values()) session.connection.markDown();
    this.#sessions.clear();
    this.#stopPing();
    this.#pauses.end();
  }

  #dispatch(message: Message): boolean {
    const session = this.#sessionOf(message.connection);
    if (session === undefined) return false;
    session.endSilence();
    try {
      if (MOSDOpReply.matches(message)) this.#takeReply(session, message);
      else if (MOSDBackoff.matches(message)) this.#takeBackoff(session, MOSDBackoff.read(message));
      // OSDs send it when we go by an older one.
      else if (MOSDMap.matches(message)) this.#placement.heardOf(MOSDMap.read(message).newest);
      else return false;
    } catch (error) {
      if (!(error instanceof MessengerError)) throw error;
      this.#wasReset(session);
    }
    return true;
  }

  #takeReply(session: OsdSession, message: Message): void {
    const pending = this.#pending.get(message.tid);
    // What was sent twice is answered twice.
    if (pending === undefined || pending.session !== session) return;
    const reply = MOSDOpReply.read(message);
    session.hasAnswered = true;
    this.#pending.delete(message.tid);
    if (!reply.isRedirect) return pending.resolve(reply);
    pending.reject(new MessengerError("incompatible", `Pool ${pending.target.pool} lies behind another, a cache`));
  }

  #takeBackoff(session: OsdSession, backoff: OsdBackoff): void {
    session.takeBackoff(backoff);
    if (backoff.op !== BackoffOp.BLOCK) return this.#sendAll();
    // The OSD has dropped what we had sent it about these.
    for (const pending of this.#pending.values()) {
      const { route } = pending;
      if (pending.session !== session || route === undefined) continue;
      if (session.isHeldBack(route.group, positionOf(pending))) this.#holdBack(pending, route);
    }
  }

  #holdBack(pending: Pending, { pgid, osd }: OsdRoute): void {
    pending.session = undefined;
    pending.waitsFor = `osd.${osd} to serve placement group ${pgid}`;
  }

  #placementChanged(): void {
    for (const session of this.#sessions.values()) {
      const address = this.#placement.addressOf(session.osd);
      if (address?.key !== session.address.key) this.#drop(session);
    }
    this.#sendAll();
  }

  /** Sends everything that can be sent and was not yet, or by a way that is no longer right. */
  #sendAll(): void {
    for (const pending of this.#pending.values()) this.#send(pending);
  }

  #send(pending: Pending): void {
    try {
      const route = this.#placement.find(pending.target, pending.hash, (pending.flags & OsdFlag.WRITE) !== 0);
      if ("waitsFor" in route) pending.waitsFor = route.waitsFor;
      else this.#sendBy(route, pending);
    } catch (error) {
      pending.reject(error);
      this.#pending.delete(pending.tid);
    }
  }

  /** Sends a request by a route, unless it was sent by that. */
  #sendBy(route: OsdRoute, pending: Pending): void {
    const { osd, address, group, epoch } = route, { tid, client, hash, mtime, operations, target } = pending;
    pending.waitsFor = `an answer of osd.${osd} at ${address}`;
    if (pending.session !== undefined && wasKept(pending.route!, route)) {
      pending.route = route;
      return;
    }
    pending.session = undefined;
    if (this.#troubles.get(osd)?.isPausing) return;
    const session = this.#sessions.get(osd) ?? this.#open(osd, address);
    if (session.isHeldBack(group, positionOf(pending))) return this.#holdBack(pending, route);
    pending.session = session;
    pending.route = route;
    const attempt = pending.attempts++, flags = attempt === 0 ? pending.flags : pending.flags | OsdFlag.RETRY;
    const { object, namespace } = target, id = { client, tid };
    const request = { group, hash, epoch, flags, id, mtime, object, namespace, operations, attempt };
    session.connection.send(requestMessage(request, tid));
  }

  #open(osd: number, address: EntityAddress): OsdSession {
    const connection = this.#mon.messenger.connectTo(address, { type: EntityType.OSD });
    const session = new OsdSession(osd, connection);
    this.#sessions.set(osd, session);
    return session;
  }

  #sessionOf(connection: Connection): OsdSession | undefined {
    for (const session of this.#sessions.values()) {
      if (session.connection === connection) return session;
    }
    return undefined;
  }

  /** A connection broke: begins anew, and the longer the more often that happened without an answer in between. */
  #wasReset(session: OsdSession | undefined): void {
    if (session === undefined) return;
    this.#drop(session);
    const { osd, hasAnswered } = session, earlier = hasAnswered ? 0 : this.#troubles.get(osd)?.resets ?? 0;
    const trouble: Trouble = { resets: earlier + 1, isPausing: earlier > 0 };
    this.#troubles.set(osd, trouble);
    if (!trouble.isPausing) return this.#sendAll();
    void this.#pauses.take(dialPause(earlier, 0)).then(() => {
      trouble.isPausing = false;
      this.#sendAll();
    });
  }

  /** Ends a session; what was sent by it has to be sent again. */
  #drop(session: OsdSession): void {
    this.#sessions.delete(session.osd);
    session.connection.markDown();
    for (const pending of this.#pending.values()) {
      if (pending.session === session) pending.session = undefined;
    }
  }

  /** A connection may be dead without anybody having said so: OSDs that owe an answer are asked for signs of life. */
  #planPing(): void {
    this.#pingTimer ??= this.#environment.setTimer(() => {
      this.#pingTimer = undefined;
      const owing = new Set([...this.#pending.values()].map(({ session }) => session));
      for (const session of [...this.#sessions.values()]) {
        if (!owing.has(session)) session.endSilence();
        else if (session.silence(this.#environment.now()) > PING_TIMEOUT) this.#wasReset(session);
        else session.connection.sendKeepalive();
      }
      if (this.#pending.size > 0) this.#planPing();
    }, PING_INTERVAL);
  }

  #stopPing(): void {
    for (const session of this.#sessions.values()) session.endSilence();
    this.#environment.clearTimer(this.#pingTimer);
    this.#pingTimer = undefined;
  }

  #timedOut(what: string, timeout: number, { waitsFor, route }: Pending): NetworkError {
    const cause = this.#faults.last(route?.address);
    const text = `Cannot ${what} within ${timeout} ms: it waits for ${waitsFor}`;
    return new NetworkError("timed_out", cause === undefined ? text : `${text}; ${cause.message}`, cause && { cause });
  }

  #rejectAll(error: unknown): void {
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

/**
 * Whether an OSD has kept what it was sent by the earlier of two routes. Of maps that we have not seen nobody knows: a placement group that went away and
 * came back was dropped with all that waited for it.
 */
function wasKept(earlier: OsdRoute, later: OsdRoute): boolean {
  return earlier.fence === later.fence && later.epoch - earlier.epoch <= 1;
}

/** Where the object of a request stands among all objects. */
function positionOf({ target, hash }: Pending): ObjectPosition {
  const { pool, object: name, namespace } = target;
  return { key: "", name, snapshot: HEAD, hash, isMax: false, namespace, pool: BigInt(pool) };
}
