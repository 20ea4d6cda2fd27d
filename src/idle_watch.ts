/**
 * Silence on open connections: one timer for all of them.
 *
 * @module
 */

import type { Environment } from "./environment.ts";

/** Who can be watched. */
export interface Watched {
  /** Whether it is; the watch's own mark. */
  isOnWatch: boolean;
  /** When it heard of its peer last, at `now` at the latest; in the environment's time. */
  heardAt(now: number): number;
  /** It has not heard of its peer for too long. It is watched no longer once this returns. */
  silent(): void;
}

/** In how many parts a time-out is divided at most, each of which ends with a look at everybody: with many connections there is a deadline at every moment. */
const PARTS = 1024;

/** Tells connections that have heard nothing for `timeout`, at most a thousandth of it late. Each of them would otherwise keep a timer for nothing. */
export class IdleWatch {
  readonly #environment: Environment;
  readonly #timeout: number;
  readonly #everybody: Iterable<Watched>;
  /** How many of them are watched. */
  #count = 0;
  #timer: unknown;

  /**
   * @param timeout In ms; 0 for never.
   * @param everybody All who may be watched. A set of those who are would weigh more than all the rest of this.
   */
  constructor(environment: Environment, timeout: number, everybody: Iterable<Watched>) {
    this.#environment = environment;
    this.#timeout = timeout;
    this.#everybody = everybody;
  }

  /** Begins to watch somebody who has heard of its peer just now. */
  add(watched: Watched): void {
    if (this.#timeout === 0 || watched.isOnWatch) return;
    watched.isOnWatch = true;
    this.#count++;
    // A timer that runs goes off for somebody who has been waiting for longer.
    this.#timer ??= this.#environment.setTimer(this.#look, this.#timeout);
  }

  /** Does not watch it any more. */
  delete(watched: Watched): void {
    if (!watched.isOnWatch) return;
    watched.isOnWatch = false;
    if (--this.#count > 0) return;
    this.#environment.clearTimer(this.#timer);
    this.#timer = undefined;
  }

  readonly #look = (): void => {
    const now = this.#environment.now();
    let deadline = now + this.#timeout;
    for (const watched of this.#everybody) {
      if (!watched.isOnWatch) continue;
      const own = watched.heardAt(now) + this.#timeout;
      if (own <= now) watched.silent();
      else deadline = Math.min(deadline, own);
    }
    this.#environment.clearTimer(this.#timer);
    this.#timer = this.#count === 0
      ? undefined
      : this.#environment.setTimer(this.#look, Math.max(deadline - now, this.#timeout / PARTS));
  };
}
