/**
 * What a messenger promises to the peers of one kind.
 *
 * @module
 */

import type { Throttle } from "./throttle.ts";
import { MESSENGER_FEATURES } from "./wire/constants.ts";

/**
 * How sessions with one kind of peer behave. Ceph's `Messenger::Policy`.
 *
 * | policy | delivery | dials | when idle and cut | sees a lost session |
 * | --- | --- | --- | --- | --- |
 * | {@linkcode lossyClient} | at most once | yes | ends | – |
 * | {@linkcode losslessClient} | exactly once | yes | reconnects | yes |
 * | {@linkcode losslessPeer} | exactly once | yes | waits for work | no |
 * | {@linkcode losslessPeerReuse} | exactly once | yes | waits for work | yes |
 * | {@linkcode statefulServer} | exactly once | no | waits for the peer | yes |
 * | {@linkcode statelessServer} | at most once | no | ends | – |
 */
export interface Policy {
  /** A broken connection ends the session, and nothing is sent twice. The accepting side decides for both. */
  readonly lossy: boolean;
  /** This side never dials; a message to a peer that is not connected is refused. */
  readonly server: boolean;
  /** A broken connection with nothing to send is left alone until there is something. */
  readonly standby: boolean;
  /** A peer that has lost the session is noticed, and the session begun anew with `handleRemoteReset`. */
  readonly resetcheck: boolean;
  /** Features to offer; the messenger's own by default. */
  readonly featuresSupported: bigint;
  /** Features that a peer must offer. */
  readonly featuresRequired: bigint;
  /** Limits the bytes of messages received from all such peers and not yet handled. One connection gets no more than it leaves for the others. */
  readonly throttlerBytes?: Throttle | undefined;
  /** Limits the number of messages received from all such peers and not yet handled. */
  readonly throttlerMessages?: Throttle | undefined;
}

/** The parts of a policy that its name does not fix. */
export type PolicyOptions = Partial<
  Pick<Policy, "featuresSupported" | "featuresRequired" | "throttlerBytes" | "throttlerMessages">
>;

/** For a client that rather asks again than waits: Ceph's clients to monitors and OSDs. `Policy::lossy_client`. */
export function lossyClient(options?: PolicyOptions): Policy {
  return make({ lossy: true, server: false, standby: false, resetcheck: false }, options);
}

/** For a client that keeps its session whatever happens: Ceph's clients to the MDS. `Policy::lossless_client`. */
export function losslessClient(options?: PolicyOptions): Policy {
  return make({ lossy: false, server: false, standby: false, resetcheck: true }, options);
}

/** For equals that never come back under an old address: Ceph's OSDs among themselves. `Policy::lossless_peer`. */
export function losslessPeer(options?: PolicyOptions): Policy {
  return make({ lossy: false, server: false, standby: true, resetcheck: false }, options);
}

/** For equals that may restart under the same address: Ceph's monitors. `Policy::lossless_peer_reuse`. The default. */
export function losslessPeerReuse(options?: PolicyOptions): Policy {
  return make({ lossy: false, server: false, standby: true, resetcheck: true }, options);
}

/** For a server that keeps its clients' sessions: Ceph's MDS. `Policy::stateful_server`. */
export function statefulServer(options?: PolicyOptions): Policy {
  return make({ lossy: false, server: true, standby: true, resetcheck: true }, options);
}

/** For a server that forgets a client with its connection: Ceph's monitors and OSDs. `Policy::stateless_server`. */
export function statelessServer(options?: PolicyOptions): Policy {
  return make({ lossy: true, server: true, standby: false, resetcheck: false }, options);
}

type Kind = Pick<Policy, "lossy" | "server" | "standby" | "resetcheck">;

function make(kind: Kind, options: PolicyOptions = {}): Policy {
  return { featuresSupported: MESSENGER_FEATURES, featuresRequired: 0n, ...kind, ...options };
}

/** A messenger's policies: one for each kind of peer, and one for all others. Ceph's `PolicySet`. */
export class PolicySet {
  #default: Policy = losslessPeerReuse();
  readonly #byType = new Map<number, Policy>();

  /** The policy for one kind of peer. */
  get(type: number): Policy {
    return this.#byType.get(type) ?? this.#default;
  }

  /** Sets the policy for one kind of peer, or with `undefined` for all that have none of their own. */
  set(type: number | undefined, policy: Policy): void {
    if (type === undefined) this.#default = policy;
    else this.#byType.set(type, policy);
  }
}
