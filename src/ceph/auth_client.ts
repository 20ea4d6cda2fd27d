/**
 * A client's side of its authentication with the monitors: what to say next, and what was granted. It sends nothing itself.
 *
 * @module
 */

import type { Authorizer } from "../auth.ts";
import { MessengerError } from "../errors.ts";
import { AuthProtocol, EntityType } from "../wire/constants.ts";
import { randomU64 } from "./aes.ts";
import type { AuthName } from "./auth_name.ts";
import { CephxAuthorizer, NoneAuthorizer } from "./authorizers.ts";
import {
  CephxRequest,
  challengeKey,
  decodeTickets,
  encodeAuthenticate,
  type GrantedTicket,
  NO_TICKET,
} from "./cephx_structures.ts";
import type { CryptoKey } from "./crypto_key.ts";
import { bad, Decoder } from "./decoder.ts";
import { Encoder } from "./encoder.ts";
import { EACCES, EOPNOTSUPP, errnoText } from "./errno.ts";
import type { AuthReply, AuthRequest } from "./mon_messages.ts";

/** Services for which every client of the monitors wants tickets. */
const WANTED = EntityType.MON | EntityType.OSD | EntityType.MGR | EntityType.AUTH;

/** A ticket that was granted, and until when. */
interface HeldTicket extends GrantedTicket {
  /** When it should be renewed, in ms since 1970: after three quarters of its time. */
  readonly renewAfter: number;
  /** When it ends. */
  readonly expires: number;
}

/** Authenticates one client, in as many connections as it takes. Ceph's `CephxClientHandler` and `CephXTicketManager`. */
export class AuthClient {
  readonly #name: AuthName;
  readonly #key: CryptoKey | undefined;
  readonly #random: () => bigint;
  readonly #tickets = new Map<number, HeldTicket>();
  #globalId = 0;
  #protocol: number = AuthProtocol.UNKNOWN;
  #serverChallenge = 0n;
  #isAuthenticated = false;

  /**
   * Makes a client that is not authenticated.
   *
   * @param name Who it is.
   * @param key Its key; without one it only agrees on no authentication, and with one never on that.
   * @param random Numbers that nobody can foresee.
   */
  constructor(name: AuthName, key: CryptoKey | undefined, random: () => bigint = randomU64) {
    this.#name = name;
    this.#key = key;
    this.#random = random;
  }

  /** The number by which the cluster knows the client; 0 if it does not. */
  get globalId(): number {
    return this.#globalId;
  }

  /** Whether the monitor at hand has let the client in. */
  get isAuthenticated(): boolean {
    return this.#isAuthenticated;
  }

