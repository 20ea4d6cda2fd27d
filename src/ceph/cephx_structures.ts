/**
 * What cephx puts into its messages: structures as they are on the wire. Each begins with its version.
 *
 * @module
 */

import { seal, unseal } from "./cephx_envelope.ts";
import { CryptoKey } from "./crypto_key.ts";
import { bad, Decoder } from "./decoder.ts";
import { Encoder } from "./encoder.ts";

/** What a client asks of a monitor. `CEPHX_GET_*`. */
export const CephxRequest = {
  /** `CEPHX_GET_AUTH_SESSION_KEY`. */
  GET_AUTH_SESSION_KEY: 0x0100,
  /** `CEPHX_GET_PRINCIPAL_SESSION_KEY`. */
  GET_PRINCIPAL_SESSION_KEY: 0x0200,
} as const;

/** An encrypted ticket, which only the service can read, and the number of the secret that can. `CephXTicketBlob`. */
export interface TicketBlob {
  /** Which of the service's secrets encrypted it. */
  readonly secretId: bigint;
  /** The encrypted ticket. */
  readonly blob: Uint8Array;
}

/** In the place of a ticket where there is none. */
export const NO_TICKET: TicketBlob = { secretId: 0n, blob: new Uint8Array(0) };

/** Writes a `CephXTicketBlob`. */
export function encodeTicketBlob(encoder: Encoder, ticket: TicketBlob): Encoder {
  return encoder.u8(1).u64Big(ticket.secretId).bytes(ticket.blob);
}

/** Reads a `CephXTicketBlob`. */
export function decodeTicketBlob(decoder: Decoder): TicketBlob {
  decoder.u8();
  return { secretId: decoder.u64Big(), blob: Uint8Array.from(decoder.bytes()) };
}

/**
 * The number that proves knowledge of a secret: both challenges encrypted, and folded into 64 bits. Ceph's `cephx_calc_client_server_challenge`.
 */
export function challengeKey(secret: Uint8Array, serverChallenge: bigint, clientChallenge: bigint): bigint {
  const sealed = seal(secret, (encoder) => encoder.u64Big(serverChallenge).u64Big(clientChallenge));
  // The length belongs to what is folded, so the last four bytes do not fill a word and are left out.
  const decoder = new Decoder(new Encoder().bytes(sealed).finish());
  let key = 0n;
  while (decoder.remaining >= 8) key ^= decoder.u64Big();
  return key;
}

/** What a client says to be given an AUTH ticket. `CephXAuthenticate`. */
export interface Authenticate {
  readonly clientChallenge: bigint;
  /** Of {@linkcode challengeKey}. */
  readonly key: bigint;
  /** The ticket to renew. */
  readonly oldTicket: TicketBlob;
  /** For which services tickets are wanted too: a mask of `EntityType`s. */
  readonly otherKeys: number;
}

/**
 * Writes a `CephXAuthenticate` of version 3, which says that the client presents its old ticket when it comes back: monitors that are
 * strict about `global_id`s let no other in.
 */
export function encodeAuthenticate(encoder: Encoder, value: Authenticate): Encoder {
  encoder.u8(3).u64Big(value.clientChallenge).u64Big(value.key);
  return encodeTicketBlob(encoder, value.oldTicket).u32(value.otherKeys);
}

/** A ticket as its owner gets it. */
export interface GrantedTicket {
  /** For which service: an `EntityType`. */
  readonly service: number;
  /** Shared with the service. */
  readonly sessionKey: CryptoKey;
  /** How long it is good, in ms from now. */
  readonly validity: number;
  /** What to present. */
  readonly ticket: TicketBlob;
}

/**
 * Reads the tickets of a monitor's reply. Ceph's `verify_service_ticket_reply`.
 *
 * @param secret What the session keys are encrypted with: our own secret for the AUTH ticket, else that ticket's session key.
 * @param previous The session key of the AUTH ticket that is being renewed.
 * @throws {MessengerError} With code `bad_message`; it also means that the monitor does not know our secret.
 */
export function decodeTickets(decoder: Decoder, secret: Uint8Array, previous?: CryptoKey): GrantedTicket[] {
  decoder.u8();
  return decoder.list(() => {
    const service = decoder.u32();
    decoder.u8();
    const inner = unseal(secret, decoder.bytes());
    inner.u8();
    const sessionKey = CryptoKey.decode(inner), validity = inner.time();
    const isEncrypted = decoder.bool(), bytes = decoder.bytes();
    if (isEncrypted && previous === undefined) throw bad("ticket", "an encrypted one", "a plain one");
    const plain = isEncrypted ? unseal(previous!.secret, bytes).bytes() : bytes;
    // Ceph sends empty ones for services that the client may not use.
    const ticket = plain.length === 0 ? NO_TICKET : decodeTicketBlob(new Decoder(plain));
    return { service, sessionKey, validity, ticket };
  }, 10).filter(({ ticket }) => ticket.blob.length > 0);
}

/** A client's proof to a service that it owns a ticket. `CephXAuthorize`. */
export interface Authorize {
  readonly nonce: bigint;
  /** The service's challenge, if it has sent one. */
  readonly serverChallenge: bigint | undefined;
}

/** Writes a `CephXAuthorize` of version 2, encrypted. */
export function sealAuthorize(secret: Uint8Array, { nonce, serverChallenge }: Authorize): Uint8Array {
  const isChallenged = serverChallenge !== undefined;
  return seal(
    secret,
    (encoder) =>
      encoder.u8(2).u64Big(nonce).u8(isChallenged ? 1 : 0).u64Big(
        isChallenged ? BigInt.asUintN(64, serverChallenge + 1n) : 0n,
      ),
  );
}
