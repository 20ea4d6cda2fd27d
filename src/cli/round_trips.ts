/**
 * Statistics of round trips.
 *
 * @module
 */

import { exact } from "./units.ts";

/** What `ping` says at its end. Times are in ms; without an answer there are none. */
export interface RoundTripSummary {
  readonly sent: number;
  readonly answered: number;
  readonly lost: number;
  readonly min?: number;
  readonly avg?: number;
  readonly max?: number;
  readonly stddev?: number;
}

/** Counts round trips as they end, in as little memory as one takes (Welford's method). */
export class RoundTrips {
  #sent = 0;
  #answered = 0;
  #min = Infinity;
  #max = 0;
  #mean = 0;
  #squares = 0;

  /** A round trip ended after so many ms. */
  answered(ms: number): void {
    this.#sent++;
    this.#answered++;
    this.#min = Math.min(this.#min, ms);
    this.#max = Math.max(this.#max, ms);
    const distance = ms - this.#mean;
    this.#mean += distance / this.#answered;
    this.#squares += distance * (ms - this.#mean);
  }

  /** A round trip will not end. */
  lost(): void {
    this.#sent++;
  }

  /** All that is known by now. */
  get summary(): RoundTripSummary {
    const counts = { sent: this.#sent, answered: this.#answered, lost: this.#sent - this.#answered };
    if (this.#answered === 0) return counts;
    const stddev = Math.sqrt(this.#squares / this.#answered);
    return { ...counts, min: exact(this.#min), avg: exact(this.#mean), max: exact(this.#max), stddev: exact(stddev) };
  }
}
