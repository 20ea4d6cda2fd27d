import { nodeNetwork } from "../../src/net/node.ts";
import { testNetwork } from "./conformance.ts";

await testNetwork(
  "node",
  nodeNetwork,
  "Deno" in globalThis
    ? { noWriteAcrossEnd: "node:net on Deno 2.9 closes a socket whose peer ends while a write is under way" }
    : {},
);
