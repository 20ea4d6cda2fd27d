// What each policy promises, seen from outside: who dials, when, what is told, and what the two sides have to agree on. In virtual time.

import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import {
  exponentialBackoff,
  losslessClient,
  losslessPeer,
  losslessPeerReuse,
  lossyClient,
  Message,
  MESSENGER_FEATURES,
  MessengerError,
  type MessengerOptions,
  type Policy,
  statefulServer,
  statelessServer,
} from "../mod.ts";
import { numbered, range } from "./support/duo.ts";
import { VirtualPair, type VirtualSide } from "./support/virtual_pair.ts";

// --------------------------------------------------------------- back-off

/** When attempts are made to reach somebody who does not listen, in ms since the one before. Each is refused after 2 ms. */
async function waits(attempts: number, options: MessengerOptions, seed = 0): Promise<number[]> {
  const at: number[] = [];
  await VirtualPair.play({ seed, a: { bound: false, ...options, policy: losslessClient() } }, async (pair) => {
    const connection = pair.a.messenger.connectTo("10.0.0.9:6800");
    connection.send(numbered(1));
    for (let attempt = 1; attempt <= attempts; attempt++) {
      await pair.until(() => pair.a.messenger.stats().connect_attempts === attempt);
      at.push(pair.environment.elapsed);
    }
    connection.markDown();
  });
  return at.slice(1).map((time, i) => Math.round(time - at[i]! - 2));
}

test("without options attempts are made at once, then after 0.2 s, doubled up to 15 s", async () => {
  assertEquals(await waits(11, {}), [200, 400, 800, 1600, 3200, 6400, 12_800, 15_000, 15_000, 15_000]);
});

test("jitter takes a share of each pause, another one each time, and the same for the same seed", async () => {
  const backoff = exponentialBackoff({ initial: 100, max: 1000, jitter: 0.5 });
  const played: number[][] = [];
  for (const seed of [1, 1, 2]) played.push(await waits(7, { backoff }, seed));
  for (const pauses of played) {
    pauses.forEach((pause, i) => {
      const full = Math.min(1000, 100 * 2 ** i);
      assert(pause >= full / 2 - 1 && pause <= full + 1, `${pause} of ${full} ms`);
    });
  }
  assertEquals(played[0], played[1]);
  assertNotEquals(played[0], played[2]);
});

test("a program's own back-off is asked before every attempt, and what it says is done", async () => {
  const asked: number[] = [];
  const backoff = (attempt: number, random: number): number => {
    asked.push(attempt);
    assert(random >= 0 && random < 1);
    return [0, 7, 77, 777][attempt] ?? 5;
  };
  assertEquals(await waits(6, { backoff }), [7, 77, 777, 5, 5]);
  assertEquals(asked.slice(0, 6), range(0, 5));
});

// --------------------------------------------------- policies and their changes

test("a policy is that of the peer's kind, and one that is changed counts for sessions from then on", () =>
  VirtualPair.play({ a: { name: "client.1", policy: losslessClient() }, b: { name: "osd.1" } }, async (pair) => {
    const { a, b } = pair;
    b.messenger.setPolicy(statefulServer(), "client");
    b.messenger.setPolicy(statelessServer(), "mds");
    const first = a.messenger.connectTo(b.messenger.address, { type: "osd" });
    first.send(numbered(1));
    await pair.until(() => first.queued === 0);
    b.messenger.setPolicy(statelessServer(), "client");
    pair.network.cut(a.host, b.host);
    await pair.pass(100);
    assert(first.isConnected, "the session goes on as it began");
    first.send(numbered(2));
    await pair.until(() => first.queued === 0);
    assertEquals(a.told.count("reset") + b.told.count("reset"), 0);

    first.markDown();
    const second = a.messenger.connectTo(b.messenger.address, { type: "osd" });
    second.send(numbered(3));
    await pair.until(() => b.tids.length === 3);
    pair.network.cut(a.host, b.host);
    await pair.until(() => second.isClosed);
    assertEquals([a.told.count("reset"), second.send(numbered(4))], [1, false]);
  }));

