/**
 * Listening on a Unix-domain path whose last owner is gone: the file outlives the process, and the operating system refuses to listen there.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";
import type { Network, SocketAddress } from "./network.ts";

/**
 * Listens, and where a path is in use, finds out whether anybody answers there; if nobody does, removes the file and tries once
 * more. Two processes that do so in the same instant can both find the file stale; the later one wins the path.
 *
 * @param network Whose `connect` asks.
 * @param address The address to listen on.
 * @param listen Tries to listen; rejects with a `NetworkError`.
 * @param removeSocket Removes the file if it is a socket, and says whether it did.
 */
export async function listenOverStalePath<Listening>(
  network: Network,
  address: SocketAddress,
  listen: () => Listening | Promise<Listening>,
  removeSocket: (path: string) => Promise<boolean>,
): Promise<Listening> {
  try {
    return await listen();
  } catch (error) {
    if (address.transport !== "unix" || !hasCode(error, "address_in_use")) throw error;
    if (!(await isDeserted(network, address)) || !(await removeSocket(address.path))) throw error;
    return await listen();
  }
}

async function isDeserted(network: Network, address: SocketAddress): Promise<boolean> {
  try {
    (await network.connect(address)).abort();
    return false;
  } catch (error) {
    return hasCode(error, "refused");
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof NetworkError && error.code === code;
}
