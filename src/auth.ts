/**
 * Where authentication plugs into the handshake, and message signatures into an open session.
 *
 * @module
 */

import type { Connection } from "./connection.ts";
import type { MessageFooter, MessageHeader } from "./wire/frame.ts";

/** Proves an identity to a peer, in one handshake or several. Ceph's `AuthAuthorizer`. */
export interface Authorizer {
  /** How the peer is to read it: one of `AuthProtocol`. */
  readonly protocol: number;
  /** The bytes to present, after {@linkcode Authorizer.addChallenge} with the answer to the challenge. */
  readonly bytes: Uint8Array;
  /** Takes a peer's challenge. Called with that of the latest round; `false` gives up. */
  addChallenge?(challenge: Uint8Array): boolean | Promise<boolean>;
  /** Checks the peer's own proof; `false` gives up. */
  verifyReply?(reply: Uint8Array): boolean | Promise<boolean>;
  /** Signs and checks the messages of the session that it opened. */
  session?(features: bigint): SessionSecurity | undefined;
}

/** A peer's proof, to be checked. */
export interface AuthorizerCheck {
  /** The connection that is being accepted. */
  readonly connection: Connection;
  /** What kind of entity the peer says it is. */
  readonly peerType: number;
  /** How to read the proof: one of `AuthProtocol`. */
  readonly protocol: number;
  /** The proof. */
  readonly authorizer: Uint8Array;
  /** The challenge that was sent in the round before, where there was one. */
  readonly challenge?: Uint8Array | undefined;
  /** Whether the peer can answer a challenge. */
  readonly canChallenge: boolean;
}

/** What became of a check. */
export interface AuthorizerVerdict {
  /** Whether the peer is who it says it is. */
  readonly valid: boolean;
  /** What to answer the peer. */
  readonly reply?: Uint8Array;
  /** Instead of a verdict: bytes that the peer has to answer. */
  readonly challenge?: Uint8Array;
  /** Signs and checks the messages of the session. */
  readonly session?: (features: bigint) => SessionSecurity | undefined;
}

/** Signs and checks messages. Ceph's `AuthSessionHandler`. */
export interface SessionSecurity {
  /** Sets the signature, both halves, in the footer of a message that is about to be sent. */
  sign(header: MessageHeader, footer: MessageFooter): void;
  /** Whether the footer's signature fits the message. */
  verify(header: MessageHeader, footer: MessageFooter): boolean;
}
