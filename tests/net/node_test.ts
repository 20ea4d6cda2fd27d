import { nodeNetwork } from "../../src/net/node.ts";
import { testNetwork } from "./conformance.ts";

await testNetwork("node", nodeNetwork);
