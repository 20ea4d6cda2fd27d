/**
 * Says so when a throttle keeps a connection from being read for long.
 *
 * @module
 */

import type { Pipe } from "./pipe.ts";
import type { HeldBy } from "./status.ts";

/** After how many ms a hold is worth telling. */
const LONG = 1000;

/** One wait for the throttles, or for the reader of a stream. Where nobody wants to know, it costs no timer. */
export class Hold {
  /** What is waited for. */
  by: HeldBy = "share";
  readonly #pipe: Pipe;
  #since = 0;
  #timer: unknown;
  #isTold = false;

  /** @param pipe The Pipe that waits. */
  constructor(pipe: Pipe) {
    this.#pipe = pipe;
    if (!pipe.isWatched) return;
    const { environment } = pipe.host.options;
    this.#since = environment.now();
    this.#timer = environment.setTimer(() => this.#tell(), LONG);
  }

  /** The wait is over, or was given up. */
  end(): void {
    const { environment } = this.#pipe.host.options;
    environment.clearTimer(this.#timer);
    if (this.#isTold) this.#pipe.tell({ type: "released", heldFor: environment.now() - this.#since });
  }

  #tell(): void {
    const { heldMessages: messages, heldBytes: bytes } = this.#pipe.session;
    this.#isTold = true;
    this.#pipe.tell({ type: "held", by: this.by, messages, bytes });
  }
}
