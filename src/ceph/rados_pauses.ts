/**
 * Waiting that ends early when nobody needs to wait any more.
 *
 * @module
 */

import type { Environment } from "../environment.ts";

/** Pauses that can be ended together. */
export class Pauses {
  readonly #environment: Environment;
  readonly #running = new Map<unknown, () => void>();
  #isOver = false;

  /** @param environment Time. */
  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** Fulfils after `ms` milliseconds, or once pauses are ended. */
  async take(ms: number): Promise<void> {
    if (this.#isOver) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#environment.setTimer(resolve, ms);
    this.#running.set(timer, resolve);
    await promise;
    this.#running.delete(timer);
  }

  /** Ends all pauses, and those to come as soon as they begin. */
  end(): void {
    this.#isOver = true;
    for (const [timer, resolve] of this.#running) {
      this.#environment.clearTimer(timer);
      resolve();
    }
  }
}
