/** `msgr ceph`, started as a user does, with a cluster that the test plays over real sockets. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { Messenger, systemEnvironment } from "../../mod.ts";
import { defaultNetwork } from "../../src/net/default.ts";
import { runtimeCommand } from "../../tools/runtimes.ts";
import { FakeCluster } from "../ceph/fake_cluster.ts";
import { FakeOsd, FakeRados } from "../ceph/fake_osd.ts";
import { eventually } from "../support/eventually.ts";
import { type End, Script, thisRuntime } from "./script.ts";

const PERMISSIONS = ["--allow-net", "--allow-read", "--allow-write"];

/** A cluster on loopback, with its files in a folder of its own. */
class Cluster implements AsyncDisposable {
  readonly rados: FakeRados;
  readonly folder: string;

  private constructor(rados: FakeRados, folder: string) {
    this.rados = rados;
    this.folder = folder;
  }

  static async start(auth: "none" | "cephx"): Promise<Cluster> {
    const cluster = new FakeCluster(), [monitor, osd] = await freeAddresses();
    // The fakes are made for memory and virtual time, and at addresses that only exist there.
    const environment = { ...systemEnvironment, chance: { next: () => systemEnvironment.random() } };
    Object.assign(cluster, { network: await defaultNetwork(), environment });
    cluster.start = () => FakeCluster.prototype.start.call(cluster, monitor);
    Object.defineProperty(FakeOsd.prototype, "address", { get: () => osd, configurable: true });
    const key = auth === "cephx" ? cluster.addKey("client.admin") : undefined;
    const folder = mkdtempSync("/tmp/msgr-cli-ceph-"), rados = await FakeRados.start(1, cluster);
    const answer = rados.monitor.answer;
    rados.monitor.answer = (command) => {
      if (JSON.parse(command).prefix !== "status") return answer(command);
      const health = JSON.parse(command).format === "json" ? '{"health":"HEALTH_OK"}' : "  health: HEALTH_OK\n";
      return { status: 0, text: "", data: new TextEncoder().encode(health) };
    };
    writeFileSync(
      `${folder}/ceph.conf`,
      `[global]\nmon_host = ${monitor}\nauth_client_required = ${auth}\nkeyring = ${folder}/$cluster.$name.keyring\n`,
    );
    if (key !== undefined) {
      writeFileSync(`${folder}/ceph.client.admin.keyring`, `[client.admin]\n\tkey = ${key}\n`);
      writeFileSync(`${folder}/key`, `${key}\n`);
    }
    return new Cluster(rados, folder);
  }

  /** Starts a command with this cluster's `ceph.conf`. */
  start(...words: string[]): Script {
    const all = ["ceph", ...words, "--conf", `${this.folder}/ceph.conf`];
    return new Script(thisRuntime, "src/cli.ts", all, { permissions: PERMISSIONS });
  }

  /** The same, until it ends. */
  async run(...words: string[]): Promise<End> {
    await using script = this.start(...words);
    return await script.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rados[Symbol.asyncDispose]();
    rmSync(this.folder, { recursive: true });
  }
}

/** Two addresses where nobody listens, below the ports that systems give to whoever dials. Test files run side by side, each with ten ports. */
async function freeAddresses(): Promise<[string, string]> {
  await using one = new Messenger();
  await using other = new Messenger();
  const first = 10_000 + 10 * (process.pid % 900), ports = [first, first + 9] as const;
  return [(await one.bind("127.0.0.1:0", { ports })).endpoint, (await other.bind("127.0.0.1:0", { ports })).endpoint];
}

