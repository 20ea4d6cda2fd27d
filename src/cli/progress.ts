/**
 * A bar that shows how far a transfer is.
 *
 * @module
 */

import { now } from "./clock.ts";
import type { Output } from "./output.ts";
import { bytes, duration } from "./units.ts";

/** A transfer that is over sooner than this, in ms, needs no bar. */
const PATIENCE = 500;
/** How long a picture stays, in ms. */
const INTERVAL = 100;

/** Draws the bar on a terminal, over itself, until it is disposed of. Elsewhere it does nothing. */
export class Progress implements AsyncDisposable {
  readonly #err: Output;
  readonly #total: number | undefined;
  readonly #start = now();
  #drawnAt = 0;
  #done = 0;

  /**
   * @param err Where it is drawn, so that the answer stays clean.
   * @param total How many bytes there are, where that is known.
   */
  constructor(err: Output, total: number | undefined) {
    this.#err = err;
    this.#total = total;
  }

  /** Bytes by now. */
  get done(): number {
    return this.#done;
  }

  /** Milliseconds by now. */
  get elapsed(): number {
    return now() - this.#start;
  }

  /** There are so many bytes now. */
  update(done: number): void {
    this.#done = done;
    const time = now();
    if (!this.#err.isTerminal || time - this.#start < PATIENCE || time - this.#drawnAt < INTERVAL) return;
    this.#drawnAt = time;
    void this.#err.write(`\r${progressLine(done, this.#total, time - this.#start, this.#err.columns - 1)}\x1b[K`);
  }

  /** Takes the bar away. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#drawnAt > 0) await this.#err.write("\r\x1b[K");
  }
}

/**
 * The bar as a line of text.
 *
 * @param done Bytes by now.
 * @param total Bytes in all, where that is known.
 * @param elapsed Milliseconds by now.
 * @param width How many characters it may take.
 */
export function progressLine(done: number, total: number | undefined, elapsed: number, width: number): string {
  const rate = done / Math.max(elapsed, 1) * 1000, speed = `${bytes(rate)}/s`;
  if (total === undefined || total === 0) return `${bytes(done)}  ${speed}`.slice(0, width);
  const share = Math.min(1, done / total), left = rate > 0 ? duration((total - done) / rate) : "?";
  const words = `${String(Math.floor(100 * share)).padStart(3)}%  ${bytes(done)} of ${
    bytes(total)
  }  ${speed}  ${left} left`;
  const room = width - words.length - "[]  ".length;
  if (room < 10) return words.slice(0, width);
  const filled = Math.round(share * room);
  return `[${"#".repeat(filled)}${".".repeat(room - filled)}]  ${words}`;
}
