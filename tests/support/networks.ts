/**
 * The networks that every test of sessions runs on.
 *
 * @module
 */

import { defaultNetwork } from "../../src/net/default.ts";
import { MemoryNetwork } from "../../src/net/memory.ts";
import type { Network } from "../../src/net/network.ts";

/** A kind of network: the one in memory, and the runtime's own sockets over loopback TCP. */
export interface NetworkKind {
  readonly name: string;
  readonly open: () => Promise<Network>;
}

export const networks: readonly NetworkKind[] = [
  { name: "memory", open: () => Promise.resolve(new MemoryNetwork()) },
  { name: "tcp", open: defaultNetwork },
];
