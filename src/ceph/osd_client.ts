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
import { EntityType } from "../wire/constants.ts";
import type { CommandError } from "./command_error.ts";
import { bad } from "./decoder.ts";
import { ENOENT } from "./errno.ts";
import type { MonClient } from "./mon_client.ts";
import { MOSDMap } from "./mon_messages.ts";
import { hashObject, placementSeed } from "./object_hash.ts";
import { MOSDOpReply, OsdFlag, type OsdReply, requestMessage } from "./osd_messages.ts";
import { type OsdMap, type OsdPool, parseOsdMap, type PlacementAnswer } from "./osd_map.ts";
import { isWrite, type OsdOperation } from "./osd_operations.ts";
import { OsdSession } from "./osd_session.ts";

/** How long to wait, in ms, for a monitor that knows less than we do. */
const OLD_ANSWER_PAUSE = 500;
/** How long to wait before an OSD is dialled that has hung up so many times without an answer: at first not at all, at most 5 s. */
const dialPause = exponentialBackoff({ initial: 100, max: 5_000 });

/** What a request is about: an object, or a placement group as a whole. */
export interface OsdTarget {
  /** The pool's number. */
  readonly pool: number;
  /** The object's name; empty for a placement group. */
  readonly object: string;
  /** The namespace that the object is in. */
  readonly namespace: string;
  /** Which placement group, where it is about one. */
  readonly seed?: number;
}

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
  /** What it was sent by: once that changes it is sent again. */
  route: string;
  /** What it waits for, in words. */
  waitsFor: string;
}

/** Which OSD takes the requests for a placement group. */
interface Primary {
  readonly epoch: number;
  readonly osd: number;
  readonly acting: readonly number[];
}

/**
 * Requests to OSDs. Each is sent again whenever it may have been lost, under the same number, by which OSDs recognise what they have carried out: it is
 * carried out once. Ceph's `Objecter`.
 */
export class OsdClient {
  readonly #mon: MonClient;
  readonly #environment: Environment;
  /** In the order in which they were made: they are sent, and sent again, in that order. */
  readonly #pending = new Map<number, Pending>();
  readonly #sessions = new Map<number, OsdSession>();
  readonly #primaries = new Map<string, Primary>();
  readonly #asked = new Set<string>();
  /** Timers of pauses, with what is to be done at their end. */
  readonly #pauses = new Map<unknown, () => void>();
  /** OSDs that have hung up without an answer: how often, and whether we wait before we dial them again. */
  readonly #failures = new Map<number, { count: number; isPausing: boolean }>();
  #map: OsdMap | undefined;
  #refreshing: Promise<OsdMap> | undefined;
  #newestEpoch = 0;
  #lastTid = 0;
  #over: MessengerError | undefined;

  /**
   * Makes a client that has asked for nothing yet.
   *
   * @param mon Tells where the OSDs are, and carries our connections to them.
   * @param environment Time.
   */
  constructor(mon: MonClient, environment: Environment) {
    this.#mon = mon;
    this.#environment = environment;
    mon.messenger.addDispatcherTail({
      dispatch: (message) => this.#dispatch(message),
      handleReset: (connection) => this.#wasReset(connection),
    });
    void mon.closed.then((error) => this.close(error));
  }

  /**
   * The newest map that we have heard of.
   *
   * @throws {MessengerError} As `MonClient.json()`.
   */
  async map(): Promise<OsdMap> {
    const map = this.#map;
    return map === undefined || map.epoch < this.#newestEpoch ? await this.#refresh() : map;
  }