  /** The services that the client has tickets for: `EntityType`s. */
  get services(): number[] {
    return [...this.#tickets.keys()];
  }

  /** When the next ticket has to be renewed, in ms since 1970; never without tickets. */
  get renewAt(): number {
    return Math.min(Infinity, ...[...this.#tickets.values()].map(({ renewAfter }) => renewAfter));
  }

  /** Forgets what was granted: the next connection begins as a new client. */
  forget(): void {
    this.#tickets.clear();
    this.#globalId = 0;
  }

  /** The first message to a monitor. */
  start(now: number): AuthRequest {
    const old = this.#tickets.get(EntityType.AUTH);
    // A number without the ticket that goes with it is refused.
    if (this.#key !== undefined && (old === undefined || old.expires <= now)) this.forget();
    this.#protocol = AuthProtocol.UNKNOWN;
    this.#isAuthenticated = false;
    const encoder = new Encoder().u8(1);
    encoder.list([this.#key === undefined ? AuthProtocol.NONE : AuthProtocol.CEPHX], (method) => encoder.u32(method));
    return { protocol: AuthProtocol.UNKNOWN, payload: this.#name.encode(encoder).u64(this.#globalId).finish() };
  }

  /**
   * Takes what a monitor has said.
   *
   * @param reply The monitor's message.
   * @param now The time in ms since 1970.
   * @returns What to say next, if anything.
   * @throws {MessengerError} With code `auth` if the client was refused or the monitor does not know its key; `bad_message` for nonsense.
   */
  handle(reply: AuthReply, now: number): AuthRequest | undefined {
    if (reply.result < 0) throw this.#refused(reply);
    if (reply.globalId !== 0) this.#globalId = reply.globalId;
    if (this.#protocol === AuthProtocol.UNKNOWN) return this.#choose(reply);
    if (this.#protocol === AuthProtocol.NONE) return undefined;
    const decoder = new Decoder(reply.payload), type = decoder.u16(), status = decoder.s32();
    if (status !== 0) {
      throw new MessengerError("auth", `The monitor gives ${this.#name} no ticket: ${errnoText(status)}`);
    }
    switch (type) {
      case CephxRequest.GET_AUTH_SESSION_KEY:
        return this.#takeAuthTicket(decoder, now);
      case CephxRequest.GET_PRINCIPAL_SESSION_KEY:
        this.#take(decodeTickets(decoder, this.#tickets.get(EntityType.AUTH)!.sessionKey.secret), now);
        return undefined;
      default:
        throw bad("cephx reply", type, "the answer to a request of ours");
    }
  }

  /** What to ask for when it is time to renew; nothing if it is not. */
  renew(now: number): AuthRequest | undefined {
    const auth = this.#tickets.get(EntityType.AUTH);
    if (auth === undefined || !this.#isAuthenticated) return undefined;
    if (auth.renewAfter <= now) return this.#authenticate();
    return this.renewAt <= now ? this.#askForServiceTickets() : undefined;
  }

  /**
   * What proves to a service who we are; nothing if there is no ticket for it.
   *
   * @param service An `EntityType`.
   */
  authorizer(service: number): Authorizer | undefined {
    if (this.#protocol === AuthProtocol.NONE) return new NoneAuthorizer(this.#name, this.#globalId);
    const ticket = this.#tickets.get(service);
    return ticket === undefined ? undefined : new CephxAuthorizer(this.#globalId, ticket);
  }

  #choose(reply: AuthReply): AuthRequest | undefined {
    const wanted = this.#key === undefined ? AuthProtocol.NONE : AuthProtocol.CEPHX;
    // Somebody in between could ask for no authentication only to read what we send.
    if (reply.protocol !== wanted) {
      throw new MessengerError(
        "auth",
        `Cannot authenticate ${this.#name}: the monitor wants method ${reply.protocol}, not ${wanted}`,
      );
    }
    this.#protocol = wanted;
    if (wanted === AuthProtocol.NONE) {
      this.#isAuthenticated = true;
      return undefined;
    }
    const decoder = new Decoder(reply.payload);
    decoder.u8();
    this.#serverChallenge = decoder.u64Big();
    return this.#authenticate();
  }

  #authenticate(): AuthRequest {
    const clientChallenge = this.#random();
    const key = challengeKey(this.#key!.secret, this.#serverChallenge, clientChallenge);
    const oldTicket = this.#tickets.get(EntityType.AUTH)?.ticket ?? NO_TICKET;
    return this.#request(CephxRequest.GET_AUTH_SESSION_KEY, (encoder) => {
      encodeAuthenticate(encoder, { clientChallenge, key, oldTicket, otherKeys: WANTED });
    });
  }

  #askForServiceTickets(): AuthRequest {
    const auth = this.#tickets.get(EntityType.AUTH)!;
    return this.#request(CephxRequest.GET_PRINCIPAL_SESSION_KEY, (encoder) => {
      encoder.raw(new CephxAuthorizer(this.#globalId, auth, this.#random()).bytes).u8(1).u32(WANTED & ~EntityType.AUTH);
    });
  }

  #request(type: number, write: (encoder: Encoder) => void): AuthRequest {
    const encoder = new Encoder().u16(type);
    write(encoder);
    return { protocol: AuthProtocol.CEPHX, payload: encoder.finish() };
  }

  #takeAuthTicket(decoder: Decoder, now: number): AuthRequest | undefined {
    const previous = this.#tickets.get(EntityType.AUTH)?.sessionKey;
    let granted: GrantedTicket[];
    try {
      granted = decodeTickets(decoder, this.#key!.secret, previous);
    } catch (cause) {
      throw new MessengerError("auth", `The monitor does not prove that it knows the key of ${this.#name}`, { cause });
    }
    const auth = granted.find(({ service }) => service === EntityType.AUTH);
    if (auth === undefined) throw new MessengerError("auth", `The monitor gives ${this.#name} no ticket`);
    this.#take([auth], now);
    this.#isAuthenticated = true;
    if (decoder.remaining === 0) return this.#askForServiceTickets();
    // A connection secret, which only msgr v2 has; then the tickets for the other services.
    decoder.bytes();
    const others = decoder.remaining === 0 ? new Uint8Array(0) : decoder.bytes();
    if (others.length === 0) return this.#askForServiceTickets();
    this.#take(decodeTickets(new Decoder(others), auth.sessionKey.secret), now);
    return undefined;
  }

  #take(tickets: readonly GrantedTicket[], now: number): void {
    for (const ticket of tickets) {
      const expires = now + ticket.validity;
      this.#tickets.set(ticket.service, { ...ticket, expires, renewAfter: expires - ticket.validity / 4 });
    }
  }

  #refused({ result, text }: AuthReply): MessengerError {
    const why = result === -EOPNOTSUPP
      ? `it accepts no ${this.#key === undefined ? "client without a key" : "cephx"}`
      : result === -EACCES
      ? "no such name, another key, or an old ticket"
      : text;
    return new MessengerError(
      "auth",
      `The monitor refuses ${this.#name}: ${errnoText(result)}${why === "" ? "" : `, ${why}`}`,
    );
  }
}
