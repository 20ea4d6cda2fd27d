/**
 * Proofs of identity for services other than the monitors: what is presented when a connection is opened.
 *
 * @module
 */

import type { Authorizer, SessionSecurity } from "../auth.ts";
import { AuthProtocol, Feature } from "../wire/constants.ts";
import { randomU64 } from "./aes.ts";
import type { AuthName } from "./auth_name.ts";
import { unseal } from "./cephx_envelope.ts";
import { encodeTicketBlob, sealAuthorize, type TicketBlob } from "./cephx_structures.ts";
import type { CryptoKey } from "./crypto_key.ts";
import { Encoder } from "./encoder.ts";
import { CephxSignature } from "./signature.ts";

/** Says a name and proves nothing: for clusters without authentication. Ceph's `AuthNoneAuthorizer`. */
export class NoneAuthorizer implements Authorizer {
  /** `AuthProtocol.NONE`. */
  readonly protocol: number = AuthProtocol.NONE;
  /** The name. */
  readonly bytes: Uint8Array;

  /**
   * Makes the proof that is none.
   *
   * @param name Who says so.
   * @param globalId The number that the monitors gave it.
   */
  constructor(name: AuthName, globalId: number) {
    this.bytes = name.encode(new Encoder().u8(1)).u64(globalId).finish();
  }
}

/** A ticket with its session key, for one service. */
export interface ServiceTicket {
  /** For which kind of entity. */
  readonly service: number;
  /** Shared with the service. */
  readonly sessionKey: CryptoKey;
  /** What only the service can read. */
  readonly ticket: TicketBlob;
}

/** Presents a ticket and proves that it is ours. Ceph's `CephXAuthorizer`. One is good for one connection. */
export class CephxAuthorizer implements Authorizer {
  /** `AuthProtocol.CEPHX`. */
  readonly protocol: number = AuthProtocol.CEPHX;
  readonly #secret: Uint8Array;
  readonly #base: Uint8Array;
  readonly #nonce: bigint;
  #bytes: Uint8Array;

  /**
   * Makes the proof.
   *
   * @param globalId The number that the monitors gave us.
   * @param ticket The ticket to present.
   * @param nonce Chosen by chance, unless a test wants to know it.
   */
  constructor(globalId: number, ticket: ServiceTicket, nonce: bigint = randomU64()) {
    this.#secret = ticket.sessionKey.secret;
    this.#nonce = nonce;
    const base = new Encoder().u8(1).u64(globalId).u32(ticket.service);
    this.#base = encodeTicketBlob(base, ticket.ticket).finish();
    this.#bytes = this.#write(undefined);
  }

  /** The proof; with the answer to the service's challenge once there was one. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Takes the service's challenge; `false` if it was made with another key than ours. */
  addChallenge(challenge: Uint8Array): boolean {
    try {
      const decoder = unseal(this.#secret, challenge);
      decoder.u8();
      this.#bytes = this.#write(decoder.u64Big());
      return true;
    } catch {
      return false;
    }
  }

  /** Checks the service's own proof: it could read our nonce. */
  verifyReply(reply: Uint8Array): boolean {
    try {
      const decoder = unseal(this.#secret, reply.subarray(4));
      decoder.u8();
      return decoder.u64Big() === BigInt.asUintN(64, this.#nonce + 1n);
    } catch {
      return false;
    }
  }

  /** What signs the session's messages. */
  session(features: bigint): SessionSecurity | undefined {
    return (features & Feature.MSG_AUTH) === 0n ? undefined : new CephxSignature(this.#secret, features);
  }

  #write(serverChallenge: bigint | undefined): Uint8Array {
    const proof = sealAuthorize(this.#secret, { nonce: this.#nonce, serverChallenge });
    return new Encoder().raw(this.#base).bytes(proof).finish();
  }
}
