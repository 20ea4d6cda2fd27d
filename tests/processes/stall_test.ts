// The real-TCP side of tests/backpressure_test.ts, in a process of its own so that its memory can be looked at.

import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { spawn } from "node:child_process";
import process from "node:process";
import { test } from "node:test";
import { runtimeCommand } from "../../tools/runtimes.ts";
import type { StallReport } from "../../tools/sim/stall.ts";

const MIB = 1024 * 1024, ROUNDS = 150;
/** What memory in use may differ by: compiled code, and buffers that are kept for the next batch. The sender offers ten times as much. */
const NOISE = 2 * MIB;

test("on real TCP a dispatcher that never settles costs no memory, and the other connections no speed", async () => {
  const runtime = "deno" in process.versions ? "deno" : "bun" in process.versions ? "bun" : "node";
  const script = runtimeCommand(runtime, "tools/sim/stall.ts", [String(ROUNDS)], {
    permissions: ["--allow-all", "--v8-flags=--expose-gc"],
  });
  const args = runtime === "node" ? ["--expose-gc", ...script.args] : script.args;
  const child = spawn(script.command, args, { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (chunk: Uint8Array) => output += new TextDecoder().decode(chunk));
  assertEquals(await new Promise((resolve) => child.on("close", resolve)), 0);
  const { offered, accepted, isPending, held, memory: [before, after], fastest, reconnects } = JSON.parse(
    output,
  ) as StallReport;
  assert(isPending, "the sender's ready is pending");
  assertGreater(offered, 10 * MIB);
  // The throttle, what the sender may queue, and one message on top of each.
  assertLess(accepted, 2 * MIB + 2 * 65536 + 1);
  assertLess(held, MIB + 1);
  assertLess(after - before, NOISE, `memory grew from ${before} to ${after} bytes`);
  // Rounds of both kinds take turns and are short, and the best of each is compared: a busy machine slows both.
  assertLess(fastest.stalled, 2 * fastest.calm);
  assertEquals(reconnects, 0);
});
