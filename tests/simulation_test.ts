// Real messengers on a simulated network, in schedules of messages and mishaps that a seed makes. A failed seed is replayed, with all that
// happens in it, by the command in its message.

import { assert, assertEquals, assertGreater } from "@std/assert";
import { test } from "node:test";
import { makeSchedule, simulate, StateCoverage } from "../src/testing.ts";

const BATCHES = 3, SEEDS_PER_BATCH = 500;
const coverage = new StateCoverage();
let played = 0;

for (let batch = 0; batch < BATCHES; batch++) {
  const first = 1 + batch * SEEDS_PER_BATCH, last = first + SEEDS_PER_BATCH - 1;
  test(`all that is promised is kept in the schedules of seeds ${first} to ${last}`, async () => {
    const failed: string[] = [];
    for (let seed = first; seed <= last; seed++) {
      const { violations, sent } = await simulate(seed, { coverage });
      assertGreater(sent, 199, `seed ${seed}`);
      if (violations.length > 0) failed.push(`deno task sim --seed=${seed}: ${violations.slice(0, 3).join("; ")}`);
    }
    played += SEEDS_PER_BATCH;
    assertEquals(failed, []);
  });
}

test("all that is promised is kept where the data of messages are streams, at the sender or at both ends", async () => {
  const failed: string[] = [];
  // The last two are where messages and streams that had been cut off once waited for each other.
  for (const seed of [...Array.from({ length: 150 }, (_, i) => 1 + i), 527, 1145]) {
    const { violations, sent } = await simulate(seed, { streams: true });
    assertGreater(sent, 199, `seed ${seed}`);
    if (violations.length > 0) {
      failed.push(`deno task sim --streams --seed=${seed}: ${violations.slice(0, 3).join("; ")}`);
    }
  }
  assertEquals(failed, []);
});

test("these schedules go through every state, transition, reply and row of the race table, and through nothing else", () => {
  assertEquals(played, BATCHES * SEEDS_PER_BATCH, "a batch was not played to its end");
  assertEquals([coverage.missing, coverage.unexpected], [[], []]);
});

test("a seed gives the same trace every time, byte for byte", async () => {
  for (const seed of [3, 24, 337]) {
    const [first, second] = [await simulate(seed, { trace: true }), await simulate(seed, { trace: true })];
    assertGreater(first.trace.length, 10_000);
    assert(first.trace === second.trace, `seed ${seed} went two ways`);
    const { trace: _, ...silent } = await simulate(seed), { trace: __, ...traced } = first;
    assertEquals(silent, traced, "watching changed what happened");
  }
});

test("every schedule has its messages in both directions and its faults", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const { actions, messengers, edges, healAt } = makeSchedule(seed);
    const messages = actions.reduce((sum, action) => sum + (action.do === "send" ? action.count : 0), 0);
    assertGreater(messages, 199);
    assertGreater(actions.filter((action) => action.do === "cut" || action.do === "fault").length, 4);
    assert(messengers.length >= 2 && edges.length >= 1 && actions.every(({ at }) => at < healAt));
    const ways = new Set(actions.flatMap((action) => action.do === "send" ? [action.from < action.to] : []));
    assertEquals(ways.size, 2);
  }
});
