/**
 * A real monitor for the length of a test run.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";

/** How long a monitor may take to lead its quorum of one, in ms; it takes about half a second. */
const START_LIMIT = 30_000;
/** How long it may take to end when it is asked to, in ms. */
const STOP_LIMIT = 10_000;

/** Where the monitor says it is, and where it really listens: a test stands in between. */
const ADVERTISED = "127.0.0.1", BOUND = "127.0.0.2";

/** How clients authenticate. */
export type Auth = "none" | "cephx";

/** What a test has to know of the monitor. */
export interface MonitorInfo {
  /** How clients authenticate. */
  readonly auth: Auth;
  /** Where it says it is. Nobody listens there until the test does. */
  readonly advertised: string;
  /** Where it listens. */
  readonly bound: string;
  /** The port of both. */
  readonly port: number;
  /** The cluster's id. */
  readonly fsid: string;
  /** The text of its `ceph.conf`. */
  readonly conf: string;
  /** The text of the keyring that has the key of `client.admin`. */
  readonly keyring: string;
  /** How long a ticket is good, in s. */
  readonly ticketSeconds: number;
}

/** A monitor that runs. */
export class Monitor {
  /** What a test has to know of it. */
  readonly info: MonitorInfo;
  readonly #folder: string;
  readonly #process: ChildProcess;

  private constructor(info: MonitorInfo, folder: string, child: ChildProcess) {
    this.info = info;
    this.#folder = folder;
    this.#process = child;
  }

  /** Makes a cluster of one monitor in a temporary folder, and waits until it leads. */
  static async start(auth: Auth): Promise<Monitor> {
    const folder = mkdtempSync(`${tmpdir()}/msgr-interop-`);
    try {
      const port = await freePort(), fsid = randomUUID(), ticketSeconds = 12;
      const conf = configuration(folder, auth, port, fsid, ticketSeconds);
      mkdirSync(`${folder}/mon`);
      writeFileSync(`${folder}/ceph.conf`, conf);
      const keyring = `${folder}/keyring`, all = ["--cap", "mon", "allow *"];
      await tool("ceph-authtool", keyring, "--create-keyring", "--gen-key", "-n", "mon.", ...all);
      await tool("ceph-authtool", keyring, "--gen-key", "-n", "client.admin", ...all, "--cap", "osd", "allow *");
      const map = `${folder}/monmap`, addresses = `[v1:${ADVERTISED}:${port}]`;
      await tool("monmaptool", "--create", "--fsid", fsid, "--addv", "a", addresses, map);
      const base = ["-c", `${folder}/ceph.conf`, "-i", "a"];
      await tool("ceph-mon", ...base, "--mkfs", "--monmap", map, "--keyring", keyring);
      const child = spawn("ceph-mon", [...base, "-f"], { stdio: "ignore" });
      const info = {
        auth,
        advertised: ADVERTISED,
        bound: BOUND,
        port,
        fsid,
        conf,
        keyring: readFileSync(keyring, "utf8"),
        ticketSeconds,
      };
      const monitor = new Monitor(info, folder, child);
      await monitor.#untilItLeads().catch(async (error) => {
        await monitor.stop();
        throw error;
      });
      return monitor;
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Ends it and removes its folder. */
  async stop(): Promise<void> {
    const child = this.#process;
    if (child.exitCode === null && child.signalCode === null) {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_LIMIT);
      child.kill("SIGTERM");
      await ended;
      clearTimeout(timer);
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #untilItLeads(): Promise<void> {
    const socket = `${this.#folder}/mon.asok`, end = Date.now() + START_LIMIT;
    while (Date.now() < end) {
      if (this.#process.exitCode !== null) break;
      const { code, output } = await quietly("ceph", "--admin-daemon", socket, "mon_status");
      if (code === 0 && output.includes('"state": "leader"')) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const log = readFileSync(`${this.#folder}/mon.log`, "utf8").split("\n").slice(-20).join("\n");
    throw new Error(`The monitor did not come up within ${START_LIMIT} ms:\n${log}`);
  }
}

function configuration(folder: string, auth: Auth, port: number, fsid: string, ticketSeconds: number): string {
  return `[global]
fsid = ${fsid}
mon_host = v1:${ADVERTISED}:${port}
auth_cluster_required = ${auth}
auth_service_required = ${auth}
auth_client_required = ${auth}
keyring = ${folder}/keyring
run_dir = ${folder}
crash_dir = ${folder}
log_to_stderr = false
[mon]
admin_socket = ${folder}/mon.asok
mon_data = ${folder}/mon
log_file = ${folder}/mon.log
ms_bind_msgr2 = false
ms_bind_ipv6 = false
public_addr = v1:${ADVERTISED}:${port}
public_bind_addr = v1:${BOUND}:${port}
mon_initial_members = a
mon_data_avail_crit = 1
mon_data_avail_warn = 2
paxos_propose_interval = 0.05
auth_allow_insecure_global_id_reclaim = false
auth_mon_ticket_ttl = ${3 * ticketSeconds}
auth_service_ticket_ttl = ${ticketSeconds}
`;
}

/** A port that is free at both addresses. */
async function freePort(): Promise<number> {
  for (;;) {
    const first = await listen(ADVERTISED, 0), { port } = first.address() as { port: number };
    const second = await listen(BOUND, port).catch(() => undefined);
    await new Promise((resolve) => first.close(resolve));
    if (second === undefined) continue;
    await new Promise((resolve) => second.close(resolve));
    return port;
  }
}

function listen(host: string, port: number): Promise<ReturnType<typeof createServer>> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject).listen(port, host, () => resolve(server));
  });
}

async function tool(program: string, ...args: string[]): Promise<void> {
  const { code, output } = await quietly(program, ...args);
  if (code !== 0) throw new Error(`${program} failed with code ${code}: ${output}`);
}

/** Runs a program whose output is only of interest if it fails. */
function quietly(program: string, ...args: string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => output += text);
    child.stderr.setEncoding("utf8").on("data", (text: string) => output += text);
    child.on("error", reject).on("close", (code) => resolve({ code, output }));
  });
}
