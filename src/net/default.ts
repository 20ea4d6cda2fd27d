/**
 * The choice of an adapter: the only module that asks which runtime this is.
 *
 * @module
 */

import type { Network } from "./network.ts";

/**
 * The network of the runtime that the program runs on: Bun's, Deno's, or else that of `node:net`.
 *
 * @example
 * ```ts ignore
 * const network = await defaultNetwork();
 * ```
 */
export function defaultNetwork(): Promise<Network> {
  // An import costs something even where the module is there already.
  return network ??= chooseNetwork();
}

let network: Promise<Network> | undefined;

async function chooseNetwork(): Promise<Network> {
  if ("Bun" in globalThis) return (await import("./bun.ts")).bunNetwork();
  if ("Deno" in globalThis) return (await import("./deno.ts")).denoNetwork();
  return (await import("./node.ts")).nodeNetwork();
}
