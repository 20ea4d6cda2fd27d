/**
 * The monitor client with monitors that come and go, in virtual time.
 */

import { assert, assertEquals, assertGreater, assertLess, assertRejects, assertThrows } from "@std/assert";
import { test } from "node:test";
import { EntityType, MessengerError, type MessengerStatus, type Network } from "../../mod.ts";
import { type CommandError, MAuth, MMonSubscribe, MonClient, parseMonHost } from "../../src/ceph/mod.ts";
import { FakeCluster } from "./fake_cluster.ts";

const WRONG_KEY = "AQAAEF5fFc1bBxAAAAECAwQFBgcICQoLDA0ODw==";

async function assertCode(promise: Promise<unknown>, code: string, text = ""): Promise<MessengerError> {
  const error = await assertRejects(() => promise, MessengerError, text);
  assertEquals(error.code, code);
  return error;
}

function outputOf({ data }: { data: Uint8Array }): string {
  return new TextDecoder().decode(data);
}

for (const auth of ["none", "cephx"] as const) {
  test(`MonClient.connect() is let in with ${auth}, knows the cluster, and leaves nothing behind`, async () => {
    await using cluster = new FakeCluster();
    const key = auth === "cephx" ? cluster.addKey("client.admin") : undefined;
    const monitor = await cluster.start();
    const client = await cluster.connect(key === undefined ? {} : { key });
    assertEquals([client.fsid, client.globalId, String(client.messenger.name)], [cluster.fsid, 4100, "client.4100"]);
    assertEquals(client.monMap.monitors.map(({ rank, address }) => [rank, String(address)]), [[0, "10.0.0.1:6789/0"]]);
    assertEquals(String(client.monitor), "10.0.0.1:6789/0");
    const reply = await cluster.settle(client.command({ prefix: "status" }));
    assertEquals([reply.status, outputOf(reply)], [0, '{"prefix":"status"}']);
    assertEquals(String(monitor.received.at(-1)!.source), "client.4100");
    const closed = client.closed;
    await cluster.settle(client.close());
    assertEquals(await closed, undefined);
    await cluster.settle(monitor.stop());
    assertEquals([cluster.network.openSockets, cluster.environment.timers], [0, 0]);
  });
}

test("a wrong key, an unknown name, and methods that do not fit are refused at once with code auth", async () => {
  await using cluster = new FakeCluster();
  const key = cluster.addKey("client.admin");
  await cluster.start();
  await assertCode(cluster.connect({ key: WRONG_KEY }), "auth", "client.admin: EACCES");
  await assertCode(cluster.connect({ key, name: "client.nobody" }), "auth", "client.nobody: EACCES");
  await assertCode(cluster.connect(), "auth", "it accepts no client without a key");
  cluster.keys = undefined;
  await assertCode(cluster.connect({ key }), "auth", "it accepts no cephx");
  assertEquals(cluster.environment.elapsed, 0);
});

test("options that cannot be are refused before anything is dialled", async () => {
  const keyring = `[client.other]\nkey = ${WRONG_KEY}`;
  await Promise.all([
    assertCode(MonClient.connect({}), "invalid", "Bad monitors"),
    assertCode(MonClient.connect({ monitors: "10.0.0.1", key: "secret" }), "invalid", "Bad key"),
    assertCode(MonClient.connect({ monitors: "10.0.0.1", keyring }), "invalid", "it has no key of client.admin"),
    assertCode(MonClient.connect({ monitors: "10.0.0.1", name: "admin" }), "invalid", "Bad name"),
  ]);
});

test("MonClient.connect() takes a ceph.conf and a keyring", async () => {
  await using cluster = new FakeCluster();
  const keyring = `[client.bob]\nkey = ${cluster.addKey("client.bob")}`;
  await cluster.start();
  const { network, environment } = cluster, name = "client.bob";
  const cephx = `[global]\nmon_host = [v2:10.0.0.1:3300,v1:10.0.0.1:6789]\nauth_client_required = cephx`;
  await using first = await cluster.settle(MonClient.connect({ conf: cephx, keyring, name, network, environment }));
  assertEquals(first.name, "client.bob");
  cluster.keys = undefined;
  const none = cephx.replace("= cephx", "= none");
  await using second = await cluster.settle(MonClient.connect({ conf: none, keyring, name, network, environment }));
  assertEquals(second.globalId, first.globalId + 1);
});