test("objects are written, read, listed and removed, by files and by pipes", async () => {
  await using cluster = await Cluster.start("cephx");
  const { folder, rados } = cluster, bytes = Uint8Array.from({ length: 9_000_000 }, (_, i) => (i * 31) ^ (i >> 12));
  writeFileSync(`${folder}/in`, bytes);
  const put = await cluster.run("put", "p", "big", `${folder}/in`);
  assertEquals(put.code, 0, put.output);
  assertMatch(put.output, /^p\/big: 8\.6 MiB written in \d+\.\d s \(.+\/s\)\n$/);
  assertEquals(rados.objects.get("big")?.data, bytes);

  const get = await cluster.run("get", "p", "big", `${folder}/out`, "--json");
  assertEquals(get.code, 0, get.output);
  const { ms, ...told } = JSON.parse(get.output);
  assertEquals([told, typeof ms], [{ pool: "p", object: "big", bytes: 9_000_000 }, "number"]);
  assertEquals(new Uint8Array(readFileSync(`${folder}/out`)), bytes);
  assert(!existsSync(`${folder}/out.part`));

  const piped = cluster.start("put", "p", "empty");
  assertEquals((await piped.leave()).code, 0);
  assertEquals(rados.objects.get("empty")?.data.length, 0);

  assertEquals(await cluster.run("ls"), { code: 0, output: "p\n" });
  const { output: list } = await cluster.run("ls", "p");
  assertEquals(list.split("\n").sort(), ["", "big", "empty"]);
  assertMatch(
    (await cluster.run("stat", "p", "big")).output,
    /^p\/big: 9000000 bytes \(8\.6 MiB\), written \d{4}-.*Z\n$/,
  );
  assertEquals(await cluster.run("rm", "p", "big"), { code: 0, output: "" });
  assertEquals([...rados.objects.keys()], ["empty"]);

  const gone = await cluster.run("get", "p", "big", `${folder}/gone`);
  assertEquals(gone.code, 1);
  assertMatch(gone.output, /^msgr ceph get: Cannot .* "big" in pool "p": ENOENT.*\n$/);
  assert(!existsSync(`${folder}/gone`) && !existsSync(`${folder}/gone.part`));
});

test("status is printed as the monitors say it, and as JSON", async () => {
  await using cluster = await Cluster.start("none");
  assertEquals(await cluster.run("status"), { code: 0, output: "  health: HEALTH_OK\n" });
  assertEquals(await cluster.run("status", "--json"), { code: 0, output: '{"health":"HEALTH_OK"}\n' });
});

test("the key may lie in a file of its own, and a wrong one is refused", async () => {
  await using cluster = await Cluster.start("cephx");
  const { folder } = cluster;
  rmSync(`${folder}/ceph.client.admin.keyring`);
  assertEquals((await cluster.run("ls", "--key-file", `${folder}/key`)).output, "p\n");
  writeFileSync(`${folder}/key`, "AQAAEF5fFc1bBxAAAAECAwQFBgcICQoLDA0ODw==");
  const refused = await cluster.run("ls", "--key-file", `${folder}/key`);
  assertEquals(refused.code, 1);
  assertMatch(refused.output, /^msgr ceph ls: The monitor refuses client\.admin: .+\n$/);
});

test("a cluster that is not there is looked for as long as one is told, and then given up", async () => {
  await using cluster = await Cluster.start("none");
  const [nowhere] = await freeAddresses();
  const { code, output } = await cluster.run("ls", "--mon", nowhere, "--timeout", "0.3");
  assertEquals(code, 1);
  assertMatch(output, /^msgr ceph ls: No monitor let us in within 300 ms: .+\n$/);
});

test("a reader that goes away ends a transfer quietly, and Ctrl-C with 130, leaving no file behind", async () => {
  await using cluster = await Cluster.start("none");
  const { folder, rados } = cluster;
  rados.objects.set("big", { data: new Uint8Array(50_000_000), mtime: 0, keys: new Map() });
  const words = ["ceph", "get", "p", "big", "--conf", `${folder}/ceph.conf`];
  const { command, args } = runtimeCommand(thisRuntime, "src/cli.ts", words, { permissions: PERMISSIONS });
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => errors += text);
  child.stdout.once("data", () => child.stdout.destroy());
  assertEquals([await new Promise((resolve) => child.on("close", resolve)), errors], [0, ""]);

  rados.osds[0]!.mute = true;
  await using script = cluster.start("put", "p", "never", `${folder}/ceph.conf`);
  await script.whileRunning(eventually(() => rados.osds[0]!.received.some(({ object }) => object === "never")));
  assertEquals(await script.interrupt(), { code: 130, output: "" });
  rados.osds[0]!.mute = false;
});
