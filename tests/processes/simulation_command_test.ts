// What `deno task sim` prints.

import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import { spawn } from "node:child_process";
import process from "node:process";
import { test } from "node:test";
import { runtimeCommand } from "../../tools/runtimes.ts";

const runtime = "deno" in process.versions ? "deno" : "bun" in process.versions ? "bun" : "node";

async function sim(...args: string[]): Promise<{ code: unknown; output: string }> {
  const script = runtimeCommand(runtime, "tools/sim/main.ts", args, { permissions: ["--allow-all"] });
  const child = spawn(script.command, script.args, { stdio: ["ignore", "pipe", "inherit"] });
  const decoder = new TextDecoder();
  let output = "";
  child.stdout.on("data", (chunk: Uint8Array) => output += decoder.decode(chunk, { stream: true }));
  return { code: await new Promise((resolve) => child.on("close", resolve)), output };
}

test("a run of schedules says how fast it was and what it went through, each thing with its count", async () => {
  const { code, output } = await sim("--seeds=100", "--from=200");
  assertEquals(code, 0);
  assertMatch(output, /^100 schedules from seed 200 in [\d.]+ s: \d+ a second; \d+ messages delivered/m);
  assertMatch(output, /^All promises kept\.$/m);
  for (const line of ["open > standby", "connecting > wait", "RETRY_SESSION", "RESETSESSION"]) {
    assertMatch(output, new RegExp(`^  ${line} +[1-9]\\d*$`, "m"));
  }
});

test("one schedule prints all that happens in it, the same in another process", async () => {
  const [first, second] = [await sim("--seed=337"), await sim("--seed=337")];
  assertEquals(first.code, 0);
  assert(first.output === second.output);
  assertGreater(first.output.length, 10_000);
  assertMatch(first.output, /Seed 337: all promises kept\.\n$/);
});
