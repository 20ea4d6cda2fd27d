/**
 * Our client and Ceph's own OSD. `tools/interop/main.ts` starts it and runs this file; `deno task test` does not.
 */

import { assertEquals, assertGreater, assertGreaterOrEqual, assertLess } from "@std/assert";
import { createHash } from "node:crypto";
import { test } from "node:test";
import type { Network } from "../../src/net/network.ts";
import { RadosClient, type RadosPool } from "../../src/ceph/mod.ts";
import { eventually } from "../support/eventually.ts";
import { ask, ceph, cluster, daemon, rados } from "./cluster.ts";
import { Line } from "./line.ts";
import type { Proxy } from "./proxy.ts";

const { auth, conf, keyring, monitor } = cluster, pool = cluster.pool!;
const MIB = 1024 * 1024;

/** What a test works with: the pool, and the OSD's proxy. */
interface Bench extends AsyncDisposable {
  readonly client: RadosClient;
  readonly objects: RadosPool;
  readonly line: Line;
  readonly osd: Proxy;
}

async function bench(): Promise<Bench> {
  const line = await Line.make(), client = await RadosClient.connect({ conf, keyring, network: line });
  return {
    client,
    line,
    objects: await client.pool(pool),
    osd: await line.to(await osdAddress()),
    async [Symbol.asyncDispose]() {
      await client.close();
      await line[Symbol.asyncDispose]();
    },
  };
}

/** Where the OSD listens for clients. */
async function osdAddress(): Promise<string> {
  const { osds } = JSON.parse(await ceph("osd", "dump", "--format=json")) as { osds: [{ public_addr: string }] };
  return osds[0].public_addr.split("/")[0]!;
}

function connect(network?: Network): Promise<RadosClient> {
  return RadosClient.connect({ conf, keyring, ...(network !== undefined && { network }) });
}

/** Bytes that look like nothing else. */
function noise(length: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(length / 4);
  for (let i = 0, x = 1; i < words.length; i++) words[i] = x = Math.imul(x, 1664525) + 1013904223;
  return new Uint8Array(words.buffer);
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Lines of eight characters, in order. */
function lines(count: number): string {
  return Array.from({ length: count }, (_, i) => line(i)).join("");
}

function line(number: number): string {
  return `${String(number).padStart(7, "0")}\n`;
}

test(`64 MiB are written and read back, and so does Ceph's own program (${auth})`, async () => {
  await using client = await connect();
  const objects = await client.pool(pool), ours = noise(64 * MIB), hash = sha256(ours);
  await objects.put("ours", ours);
  assertEquals(sha256(await objects.get("ours")), hash);
  assertEquals(sha256(await rados(["-p", pool, "get", "ours", "-"])), hash);
  const theirs = ours.toReversed();
  await rados(["-p", pool, "put", "theirs", "-"], theirs);
  assertEquals(sha256(await objects.get("theirs")), sha256(theirs));
  await objects.remove("ours");
  assertEquals(new TextDecoder().decode(await rados(["-p", pool, "ls"])), "theirs\n");
  await objects.remove("theirs");
});

test(`what is appended while the OSD's connection is cut 50 times is there once, and in order (${auth})`, async () => {
  await using at = await bench();
  const rounds = 50, each = 4;
  for (let cuts = 0; cuts < rounds; cuts++) {
    const appended = Array.from({ length: each }, (_, i) => at.objects.append("log", line(cuts * each + i)));
    // At another moment each time: while the operations are on their way, are answered, or while the client dials again.
    for (let turns = 0; turns < cuts % 8; turns++) await new Promise((resolve) => setTimeout(resolve, 0));
    at.osd.cut();
    await Promise.all(appended);
  }
  assertEquals(new TextDecoder().decode(await rados(["-p", pool, "get", "log", "-"])), lines(rounds * each));
  assertGreater(at.osd.connections, rounds / 2);
  await at.objects.remove("log");
});

test(`the same, by an OSD that breaks one in 200 of its own reads and writes (${auth})`, async () => {
  await ask("osd.0", "config", "set", "ms_inject_socket_failures", "200");
  let count = 0;
  try {
    await using at = await bench();
    // Until it has broken enough for the test to mean something.
    while (at.osd.connections < 6) {
      await Promise.all(Array.from({ length: 8 }, () => at.objects.append("log", line(count++))));
      assertLess(count, 20_000, "the OSD breaks nothing");
    }
  } finally {
    await ask("osd.0", "config", "set", "ms_inject_socket_failures", "0");
  }
  assertEquals(new TextDecoder().decode(await rados(["-p", pool, "get", "log", "-"])), lines(count));
  await rados(["-p", pool, "rm", "log"]);
});

test(`a transfer goes on though the monitor's and the OSD's connections are cut all the time (${auth})`, async () => {
  await using at = await bench();
  const bytes = noise(16 * MIB), hash = sha256(bytes);
  let isOver = false;
  const mon = await at.line.to(monitor);
  const cutting = (async () => {
    for (let i = 0; !isOver; i++) {
      await new Promise((resolve) => setTimeout(resolve, 30));
      (i % 3 === 0 ? mon : at.osd).cut();
    }
  })();
  for (let round = 0; round < 3; round++) {
    await at.objects.put("much", bytes);
    assertEquals(sha256(await at.objects.get("much")), hash);
  }
  isOver = true;
  await cutting;
  await at.objects.remove("much");
});

test(`an OSD that is restarted takes what waits for it, within 5 s of its return (${auth})`, async () => {
  await using client = await connect();
  const objects = await client.pool(pool);
  let done = 0, isBack = false;
  const writing = (async () => {
    while (!isBack || done < 20) await objects.append("log", line(done++));
    return performance.now();
  })();
  await eventually(() => done > 10);
  await daemon("osd.0", "stop");
  const before = done;
  await daemon("osd.0", "start");
  const back = performance.now();
  await eventually(() => done > before + 1);
  assertLess(performance.now() - back, 5000);
  isBack = true;
  await writing;
  assertGreaterOrEqual(done, 20);
  assertEquals(new TextDecoder().decode(await rados(["-p", pool, "get", "log", "-"])), lines(done));
  await objects.remove("log");
});