test("MonClient.connect() gives up after its timeout and says what went wrong last", async () => {
  await using cluster = new FakeCluster();
  const error = await assertCode(cluster.connect({ monitors: "10.0.0.9", timeout: 12_000 }), "timed_out", "12000 ms");
  assertEquals((error.cause as MessengerError).code, "refused");
  assertEquals([cluster.environment.elapsed, cluster.environment.timers], [12_000, 0]);
});

test("MonClient.connect() gives up when it is told to", async () => {
  await using cluster = new FakeCluster();
  const controller = new AbortController(), { signal } = controller;
  cluster.environment.setTimer(() => controller.abort(new Error("enough")), 700);
  await assertRejects(() => cluster.connect({ monitors: "10.0.0.9", signal }), Error, "enough");
  assertEquals([cluster.environment.elapsed, cluster.environment.timers], [700, 0]);
  await assertRejects(() => MonClient.connect({ monitors: "10.0.0.9", signal }), Error, "enough");
});

test("a monitor that says nothing holds up nobody for more than 5 s", async () => {
  await using cluster = new FakeCluster();
  const silent = await cluster.start();
  await cluster.start();
  silent.mute = true;
  for (let i = 0; i < 8; i++) {
    const client = await cluster.connect();
    await client.close();
  }
  assertGreater(silent.received.length, 0, "the silent one was never tried");
  assertLess(cluster.environment.elapsed, 8 * 5_001);
});

test("with a cut connection or a dead monitor the client goes on with another one, as the same client", async () => {
  await using cluster = new FakeCluster();
  const key = cluster.addKey("client.admin");
  for (let i = 0; i < 3; i++) await cluster.start();
  await using client = await cluster.connect({ key });
  const globalId = client.globalId;
  for (let i = 0; i < 6; i++) {
    const current = cluster.monitors.find(({ address }) => `${address}/0` === String(client.monitor))!;
    if (i < 4) current.cut();
    else await cluster.settle(current.stop());
    assertEquals(outputOf(await cluster.settle(client.command({ prefix: `after ${i}` }))), `{"prefix":"after ${i}"}`);
    assertEquals(client.globalId, globalId);
  }
  assertEquals(cluster.clients.size, 1, "the old number was not claimed with its ticket");
});

test("a command that was sent to a monitor that died is asked of the next one", async () => {
  await using cluster = new FakeCluster();
  for (let i = 0; i < 2; i++) await cluster.start();
  await using client = await cluster.connect();
  const [current, other] = cluster.monitors.toSorted(({ address }) =>
    `${address}/0` === String(client.monitor) ? -1 : 1
  ) as [FakeCluster["monitors"][0], FakeCluster["monitors"][0]];
  current.answer = () => undefined;
  const replies = ["a", "b"].map((prefix) => client.command({ prefix }));
  await cluster.environment.run({ until: () => current.commands.length === 2 });
  await cluster.settle(current.stop());
  assertEquals((await cluster.settle(Promise.all(replies))).map(outputOf), ['{"prefix":"a"}', '{"prefix":"b"}']);
  assertEquals(other.commands, ['{"prefix":"a"}', '{"prefix":"b"}']);
});

test("when the only monitor is away for 20 s, a command waits, and is answered within 5 s of its return", async () => {
  await using cluster = new FakeCluster();
  const monitor = await cluster.start();
  await using client = await cluster.connect();
  await cluster.settle(monitor.stop());
  const reply = client.command({ prefix: "status" });
  await cluster.environment.run({ ms: 20_000 });
  assertEquals(client.monitor, undefined);
  await monitor.start();
  const back = cluster.environment.elapsed;
  assertEquals((await cluster.settle(reply)).status, 0);
  assertLess(cluster.environment.elapsed - back, 5_001);
});

test("an idle session stays up, with a keepalive every 10 s", async () => {
  await using cluster = new FakeCluster();
  const monitor = await cluster.start(), log: MessengerStatus[] = [];
  await using client = await cluster.connect({ log: (event) => log.push(event) });
  await cluster.environment.run({ ms: 600_000 });
  assertEquals(log.map(({ type }) => type), ["connecting", "open"]);
  assertGreater(monitor.connections[0]!.lastKeepalive, cluster.environment.now() - 10_001);
  assertEquals(String(client.monitor), "10.0.0.1:6789/0");
});

