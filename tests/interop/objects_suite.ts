/**
 * Our client and Ceph's own OSD. `tools/interop/main.ts` starts it and runs this file; `deno task test` does not.
 */

import { assertEquals, assertGreater, assertLess } from "@std/assert";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { RadosClient, type RadosOptions, type RadosPool } from "../../src/ceph/mod.ts";
import { eventually } from "../support/eventually.ts";
import { ask, awaySeconds, ceph, cluster, daemon, rados } from "./cluster.ts";
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

async function bench(options: RadosOptions = {}): Promise<Bench> {
  const line = await Line.make(), client = await RadosClient.connect({ conf, keyring, network: line, ...options });
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
  await using client = await RadosClient.connect({ conf, keyring });
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

test(`a loop of put and get goes on while the connections are cut 50 times (${auth})`, async () => {
  await using at = await bench({ chunkSize: MIB / 4 });
  const bytes = noise(4 * MIB), hash = sha256(bytes), mon = await at.line.to(monitor);
  let cuts = 0, isDue = false;
  // Once something has been done since the last time, so that even a slow machine gets on.
  const onProgress = () => {
    if (isDue || cuts === 50) return;
    isDue = true;
    setTimeout(() => {
      (++cuts % 4 === 0 ? mon : at.osd).cut();
      isDue = false;
    }, cuts % 8);
  };
  while (cuts < 50) {
    await at.objects.put("much", bytes, { onProgress });
    assertEquals(sha256(await at.objects.get("much", { onProgress })), hash);
  }
  assertGreater(at.osd.connections, 25);
  await at.objects.remove("much");
});

test(`an OSD that is back after ${awaySeconds} s takes what waits for it, within 5 s (${auth})`, async () => {
  await using client = await RadosClient.connect({ conf, keyring });
  const objects = await client.pool(pool);
  let done = 0, isBack = false;
  const writing = (async () => {
    for (; !isBack; done++) await objects.append("log", line(done));
  })();
  await eventually(() => done > 10);
  await daemon("osd.0", "stop");
  const before = done;
  await new Promise((resolve) => setTimeout(resolve, awaySeconds * 1000));
  await daemon("osd.0", "start");
  const back = performance.now();
  await eventually(() => done > before);
  assertLess(performance.now() - back, 5000);
  isBack = true;
  await writing;
  assertEquals(new TextDecoder().decode(await rados(["-p", pool, "get", "log", "-"])), lines(done));
  await objects.remove("log");
});