test("the accepting side decides whether a session is lossy", async () => {
  for (
    const [client, server, isLossy] of [
      [losslessClient(), statelessServer(), true],
      [lossyClient(), statefulServer(), false],
    ] as const
  ) {
    await VirtualPair.play({ a: { policy: client, bound: false }, b: { policy: server } }, async (pair) => {
      const connection = pair.dial();
      connection.send(numbered(1));
      await pair.until(() => pair.b.tids.length === 1);
      pair.network.cut(pair.a.host, pair.b.host);
      await pair.pass(100);
      assertEquals([connection.isClosed, connection.isConnected], [isLossy, !isLossy]);
    });
  }
});

for (const policy of [statefulServer, statelessServer]) {
  test(`${policy.name}() never dials, not even for a client that listens and has something waiting`, () =>
    VirtualPair.play({ a: { policy: losslessPeer() }, b: { policy: policy() } }, async (pair) => {
      const { a, b } = pair;
      assertEquals(
        assertThrows(() => b.messenger.connectTo(a.messenger.address), MessengerError, "never dials").code,
        "invalid",
      );
      pair.dial().send(numbered(1));
      await pair.until(() => b.tids.length === 1);
      await pair.pass(100);
      const { back } = pair;
      pair.network.cut(a.host, b.host);
      back.send(numbered(2));
      await pair.pass(10_000);
      assertEquals([b.messenger.stats().connect_attempts, a.messenger.stats().connect_attempts], [0, 1]);
      back.markDown();
    }));
}

test("a client that demands a feature takes no server without it, says so, and tries again", () =>
  VirtualPair.play({
    a: { policy: losslessClient({ featuresRequired: 1n << 50n, featuresSupported: MESSENGER_FEATURES | 1n << 50n }) },
    b: { policy: statefulServer() },
  }, async (pair) => {
    const { a, b } = pair, connection = pair.dial();
    connection.send(numbered(1));
    await pair.pass(1000);
    const faults = a.log.filter(({ type }) => type === "fault");
    assert(faults.length > 1 && faults.every(({ error }) => error?.code === "incompatible"));
    assert(faults[0]!.error!.message.endsWith("we require features 0x4000000000000"), faults[0]!.error!.message);
    assertEquals(b.tids, []);
    b.messenger.setPolicy(statefulServer({ featuresSupported: MESSENGER_FEATURES | 1n << 50n }));
    await pair.until(() => connection.queued === 0);
    assertEquals(b.tids, [1]);
    assertEquals(connection.features, MESSENGER_FEATURES | 1n << 50n);
  }));

// --------------------------------------------------------------- what is told

/** Sends three messages that arrive and two that do not, and lets `end` happen between. */
async function five(
  [client, server]: readonly [Policy, Policy],
  end: (pair: VirtualPair) => void,
  told: (side: VirtualSide) => unknown,
): Promise<unknown> {
  let outcome: unknown;
  await VirtualPair.play({ a: { policy: client }, b: { policy: server } }, async (pair) => {
    const connection = pair.dial();
    for (let tid = 1; tid <= 3; tid++) connection.send(numbered(tid));
    await pair.until(() => pair.b.tids.length === 3);
    await pair.pass(100);
    end(pair);
    for (let tid = 4; tid <= 5; tid++) connection.send(numbered(tid));
    await pair.pass(1000);
    outcome = told(pair.a);
  });
  return outcome;
}

const resets = ({ told }: VirtualSide): unknown => [
  told.events.filter((event) => event.endsWith("reset")),
  told.resets.map(({ dropped }) => dropped),
];

