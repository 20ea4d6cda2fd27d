/**
 * What broke last on the way to each OSD.
 *
 * @module
 */

import type { MessengerError } from "../errors.ts";
import type { LogEvent } from "../options.ts";

/** Remembers what breaks, to say why a request took too long. */
export class OsdFaults {
  readonly #byPeer = new Map<string, MessengerError>();

  /** Takes note of what happens to connections. */
  watch({ event, peer, error }: LogEvent): void {
    if (peer === undefined) return;
    if (event === "fault" && error !== undefined) this.#byPeer.set(peer, error);
    else if (event === "connected") this.#byPeer.delete(peer);
  }

  /** What broke last on the way to an address, if nothing went well since. */
  last(address: { toString(): string } | undefined): MessengerError | undefined {
    return address && this.#byPeer.get(address.toString());
  }
}
