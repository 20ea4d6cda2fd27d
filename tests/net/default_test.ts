import { assertStrictEquals } from "@std/assert";
import test from "node:test";
import { defaultNetwork } from "../../src/net/default.ts";

test("the default network is the runtime's own", async () => {
  const runtime = "Bun" in globalThis ? "bun" : "Deno" in globalThis ? "deno" : "node";
  assertStrictEquals((await defaultNetwork()).name, runtime);
});
