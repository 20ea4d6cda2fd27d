/**
 * What broke last on the way to each OSD.
 *
 * @module
 */

import type { MessengerError } from "../errors.ts";
import type { MessengerStatus } from "../status.ts";
import type { EntityAddress } from "../wire/address.ts";

/** Remembers what breaks, to say why a request took too long. */
export class OsdFaults {
  /** By host and port: the nonce behind them is another one for each process that was ever there. */
  readonly #byEndpoint = new Map<string, MessengerError>();

  /** Takes note of what happens to connections. */
  watch({ type, peer = "", error }: MessengerStatus): void {
    const [endpoint] = peer.split("/") as [string];
    if (type === "fault" && error !== undefined) this.#byEndpoint.set(endpoint, error);
    else if (type === "open") this.#byEndpoint.delete(endpoint);
  }

  /** What broke last on the way to an address, if nothing went well since. */
  last(address: EntityAddress | undefined): MessengerError | undefined {
    return address && this.#byEndpoint.get(address.endpoint);
  }
}
