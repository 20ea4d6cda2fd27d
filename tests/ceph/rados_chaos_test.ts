/**
 * The RADOS client while OSDs and the monitor do their worst, by seeds: every append is carried out once, and in its order.
 */

import { assertEquals } from "@std/assert";
import { test } from "node:test";
import { FakeCluster } from "./fake_cluster.ts";
import { FakeRados } from "./fake_osd.ts";

const OSDS = 3, OBJECTS = 5, APPENDS = 30, EVENTS = 120;

/** One thing that goes wrong, or right again. */
type Mishap = (rados: FakeRados, pick: (below: number) => number) => void | Promise<void>;

const mishaps: readonly Mishap[] = [
  (rados, pick) => rados.osds[pick(OSDS)]!.cut(),
  (rados) => rados.monitor.cut(),
  (rados, pick) => void (rados.osds[pick(OSDS)]!.hangsUp = (["before", "after", undefined] as const)[pick(3)]),
  (rados, pick) => {
    const osd = rados.osds[pick(OSDS)]!;
    // Answers that never leave are only noticed because their connection breaks.
    osd.mute = !osd.mute;
    osd.cut();
  },
  (rados, pick) => {
    rados.primaries.set(pick(rados.pgNum), pick(OSDS));
    rados.publish();
  },
  // The monitor keeps it to itself: OSDs have to tell.
  (rados, pick) => {
    rados.primaries.set(pick(rados.pgNum), pick(OSDS));
    rados.change();
  },
  (rados) => {
    if (rados.pgNum < 32) rados.pgNum *= 2;
    rados.publish();
  },
  (rados) => {
    rados.flags = rados.flags === "" ? "pausewr" : "";
    rados.publish();
  },
  (rados, pick) => {
    const osd = rados.osds[pick(OSDS)]!, seed = pick(rados.pgNum);
    if (osd.blocked.has(seed)) osd.unblock(seed);
    else osd.blocked.add(seed);
  },
  async (rados, pick) => {
    const osd = rados.osds[pick(OSDS)]!;
    if (osd.isUp) await osd.stop();
    else await osd.start();
    rados.publish();
  },
];

/** Makes everything right again. */
async function heal(rados: FakeRados): Promise<void> {
  rados.flags = "";
  rados.primaries.clear();
  for (const osd of rados.osds) {
    if (!osd.isUp) await osd.start();
    Object.assign(osd, { mute: false, hangsUp: undefined });
    for (const seed of [...osd.blocked]) osd.unblock(seed);
    osd.cut();
  }
  rados.publish();
}

async function play(seed: number): Promise<void> {
  await using rados = await FakeRados.start(OSDS, new FakeCluster(seed));
  const { cluster } = rados,
    { environment } = cluster,
    pick = (below: number) => Math.floor(environment.random() * below);
  const client = await rados.connect({ operationTimeout: 0 }), pool = await cluster.settle(client.pool("p"));
  const appends: Promise<void>[] = [], next = new Array<number>(OBJECTS).fill(0);
  for (let i = 0; i < EVENTS || appends.length < OBJECTS * APPENDS; i++) {
    for (let more = pick(5); more > 0; more--) {
      const object = pick(OBJECTS);
      if (next[object]! < APPENDS) appends.push(pool.append(`o${object}`, `${next[object]!++},`));
      else if (i >= EVENTS) {
        next.forEach((count, o) => {
          if (count < APPENDS) appends.push(pool.append(`o${o}`, `${next[o]!++},`));
        });
      }
    }
    await mishaps[pick(mishaps.length)]!(rados, pick);
    await environment.run({ ms: [0, 1, 10, 1_000][pick(4)]! });
  }
  await heal(rados);
  await cluster.settle(Promise.all(appends), 60_000);
  const expected = Array.from({ length: APPENDS }, (_, i) => `${i},`).join("");
  assertEquals(
    Array.from({ length: OBJECTS }, (_, object) => rados.text(`o${object}`)),
    new Array<string>(OBJECTS).fill(expected),
    `seed ${seed}`,
  );
  await cluster.settle(client.close());
}

for (let first = 1; first <= 20; first += 10) {
  test(`appends are carried out once and in order, whatever OSDs and the monitor do: seeds ${first} to ${first + 9}`, async () => {
    for (let seed = first; seed < first + 10; seed++) await play(seed);
  });
}
