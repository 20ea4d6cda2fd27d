/**
 * A service's side of cephx: tickets made for its clients, and what its clients present checked.
 *
 * @module
 */

import type { AuthorizerCheck, AuthorizerVerdict } from "../auth.ts";
import type { Dispatcher } from "../dispatcher.ts";
import { type Environment, systemEnvironment } from "../environment.ts";
import { AuthProtocol, Feature } from "../wire/constants.ts";
import { parseEntityType } from "../wire/entity.ts";
import { randomBytes, randomU64, SECRET_SIZE } from "./aes.ts";
import { AuthName } from "./auth_name.ts";
import type { ServiceTicket } from "./authorizers.ts";
import { seal, unseal } from "./cephx_envelope.ts";
import { decodeTicketBlob } from "./cephx_structures.ts";
import { CryptoKey } from "./crypto_key.ts";
import { Decoder } from "./decoder.ts";
import { Encoder } from "./encoder.ts";
import { CephxSignature } from "./signature.ts";

/** In the place of an owner's number, which Ceph no longer uses. */
const NO_AUID = 0xffffffffffffffffn;

/** Whom a ticket was made for. Ceph's `AuthTicket`. */
export interface TicketOwner {
  /** Its name. */
  readonly name: AuthName;
  /** The number by which the cluster knows it. */
  readonly globalId: number;
  /** When the ticket ends, in ms since 1970. */
  readonly expires: number;
}

/** What a ticket is made of. */
export interface TicketInit extends TicketOwner {
  /** For which kind of service: `"osd"`, or an `EntityType`. */
  readonly service: string | number;
  /** The service's secret. */
  readonly key: CryptoKey;
  /**
   * Which of the service's secrets that is.
   *
   * @default {0n}
   */
  readonly secretId?: bigint;
  /** When the ticket begins, in ms since 1970. */
  readonly created?: number;
  /**
   * What client and service will share.
   *
   * @default {a new key}
   */
  readonly sessionKey?: CryptoKey;
}

/** Makes a ticket, as monitors do for Ceph's clients. Only who knows the service's secret can make one. */
export function makeTicket(init: TicketInit): ServiceTicket {
  const { name, globalId, expires, key, secretId = 0n, created = 0 } = init;
  const sessionKey = init.sessionKey ?? new CryptoKey(randomBytes(SECRET_SIZE), created);
  const blob = seal(key.secret, (encoder) => {
    name.encode(encoder.u8(1).u8(2)).u64(globalId).u64Big(NO_AUID).time(created).time(expires);
    // Nothing is said of what the owner may do, as monitors say it in words that only their own services know.
    sessionKey.encode(encoder.u8(1).u8(0).bytes(new Uint8Array(0)).u32(0));
  });
  return { service: parseEntityType(init.service), sessionKey, ticket: { secretId, blob } };
}

/** Options of {@linkcode CephxService}. */
export interface CephxServiceOptions {
  /** What kind of service this is: `"osd"`, or an `EntityType`. */
  readonly service: string | number;
  /** The secrets that tickets may be made with, by their numbers: with more than one, a new one can be taken into use before the old one goes. */
  readonly keys: ReadonlyMap<bigint, CryptoKey>;
  /** Whether to let in whom a good ticket was made for. Everyone by default. */
  readonly allow?: (owner: TicketOwner) => boolean;
  /**
   * Time.
   *
   * @default {the system's}
   */
  readonly environment?: Environment;
}

/**
 * Lets in only clients that own a ticket: they have to answer a challenge with its session key, which then signs every message of the
 * session. A dispatcher for `messenger.addDispatcherHead`. Ceph's `cephx_verify_authorizer`.
 *
 * @example
 * ```ts
 * import { Messenger } from "@msgr/pipe";
 * import { CEPH_FEATURES, CephxService, CryptoKey } from "@msgr/pipe/ceph";
 * import { statefulServer } from "@msgr/pipe";
 *
 * export function serve(key: CryptoKey): Messenger {
 *   const messenger = new Messenger({ name: "osd.0" });
 *   messenger.setPolicy(statefulServer({ featuresSupported: CEPH_FEATURES }));
 *   messenger.addDispatcherHead(new CephxService({ service: "osd", keys: new Map([[0n, key]]) }));
 *   return messenger;
 * }
 * ```
 */
export class CephxService implements Dispatcher {
  readonly #options: CephxServiceOptions;
  readonly #service: number;
  readonly #environment: Environment;

  /**
   * Makes a service's gate.
   *
   * @throws {MessengerError} With code `invalid` for a kind of service that cannot be.
   */
  constructor(options: CephxServiceOptions) {
    this.#options = options;
    this.#service = parseEntityType(options.service);
    this.#environment = options.environment ?? systemEnvironment;
  }

  /** Checks what a client presents. Whatever is wrong with it, it is told no more than that. */
  verifyAuthorizer(check: AuthorizerCheck): AuthorizerVerdict {
    if (check.protocol !== AuthProtocol.CEPHX || !check.canChallenge) return { valid: false };
    try {
      return this.#verify(check);
    } catch {
      return { valid: false };
    }
  }

  #verify({ authorizer, challenge }: AuthorizerCheck): AuthorizerVerdict {
    const decoder = new Decoder(authorizer);
    const version = decoder.u8(), globalId = decoder.u64(), service = decoder.u32(), ticket = decodeTicketBlob(decoder);
    const key = this.#options.keys.get(ticket.secretId);
    if (version !== 1 || service !== this.#service || key === undefined) return { valid: false };
    const { owner, sessionKey: { secret } } = decodeServiceTicket(unseal(key.secret, ticket.blob));
    const { allow = () => true } = this.#options;
    if (owner.globalId !== globalId || owner.expires <= this.#environment.now() || !allow(owner)) {
      return { valid: false };
    }
    const proof = unseal(secret, decoder.bytes());
    const proofVersion = proof.u8(), nonce = proof.u64Big();
    const answer = proofVersion >= 2 && proof.bool() ? proof.u64Big() : undefined;
    // The challenge is not kept: what was sent says it to who has the session key.
    if (challenge === undefined) {
      return { valid: false, challenge: seal(secret, (encoder) => encoder.u8(1).u64Big(randomU64())) };
    }
    const asked = unseal(secret, challenge);
    asked.u8();
    if (answer !== BigInt.asUintN(64, asked.u64Big() + 1n)) return { valid: false };
    const reply = seal(secret, (encoder) => encoder.u8(1).u64Big(BigInt.asUintN(64, nonce + 1n)));
    return {
      valid: true,
      reply: new Encoder().bytes(reply).finish(),
      session: (features) => (features & Feature.MSG_AUTH) === 0n ? undefined : new CephxSignature(secret, features),
    };
  }
}

/** Reads what {@linkcode makeTicket} has written. Ceph's `CephXServiceTicketInfo`. */
function decodeServiceTicket(decoder: Decoder): { owner: TicketOwner; sessionKey: CryptoKey } {
  decoder.u8();
  decoder.u8();
  const name = AuthName.decode(decoder), globalId = decoder.u64();
  decoder.u64Big();
  decoder.time();
  const expires = decoder.time();
  decoder.u8();
  decoder.bool();
  decoder.bytes();
  decoder.u32();
  return { owner: { name, globalId, expires }, sessionKey: CryptoKey.decode(decoder) };
}
