/**
 * The RADOS client with OSDs that come, go, move and break, in virtual time.
 */

import { assert, assertEquals, assertGreater, assertLess, assertRejects } from "@std/assert";
import { test } from "node:test";
import { MessengerError, type Network } from "../../mod.ts";
import type { RadosClient, RadosError, RadosPool } from "../../src/ceph/mod.ts";
import { hashObject, placementSeed } from "../../src/ceph/object_hash.ts";
import { FIRST_POSITION } from "../../src/ceph/object_position.ts";
import { OsdFlag } from "../../src/ceph/osd_messages.ts";
import { FakeCluster } from "./fake_cluster.ts";
import { FakeRados } from "./fake_osd.ts";

const bytes = (length: number, seed = 1) => Uint8Array.from({ length }, (_, i) => (i * 31 + seed * 7 + (i >> 8)) & 255);
const textOf = (data: Uint8Array) => new TextDecoder().decode(data);
const seedOf = (object: string, pgNum = 8) => placementSeed(hashObject(object), pgNum);

async function assertCode(promise: Promise<unknown>, code: string, text = ""): Promise<MessengerError> {
  const error = await assertRejects(() => promise, MessengerError, text);
  assertEquals(error.code, code);
  return error;
}

/** A client, its pool, and what lets time go on. */
async function opened(rados: FakeRados, options: Parameters<FakeRados["connect"]>[0] = {}): Promise<{
  client: RadosClient;
  pool: RadosPool;
  settle: <T>(promise: Promise<T>, ms?: number) => Promise<T>;
}> {
  const client = await rados.connect(options);
  const settle = <T>(promise: Promise<T>, ms?: number) => rados.cluster.settle(promise, ms);
  return { client, pool: await settle(client.pool("p")), settle };
}

/** A stream of pieces, with what became of it. */
function streamOf(
  pieces: readonly Uint8Array[],
): { stream: ReadableStream<Uint8Array>; taken: () => number; cancelled: () => unknown } {
  let taken = 0, cancelled: unknown;
  const stream = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      if (taken < pieces.length) controller.enqueue(pieces[taken++]!);
      else controller.close();
    },
    cancel: (reason) => void (cancelled = reason ?? "without a reason"),
  }, { highWaterMark: 0 });
  return { stream, taken: () => taken, cancelled: () => cancelled };
}

/** A network that can be frozen: nothing more arrives by the connections that there are. */
function freezable(network: Network): Network & { freeze(): void } {
  let connections = 0, frozen = 0;
  return {
    name: network.name,
    flush: network.flush,
    listen: (address, options) => network.listen(address, options),
    async connect(address, options) {
      const number = ++connections, socket = await network.connect(address, options);
      const aborted = Promise.withResolvers<void>();
      const readable = socket.readable.pipeThrough(
        new TransformStream({
          async transform(chunk, controller) {
            if (number <= frozen) await aborted.promise;
            controller.enqueue(chunk);
          },
        }),
      );
      const { writable, localAddress, remoteAddress, closed } = socket;
      const abort = (reason?: unknown) => {
        aborted.resolve();
        socket.abort(reason);
      };
      return { readable, writable, localAddress, remoteAddress, closed, abort };
    },
    freeze: () => frozen = connections,
  };
}

for (const auth of ["none", "cephx"] as const) {
  test(`an object is written, read, appended to, asked for, and removed with ${auth}, and nothing is left behind`, async () => {
    const cluster = new FakeCluster(), key = auth === "cephx" ? { key: cluster.addKey("client.admin") } : {};
    await using rados = await FakeRados.start(1, cluster);
    const { client, pool, settle } = await opened(rados, key);
    assertEquals(await settle(client.pools()), [{ id: 1, name: "p" }]);
    assertEquals([pool.id, pool.name], [1, "p"]);
    await settle(pool.put("greeting", "hello"));
    await settle(pool.append("greeting", new TextEncoder().encode(", world")));
    assertEquals(textOf(await settle(pool.get("greeting"))), "hello, world");
    const { size, mtime } = await settle(pool.stat("greeting"));
    assertEquals([size, mtime.getTime()], [12, cluster.environment.now()]);
    await settle(pool.put("greeting", "bye"));
    assertEquals(rados.text("greeting"), "bye");
    await settle(pool.remove("greeting"));
    assertEquals(rados.objects.size, 0);
    await settle(client.close());
    await settle(rados[Symbol.asyncDispose]());
    assertEquals([cluster.network.openSockets, cluster.environment.timers], [0, 0]);
  });
}

