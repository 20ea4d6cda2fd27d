// The simulation is worth what it finds: without any one of the rules below it must fail.

import { assert } from "@std/assert";
import process from "node:process";
import { test } from "node:test";
import { mutations, plant } from "../../tools/sim/mutations.ts";

/** Schedules within which a mistake has to show. */
const SEEDS = 1000;
const runtime = "deno" in process.versions ? "deno" : "bun" in process.versions ? "bun" : "node";

for (const mutation of mutations) {
  test(`the simulation fails without ${mutation.name}`, async () => {
    const { seed } = await plant(mutation, runtime, SEEDS);
    assert(seed !== undefined, `${SEEDS} schedules kept every promise without it`);
  });
}
