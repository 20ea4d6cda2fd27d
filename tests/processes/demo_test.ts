/** The demo, in small. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { test } from "node:test";
import { runtimes } from "../../tools/runtimes.ts";
import { Script, thisRuntime } from "./script.ts";

function demo(...args: string[]): Script {
  return new Script(thisRuntime, "tools/demo/main.ts", args, { permissions: ["-A"] });
}

test("the demo ends well, with a row for each of the nine pairs, whose connections were cut", {
  timeout: 60_000,
}, async () => {
  await using script = demo("--messages=1000", "--seed=7");
  const { code, output } = await script.ended;
  assertEquals(code, 0, output);
  for (const client of runtimes) {
    for (const server of runtimes) {
      assertMatch(output, new RegExp(`^${client} → ${server} +2,000 .* [1-5] +[\\d,]+ +0 +0  yes$`, "m"));
    }
  }
});

test("the demo leaves connections alone if it is told to, and then nothing is sent again", async () => {
  await using script = demo("--messages=200", "--cuts=0", `--runtimes=${thisRuntime}`);
  const { code, output } = await script.ended;
  assertEquals(code, 0, output);
  assertMatch(output, new RegExp(`^${thisRuntime} → ${thisRuntime} +400 .* 0 +0 +0 +0  yes$`, "m"));
});

test("the demo finds a message that was damaged, says where, and fails", async () => {
  await using script = demo("--messages=200", "--seed=7", "--corrupt=1", `--runtimes=${thisRuntime}`);
  const { code, output } = await script.ended;
  assertEquals(code, 1, output);
  assertMatch(output, new RegExp(`^${thisRuntime} → ${thisRuntime} .* NO$`, "m"));
  assertStringIncludes(output, `the server on ${thisRuntime} received other bytes than the client`);
  assertStringIncludes(output, "To repeat it: --seed=7");
});