test("a missing object has code not_found, and what an OSD refuses has its status", async () => {
  await using rados = await FakeRados.start();
  const { pool, settle } = await opened(rados);
  for (const ask of [() => pool.get("x"), () => pool.stat("x"), () => pool.remove("x"), () => pool.omapGet("x")]) {
    await assertCode(settle<unknown>(ask()), "not_found", '"x" in pool "p": ENOENT (-2)');
  }
  rados.osds[0]!.error = -1;
  const error = await assertCode(settle(pool.put("x", "y")), "operation", 'Cannot write "x" in pool "p": EPERM (-1)');
  assertEquals((error as RadosError).status, -1);
});

test("a pool that does not exist, an empty name and options out of range are refused at once", async () => {
  await using rados = await FakeRados.start();
  const { client, pool, settle } = await opened(rados);
  await assertCode(settle(client.pool("q")), "not_found", 'There is no pool "q"');
  await assertCode(settle(pool.put("", "x")), "invalid", "Bad object");
  await assertCode(settle(pool.get("x", { offset: -1 })), "invalid", "Bad offset");
  await assertCode(settle(pool.get("x", { length: 1.5 })), "invalid", "Bad length");
  for (
    const options of [{ chunkSize: 0 }, { chunkSize: 2 ** 27 }, { operationsInFlight: 0 }, { operationTimeout: -1 }]
  ) {
    await assertCode(rados.connect(options), "invalid", `Bad option ${Object.keys(options)[0]}`);
  }
});

test("long data goes in chunks, a few at a time, the first of which replaces what there was", async () => {
  await using rados = await FakeRados.start();
  const { pool, settle } = await opened(rados, { chunkSize: 1000, operationsInFlight: 3 });
  await settle(pool.put("long", bytes(20_000, 5)));
  const data = bytes(9_500), progress: number[] = [], osd = rados.osds[0]!, { environment } = rados.cluster;
  const withheld: (() => void)[] = osd.withheld = [], most: number[] = [];
  osd.received.length = 0;
  const put = pool.put("long", data, { onProgress: (done) => progress.push(done) });
  while (osd.received.length < 10) {
    await environment.run({ ms: 1 });
    most.push(withheld.length);
    withheld.shift()!();
  }
  osd.withheld = undefined;
  await environment.run({ ms: 1 });
  for (const answer of withheld) answer();
  await settle(put);
  assertEquals(most, [1, 3, 3, 3, 3, 3, 3, 3]);
  assertEquals(rados.objects.get("long")!.data, data);
  assertEquals(progress, [1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 9500]);
});

test("a stream is cut into chunks, read no faster than it is written, and an empty one makes an empty object", async () => {
  await using rados = await FakeRados.start();
  const { pool, settle } = await opened(rados, { chunkSize: 1000, operationsInFlight: 2 });
  const pieces = [1, 999, 1000, 2500, 1, 0, 4000, 17].map((length, i) => bytes(length, i)),
    { stream } = streamOf(pieces);
  await settle(pool.put("streamed", stream));
  assertEquals(rados.objects.get("streamed")!.data, Uint8Array.from(pieces.flatMap((piece) => [...piece])));
  assert(rados.osds[0]!.received.slice(0, -1).every(({ operations }) => operations[0]!.input!.length === 1000));
  await settle(pool.put("streamed", streamOf([]).stream));
  assertEquals(rados.text("streamed"), "");
  rados.osds[0]!.mute = true;
  const many = streamOf(Array.from({ length: 50 }, () => bytes(1000)));
  pool.put("slow", many.stream).catch(() => {});
  await rados.cluster.environment.run({ ms: 100 });
  assertLess(many.taken(), 4);
});

