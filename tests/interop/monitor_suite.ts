/**
 * Our client and Ceph's own monitor. `tools/interop/main.ts` starts it and runs this file; `deno task test` does not.
 */

import { assert, assertEquals, assertGreater, assertLess, assertRejects } from "@std/assert";
import { test } from "node:test";
import { MessengerError } from "../../mod.ts";
import { CommandError, MonClient, type MonClientOptions, MOSDMap, parseKeyring } from "../../src/ceph/mod.ts";
import { eventually } from "../support/eventually.ts";
import { ask, awaySeconds, ceph, cluster, daemon } from "./cluster.ts";
import { inviteGuest } from "./guest.ts";
import { Line } from "./line.ts";

const { auth, fsid, monitor, conf, keyring, ticketSeconds } = cluster;
const onlyCephx = auth === "cephx" ? {} : { skip: "there are no keys without cephx" };

function connect(options: MonClientOptions = {}): Promise<MonClient> {
  return MonClient.connect({ conf, keyring, ...options });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

test(`a client is let in, and the monitor and it mean the same cluster (${auth})`, async () => {
  await using client = await connect();
  assertEquals([client.fsid, String(client.monitor)], [fsid, `${monitor}/0`]);
  assertEquals(client.monMap.monitors.map(({ name, rank }) => [name, rank]), [["a", 0]]);
  const dump = await client.json<{ fsid: string; epoch: number; mons: { name: string }[] }>({ prefix: "mon dump" });
  assertEquals([dump.fsid, dump.epoch, dump.mons.map(({ name }) => name)], [fsid, client.monMap.epoch, ["a"]]);
  assertEquals((await client.statfs()).fsid, fsid);
  const { newest, oldest } = await client.mapVersions("monmap");
  assertEquals([newest, oldest], [dump.epoch, 1]);
  assertGreater(client.globalId, 0);
});

test(`status in words, with a key of one's own or from the keyring (${auth})`, async () => {
  const key = parseKeyring(keyring).get("client.admin")!;
  const options = auth === "cephx" ? { key } : {};
  await using client = await MonClient.connect({ monitors: [monitor], ...options });
  const { status, text, data } = await client.command({ prefix: "status" });
  assertEquals([status, text], [0, ""]);
  assert(new TextDecoder().decode(data).includes(fsid));
});

test(`a command reads 60 kB, and another writes them (${auth})`, async () => {
  await using client = await connect();
  const input = Uint8Array.from({ length: 60_000 }, (_, i) => i % 251);
  assertEquals((await client.command({ prefix: "config-key set", key: "msgr" }, { input })).status, 0);
  const { status, data } = await client.command({ prefix: "config-key get", key: "msgr" });
  assertEquals(status, 0);
  assertEquals(data, input);
});

test(`a command that does not exist fails with the monitor's own words (${auth})`, async () => {
  await using client = await connect();
  const error = await assertRejects(() => client.json({ prefix: "make coffee" }), CommandError, "EINVAL");
  assertEquals([error.code, error.status], ["command", -22]);
});

test(`a subscriber is told of a new map, whichever connection tells it (${auth})`, async () => {
  await using line = await Line.make();
  const proxy = await line.to(monitor);
  await using client = await connect({ network: line });
  const epochs: number[] = [];
  client.subscribe("osdmap", (message) => epochs.push(MOSDMap.read(message).newest));
  await eventually(() => epochs.length > 0);
  for (const [prefix, cut] of [["osd set", false], ["osd unset", true]] as const) {
    if (cut) proxy.cut();
    const before = epochs.at(-1)!;
    assertEquals((await client.command({ prefix, key: "noout" })).status, 0);
    await eventually(() => epochs.at(-1)! > before);
  }
  assertEquals(epochs.toSorted((a, b) => a - b), epochs);
});

test(`every command of a loop is answered, though its connection is cut 50 times (${auth})`, async () => {
  await using line = await Line.make();
  const proxy = await line.to(monitor);
  await using client = await connect({ network: line });
  const { globalId } = client;
  let answers = 0;
  for (let cuts = 0; cuts < 50; cuts++) {
    const asked = Array.from({ length: 4 }, () => client.command({ prefix: "mon stat" }));
    // At another moment each time: while the commands are on their way, are answered, or while the client dials again.
    for (let turns = 0; turns < cuts % 8; turns++) await new Promise((resolve) => setTimeout(resolve, 0));
    proxy.cut();
    for (const { status } of await Promise.all(asked)) {
      assertEquals(status, 0);
      answers++;
    }
  }
  assertEquals(answers, 200);
  assertGreater(proxy.connections, 25);
  if (auth === "cephx") {
    assertEquals(client.globalId, globalId, "another client, though the old one could prove itself");
  }
});

test(`every command of a loop is answered by a monitor that breaks one in 200 of its own reads and writes (${auth})`, async () => {
  await ask("mon.a", "config", "set", "ms_inject_socket_failures", "200");
  try {
    await using line = await Line.make();
    const proxy = await line.to(monitor);
    await using client = await connect({ network: line });
    // Until it has broken enough for the test to mean something.
    for (let rounds = 0; proxy.connections < 5; rounds++) {
      const asked = Array.from({ length: 8 }, () => client.command({ prefix: "mon stat" }));
      for (const { status } of await Promise.all(asked)) assertEquals(status, 0);
      assertLess(rounds, 1000, "the monitor breaks nothing");
    }
  } finally {
    await ask("mon.a", "config", "set", "ms_inject_socket_failures", "0");
  }
});

test(`a monitor that is killed and back after ${awaySeconds} s answers the same client within 5 s (${auth})`, async () => {
  await using client = await connect();
  const { globalId } = client;
  await daemon("mon.a", "kill");
  const reply = client.command({ prefix: "mon stat" });
  await pause(awaySeconds * 1000);
  assertEquals(client.monitor, undefined);
  await daemon("mon.a", "start");
  const back = performance.now();
  assertEquals((await reply).status, 0);
  assertLess(performance.now() - back, 5000);
  // Only a ticket proves that it is the same, and tickets end.
  if (auth === "cephx" && awaySeconds < ticketSeconds) assertEquals(client.globalId, globalId);
});

test(`a monitor that stands still for a second answers when it goes on, on the connection that there is (${auth})`, async () => {
  await using line = await Line.make();
  const proxy = await line.to(monitor);
  await using client = await connect({ network: line });
  await daemon("mon.a", "pause");
  const reply = client.command({ prefix: "mon stat" });
  try {
    await assertRejects(() => client.command({ prefix: "status" }, { timeout: 1000 }), MessengerError, "1000 ms");
  } finally {
    await daemon("mon.a", "resume");
  }
  assertEquals((await reply).status, 0);
  assertEquals(proxy.connections, 1);
});

test(`the monitor knows the client's session by its number and its name (${auth})`, async () => {
  interface Session {
    readonly entity_name: string;
    readonly global_id: number;
    readonly con_type: string;
    readonly authenticated: boolean;
  }
  await using client = await connect();
  const sessions = JSON.parse(await ask("mon.a", "sessions")) as Session[];
  const ours = sessions.filter(({ global_id }) => global_id === client.globalId);
  assertEquals(ours.map(({ entity_name, con_type, authenticated }) => [entity_name, con_type, authenticated]), [
    ["client.admin", "client", true],
  ]);
  const told = JSON.parse(await ceph("status", "--format=json")) as { fsid: string };
  assertEquals((await client.json<{ fsid: string }>({ prefix: "status" })).fsid, told.fsid);
});

test(`a wrong key and an unknown name are refused with code auth (${auth})`, onlyCephx, async () => {
  const key = "AQAAEF5fFc1bBxAAAAECAwQFBgcICQoLDA0ODw==";
  for (const name of ["client.admin", "client.nobody"]) {
    const error = await assertRejects(() => MonClient.connect({ conf, key, name }), MessengerError, "EACCES (-13)");
    assertEquals(error.code, "auth");
  }
  assertEquals((await assertRejects(() => MonClient.connect({ monitors: monitor }), MessengerError)).code, "auth");
});

test(
  `a name that was removed is refused at the next connection, and its client says so (${auth})`,
  onlyCephx,
  async () => {
    await using line = await Line.make();
    await using admin = await connect();
    await using guest = await inviteGuest(admin, "client.guest", { network: line });
    assertEquals((await guest.command({ prefix: "mon stat" })).status, 0);
    const refused = await guest.command({ prefix: "auth rm", entity: guest.name });
    assertEquals(refused.status, -13, "a guest may not do everything");
    assertEquals((await admin.command({ prefix: "auth rm", entity: guest.name })).status, 0);
    (await line.to(monitor)).cut();
    assertEquals((await guest.closed)?.code, "auth");
    const error = await assertRejects(() => guest.command({ prefix: "mon stat" }), MessengerError);
    assertEquals(error.code, "auth");
    assertEquals((await admin.command({ prefix: "mon stat" })).status, 0);
  },
);
