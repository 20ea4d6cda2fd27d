/** The chaos run, in small: each of the three test runs has one pair of runtimes. */

import { assertEquals, assertGreater } from "@std/assert";
import { test } from "node:test";
import { runCuts } from "../../tools/chaos/cuts.ts";
import { runRestart } from "../../tools/chaos/restart.ts";
import { runtimes } from "../../tools/runtimes.ts";
import { thisRuntime } from "./script.ts";

/** The next runtime after the one that runs the tests. */
const other = runtimes[(runtimes.indexOf(thisRuntime) + 1) % runtimes.length]!;
const options = { seed: 20, longest: 4096, patience: 15 };

test(`messages between ${thisRuntime} and ${other} arrive once and in order over a line that is cut 40 times`, {
  timeout: 60_000,
}, async () => {
  const result = await runCuts(thisRuntime, other, { ...options, messages: 10_000, cuts: 40 }, () => {});
  assertEquals(result.problems, []);
  assertEquals([result.received, result.lost, result.outOfTurn, result.cuts], [20_000, 0, 0, 40]);
  assertGreater(result.replayed, 0);
});

test(`when a server on ${other} is killed and started again, a client on ${thisRuntime} is told what it cost`, {
  timeout: 60_000,
}, async () => {
  const result = await runRestart(thisRuntime, other, { ...options, messages: 5_000, cuts: 5 });
  assertEquals(result.problems, []);
  assertEquals(result.before + result.missing + result.after, 5_000);
  assertGreater(result.dropped, 0);
  assertGreater(result.after, 0);
});