test("a stream that fails fails the put with its own error, and a put that fails or is given up cancels its stream", async () => {
  await using rados = await FakeRados.start();
  const { pool, settle } = await opened(rados, { chunkSize: 10 });
  const broken = new ReadableStream<Uint8Array>({ start: (controller) => controller.error(new RangeError("torn")) });
  await assertRejects(() => settle(pool.put("a", broken)), RangeError, "torn");
  const [osd] = rados.osds, refused = streamOf(Array.from({ length: 100 }, () => bytes(10)));
  osd!.error = -28;
  await assertCode(settle(pool.put("b", refused.stream)), "operation", "ENOSPC");
  assert(refused.cancelled() !== undefined);
  osd!.error = 0;
  // A source that says nothing: only the cancellation can wake the put.
  let cancelled: unknown;
  const silent = new ReadableStream<Uint8Array>({ cancel: (reason) => void (cancelled = reason) });
  const controller = new AbortController(), put = pool.put("c", silent, { signal: controller.signal });
  await rados.cluster.environment.run({ ms: 10 });
  controller.abort(new RangeError("enough"));
  await assertRejects(() => settle(put), RangeError, "enough");
  assertEquals(String(cancelled), "RangeError: enough");
});

test("a failure in the middle of a put ends it, even while its stream says nothing", async () => {
  await using rados = await FakeRados.start();
  const { pool, settle } = await opened(rados, { chunkSize: 10 });
  let feed!: ReadableStreamDefaultController<Uint8Array>;
  const stream = new ReadableStream<Uint8Array>({ start: (controller) => void (feed = controller) });
  const put = pool.put("a", stream);
  feed.enqueue(bytes(10));
  await rados.cluster.environment.run({ ms: 1 });
  rados.osds[0]!.error = -5;
  feed.enqueue(bytes(10));
  await assertCode(settle(put, 1), "operation", "EIO");
});

test("get() and stream() give whole objects and ranges, in chunks that were asked for ahead", async () => {
  await using rados = await FakeRados.start();
  const { pool, settle } = await opened(rados, { chunkSize: 1000, operationsInFlight: 3 }), data = bytes(9_500);
  rados.objects.set("o", { data, mtime: 0, keys: new Map() });
  rados.objects.set("empty", { data: bytes(0), mtime: 0, keys: new Map() });
  const progress: number[] = [];
  assertEquals(await settle(pool.get("o", { onProgress: (done) => progress.push(done) })), data);
  assertEquals([progress.length, progress.at(-1)], [10, 9500]);
  for (
    const [offset, length] of [[0, 1], [999, 2], [0, 1000], [1000, 3000], [9_400, 200], [9_500, 1], [20_000, 5], [5, 0]]
  ) {
    const part = await settle(pool.get("o", { offset: offset!, length: length! }));
    assertEquals(part, data.slice(offset, offset! + length!), `${offset}, ${length}`);
  }
  assertEquals(await settle(pool.get("o", { offset: 9_000 })), data.slice(9_000));
  assertEquals(await settle(pool.get("empty")), bytes(0));
  await assertCode(settle(pool.get("nothing", { length: 0 })), "not_found");
  assertEquals(new Uint8Array(await settle(new Response(pool.stream("o")).arrayBuffer())), data);
  const error = await assertRejects(() => settle(new Response(pool.stream("nothing")).arrayBuffer()));
  assertEquals((error as MessengerError).code, "not_found");
});

test("a stream reads when it is read, not before, a few chunks ahead, and no more once it is cancelled", async () => {
  await using rados = await FakeRados.start();
  const { pool, settle } = await opened(rados, { chunkSize: 10, operationsInFlight: 3 }), [osd] = rados.osds;
  rados.objects.set("o", { data: bytes(1000), mtime: 0, keys: new Map() });
  const stream = pool.stream("o");
  await rados.cluster.environment.run({ ms: 10 });
  assertEquals(osd!.received.length, 0);
  const reader = stream.getReader();
  assertEquals((await settle(reader.read())).value, bytes(10));
  assertEquals((await settle(reader.read())).value, bytes(1000).slice(10, 20));
  await rados.cluster.environment.run({ ms: 10 });
  assertEquals(osd!.received.length, 4);
  await settle(reader.cancel("enough"));
  await rados.cluster.environment.run({ ms: 10 });
  assertEquals(osd!.received.length, 4);
});

test("what cannot be read into memory is said to be too much, before anything is read", async () => {
  await using rados = await FakeRados.start();
  const { pool, settle } = await opened(rados);
  rados.objects.set("o", { data: bytes(10), mtime: 0, keys: new Map(), claimedSize: 2 ** 52 });
  await assertCode(settle(pool.get("o")), "invalid", `Cannot get "o": ${2 ** 52} bytes are too many`);
  const reader = pool.stream("o").getReader();
  assertEquals((await settle(reader.read())).value, bytes(10));
  assertEquals((await settle(reader.read())).done, true);
});

