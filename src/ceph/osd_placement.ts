/**
 * Which OSD takes the requests for an object, by what the monitors say.
 *
 * @module
 */

import { MessengerError } from "../errors.ts";
import type { EntityAddress } from "../wire/address.ts";
import { CommandError } from "./command_error.ts";
import { bad } from "./decoder.ts";
import { ENOENT } from "./errno.ts";
import type { MonClient } from "./mon_client.ts";
import { MOSDMap } from "./mon_messages.ts";
import { hashObject, placementSeed } from "./object_hash.ts";
import { type OsdMap, type OsdPool, parseOsdMap, type PlacementAnswer } from "./osd_map.ts";
import type { PlacementGroup } from "./osd_messages.ts";
import type { Pauses } from "./rados_pauses.ts";

/** How long to wait, in ms, for a monitor that knows less than we do. */
const OLD_ANSWER_PAUSE = 500;

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

/** Where a request goes. */
export interface OsdRoute {
  /** The placement group's name, such as `1.6`. */
  readonly pgid: string;
  /** The placement group. */
  readonly group: PlacementGroup;
  /** The number of the OSD. */
  readonly osd: number;
  /** Where the OSD is. */
  readonly address: EntityAddress;
  /** The epoch of the map that this is from. */
  readonly epoch: number;
  /** Changes whenever a request that was sent by an earlier route may have been dropped without a word. */
  readonly fence: string;
}

/** Why there is no route yet. */
export interface NoRoute {
  /** What has to come first, in words. */
  readonly waitsFor: string;
}

/** What a placement tells. */
export interface PlacementEvents {
  /** Something is known that was not: routes may be others, and where there was none there may be one. */
  changed(): void;
  /** The monitors refuse to say what has to be known. */
  failed(error: MessengerError): void;
}

interface Primary {
  readonly epoch: number;
  readonly osd: number;
  readonly acting: readonly number[];
}

/**
 * The places of placement groups, as far as somebody has asked for them. They are the monitors' word for it: Ceph's own clients compute them with CRUSH
 * from the whole map.
 */
export class OsdPlacement {
  readonly #mon: MonClient;
  readonly #pauses: Pauses;
  readonly #events: PlacementEvents;
  /** Of the newest map that we have, or of a newer one. */
  readonly #primaries = new Map<string, Primary>();
  readonly #asked = new Set<string>();
  #map: OsdMap | undefined;
  #refreshing: Promise<OsdMap> | undefined;
  #newestEpoch = 0;

  /**
   * Makes a placement that knows nothing yet.
   *
   * @param mon Is asked.
   * @param pauses Time.
   * @param events Is told when it knows more.
   */
  constructor(mon: MonClient, pauses: Pauses, events: PlacementEvents) {
    this.#mon = mon;
    this.#pauses = pauses;
    this.#events = events;
  }

  /**
   * The newest map that we have heard of.
   *
   * @throws {MessengerError} As `MonClient.json()`.
   */
  async map(): Promise<OsdMap> {
    return this.#current() ?? await this.#refresh();
  }

  /**
   * The newest map that the monitors have, whatever we have heard.
   *
   * @throws {MessengerError} As `MonClient.json()`.
   */
  newestMap(): Promise<OsdMap> {
    return this.#refresh();
  }

