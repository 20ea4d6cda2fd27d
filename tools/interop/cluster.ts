/**
 * A real cluster for the length of a test run: one monitor, and one OSD with a pool if there are objects to be kept.
 *
 * @module
 */

import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { Daemon } from "./daemon.ts";
import { outcomeOf, type ProgramOutcome, tool } from "./program.ts";

/** How long a daemon may take until it is of use, in ms: a monitor takes half a second, an OSD two. */
const START_LIMIT = 60_000;

/** How clients authenticate. */
export type Auth = "none" | "cephx";

/** Options of {@linkcode Cluster.start}. */
export interface ClusterOptions {
  /**
   * How clients authenticate.
   *
   * @default {"none"}
   */
  readonly auth?: Auth;
  /**
   * Whether there is an OSD, and the pool `msgr` on it.
   *
   * @default {true}
   */
  readonly osd?: boolean;
  /**
   * How many seconds a ticket is good.
   *
   * @default {3600}
   */
  readonly ticketSeconds?: number;
  /** Further options of the daemons, as lines of a `ceph.conf`: `"ms_inject_socket_failures = 200"`. */
  readonly options?: string;
}

/** What a client has to know of a cluster. */
export interface ClusterInfo {
  /** How clients authenticate. */
  readonly auth: Auth;
  /** The cluster's id. */
  readonly fsid: string;
  /** Where the monitor listens for msgr v1. */
  readonly monitor: string;
  /** The name of the pool; nothing without an OSD. */
  readonly pool: string | undefined;
  /** The text of its `ceph.conf`. */
  readonly conf: string;
  /** The text of the keyring that has the key of `client.admin`. */
  readonly keyring: string;
  /** Where that `ceph.conf` is, for Ceph's own programs; it says where the keyring is. */
  readonly confPath: string;
  /** How many seconds a ticket is good. */
  readonly ticketSeconds: number;
}

/** The names of a cluster's daemons. */
export type DaemonName = "mon.a" | "osd.0";

/** A cluster that runs. */
export class Cluster implements AsyncDisposable {
  /** What a client has to know of it. */
  readonly info: ClusterInfo;
  readonly #folder: string;
  readonly #daemons: ReadonlyMap<DaemonName, Daemon>;

