import type { Network } from "../../src/net/network.ts";
import { MemoryNetwork } from "../../src/net/memory.ts";
import { testNetwork } from "./conformance.ts";

await testNetwork("memory", () => new MemoryNetwork(), {
  noFiles: "the memory network has no file system and every address is its own",
  open: (network: Network): number => {
    const { openSockets, openListeners } = network as MemoryNetwork;
    return openSockets + openListeners;
  },
});