test("an object that becomes shorter while it is read gives what is left of it", async () => {
  await using rados = await FakeRados.start();
  const { pool, settle } = await opened(rados, { chunkSize: 10, operationsInFlight: 1 });
  rados.objects.set("o", { data: bytes(100), mtime: 0, keys: new Map() });
  const shorten = (done: number) => done === 30 && (rados.objects.get("o")!.data = bytes(35));
  assertEquals(await settle(pool.get("o", { onProgress: shorten })), bytes(100).slice(0, 35));
});

test("an append happens once, though its connection breaks before or after it is carried out, 50 times each", async () => {
  await using rados = await FakeRados.start();
  const { pool, settle } = await opened(rados), [osd] = rados.osds;
  let expected = "";
  for (let i = 0; i < 100; i++) {
    osd!.hangsUp = i % 2 === 0 ? "before" : "after";
    const append = pool.append("log", `${i},`);
    await rados.cluster.environment.run({ until: () => osd!.received.length > 2 * i });
    osd!.hangsUp = undefined;
    await settle(append);
    expected += `${i},`;
  }
  assertEquals(rados.text("log"), expected);
  assertEquals([...rados.carriedOut.values()].filter(({ times }) => times > 1).length, 50);
});

test("a request that is sent again says so, and keeps its number, its time and its place in the order", async () => {
  await using rados = await FakeRados.start();
  const { pool, settle } = await opened(rados), [osd] = rados.osds;
  osd!.mute = true;
  const appends = Array.from({ length: 20 }, (_, i) => pool.append("log", `${i},`));
  await rados.cluster.environment.run({ ms: 100 });
  osd!.mute = false;
  osd!.cut();
  appends.push(pool.append("log", "20,"));
  await settle(Promise.all(appends));
  assertEquals(rados.text("log"), Array.from({ length: 21 }, (_, i) => `${i},`).join(""));
  const [first, ...again] = osd!.received.filter(({ id }) => id!.tid === 1);
  assertEquals(again.map(({ attempt, flags, mtime, id }) => [attempt, flags & OsdFlag.RETRY, mtime, id]), [
    [1, OsdFlag.RETRY, first!.mtime, first!.id],
  ]);
  assertEquals(first!.flags & OsdFlag.RETRY, 0);
});

test("requests follow their placement group to another OSD, and the one that lost it may say nothing", async () => {
  await using rados = await FakeRados.start(2);
  const { pool, settle } = await opened(rados), seed = seedOf("o");
  await settle(pool.append("o", "a"));
  rados.primaries.set(seed, 1);
  const append = pool.append("o", "b");
  await rados.cluster.environment.run({ ms: 1000 });
  assertEquals(rados.text("o"), "a", "the old OSD should have dropped it");
  rados.publish();
  await settle(append, 1);
  assertEquals([rados.text("o"), rados.osds[1]!.received.length], ["ab", 1]);
  assertEquals(rados.osds[1]!.received[0]!.attempt, 1);
});

test("a placement group that went away and came back while nobody told the client is asked again", async () => {
  await using rados = await FakeRados.start(2);
  const { pool, settle } = await opened(rados), seed = seedOf("o"), [osd] = rados.osds;
  await settle(pool.append("o", "a"));
  rados.monitor.mute = true;
  rados.primaries.set(seed, 1);
  rados.change();
  const append = pool.append("o", "b");
  await rados.cluster.environment.run({ ms: 10 });
  assertEquals([osd!.received.length, rados.text("o")], [2, "a"], "the OSD should have dropped it");
  rados.primaries.set(seed, 0);
  rados.change();
  rados.monitor.mute = false;
  rados.monitor.cut();
  await settle(append, 1);
  assertEquals(rados.text("o"), "ab");
});

test("an OSD tells a client that goes by an old map of the new one, before the monitor does", async () => {
  await using rados = await FakeRados.start(2);
  const { pool, settle } = await opened(rados);
  await settle(pool.put("o", "a"));
  rados.primaries.set(seedOf("o"), 1);
  rados.change();
  await settle(pool.put("o", "b"), 1);
  assertEquals([rados.text("o"), rados.osds[1]!.received.length], ["b", 1]);
});

