/**
 * Runs the tests in `tests/interop` against Ceph's own daemons, without authentication and with cephx, on Deno, Bun and Node.
 *
 * `deno task interop [runtime …] [none] [cephx] [--idle=SECONDS] [--away=SECONDS] [--suite=NAME]`. Where there is no Ceph and it cannot be installed, it says why,
 * and reports the tests as skipped.
 *
 * `deno task interop --serve [none] [cephx]` starts a cluster for you to play with, and ends it with Ctrl-C.
 *
 * @module
 */

import { readdirSync } from "node:fs";
import process from "node:process";
import { install } from "../install.ts";
import { binary, importMap, root, type Runtime, runtimes } from "../runtimes.ts";
import { addTotals, formatTotals, readTotals, type Totals } from "../totals.ts";
import { type Auth, Cluster } from "./cluster.ts";
import { serveControl } from "./control.ts";
import { ensureCeph } from "./debian.ts";
import { outcomeOf } from "./program.ts";

/** What the tests are told, as JSON in the variable `MSGR_INTEROP`. */
export interface Setting {
  /** What a client has to know of the cluster. */
  readonly cluster: Cluster["info"];
  /** Where the cluster takes orders. */
  readonly control: string;
  /** How many seconds an idle session has to last. */
  readonly idleSeconds: number;
  /** How many seconds a monitor or an OSD that goes away stays away. */
  readonly awaySeconds: number;
}

/** How many runs there are at once: they mostly wait. */
const WIDTH = 3;
/** A ticket is renewed after three quarters of this, and no earlier than 10 s after the one before. */
const TICKET_SECONDS = 12;
const folder = "tests/interop";
const none: Totals = { passed: 0, failed: 0, skipped: 0 };

const args = process.argv.slice(2);
const wantedRuntimes = runtimes.filter((runtime) => args.includes(runtime));
const wantedAuths = (["none", "cephx"] as const).filter((auth) => args.includes(auth));
const idleSeconds = Number(option("idle") ?? TICKET_SECONDS);
const awaySeconds = Number(option("away") ?? 2);
/** Every test that takes longer than this, in ms, hangs. */
const testLimit = 90_000 + 2000 * (idleSeconds + awaySeconds);
const suites = readdirSync(`${root}/${folder}`).filter((name) => name.endsWith(`${option("suite") ?? ""}_suite.ts`))
  .sort().map((name) => `${folder}/${name}`);

const reason = await ensureCeph();
if (reason !== undefined) {
  console.log(`Skipped the tests with Ceph's own daemons: ${reason}`);
  process.exit(0);
}
/** Those that were started, or are about to be. */
const clusters: Promise<Cluster>[] = [];
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, async () => {
    await stopAll();
    process.exit(130);
  });
}
try {
  if (args.includes("--serve")) await serve(wantedAuths[0] ?? "none");
  else process.exitCode = await testAll() ? 0 : 1;
} finally {
  await stopAll();
}

async function testAll(): Promise<boolean> {
  await install();
  const auths = wantedAuths.length > 0 ? wantedAuths : ["none", "cephx"] as const;
  const runs = (wantedRuntimes.length > 0 ? wantedRuntimes : runtimes)
    .flatMap((runtime) => auths.map((auth) => ({ runtime, auth })));
  const totals = new Map(runs.map(({ runtime }) => [runtime, none]));
  const next = runs.values();
  await Promise.all(Array.from({ length: WIDTH }, async () => {
    for (const { runtime, auth } of next) {
      const counted = await test(runtime, auth);
      totals.set(runtime, addTotals(totals.get(runtime)!, counted));
    }
  }));
  console.log(`\n${[...totals].map(([runtime, total]) => formatTotals(runtime, total)).join("\n")}`);
  return [...totals.values()].every(({ passed, failed }) => passed > 0 && failed === 0);
}

/** One cluster for each run, so that no run sees what another has left behind. */
async function test(runtime: Runtime, auth: Auth): Promise<Totals> {
  const start = performance.now(), name = `${runtime} ${auth}`.padEnd("bun cephx ".length);
  const say = (line: string) => console.log(`${name}| ${line}`);
  await using cluster = await startCluster(auth, TICKET_SECONDS);
  say(`the cluster was up after ${(performance.now() - start).toFixed(0)} ms`);
  await using control = await serveControl(cluster);
  const setting: Setting = { cluster: cluster.info, control: control.url, idleSeconds, awaySeconds };
  const { code, output, complaints } = await outcomeOf(binary(runtime), command(runtime), {
    cwd: root,
    limit: suites.length * testLimit,
    env: { NO_COLOR: "1", MSGR_INTEROP: JSON.stringify(setting) },
    onLine: say,
  });
  say(`ended after ${((performance.now() - start) / 1000).toFixed(1)} s`);
  const counted = readTotals(runtime, new TextDecoder().decode(output) + complaints) ?? none;
  if (code === 0 || counted.failed > 0) return counted;
  console.error(`${runtime} ended with ${code ?? "a hang"} and no failed test to show for it`);
  return { ...counted, failed: 1 };
}

function command(runtime: Runtime): string[] {
  switch (runtime) {
    case "deno": {
      const permissions = ["--allow-net=127.0.0.1", "--allow-env=MSGR_INTEROP", "--allow-read=tests/golden"];
      return ["test", "--no-check", "--no-prompt", ...permissions, `--import-map=${importMap}`, ...suites];
    }
    case "bun":
      return ["test", `--timeout=${testLimit}`, ...suites.map((suite) => `./${suite}`)];
    case "node":
      // They share a cluster, and stop its daemons.
      return ["--test", "--test-concurrency=1", "--test-reporter=spec", `--test-timeout=${testLimit}`, ...suites];
  }
}

async function serve(auth: Auth): Promise<void> {
  const { info } = await startCluster(auth, 3600), keyring = info.confPath.replace(/[^/]*$/, "keyring");
  console.log(`A monitor at ${info.monitor} and an OSD, with the pool "${info.pool}" and authentication ${auth}.`);
  console.log(
    `\n  conf     ${info.confPath}\n  keyring  ${keyring}\n\n  ceph -c ${info.confPath} -s\n\nCtrl-C ends it.`,
  );
  await new Promise(() => setInterval(() => {}, 2 ** 30));
}

function startCluster(auth: Auth, ticketSeconds: number): Promise<Cluster> {
  const cluster = Cluster.start({ auth, ticketSeconds });
  clusters.push(cluster);
  return cluster;
}

async function stopAll(): Promise<void> {
  await Promise.allSettled(clusters.map(async (cluster) => (await cluster).stop()));
}

function option(name: string): string | undefined {
  return args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
}
