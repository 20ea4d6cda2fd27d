/**
 * A client of a cluster's objects.
 *
 * @module
 */

import { systemEnvironment } from "../environment.ts";
import { MessengerError } from "../errors.ts";
import { MonClient, type MonClientOptions } from "./mon_client.ts";
import { OsdClient } from "./osd_client.ts";
import { OsdFaults } from "./osd_faults.ts";
import type { OsdMap } from "./osd_map.ts";
import { type RadosOptions, type ResolvedRadosOptions, resolveRadosOptions } from "./rados_options.ts";
import { RadosPool } from "./rados_pool.ts";

/**
 * Reads and writes objects. Ceph's `librados`.
 *
 * @example
 * ```ts
 * import { RadosClient } from "@msgr/pipe/ceph";
 *
 * export async function greet(conf: string, keyring: string): Promise<string> {
 *   await using client = await RadosClient.connect({ conf, keyring });
 *   const pool = await client.pool("rbd");
 *   await pool.put("greeting", "hello");
 *   return new TextDecoder().decode(await pool.get("greeting"));
 * }
 * ```
 */
export class RadosClient implements AsyncDisposable {
  /** The session with the monitors. */
  readonly mon: MonClient;
  readonly #osds: OsdClient;
  readonly #options: ResolvedRadosOptions;

  private constructor(mon: MonClient, osds: OsdClient, options: ResolvedRadosOptions) {
    this.mon = mon;
    this.#osds = osds;
    this.#options = options;
  }

  /**
   * Finds a monitor and authenticates. OSDs are dialled when they are needed.
   *
   * @param options Where the monitors are, who we are, and limits.
   * @throws {MessengerError} As {@linkcode MonClient.connect}; and with code `invalid` for an option out of its range.
   */
  static async connect(options: MonClientOptions & RadosOptions): Promise<RadosClient> {
    const resolved = resolveRadosOptions(options), { environment = systemEnvironment, log = () => {} } = options;
    const faults = new OsdFaults();
    const mon = await MonClient.connect({
      ...options,
      log: (event) => {
        log(event);
        faults.watch(event);
      },
    });
    return new RadosClient(mon, new OsdClient(mon, environment, faults), resolved);
  }

  /**
   * The pools that there are.
   *
   * @throws {MessengerError} As {@linkcode MonClient.json}.
   */
  async pools(): Promise<{ id: number; name: string }[]> {
    const { pools } = await this.#osds.newestMap();
    return [...pools.values()].map(({ id, name }) => ({ id, name }));
  }

  /**
   * A pool by its name.
   *
   * @throws {MessengerError} With code `not_found` if there is none; else as {@linkcode MonClient.json}.
   */
  async pool(name: string): Promise<RadosPool> {
    const find = ({ pools }: OsdMap) => [...pools.values()].find((pool) => pool.name === name);
    // One that was made a moment ago may be in no map yet that we have heard of.
    const pool = find(await this.#osds.map()) ?? find(await this.#osds.newestMap());
    if (pool === undefined) throw new MessengerError("not_found", `There is no pool "${name}"`);
    return new RadosPool(pool, this.#osds, this.#options);
  }

  /** Ends all sessions. What was not answered rejects with code `closed`. */
  async close(): Promise<void> {
    this.#osds.close();
    await this.mon.close();
  }

  /** {@linkcode close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