test("a map that changes nothing for a request does not send it again", async () => {
  await using rados = await FakeRados.start(2);
  const { pool, settle } = await opened(rados), [osd] = rados.osds;
  osd!.mute = true;
  const put = pool.put("o", "a");
  await rados.cluster.environment.run({ ms: 10 });
  rados.publish();
  await rados.cluster.environment.run({ ms: 10 });
  assertEquals(osd!.received.length, 1);
  osd!.mute = false;
  // What an OSD may have dropped because of it is sent again.
  rados.flags = "noout";
  rados.publish();
  await settle(put, 10);
  assertEquals(osd!.received.length, 2);
});

test("a cluster that pauses its clients' writes is not written to until it ends the pause, and may be read", async () => {
  await using rados = await FakeRados.start();
  const { pool, settle } = await opened(rados);
  await settle(pool.put("o", "a"));
  rados.flags = "noout,pausewr";
  rados.publish();
  await rados.cluster.environment.run({ ms: 1 });
  const put = pool.put("o", "b");
  await rados.cluster.environment.run({ ms: 20_000 });
  assertEquals(textOf(await settle(pool.get("o"), 1)), "a");
  rados.flags = "pauserd";
  rados.publish();
  await settle(put, 1);
  const get = pool.get("o");
  await rados.cluster.environment.run({ ms: 20_000 });
  rados.flags = "";
  rados.publish();
  assertEquals(textOf(await settle(get, 1)), "b");
});

test("a pool that was made a moment ago is found, though no map has come that has it", async () => {
  await using rados = await FakeRados.start();
  const { client, settle } = await opened(rados);
  rados.hasPool = false;
  rados.change();
  assertEquals(await settle(client.pools()), []);
  rados.hasPool = true;
  rados.change();
  assertEquals((await settle(client.pool("p"))).id, 1);
});

test("placement groups that split take their requests with them", async () => {
  await using rados = await FakeRados.start();
  const { pool, settle } = await opened(rados);
  const moved = Array.from({ length: 50 }, (_, i) => `o${i}`).find((name) => seedOf(name, 16) >= 8)!;
  await settle(pool.put(moved, "a"));
  rados.pgNum = 16;
  const put = pool.put(moved, "b");
  rados.publish();
  await settle(put, 100);
  assertEquals([rados.text(moved), rados.osds[0]!.received.at(-1)!.group.seed], ["b", seedOf(moved, 16)]);
});

test("an OSD that restarts is found at once when the map says where it is; what it had not answered is carried out once", async () => {
  await using rados = await FakeRados.start();
  const { pool, settle } = await opened(rados), [osd] = rados.osds;
  osd!.mute = true;
  const append = pool.append("o", "a");
  await rados.cluster.environment.run({ ms: 10 });
  await settle(osd!.stop());
  rados.publish();
  await rados.cluster.environment.run({ ms: 20_000 });
  osd!.mute = false;
  await settle(osd!.start());
  const before = rados.cluster.environment.elapsed;
  rados.publish();
  await settle(append);
  assertEquals(rados.text("o"), "a");
  assertEquals(rados.cluster.environment.elapsed, before);
});

test("a request that takes too long says what it waited for, and what broke", async () => {
  await using rados = await FakeRados.start();
  const { pool, settle } = await opened(rados, { operationTimeout: 7_000 }), [osd] = rados.osds;
  await settle(pool.put("o", "a"));
  osd!.mute = true;
  await assertCode(
    settle(pool.get("o")),
    "timed_out",
    "within 7000 ms: it waits for an answer of osd.0 at 10.0.1.1:6800/101",
  );
  await settle(osd!.stop());
  const refused = await assertCode(settle(pool.get("o")), "timed_out", "an answer of osd.0");
  assertEquals((refused.cause as MessengerError).code, "refused");
  rados.publish();
  await assertCode(settle(pool.get("o")), "timed_out", `an OSD that has placement group 1.${seedOf("o").toString(16)}`);
  rados.monitor.mute = true;
  rados.publish();
  await assertCode(settle(pool.get("o")), "timed_out", "the map of the OSDs");
});

