/**
 * One connection to one monitor, from its first message to its end.
 *
 * @module
 */

import type { Connection } from "../connection.ts";
import type { Environment } from "../environment.ts";
import { type MessengerError, NetworkError } from "../errors.ts";
import type { Message } from "../message.ts";
import type { EntityAddress } from "../wire/address.ts";
import type { AuthClient } from "./auth_client.ts";
import { MAuth, MAuthReply, MMonMap } from "./mon_messages.ts";
import type { MonMap } from "./mon_map.ts";

/** How often a sign of life is asked for, in ms. Ceph's `mon_client_ping_interval`. */
const PING_INTERVAL = 10_000;
/** After how many ms without an answer the monitor counts as gone. Ceph's `mon_client_ping_timeout`. */
const PING_TIMEOUT = 30_000;
/** How many ms to leave between two requests for tickets: a monitor that grants none anew is not to be asked without end. */
const RENEWAL_PAUSE = 10_000;

/** What a session tells. */
export interface MonSessionEvents {
  /** The monitor has let us in, and the cluster knows us by a number. */
  authenticated(): void;
  /** A map of the monitors has arrived. */
  monMap(map: MonMap): void;
}

/** A session with a monitor. Ceph's `MonConnection`. */
export class MonSession {
  /** Where the monitor is. */
  readonly address: EntityAddress;
  /** What it is carried by. */
  readonly connection: Connection;
  /** Fulfils once the monitor has let us in and sent its map; rejects if the session ends before. */
  readonly opened: Promise<void>;
  /** Fulfils with the reason when the session is over. */
  readonly ended: Promise<MessengerError>;

  readonly #auth: AuthClient;
  readonly #environment: Environment;
  readonly #events: MonSessionEvents;
  readonly #opening = Promise.withResolvers<void>();
  readonly #ending = Promise.withResolvers<MessengerError>();
  #hasMap = false;
  #isOpen = false;
  #isOver = false;
  #openTimer: unknown;
  #pingTimer: unknown;
  #renewTimer: unknown;
  #openedAt = 0;
  #lastRenewal = -Infinity;

  /**
   * Begins to talk to a monitor.
   *
   * @param connection The connection to it, which nothing was sent on yet.
   * @param auth What was agreed on in earlier sessions goes on.
   * @param environment Time.
   * @param patience How many ms the monitor may take to let us in.
   * @param events Is told of what happens.
   */
  constructor(
    connection: Connection,
    auth: AuthClient,
    environment: Environment,
    patience: number,
    events: MonSessionEvents,
  ) {
    this.address = connection.peerAddress;
    this.connection = connection;
    this.#auth = auth;
    this.#environment = environment;
    this.#events = events;
    this.opened = this.#opening.promise;
    this.ended = this.#ending.promise;
    // Whoever only waits for the end hears of it there.
    this.opened.catch(() => {});
    this.#openTimer = environment.setTimer(
      () => this.end(new NetworkError("timed_out", `Monitor ${this.address} let nobody in for ${patience} ms`)),
      patience,
    );
    connection.send(MAuth.message(auth.start(environment.now())));
  }

  /** Whether the monitor has let us in, and is still there. */
  get isOpen(): boolean {
    return this.#isOpen && !this.#isOver;
  }

  /** Takes a message of the monitor. `false` leaves it to others. */
  handle(message: Message): boolean {
    if (!MAuthReply.matches(message) && !MMonMap.matches(message)) return false;
    try {
      if (MAuthReply.matches(message)) this.#authReply(message);
      else this.#monMap(message);
    } catch (error) {
      this.end(error as MessengerError);
    }
    return true;
  }

  /** Ends the session, if it is not over. */
  end(reason: MessengerError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    for (const timer of [this.#openTimer, this.#pingTimer, this.#renewTimer]) this.#environment.clearTimer(timer);
    this.connection.markDown();
    this.#opening.reject(reason);
    this.#ending.resolve(reason);
  }

  #authReply(message: Message): void {
    const now = this.#environment.now(), wasAuthenticated = this.#auth.isAuthenticated;
    const next = this.#auth.handle(MAuthReply.read(message), now);
    if (!wasAuthenticated && this.#auth.isAuthenticated) this.#events.authenticated();
    if (next !== undefined) {
      this.#lastRenewal = now;
      this.connection.send(MAuth.message(next));
    }
    this.#planRenewal();
    this.#openIfDone();
  }

  #monMap(message: Message): void {
    this.#events.monMap(MMonMap.read(message));
    this.#hasMap = true;
    this.#openIfDone();
  }

  #openIfDone(): void {
    if (this.#isOpen || !this.#hasMap || !this.#auth.isAuthenticated) return;
    this.#isOpen = true;
    this.#openedAt = this.#environment.now();
    this.#environment.clearTimer(this.#openTimer);
    this.#ping();
    this.#opening.resolve();
  }

  /** A monitor forgets clients that say nothing for five minutes; and one that says nothing itself may be gone. */
  #ping(): void {
    const heard = Math.max(this.#openedAt, this.connection.lastKeepaliveAck);
    if (this.#environment.now() - heard > PING_TIMEOUT) {
      return this.end(new NetworkError("timed_out", `Monitor ${this.address} said nothing for ${PING_TIMEOUT} ms`));
    }
    this.connection.sendKeepalive();
    this.#pingTimer = this.#environment.setTimer(() => this.#ping(), PING_INTERVAL);
  }

  #planRenewal(): void {
    const now = this.#environment.now(), at = Math.max(this.#auth.renewAt, this.#lastRenewal + RENEWAL_PAUSE);
    this.#environment.clearTimer(this.#renewTimer);
    if (!this.#auth.isAuthenticated || at === Infinity) return;
    // A timer cannot be longer than 24 days; it is then set again.
    this.#renewTimer = this.#environment.setTimer(() => this.#renew(), Math.min(Math.max(at - now, 0), 0x7fffffff));
  }

  #renew(): void {
    const now = this.#environment.now(), request = this.#auth.renew(now);
    if (request !== undefined) {
      this.#lastRenewal = now;
      this.connection.send(MAuth.message(request));
    }
    this.#planRenewal();
  }
}