  /**
   * Has an OSD carry out operations on an object, together.
   *
   * @param target The object.
   * @param operations What to do with it.
   * @param what The same in words, for errors: `read "a" in pool "p"`.
   * @param limits When to stop waiting.
   * @returns What became of it, whether it went well or not.
   * @throws {NetworkError} With code `timed_out`, and what it waited for.
   * @throws {MessengerError} With code `not_found` if the pool is gone; `closed`, and what `MonClient.json()` throws.
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
    const tid = ++this.#lastTid, hash = target.seed ?? hashObject(target.object, target.namespace);
    const flags = operations.some(isWrite) ? OsdFlag.WRITE | OsdFlag.FULL_TRY : OsdFlag.READ;
    const pending: Pending = {
      tid,
      client: this.#mon.globalId,
      target,
      hash,
      operations,
      flags: flags | OsdFlag.ONDISK | OsdFlag.KNOWN_REDIR | (target.seed === undefined ? 0 : OsdFlag.PGOP),
      mtime: this.#environment.now(),
      resolve,
      reject,
      attempts: 0,
      session: undefined,
      route: "",
      waitsFor: "",
    };
    const aborted = () => reject(signal!.reason);
    signal?.addEventListener("abort", aborted);
    const timer = timeout === 0 ? undefined : this.#environment.setTimer(() => {
      reject(new NetworkError("timed_out", `Cannot ${what} within ${timeout} ms: it waits for ${pending.waitsFor}`));
    }, timeout);
    this.#pending.set(tid, pending);
    this.#send(pending);
    try {
      return await promise;
    } finally {
      this.#pending.delete(tid);
      this.#environment.clearTimer(timer);
      signal?.removeEventListener("abort", aborted);
    }
  }

  /** Gives up everything that was asked, and all connections. */
  close(error?: MessengerError): void {
    if (this.#over !== undefined) return;
    this.#over = error ?? new MessengerError("closed", "The RADOS client was closed");
    this.#rejectAll(this.#over);
    for (const session of this.#sessions.values()) session.connection.markDown();
    this.#sessions.clear();
    for (const [timer, resume] of this.#pauses) {
      this.#environment.clearTimer(timer);
      resume();
    }
  }

  #dispatch(message: Message): boolean {
    if (MOSDMap.matches(message)) {
      // OSDs send it when we go by an older one.
      this.#heardOf(MOSDMap.read(message).newest);
      return true;
    }
    if (!MOSDOpReply.matches(message)) return false;
    const pending = this.#pending.get(message.tid), session = pending?.session;
    // An answer to an earlier attempt may follow that to the last one.
    if (session === undefined || session.connection !== message.connection) return true;
    session.hasAnswered = true;
    try {
      pending!.resolve(MOSDOpReply.read(message));
    } catch (error) {
      pending!.reject(error);
    }
    this.#pending.delete(message.tid);
    return true;
  }

  /** There is a newer map. Only what is under way, or comes, needs to know it. */
  #heardOf(epoch: number): void {
    if (epoch <= this.#newestEpoch) return;
    this.#newestEpoch = epoch;
    if (this.#pending.size > 0) this.#refreshForPending();
  }

  #refreshForPending(): void {
    if (this.#refreshing === undefined) this.#refresh().catch((error) => this.#askFailed(error));
  }

  #refresh(): Promise<OsdMap> {
    return this.#refreshing ??= this.#fetch().finally(() => this.#refreshing = undefined);
  }

  async #fetch(): Promise<OsdMap> {
    for (;;) {
      const map = parseOsdMap(await this.#mon.json({ prefix: "osd dump" }));
      if (this.#map === undefined) this.#subscribe(map.epoch + 1);
      if (map.epoch >= this.#newestEpoch) {
        this.#refreshing = undefined;
        this.#take(map);
        return map;
      }
      await this.#pause(OLD_ANSWER_PAUSE);
    }
  }

  #subscribe(start: number): void {
    this.#mon.subscribe("osdmap", (message) => this.#heardOf(MOSDMap.read(message).newest), { start });
  }

  #take(map: OsdMap): void {
    this.#map = map;
    this.#newestEpoch = map.epoch;
    for (const [osd, session] of this.#sessions) {
      if (map.osds.get(osd)?.key !== session.address.key) this.#drop(session);
    }
    this.#sendAll();
  }

  /** Sends everything that can be sent and was not yet, or not by this way. */
  #sendAll(): void {
    for (const pending of this.#pending.values()) this.#send(pending);
  }

