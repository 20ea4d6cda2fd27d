import test from "node:test";
import { bunNetwork } from "../../src/net/bun.ts";
import { testNetwork } from "./conformance.ts";

if ("Bun" in globalThis) {
  await testNetwork("bun", bunNetwork);
} else {
  test("bun", { skip: "Bun's own sockets exist only on Bun" }, () => {});
}
