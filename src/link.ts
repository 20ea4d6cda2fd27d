/**
 * A socket in use.
 *
 * @module
 */

import { ByteSink } from "./byte_sink.ts";
import { ByteSource } from "./byte_source.ts";
import { directSocket } from "./direct_socket.ts";
import type { Environment } from "./environment.ts";
import type { Socket } from "./net/network.ts";

/** A Pipe's socket with its two halves. Whoever works on one can tell by it whether the Pipe has gone on to another. */
export class Link {
  /** The socket. */
  readonly socket: Socket;
  /** Its receiving half. */
  readonly source: ByteSource;
  /** Its sending half. */
  readonly sink: ByteSink;
  #isGivenUp = false;
  #reason: unknown;
  /** Made when it is asked for: few sockets ever are, and an idle one should weigh little. */
  #controller: AbortController | undefined;

  /** Takes a socket into use. */
  constructor(socket: Socket, environment: Environment) {
    this.socket = socket;
    const direct = directSocket(socket);
    this.source = new ByteSource(direct, environment);
    this.sink = new ByteSink(direct);
  }

  /** Aborted when the Pipe gives the socket up: for waits that belong to it. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#isGivenUp) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /** What the program's promise becomes, or a rejection once the Pipe gives the socket up: that promise may never settle. */
  whileInUse<T>(value: T | Promise<T>): T | Promise<T> {
    if (!(value instanceof Promise)) return value;
    const { signal } = this;
    return new Promise((resolve, reject) => {
      const abandon = (): void => reject(signal.reason);
      if (signal.aborted) abandon();
      signal.addEventListener("abort", abandon, { once: true });
      value.then(resolve, reject).finally(() => signal.removeEventListener("abort", abandon));
    });
  }

  /** Gives the socket up: ends both of its directions at once. */
  giveUp(reason: unknown): void {
    this.#isGivenUp = true;
    this.#reason = reason;
    this.#controller?.abort(reason);
    this.socket.abort(reason);
  }
}