/** A network whose connections can be made to deliver nothing any more, as when a cable is pulled. */
function freezable(network: Network): Network & { freeze(): void } {
  let gate = Promise.resolve();
  return {
    name: network.name,
    flush: network.flush,
    listen: (address, options) => network.listen(address, options),
    async connect(address, options) {
      const socket = await network.connect(address, options);
      const aborted = Promise.withResolvers<void>();
      const readable = socket.readable.pipeThrough(
        new TransformStream({
          async transform(chunk, controller) {
            await Promise.race([gate, aborted.promise]);
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
    freeze: () => gate = new Promise(() => {}),
  };
}

test("a monitor from which nothing arrives any more counts as gone within 40 s", async () => {
  await using cluster = new FakeCluster();
  await cluster.start();
  const network = freezable(cluster.network);
  await using client = await cluster.connect({ network });
  network.freeze();
  const start = cluster.environment.elapsed;
  assert(await cluster.environment.run({ until: () => client.monitor === undefined, ms: 100_000 }));
  assertGreater(cluster.environment.elapsed - start, 30_000 - 1);
  assertLess(cluster.environment.elapsed - start, 40_000 + 1);
});

test("a monitor that hangs up as soon as it has let us in is dialled less and less often", async () => {
  await using cluster = new FakeCluster();
  const monitor = await cluster.start();
  monitor.hangsUp = true;
  await using client = await cluster.connect();
  await cluster.environment.run({ ms: 60_000 });
  const dialled = () => monitor.received.filter((message) => MAuth.matches(message)).length;
  assertGreater(dialled(), 10);
  assertLess(dialled(), 25);
  monitor.hangsUp = false;
  assertEquals((await cluster.settle(client.command({ prefix: "status" }))).status, 0);
  monitor.cut();
  const before = cluster.environment.elapsed;
  assertEquals((await cluster.settle(client.command({ prefix: "status" }))).status, 0);
  assertEquals(cluster.environment.elapsed, before, "a session that was of use is replaced at once");
});

test("a command gives up at its timeout and at its signal, and the session goes on", async () => {
  await using cluster = new FakeCluster();
  const monitor = await cluster.start();
  await using client = await cluster.connect({ commandTimeout: 4000 });
  monitor.answer = (command) =>
    command.includes("status") ? { status: 0, text: "", data: new Uint8Array(0) } : undefined;
  await assertCode(cluster.settle(client.command({ prefix: "hang" })), "timed_out", 'answered "hang" within 4000 ms');
  const controller = new AbortController(), { signal } = controller;
  cluster.environment.setTimer(() => controller.abort(new Error("enough")), 100);
  await assertRejects(() => cluster.settle(client.command({ prefix: "hang" }, { signal })), Error, "enough");
  await assertRejects(() => client.command({ prefix: "never sent" }, { signal }), Error, "enough");
  assertEquals((await cluster.settle(client.command({ prefix: "status" }))).status, 0);
  assertEquals(monitor.commands.length, 3);
});

test("json() gives the answer of a command, and an error that has the status of one that fails", async () => {
  await using cluster = new FakeCluster();
  const monitor = await cluster.start();
  await using client = await cluster.connect();
  assertEquals(await cluster.settle(client.json({ prefix: "osd dump" })), { prefix: "osd dump", format: "json" });
  monitor.answer = () => ({ status: -22, text: "no such thing", data: new Uint8Array(0) });
  const error = await assertCode(
    cluster.settle(client.json({ prefix: "x" })),
    "command",
    "EINVAL (-22), no such thing",
  );
  assertEquals((error as CommandError).status, -22);
  monitor.answer = () => ({ status: 0, text: "", data: Uint8Array.of(0x7b) });
  await assertCode(cluster.settle(client.json({ prefix: "x" })), "bad_message", "no JSON");
});

test("close() rejects what was not answered, and what is asked afterwards", async () => {
  await using cluster = new FakeCluster();
  const monitor = await cluster.start();
  monitor.answer = () => undefined;
  const client = await cluster.connect();
  const pending = assertCode(client.command({ prefix: "hang" }), "closed");
  await cluster.settle(client.close());
  await pending;
  await assertCode(client.command({ prefix: "late" }), "closed");
});

test("tickets are renewed after three quarters of their time, on the same connection and for as long as it takes", async () => {
  await using cluster = new FakeCluster();
  cluster.ttl = 60_000;
  const key = cluster.addKey("client.admin"), monitor = await cluster.start();
  await using client = await cluster.connect({ key });
  const auths = () => monitor.received.filter((message) => MAuth.matches(message)).length, before = auths();
  for (let i = 1; i <= 5; i++) {
    await cluster.environment.run({ ms: 45_000 });
    assertEquals(auths(), before + i);
  }
  assertEquals(monitor.connections.length, 1);
  assertEquals(cluster.clients.size, 1);
  assert(client.authorizer(EntityType.OSD) !== undefined);
});

test("a name that was removed is refused at its next renewal: the client ends, and says why", async () => {
  await using cluster = new FakeCluster();
  cluster.ttl = 60_000;
  const key = cluster.addKey("client.admin");
  await cluster.start();
  await using client = await cluster.connect({ key });
  cluster.keys!.clear();
  assertEquals((await cluster.settle(client.command({ prefix: "status" }))).status, 0);
  const reason = await cluster.settle(client.closed);
  assertEquals([reason?.code, cluster.environment.elapsed], ["auth", 45_000]);
  await assertCode(client.command({ prefix: "status" }), "auth", "EACCES");
});

test("a ticket that has ended while no monitor was there does not keep the client out", async () => {
  await using cluster = new FakeCluster();
  cluster.ttl = 60_000;
  const key = cluster.addKey("client.admin"), monitor = await cluster.start();
  await using client = await cluster.connect({ key });
  const { globalId } = client;
  await cluster.settle(monitor.stop());
  await cluster.environment.run({ ms: 61_000 });
  await monitor.start();
  assertEquals((await cluster.settle(client.command({ prefix: "status" }))).status, 0);
  assertEquals(client.globalId, globalId + 1, "another client, as the old number could not be proven");
});

test("a ticket that the monitors no longer know does not keep the client out", async () => {
  await using cluster = new FakeCluster();
  const key = cluster.addKey("client.admin"), monitor = await cluster.start();
  await using client = await cluster.connect({ key });
  cluster.clients.clear();
  monitor.cut();
  assertEquals((await cluster.settle(client.command({ prefix: "status" }))).status, 0);
  assertEquals(String(client.messenger.name), `client.${client.globalId}`);
});

test("subscribe() asks once for each name, again of the next monitor, and from behind what has arrived", async () => {
  await using cluster = new FakeCluster();
  const monitor = await cluster.start();
  await using client = await cluster.connect();
  const epochs: number[] = [];
  const unsubscribe = client.subscribe("monmap", (message) => epochs.push(message.type));
  client.subscribe("osdmap", () => {}, { start: 17 });
  client.subscribe("osdmap", () => {});
  await cluster.environment.run({ ms: 1 });
  const asked = () => {
    const message = monitor.received.findLast((message) => MMonSubscribe.matches(message))!;
    return Object.fromEntries([...MMonSubscribe.read(message)].map(([name, { start }]) => [name, start]));
  };
  assertEquals(asked(), { osdmap: 17 });
  monitor.sendMap(monitor.connections[0]!);
  await cluster.environment.run({ ms: 1 });
  assertEquals(epochs, [4]);
  unsubscribe();
  monitor.cut();
  await cluster.environment.run({ ms: 1000 });
  assertEquals(asked(), { monmap: 2, osdmap: 17 });
  assertEquals(epochs, [4]);
  assertEquals(assertThrows(() => client.subscribe("weather", () => {}), MessengerError).code, "invalid");
});

test("a monitor that joins is found by its map when those that were named are gone", async () => {
  await using cluster = new FakeCluster();
  const first = await cluster.start();
  await using client = await cluster.connect();
  const second = await cluster.start();
  cluster.epoch++;
  first.sendMap(first.connections[0]!);
  await cluster.environment.run({ ms: 1 });
  assertEquals(client.monMap.monitors.length, 2);
  await cluster.settle(first.stop());
  assertEquals((await cluster.settle(client.command({ prefix: "status" }))).status, 0);
  assertEquals(String(client.monitor), String(parseMonHost(second.address)[0]));
});
