// Whether anything stays behind in a session that lives long.

import { assert, assertEquals, assertGreater } from "@std/assert";
import { spawn } from "node:child_process";
import process from "node:process";
import { test } from "node:test";
import { runtimeCommand } from "../../tools/runtimes.ts";
import type { SoakReport } from "../../tools/sim/soak.ts";

const MESSAGES = 1_000_000, CUTS = 1000;
/** What a collected heap may differ by: compiled code and its caches. A leak of two bytes a message is as much. */
const NOISE = 2 * 1024 * 1024;

test(`${MESSAGES} messages and ${CUTS} cuts leave the heap where it was, and nothing in any queue`, async () => {
  const runtime = "deno" in process.versions ? "deno" : "bun" in process.versions ? "bun" : "node";
  const script = runtimeCommand(runtime, "tools/sim/soak.ts", [String(MESSAGES), String(CUTS)], {
    permissions: ["--allow-all", "--v8-flags=--expose-gc"],
  });
  const args = runtime === "node" ? ["--expose-gc", ...script.args] : script.args;
  const child = spawn(script.command, args, { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (chunk: Uint8Array) => output += new TextDecoder().decode(chunk));
  const code = await new Promise((resolve) => child.on("close", resolve));
  assertEquals(code, 0);
  const { delivered, reconnects, heap: [before, after], queued, left } = JSON.parse(output) as SoakReport;
  assertEquals([delivered, queued, left], [MESSAGES, 0, 0]);
  assertGreater(reconnects, CUTS);
  assert(after - before < NOISE, `the heap grew from ${before} to ${after} bytes`);
});
