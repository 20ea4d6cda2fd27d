/**
 * What our client makes of an OSD that refuses, holds back, pauses, or keeps what Ceph's own client wrote. `tools/interop/main.ts` starts it and runs
 * this file; `deno task test` does not.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "node:test";
import { MessengerError } from "../../mod.ts";
import { RadosClient, RadosError, type RadosOptions } from "../../src/ceph/mod.ts";
import { ask, ceph, cluster, daemon, rados } from "./cluster.ts";

const { auth, conf, keyring } = cluster, pool = cluster.pool!;
const onlyCephx = auth === "cephx" ? {} : { skip: "there are no rights without cephx" };

function connect(options: RadosOptions = {}): Promise<RadosClient> {
  return RadosClient.connect({ conf, keyring, ...options });
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Fulfils with whether a promise is still pending after `ms` milliseconds. */
async function isPending(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise: over, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(true), ms);
  promise.then(() => resolve(false), () => resolve(false));
  const isPending = await over;
  clearTimeout(timer);
  return isPending;
}

async function assertCode(promise: Promise<unknown>, code: string, text = ""): Promise<void> {
  assertEquals((await assertRejects(() => promise, MessengerError, text)).code, code);
}

test(`names, sizes, ranges, keys and values are those that Ceph's own client sees (${auth})`, async () => {
  await using client = await connect({ chunkSize: 1000 });
  const objects = await client.pool(pool),
    text = Array.from({ length: 2_000 }, (_, i) => i).join(),
    length = text.length;
  await Promise.all(Array.from({ length: 100 }, (_, i) => objects.put(`many-${i}`, "")));
  await objects.put("größe", new Response(text).body!);
  assertEquals(textOf(await rados(["-p", pool, "get", "größe", "-"])), text);
  assertEquals((await objects.stat("größe")).size, length);
  for (const [offset, wanted] of [[0, 1], [999, 2], [1_000, 3_000], [length - 1, 10], [length, 5]] as const) {
    assertEquals(textOf(await objects.get("größe", { offset, length: wanted })), text.slice(offset, offset + wanted));
  }
  const theirs = textOf(await rados(["-p", pool, "ls"])).trim().split("\n");
  assertEquals((await Array.fromAsync(objects.list())).sort(), theirs.sort());
  assert(theirs.includes("größe") && theirs.length >= 101);
  await rados(["-p", pool, "setomapval", "größe", "color", "blue"]);
  await objects.omapSet("größe", Array.from({ length: 1_500 }, (_, i) => [`key-${i}`, `${i}`] as const));
  assertEquals(textOf((await objects.omapGet("größe", { prefix: "co" })).get("color")!), "blue");
  assertEquals((await objects.omapGet("größe")).size, 1_501);
  assertEquals(textOf(await rados(["-p", pool, "listomapkeys", "größe"])).trim().split("\n").length, 1_501);
  await objects.omapRemove("größe", ["color", "nothing"]);
  assertEquals((await objects.omapGet("größe", { prefix: "co" })).size, 0);
  for (const name of theirs) await objects.remove(name);
  assertEquals(textOf(await rados(["-p", pool, "ls"])), "");
});

test(`what is missing has code not_found, and what the OSD refuses has its status (${auth})`, async () => {
  await using client = await connect({ chunkSize: 1 << 18 });
  const objects = await client.pool(pool);
  await assertCode(objects.get("nothing"), "not_found", "ENOENT (-2)");
  await assertCode(client.pool("nothing"), "not_found");
  await ask("osd.0", "config", "set", "osd_max_object_size", `${1 << 20}`);
  try {
    let isCancelled = false;
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(1 << 16)),
      cancel: () => void (isCancelled = true),
    });
    const error = await assertRejects(() => objects.put("endless", endless), RadosError, "EFBIG (-27)");
    assertEquals([error.code, error.status, isCancelled], ["operation", -27, true]);
  } finally {
    await ask("osd.0", "config", "set", "osd_max_object_size", `${128 << 20}`);
  }
  await objects.remove("endless");
});

test(
  `a name that may only read is refused the rest, and one that may see nothing everything (${auth})`,
  onlyCephx,
  async () => {
    await using client = await connect();
    await (await client.pool(pool)).put("read-me", "here");
    const get = async (entity: string, ...caps: string[]) => {
      const [{ key }] = await client.mon.json<[{ key: string }]>({ prefix: "auth get-or-create", entity, caps });
      return RadosClient.connect({ conf, name: entity, key });
    };
    await using reader = await get("client.reader", "mon", "allow r", "osd", `allow r pool=${pool}`);
    const objects = await reader.pool(pool);
    assertEquals(textOf(await objects.get("read-me")), "here");
    await assertCode(objects.put("read-me", "gone"), "operation", "EPERM (-1)");
    await using nobody = await get("client.nobody", "mon", "allow r");
    await assertCode((await nobody.pool(pool)).get("read-me"), "operation", "EPERM (-1)");
    await (await client.pool(pool)).remove("read-me");
  },
);

test(`what a placement group does not take for lack of copies waits, and is done once when it does (${auth})`, async () => {
  await using client = await connect();
  await ceph("osd", "pool", "create", "held", "4", "4");
  // Found at once, though no map may have told of it.
  const objects = await client.pool("held");
  await objects.append("log", "1");
  await ceph("osd", "pool", "set", "held", "size", "2");
  await ceph("osd", "pool", "set", "held", "min_size", "2");
  const held = (async () => {
    for (let i = 2; i < 10; i++) await objects.append("log", `${i}`);
  })();
  const late = objects.append("other", "x");
  assert(await isPending(held, 2_000));
  await ceph("osd", "pool", "set", "held", "min_size", "1");
  await Promise.all([held, late]);
  assertEquals(textOf(await rados(["-p", "held", "get", "log", "-"])), "123456789");
  await ask("mon.a", "config", "set", "mon_allow_pool_delete", "true");
  await ceph("osd", "pool", "delete", "held", "held", "--yes-i-really-really-mean-it");
  await assertCode(objects.append("log", "x"), "not_found");
  await assertCode(client.pool("held"), "not_found");
});

test(`a cluster that is paused is left alone until the pause ends (${auth})`, async () => {
  await using client = await connect();
  const objects = await client.pool(pool);
  await objects.put("quiet", "a");
  await ceph("osd", "set", "pause");
  // Until the client has heard of it, it does not know better.
  while (!await isPending(objects.get("quiet", { signal: AbortSignal.timeout(1_000) }), 500));
  const put = objects.put("quiet", "b");
  assert(await isPending(put, 1_000));
  await ceph("osd", "unset", "pause");
  await put;
  assertEquals(textOf(await objects.get("quiet")), "b");
  await objects.remove("quiet");
});

test(`an OSD that answers nothing makes an operation time out, which says so, and the OSD is used again when it answers (${auth})`, async () => {
  await using patient = await connect();
  await using client = await connect({ operationTimeout: 1_500 });
  const theirs = await patient.pool(pool), objects = await client.pool(pool);
  await theirs.put("slow", "a");
  await daemon("osd.0", "pause");
  try {
    await assertCode(objects.get("slow"), "timed_out", "within 1500 ms: it waits for an answer of osd.0 at");
    const signal = AbortSignal.timeout(100);
    await assertRejects(() => objects.get("slow", { signal }), DOMException, "");
  } finally {
    await daemon("osd.0", "resume");
  }
  assertEquals(textOf(await theirs.get("slow")), "a");
  await theirs.remove("slow");
});