test("handleReset of a lossy session counts what was not handed to the network", () =>
  VirtualPair.play({
    a: { policy: lossyClient(), readTimeout: 1000 },
    b: { policy: statelessServer() },
    network: { capacity: 4096 },
  }, async (pair) => {
    const { a } = pair, connection = pair.dial(), count = 60;
    connection.send(numbered(1));
    await pair.until(() => pair.b.tids.length === 1);
    for (const link of pair.network.connections) link.inflict({ kind: "black_hole", to: "acceptor", afterBytes: 0 });
    for (let tid = 2; tid <= count; tid++) connection.send(new Message(1, { tid, data: new Uint8Array(50_000) }));
    await pair.until(() => connection.isClosed);
    const [reset] = a.told.resets;
    assert(reset!.dropped > 0);
    assertEquals(reset!.error?.code, "timed_out");
    assertEquals(reset!.dropped, count - a.messenger.stats().msgr_send_messages);
    assertEquals(a.messenger.stats().dropped_messages, reset!.dropped);
  }));

test("handleRemoteReset counts what the new session will not bring, where resets are looked for", async () => {
  const forget = (pair: VirtualPair): void => pair.back.markDown();
  for (const policies of [[losslessClient(), statefulServer()], [losslessPeerReuse(), losslessPeerReuse()]] as const) {
    assertEquals(await five(policies, forget, resets), [["remote_reset"], [2]]);
  }
});

test("markDown() by address and markDownAll() tell, with the count; that of a Connection does not", async () => {
  const policies = [losslessClient(), statefulServer()] as const;
  const later = (ms: number, end: (pair: VirtualPair) => void) => (pair: VirtualPair): void => {
    pair.b.messenger.setPolicy(statelessServer({ featuresRequired: 1n << 50n }));
    pair.network.cut(pair.a.host, pair.b.host);
    pair.environment.setTimer(() => end(pair), ms);
  };
  assertEquals(
    await five(policies, later(500, ({ a, b }) => a.messenger.markDown(b.messenger.address)), resets),
    [["reset"], [2]],
  );
  assertEquals(await five(policies, later(500, ({ a }) => a.messenger.markDownAll()), resets), [["reset"], [2]]);
  assertEquals(
    await five(policies, later(500, ({ a }) => a.messenger.connections[0]!.markDown()), resets),
    [[], []],
  );
});

test("losslessPeer() does not look whether its peer begins anew: what is queued goes to the new session", async () => {
  const beginAnew = ({ a, b, back }: VirtualPair): void => {
    back.markDown();
    b.messenger.connectTo(a.messenger.address).send(numbered(9));
  };
  for (
    const [policy, told, arrived] of [[losslessPeer(), [[], []], 5], [
      losslessPeerReuse(),
      [["remote_reset"], [2]],
      3,
    ]] as const
  ) {
    let pair!: VirtualPair;
    const outcome = await five([policy, policy], (played) => beginAnew(pair = played), resets);
    assertEquals([outcome, pair.a.tids, pair.b.tids], [told, [9], range(1, arrived)]);
  }
});

// --------------------------------------------- a peer that sleeps at a server

const asleep = { a: { policy: losslessPeer() }, b: { policy: statefulServer() } };

test("what a statefulServer() has for a losslessPeer() that sleeps comes with the peer's next keepalive", () =>
  VirtualPair.play(asleep, async (pair) => {
    const connection = pair.dial();
    connection.send(numbered(1));
    await pair.until(() => connection.queued === 0);
    await pair.pass(100);
    pair.network.cut(pair.a.host, pair.b.host);
    await pair.pass(100);
    const { back } = pair;
    back.send(numbered(2));
    await pair.pass(60_000);
    assertEquals([connection.state, back.queued], ["standby", 1]);
    connection.sendKeepalive();
    await pair.until(() => back.queued === 0);
    assertEquals(pair.a.tids, [2]);
  }));

test("a statefulServer() whose client does not wake is told so, with what was dropped", () =>
  VirtualPair.play(asleep, async (pair) => {
    pair.dial().send(numbered(1));
    await pair.pass(100);
    const { back, b } = pair;
    pair.network.cut(pair.a.host, pair.b.host);
    await pair.pass(100);
    for (let tid = 2; tid <= 4; tid++) back.send(numbered(tid));
    await pair.until(() => back.isClosed);
    assertEquals([b.told.events.at(-1), b.told.resets[0]!.dropped, b.told.resets[0]!.error?.code], [
      "reset",
      3,
      "timed_out",
    ]);
  }));
