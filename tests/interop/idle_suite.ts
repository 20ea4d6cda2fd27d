/**
 * What time does to sessions. `tools/interop/main.ts` starts the cluster and runs this file; `deno task test` does not.
 */

import { assertEquals, assertGreaterOrEqual, assertLess, assertNotEquals } from "@std/assert";
import { test } from "node:test";
import { EntityType } from "../../mod.ts";
import { MonClient, type MonClientOptions, RadosClient } from "../../src/ceph/mod.ts";
import { cluster, dissect, idleSeconds } from "./cluster.ts";
import { inviteGuest } from "./guest.ts";
import { Line } from "./line.ts";
import { Pcap } from "./pcap.ts";

const { auth, monitor, conf, keyring, ticketSeconds } = cluster;

function connect(options: MonClientOptions = {}): Promise<MonClient> {
  return MonClient.connect({ conf, keyring, ...options });
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

test(`an idle session stays up for ${idleSeconds} s, with keepalives and new tickets in time (${auth})`, async () => {
  await using admin = await connect();
  await Promise.all([
    staysUp(),
    writesAfterwards(),
    ...(auth === "cephx" ? [beginsAnewWithoutLine(admin), endsWithoutName(admin)] : []),
  ]);
});

/** A client that does nothing is forgotten by nobody. */
async function staysUp(): Promise<void> {
  const capture = new Pcap();
  await using line = await Line.make(capture.tap);
  await using client = await connect({ network: line });
  const tickets = new Set<string>(), start = performance.now();
  while (performance.now() - start < idleSeconds * 1000) {
    if (auth === "cephx") tickets.add(ticketOf(client));
    await pause(100);
  }
  assertEquals((await line.to(monitor)).connections, 1);
  assertEquals((await client.command({ prefix: "mon stat" })).status, 0);
  const file = await capture.file();
  for (const tag of ["0x0e", "0x0f"]) {
    const seen = (await dissect(file, "-Y", `ceph.tag == ${tag}`, "-T", "fields", "-e", "ceph.tag")).match(/0x/g);
    assertGreaterOrEqual(seen?.length ?? 0, Math.floor(idleSeconds / 10), "too few keepalives, or answers to them");
  }
  if (auth === "cephx") assertGreaterOrEqual(tickets.size, 1 + Math.floor(idleSeconds / ticketSeconds));
}

/** An OSD has nothing against a client that has nothing to do, and takes its new ticket if it has hung up. */
async function writesAfterwards(): Promise<void> {
  await using client = await RadosClient.connect({ conf, keyring });
  const objects = await client.pool(cluster.pool!);
  await objects.put("idle", "before");
  await pause((idleSeconds + 1) * 1000);
  await objects.append("idle", " and after");
  assertEquals(new TextDecoder().decode(await objects.get("idle")), "before and after");
  await objects.remove("idle");
}

/** A ticket that ends while there is no line to renew it on is worth nothing; the key is. */
async function beginsAnewWithoutLine(admin: MonClient): Promise<void> {
  await using line = await Line.make();
  const proxy = await line.to(monitor);
  await using client = await connect({ network: line });
  const { globalId } = client;
  proxy.close();
  const reply = client.command({ prefix: "mon stat" });
  await pause(ticketSeconds * 1000);
  proxy.open();
  assertEquals((await reply).status, 0);
  assertNotEquals(client.globalId, globalId);
  assertNotEquals(client.globalId, admin.globalId);
}

/** A client whose name is removed learns it no later than when its ticket ends. */
async function endsWithoutName(admin: MonClient): Promise<void> {
  await using guest = await inviteGuest(admin, "client.idler");
  const start = performance.now();
  assertEquals((await admin.command({ prefix: "auth rm", entity: guest.name })).status, 0);
  assertEquals((await guest.closed)?.code, "auth");
  assertLess(performance.now() - start, ticketSeconds * 1000);
}

/** The ticket for OSDs. In front of it are a version, a number and a service; in it come a version, and the number of the secret that it was made with. */
function ticketOf(client: MonClient): string {
  return String(client.authorizer(EntityType.OSD)!.bytes.subarray(13, 13 + 100));
}
