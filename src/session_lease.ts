/**
 * What a received message holds of the throttles.
 *
 * @module
 */

import type { Lease } from "./message.ts";
import type { Policy } from "./policy.ts";
import type { Session } from "./session.ts";
import type { Throttle } from "./throttle.ts";

/** Gives the shares of one connection's messages back to the throttles that they were taken from, though the session may have another policy by then. */
export class SessionLease implements Lease {
  readonly #session: Session;
  readonly #policy: Policy;
  readonly #dispatchThrottle: Throttle;

  /**
   * @param session Keeps the account.
   * @param policy Says which throttles are those of all peers of its kind.
   * @param dispatchThrottle That of all connections.
   */
  constructor(session: Session, policy: Policy, dispatchThrottle: Throttle) {
    this.#session = session;
    this.#policy = policy;
    this.#dispatchThrottle = dispatchThrottle;
  }

  release(bytes: number): void {
    const { throttlerBytes, throttlerMessages } = this.#policy;
    this.#session.letGo(bytes);
    throttlerMessages?.put(1);
    throttlerBytes?.put(bytes);
    this.#dispatchThrottle.put(bytes);
  }
}