  #send(pending: Pending): void {
    const map = this.#map, { target } = pending;
    if (map === undefined || map.epoch < this.#newestEpoch) {
      pending.waitsFor = "the map of the OSDs";
      return this.#refreshForPending();
    }
    const pool = map.pools.get(target.pool);
    if (pool === undefined) {
      return pending.reject(new MessengerError("not_found", `Pool ${target.pool} does not exist any more`));
    }
    const seed = target.seed ?? placementSeed(pending.hash, pool.pgNum), pgid = `${pool.id}.${seed.toString(16)}`;
    const primary = this.#primaries.get(pgid);
    if (primary === undefined || primary.epoch < map.epoch) {
      pending.waitsFor = `the place of placement group ${pgid}`;
      return this.#ask(pool, seed, pgid, pending);
    }
    const { osd, acting } = primary, address = map.osds.get(osd);
    if (!map.osds.has(osd)) {
      pending.waitsFor = `an OSD for placement group ${pgid}`;
      return;
    }
    if (address === undefined) {
      return pending.reject(new MessengerError("incompatible", `osd.${osd} does not speak msgr v1`));
    }
    const route = [pgid, osd, address, acting.join(), pool.fence].join(" ");
    pending.waitsFor = `an answer of osd.${osd} at ${address}`;
    if (pending.session !== undefined && pending.route === route) return;
    if (this.#failures.get(osd)?.isPausing) return;
    let session = this.#sessions.get(osd);
    if (session === undefined) {
      session = new OsdSession(osd, this.#mon.messenger.connectTo(address, { type: EntityType.OSD }));
      this.#sessions.set(osd, session);
    }
    pending.session = session;
    pending.route = route;
    const shard = pool.isErasureCoded ? acting.indexOf(osd) : -1, attempt = pending.attempts++;
    session.connection.send(requestMessage({
      group: { pool: pool.id, seed, shard },
      hash: pending.hash,
      epoch: map.epoch,
      flags: attempt === 0 ? pending.flags : pending.flags | OsdFlag.RETRY,
      id: { client: pending.client, tid: pending.tid },
      mtime: pending.mtime,
      object: target.object,
      namespace: target.namespace,
      operations: pending.operations,
      attempt,
    }, pending.tid));
  }

  /** Asks the monitors for the place of a placement group, unless they were asked already. */
  #ask(pool: OsdPool, seed: number, pgid: string, { target }: Pending): void {
    if (this.#asked.has(pgid)) return;
    this.#asked.add(pgid);
    void this.#locate(pool, seed, pgid, target).catch((error) => this.#askFailed(error)).finally(() => {
      this.#asked.delete(pgid);
      this.#sendAll();
    });
  }

  async #locate(pool: OsdPool, seed: number, pgid: string, target: OsdTarget): Promise<void> {
    if (!pool.isHashKnown) throw new MessengerError("incompatible", `Pool "${pool.name}" places objects in an old way`);
    const object = target.seed === undefined ? target.object : nameIn(seed, pool.pgNum);
    const place = { prefix: "osd map", pool: pool.name, object, nspace: target.namespace };
    const answer = await this.#mon.json<PlacementAnswer>(place);
    if (answer.epoch < this.#newestEpoch) return await this.#pause(OLD_ANSWER_PAUSE);
    if (answer.pgid === pgid) {
      this.#primaries.set(pgid, { epoch: answer.epoch, osd: answer.acting_primary, acting: answer.acting });
    } else if (answer.epoch === this.#map!.epoch) {
      throw bad("placement group", answer.pgid, pgid);
    }
    this.#heardOf(answer.epoch);
  }

  /** The monitors did not say what we have to know for requests that wait. */
  async #askFailed(error: unknown): Promise<void> {
    const { code, status } = error as CommandError;
    // The pool was removed in this moment: we shall be told.
    if (code === "command" && status === -ENOENT) return await this.#pause(OLD_ANSWER_PAUSE);
    if ((code as string) === "timed_out") return this.#sendAll();
    this.#rejectAll(error);
  }

  #wasReset(connection: Connection): void {
    const session = [...this.#sessions.values()].find((session) => session.connection === connection);
    if (session === undefined) return;
    this.#drop(session);
    const { osd } = session, count = session.hasAnswered ? 0 : this.#failures.get(osd)?.count ?? 0;
    const failure = { count: count + 1, isPausing: count > 0 };
    this.#failures.set(osd, failure);
    if (count === 0) return this.#sendAll();
    void this.#pause(dialPause(count, 0)).then(() => {
      failure.isPausing = false;
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

  #rejectAll(error: unknown): void {
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }

  async #pause(ms: number): Promise<void> {
    if (this.#over !== undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#environment.setTimer(resolve, ms);
    this.#pauses.set(timer, resolve);
    await promise;
    this.#pauses.delete(timer);
  }
}

/** A name that belongs to a placement group. */
function nameIn(seed: number, pgNum: number): string {
  for (let i = 0;; i++) {
    if (placementSeed(hashObject(String(i)), pgNum) === seed) return String(i);
  }
}