test("requests wait for a monitor that is away, and go on when it is back", async () => {
  await using rados = await FakeRados.start();
  const { pool, settle } = await opened(rados);
  await settle(rados.monitor.stop());
  const put = pool.put("o", "a");
  await rados.cluster.environment.run({ ms: 20_000 });
  await settle(rados.monitor.start());
  await settle(put, 5_001);
  assertEquals(rados.text("o"), "a");
});

test("an OSD that takes its time is waited for, and one from which nothing comes any more is dialled anew within 40 s", async () => {
  await using rados = await FakeRados.start();
  const network = freezable(rados.cluster.network), { environment } = rados.cluster;
  const { pool, settle } = await opened(rados, { network, operationTimeout: 0 }), osd = rados.osds[0]!;
  await settle(pool.put("o", ""));
  // What was long ago is no silence.
  await environment.run({ ms: 3_600_000 });
  osd.withheld = [];
  const put = pool.put("o", "a");
  await environment.run({ ms: 100_000 });
  // It answers keepalives.
  assertEquals(osd.received.length, 2);
  osd.withheld.pop()!();
  osd.withheld = undefined;
  await settle(put, 1);
  network.freeze();
  const frozenAt = environment.elapsed;
  await settle(pool.put("o", "b"));
  assertGreater(environment.elapsed - frozenAt, 30_000);
  assertLess(environment.elapsed - frozenAt, 40_001);
});

for (
  const [when, hangsUp] of [
    ["on everything", "before"],
    ["once it has said what it does not serve, which is no answer", "blocked"],
  ] as const
) {
  test(`an OSD that hangs up ${when}, is dialled once a second at most, and served again as soon`, async () => {
    await using rados = await FakeRados.start();
    const { pool, settle } = await opened(rados), [osd] = rados.osds;
    if (hangsUp === "blocked") osd!.blocked.add(seedOf("o"));
    osd!.hangsUp = hangsUp;
    const put = pool.put("o", "a");
    await rados.cluster.environment.run({ ms: 30_000 });
    assertGreater(osd!.received.length, 25);
    assertLess(osd!.received.length, 40);
    osd!.hangsUp = undefined;
    osd!.unblock(seedOf("o"));
    await settle(put, 1_001);
    osd!.talksNonsense = true;
    const get = pool.get("o");
    await rados.cluster.environment.run({ ms: 10_000 });
    assertLess(osd!.received.length, 60);
    osd!.talksNonsense = false;
    assertEquals(textOf(await settle(get, 1_001)), "a");
  });
}

test("what an OSD does not serve for now waits until it does, and other objects do not", async () => {
  await using rados = await FakeRados.start();
  const { pool, settle } = await opened(rados, { operationTimeout: 600_000 }), [osd] = rados.osds, seed = seedOf("o");
  const other = Array.from({ length: 50 }, (_, i) => `o${i}`).find((name) => seedOf(name) !== seed)!;
  osd!.blocked.add(seed);
  const puts = [pool.put("o", "a")];
  await rados.cluster.environment.run({ ms: 1_000 });
  puts.push(pool.put("o", "b"));
  await settle(pool.put(other, "c"));
  await rados.cluster.environment.run({ ms: 60_000 });
  assertEquals([osd!.acknowledged, osd!.received.filter(({ object }) => object === "o").length], [1, 1]);
  osd!.unblock(seed);
  await settle(Promise.all(puts), 1);
  assertEquals([rados.text("o"), rados.text(other)], ["b", "c"]);
});

test("a block of one object does not hold back another of its placement group; a new connection knows of no block", async () => {
  await using rados = await FakeRados.start();
  const { pool, settle } = await opened(rados), [osd] = rados.osds;
  const [o, neighbour] = Array.from({ length: 100 }, (_, i) => `o${i}`).filter((name) => seedOf(name) === 3);
  const position = { ...FIRST_POSITION, name: o!, hash: hashObject(o!), pool: 1n, snapshot: 0xfffffffffffffffen };
  osd!.blockedRange = [position, position];
  osd!.blocked.add(3);
  const put = pool.put(o!, "a");
  await rados.cluster.environment.run({ ms: 10 });
  osd!.blocked.clear();
  await settle(pool.put(neighbour!, "b"));
  assertEquals(rados.text(o!), undefined);
  osd!.cut();
  await settle(put, 1_000);
  assertEquals(rados.text(o!), "a");
});