  /** There is a newer map. It is only asked for once somebody looks for a route. */
  heardOf(epoch: number): void {
    if (epoch <= this.#newestEpoch) return;
    this.#newestEpoch = epoch;
    this.#events.changed();
  }

  /** Where an OSD is now; nothing if it is down, or we do not know. */
  addressOf(osd: number): EntityAddress | undefined {
    return this.#map?.osds.get(osd);
  }

  /**
   * Where a request goes. If that is not known, the monitors are asked, and `changed` is told later.
   *
   * @param target What it is about.
   * @param hash The hash of the object's name.
   * @param isWrite Whether it changes something.
   * @throws {MessengerError} With code `not_found` if the pool is gone; `incompatible` if the pool or the OSD is none that can be talked to.
   */
  find(target: OsdTarget, hash: number, isWrite: boolean): OsdRoute | NoRoute {
    const map = this.#current();
    if (map === undefined) {
      this.#refresh().catch(() => {});
      return { waitsFor: "the map of the OSDs" };
    }
    const pool = map.pools.get(target.pool);
    if (pool === undefined) throw new MessengerError("not_found", `Pool ${target.pool} does not exist any more`);
    if (isWrite ? map.isWritingPaused : map.isReadingPaused) return { waitsFor: "the end of the cluster's pause" };
    const seed = target.seed ?? placementSeed(hash, pool.pgNum), pgid = `${pool.id}.${seed.toString(16)}`;
    const primary = this.#primaries.get(pgid);
    if (primary === undefined) {
      this.#ask(pool, seed, pgid, target);
      return { waitsFor: `the place of placement group ${pgid}` };
    }
    const { osd, acting } = primary, address = map.osds.get(osd);
    if (address === undefined) {
      if (map.osds.has(osd)) throw new MessengerError("incompatible", `osd.${osd} does not speak msgr v1`);
      return { waitsFor: `an OSD that has placement group ${pgid}` };
    }
    const shard = pool.isErasureCoded ? acting.indexOf(osd) : -1;
    const fence = [pgid, osd, address, acting, pool.fence].join(" ");
    return { pgid, group: { pool: pool.id, seed, shard }, osd, address, epoch: map.epoch, fence };
  }

  #current(): OsdMap | undefined {
    return this.#map !== undefined && this.#map.epoch >= this.#newestEpoch ? this.#map : undefined;
  }

  #refresh(): Promise<OsdMap> {
    return this.#refreshing ??= this.#fetch().finally(() => this.#refreshing = undefined).then((map) => {
      if (this.#map === undefined) this.#subscribe(map.epoch + 1);
      this.#map = map;
      this.#newestEpoch = Math.max(this.#newestEpoch, map.epoch);
      for (const [pgid, { epoch }] of this.#primaries) {
        if (epoch < map.epoch) this.#primaries.delete(pgid);
      }
      this.#events.changed();
      return map;
    }, (error) => {
      this.#failed(error);
      throw error;
    });
  }

  async #fetch(): Promise<OsdMap> {
    for (;;) {
      const map = parseOsdMap(await this.#mon.json({ prefix: "osd dump" }));
      if (map.epoch >= this.#newestEpoch) return map;
      await this.#pauses.take(OLD_ANSWER_PAUSE);
    }
  }

  #subscribe(start: number): void {
    this.#mon.subscribe("osdmap", (message) => this.heardOf(MOSDMap.read(message).newest), { start });
  }

  /** Asks the monitors for the place of a placement group, unless they were asked already. */
  #ask(pool: OsdPool, seed: number, pgid: string, target: OsdTarget): void {
    if (this.#asked.has(pgid)) return;
    this.#asked.add(pgid);
    void this.#locate(pool, seed, pgid, target).finally(() => this.#asked.delete(pgid)).then(
      () => this.#events.changed(),
      (error) => this.#failed(error),
    );
  }

  async #locate(pool: OsdPool, seed: number, pgid: string, target: OsdTarget): Promise<void> {
    if (!pool.isHashKnown) throw new MessengerError("incompatible", `Pool "${pool.name}" places objects in an old way`);
    const object = target.seed === undefined ? target.object : nameIn(seed, pool.pgNum);
    const question = { prefix: "osd map", pool: pool.name, object, nspace: target.namespace };
    const answer = await this.#mon.json<PlacementAnswer>(question).catch((error) => {
      // The pool was removed in this moment: the next map says so.
      if (error instanceof CommandError && error.status === -ENOENT) return undefined;
      throw error;
    });
    if (answer === undefined || answer.epoch < this.#newestEpoch) return await this.#pauses.take(OLD_ANSWER_PAUSE);
    if (answer.pgid === pgid) {
      this.#primaries.set(pgid, { epoch: answer.epoch, osd: answer.acting_primary, acting: answer.acting });
    } else if (answer.epoch === this.#map?.epoch) {
      throw bad("placement group", answer.pgid, pgid);
    }
    this.#newestEpoch = Math.max(this.#newestEpoch, answer.epoch);
  }

  /** No monitor was there for long: whoever waits has a time limit of his own. Everything else is final. */
  #failed(error: MessengerError): void {
    if (error.code === "timed_out") this.#events.changed();
    else this.#events.failed(error);
  }
}

/** A name that belongs to a placement group: the monitors are asked by names. */
function nameIn(seed: number, pgNum: number): string {
  for (let i = 0;; i++) {
    if (placementSeed(hashObject(String(i)), pgNum) === seed) return String(i);
  }
}
