/**
 * Our client and Ceph's own monitor. `tools/interop/main.ts` starts the monitor and runs this file; `deno task test` does not.
 */

import { assert, assertEquals, assertGreater, assertLess, assertNotEquals, assertRejects } from "@std/assert";
import process from "node:process";
import { test } from "node:test";
import { EntityType, MessengerError } from "../../mod.ts";
import { CommandError, MonClient, type MonClientOptions, MOSDMap, parseKeyring } from "../../src/ceph/mod.ts";
import { defaultNetwork } from "../../src/net/default.ts";
import { eventually } from "../support/eventually.ts";
import type { MonitorInfo } from "../../tools/interop/monitor.ts";
import { Proxy } from "./proxy.ts";

const info = JSON.parse(process.env.MSGR_INTEROP!) as MonitorInfo;
const { auth, advertised, bound, port, fsid, conf, keyring } = info;
const onlyCephx = auth === "cephx" ? {} : { skip: "there are no keys without cephx" };

async function proxied(): Promise<Proxy> {
  const at = { transport: "tcp", hostname: advertised, port } as const;
  const proxy = new Proxy(await defaultNetwork(), at, { transport: "tcp", hostname: bound, port });
  await proxy.start();
  return proxy;
}

function connect(options: MonClientOptions = {}): Promise<MonClient> {
  return MonClient.connect({ conf, keyring, ...options });
}

test(`a client is let in, and the monitor and it mean the same cluster (${auth})`, async () => {
  await using _proxy = await proxied();
  await using client = await connect();
  assertEquals([client.fsid, String(client.monitor)], [fsid, `${advertised}:${port}/0`]);
  assertEquals(client.monMap.monitors.map(({ name, rank }) => [name, rank]), [["a", 0]]);
  const dump = await client.json<{ fsid: string; epoch: number; mons: { name: string }[] }>({ prefix: "mon dump" });
  assertEquals([dump.fsid, dump.epoch, dump.mons.map(({ name }) => name)], [fsid, client.monMap.epoch, ["a"]]);
  assertEquals((await client.statfs()).fsid, fsid);
  const { newest, oldest } = await client.mapVersions("monmap");
  assertEquals([newest, oldest], [dump.epoch, 1]);
  assertGreater(client.globalId, 0);
});

test(`status in words, with a key of one's own or from the keyring (${auth})`, async () => {
  await using _proxy = await proxied();
  const key = parseKeyring(keyring).get("client.admin")!;
  const options = auth === "cephx" ? { key } : {};
  await using client = await MonClient.connect({ monitors: [`${advertised}:${port}`], ...options });
  const { status, text, data } = await client.command({ prefix: "status" });
  assertEquals([status, text], [0, ""]);
  assert(new TextDecoder().decode(data).includes(fsid));
});

test(`a command reads 60 kB, and another writes them (${auth})`, async () => {
  await using _proxy = await proxied();
  await using client = await connect();
  const input = Uint8Array.from({ length: 60_000 }, (_, i) => i % 251);
  assertEquals((await client.command({ prefix: "config-key set", key: "msgr" }, { input })).status, 0);
  const { status, data } = await client.command({ prefix: "config-key get", key: "msgr" });
  assertEquals(status, 0);
  assertEquals(data, input);
});

test(`a command that does not exist fails with the monitor's own words (${auth})`, async () => {
  await using _proxy = await proxied();
  await using client = await connect();
  const error = await assertRejects(() => client.json({ prefix: "make coffee" }), CommandError, "EINVAL");
  assertEquals([error.code, error.status], ["command", -22]);
});

test(`a subscriber is told of a new map, whichever connection tells it (${auth})`, async () => {
  await using proxy = await proxied();
  await using client = await connect();
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
  await using proxy = await proxied();
  await using client = await connect();
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

test(`a command waits for a monitor that is away for 3 s, and is answered within 5 s of its return (${auth})`, async () => {
  await using proxy = await proxied();
  await using client = await connect();
  await proxy.stop();
  const reply = client.command({ prefix: "status" });
  await new Promise((resolve) => setTimeout(resolve, 3000));
  assertEquals(client.monitor, undefined);
  await proxy.start();
  const back = performance.now();
  assertEquals((await reply).status, 0);
  assertLess(performance.now() - back, 5000);
});

test(`a wrong key and an unknown name are refused with code auth (${auth})`, onlyCephx, async () => {
  await using _proxy = await proxied();
  const key = "AQAAEF5fFc1bBxAAAAECAwQFBgcICQoLDA0ODw==";
  for (const name of ["client.admin", "client.nobody"]) {
    const error = await assertRejects(() => MonClient.connect({ conf, key, name }), MessengerError, "EACCES (-13)");
    assertEquals(error.code, "auth");
  }
  const monitors = `${advertised}:${port}`;
  assertEquals((await assertRejects(() => MonClient.connect({ monitors }), MessengerError)).code, "auth");
});

test(`a name that was removed is let in no more, and its client says so (${auth})`, onlyCephx, async () => {
  await using proxy = await proxied();
  await using admin = await connect();
  const name = "client.guest";
  const add = { prefix: "auth get-or-create", entity: name, caps: ["mon", "allow r"] };
  const [{ key }] = await admin.json<[{ key: string }]>(add);
  await using guest = await MonClient.connect({ conf, key, name });
  assertEquals((await guest.command({ prefix: "mon stat" })).status, 0);
  assertEquals((await guest.command({ prefix: "auth rm", entity: name })).status, -13, "a guest may not do everything");
  assertEquals((await admin.command({ prefix: "auth rm", entity: name })).status, 0);
  proxy.cut();
  assertEquals((await guest.closed)?.code, "auth");
  const error = await assertRejects(() => guest.command({ prefix: "mon stat" }), MessengerError);
  assertEquals(error.code, "auth");
  assertEquals((await admin.command({ prefix: "mon stat" })).status, 0);
});

test(`tickets are renewed before they end, on the connection that there is (${auth})`, onlyCephx, async () => {
  await using proxy = await proxied();
  await using client = await connect();
  // Behind version, number and service: the ticket's version, and the number of the secret that it was made with, and then itself.
  const ticket = () => String(client.authorizer(EntityType.OSD)!.bytes.subarray(13, 13 + 100));
  const first = ticket(), start = performance.now();
  while (ticket() === first && performance.now() - start < info.ticketSeconds * 1000) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assertNotEquals(ticket(), first);
  assertGreater(performance.now() - start, info.ticketSeconds * 1000 / 2);
  assertEquals(proxy.connections, 1);
  assertEquals((await client.command({ prefix: "mon stat" })).status, 0);
});