  private constructor(info: ClusterInfo, folder: string) {
    this.info = info;
    this.#folder = folder;
    const daemon = (name: DaemonName, isUp: () => Promise<boolean>): [DaemonName, Daemon] => {
      const [type, id] = name.split(".") as [string, string];
      return [name, new Daemon(`ceph-${type}`, ["-c", info.confPath, "-i", id, "-f"], isUp, START_LIMIT)];
    };
    this.#daemons = new Map([
      daemon("mon.a", async () => (await this.#status("mon.a", "mon_status")) === "leader"),
      daemon("osd.0", async () => (await this.#status("osd.0", "status")) === "active"),
    ]);
  }

  /**
   * Makes a cluster in a temporary folder, on free ports of 127.0.0.1, and waits until it can be used.
   *
   * @throws {Error} If Ceph's programs are not installed, or a daemon does not come up; with the end of its log.
   */
  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const { auth = "none", osd = true, ticketSeconds = 3600 } = options;
    const folder = mkdtempSync(`${tmpdir()}/msgr-interop-`), confPath = `${folder}/ceph.conf`;
    try {
      const fsid = randomUUID(), monitor = `127.0.0.1:${await freePort()}`;
      const conf = configuration(folder, { auth, fsid, monitor, ticketSeconds, options: options.options ?? "" });
      writeFileSync(confPath, conf);
      await makeMonitor(folder, fsid, monitor);
      const keyring = readFileSync(`${folder}/keyring`, "utf8"), pool = osd ? "msgr" : undefined;
      const info: ClusterInfo = { auth, fsid, monitor, pool, conf, keyring, confPath, ticketSeconds };
      const cluster = new Cluster(info, folder);
      try {
        await cluster.startDaemon("mon.a");
        if (pool !== undefined) await cluster.#makeOsd(pool);
        return cluster;
      } catch (error) {
        await cluster.stop();
        throw error;
      }
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Runs `ceph` as `client.admin`, and gives what it prints. */
  async ceph(...args: string[]): Promise<string> {
    for (;;) {
      try {
        return await tool("ceph", ["-c", this.info.confPath, "--connect-timeout", "20", ...args]);
      } catch (error) {
        // Without cephx it now and then asks before it knows its cluster's id, and is refused: it has done nothing then.
        if (!String(error).includes("EPERM: problem getting command descriptions")) throw error;
      }
    }
  }

  /** Asks a daemon by its own socket, which needs no messenger: `ceph daemon`. */
  async ask(name: DaemonName, ...command: string[]): Promise<string> {
    return await tool("ceph", ["--admin-daemon", this.#socket(name), ...command]);
  }

  /** Runs `rados` as `client.admin`, and says how it ended. */
  rados(args: readonly string[], input: Uint8Array = new Uint8Array()): Promise<ProgramOutcome> {
    return outcomeOf("rados", ["-c", this.info.confPath, ...args], { input });
  }

  /** A daemon, to be stopped, killed or paused. To start it again there is {@linkcode startDaemon}. */
  daemon(name: DaemonName): Daemon {
    return this.#daemons.get(name)!;
  }

  /**
   * Starts a daemon that was stopped or killed, and waits until it is of use.
   *
   * @throws {Error} If it does not come up, with the end of its log.
   */
  async startDaemon(name: DaemonName): Promise<void> {
    await this.daemon(name).start().catch((cause) => {
      const log = `${this.#folder}/${name}.log`;
      const end = existsSync(log) ? readFileSync(log, "utf8").split("\n").slice(-20).join("\n") : "It logged nothing";
      throw new Error(`${name} did not come up: ${cause.message}\n${end}`, { cause });
    });
  }

  /** Ends it, and removes its folder. */
  async stop(): Promise<void> {
    for (const daemon of [...this.#daemons.values()].toReversed()) await daemon.stop();
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 3 });
  }

  /** {@linkcode stop}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #makeOsd(pool: string): Promise<void> {
    const data = `${this.#folder}/osd.0`, keyring = `${data}/keyring`, uuid = randomUUID();
    mkdirSync(data);
    await tool("ceph-authtool", [keyring, "--create-keyring", "--gen-key", "-n", "osd.0"]);
    const secret = `${this.#folder}/secret.json`, key = await tool("ceph-authtool", ["-p", "-n", "osd.0", keyring]);
    writeFileSync(secret, JSON.stringify({ cephx_secret: key.trim() }));
    await this.ceph("osd", "new", uuid, "0", "-i", secret);
    await tool("ceph-osd", ["-c", this.info.confPath, "-i", "0", "--mkfs", "--osd-uuid", uuid]);
    // An OSD that adds itself may do so before it knows its cluster's id, and then ends with "wrong fsid".
    await this.ceph("osd", "crush", "add", "osd.0", "1", "root=default", "host=localhost");
    await this.startDaemon("osd.0");
    await this.ceph("osd", "pool", "create", pool, "8", "8");
    await this.ceph("osd", "pool", "application", "enable", pool, "msgr");
    // The first operation waits until the pool's placement groups are active.
    const { code, complaints } = await this.rados(["-p", pool, "rm", "--force-full", "nothing"]);
    if (code !== 0 && !complaints.includes("(2) No such file")) throw new Error(`No pool came up: ${complaints}`);
  }

  async #status(name: DaemonName, command: string): Promise<string | undefined> {
    const { code, output } = await outcomeOf("ceph", ["--admin-daemon", this.#socket(name), command]);
    return code === 0 ? (JSON.parse(new TextDecoder().decode(output)) as { state: string }).state : undefined;
  }

  #socket(name: DaemonName): string {
    return `${this.#folder}/${name}.asok`;
  }
}

/** Prepares the folder of the only monitor, and the key of `client.admin`. */
async function makeMonitor(folder: string, fsid: string, monitor: string): Promise<void> {
  const keyring = `${folder}/keyring`, map = `${folder}/monmap`;
  const caps = ["mon", "osd", "mgr", "mds"].flatMap((service) => ["--cap", service, "allow *"]);
  await tool("ceph-authtool", [keyring, "--create-keyring", "--gen-key", "-n", "mon.", "--cap", "mon", "allow *"]);
  await tool("ceph-authtool", [keyring, "--gen-key", "-n", "client.admin", ...caps]);
  await tool("monmaptool", ["--create", "--fsid", fsid, "--addv", "a", `[v1:${monitor}]`, map]);
  mkdirSync(`${folder}/mon.a`);
  const config = ["-c", `${folder}/ceph.conf`, "-i", "a"];
  await tool("ceph-mon", [...config, "--mkfs", "--monmap", map, "--keyring", keyring]);
}

/** Everything in a `ceph.conf` that makes a cluster small, quick to start, and content with one of each. */
function configuration(
  folder: string,
  { auth, fsid, monitor, ticketSeconds, options }: {
    auth: Auth;
    fsid: string;
    monitor: string;
    ticketSeconds: number;
    options: string;
  },
): string {
  return `[global]
fsid = ${fsid}
mon_host = v1:${monitor}
auth_cluster_required = ${auth}
auth_service_required = ${auth}
auth_client_required = ${auth}
auth_allow_insecure_global_id_reclaim = false
auth_mon_ticket_ttl = ${ticketSeconds}
auth_service_ticket_ttl = ${ticketSeconds}
keyring = ${folder}/keyring
run_dir = ${folder}
crash_dir = ${folder}
log_to_stderr = false
ms_bind_msgr2 = false
ms_bind_ipv6 = false
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
[mon]
admin_socket = ${folder}/$name.asok
log_file = ${folder}/$name.log
mon_data = ${folder}/mon.$id
public_addr = v1:${monitor}
mon_initial_members = a
mon_allow_pool_size_one = true
mon_data_avail_crit = 1
mon_data_avail_warn = 2
mon_election_timeout = 1
paxos_propose_interval = 0.05
paxos_min_wait = 0.01
${options}
[osd]
admin_socket = ${folder}/$name.asok
log_file = ${folder}/$name.log
keyring = ${folder}/$name/keyring
osd_data = ${folder}/$name
osd_objectstore = memstore
memstore_device_bytes = 2147483648
osd_fast_shutdown = false
osd_class_update_on_start = false
osd_crush_update_on_start = false
${options}
`;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject).listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