test("a pool that is removed fails what waits for it with code not_found", async () => {
  await using rados = await FakeRados.start();
  const { client, pool, settle } = await opened(rados);
  rados.osds[0]!.mute = true;
  const put = pool.put("o", "a");
  await rados.cluster.environment.run({ ms: 10 });
  rados.hasPool = false;
  rados.publish();
  await assertCode(settle(put, 1), "not_found", "Pool 1 does not exist any more");
  await assertCode(settle(client.pool("p")), "not_found");
  await assertCode(settle(Array.fromAsync(pool.list())), "not_found");
});

test("a name that may not see the map is told so with code command", async () => {
  await using rados = await FakeRados.start();
  const client = await rados.connect();
  rados.refuses = () => ({ status: -13, text: "access denied" });
  await assertCode(rados.cluster.settle(client.pool("p")), "command", "EACCES (-13), access denied");
  rados.refuses = (prefix) => prefix === "osd map" ? { status: -13, text: "access denied" } : undefined;
  const pool = await rados.cluster.settle(client.pool("p"));
  await assertCode(rados.cluster.settle(pool.put("o", "a")), "command", '"osd map" failed: EACCES');
});

test("a call is given up by its signal, and all by close(); the client goes on in the one case", async () => {
  await using rados = await FakeRados.start();
  const { client, pool, settle } = await opened(rados), [osd] = rados.osds;
  osd!.mute = true;
  const controller = new AbortController(), { signal } = controller;
  const calls = [pool.put("o", "a", { signal }), pool.get("o", { signal }), pool.stat("o", { signal })]
    .map((call: Promise<unknown>) => assertRejects(() => call, RangeError, "enough"));
  await rados.cluster.environment.run({ ms: 1 });
  controller.abort(new RangeError("enough"));
  await settle(Promise.all(calls));
  await assertRejects(() => settle(pool.put("o", "a", { signal })), RangeError, "enough");
  osd!.mute = false;
  await settle(pool.put("o", "b"));
  osd!.mute = true;
  const last = [pool.put("o", "c"), pool.get("o"), pool.append("o", "d")].map((call) => assertCode(call, "closed"));
  await rados.cluster.environment.run({ ms: 1 });
  await settle(client.close());
  await settle(Promise.all(last));
  await assertCode(settle(pool.put("o", "e")), "closed");
  await assertCode(settle(client.pools()), "closed");
});

test("list() gives every object of every placement group once, a page at a time", async () => {
  await using rados = await FakeRados.start(2);
  const { pool, settle } = await opened(rados);
  const names = Array.from({ length: 10_000 }, (_, i) => `object-${i}`);
  for (const name of names) rados.objects.set(name, { data: bytes(0), mtime: 0, keys: new Map() });
  for (let seed = 0; seed < 8; seed += 2) rados.primaries.set(seed, 1);
  assertEquals((await settle(Array.fromAsync(pool.list()))).sort(), names.toSorted());
  assertEquals(rados.osds.map(({ received }) => received.length), [8, 8]);
  assert(rados.osds.every(({ received }) => received.every(({ flags }) => (flags & OsdFlag.PGOP) !== 0)));
});

test("keys and values are set, read by their prefix, a page at a time, and removed", async () => {
  await using rados = await FakeRados.start();
  const { pool, settle } = await opened(rados),
    text = (map: Map<string, Uint8Array>) => [...map].map(([k, v]) => [k, textOf(v)]);
  await settle(pool.omapSet("o", [["b", "2"], ["a1", Uint8Array.of(49)], ["a2", ""]]));
  assertEquals(text(await settle(pool.omapGet("o"))), [["a1", "1"], ["a2", ""], ["b", "2"]]);
  assertEquals(text(await settle(pool.omapGet("o", { prefix: "a" }))), [["a1", "1"], ["a2", ""]]);
  await settle(pool.omapRemove("o", ["a1", "zzz"]));
  assertEquals([...(await settle(pool.omapGet("o"))).keys()], ["a2", "b"]);
  await settle(pool.omapSet("many", Array.from({ length: 2_500 }, (_, i) => [`key-${i}`, "v"] as const)));
  assertEquals((await settle(pool.omapGet("many"))).size, 2_500);
});
