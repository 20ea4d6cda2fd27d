import test from "node:test";
import { denoNetwork } from "../../src/net/deno.ts";
import { testNetwork } from "./conformance.ts";

if ("Deno" in globalThis) {
  await testNetwork("deno", denoNetwork, { noReset: "Deno has no way to send a reset" });
} else {
  test("deno", { skip: "Deno's own sockets exist only on Deno" }, () => {});
}
