/**
 * Bun tells a server of its WebSockets by callbacks; everybody else by events. This makes the one look like the other.
 *
 * @module
 */

import type { WebSocketLike } from "@msgr/pipe";

/** A WebSocket that Bun serves. */
export interface ServedWebSocket {
  readonly readyState: number;
  send(data: string | Uint8Array): number;
  close(code?: number, reason?: string): void;
}

/** The same, with events. */
export class BunWebSocket extends EventTarget implements WebSocketLike {
  binaryType = "arraybuffer";
  readonly #served: ServedWebSocket;

  constructor(served: ServedWebSocket) {
    super();
    this.#served = served;
  }

  get readyState(): number {
    return this.#served.readyState;
  }

  send(data: string | Uint8Array): void {
    this.#served.send(data);
  }

  close(code?: number, reason?: string): void {
    this.#served.close(code, reason);
  }

  /** What Bun's callback `message` was told. */
  received(data: string | Uint8Array): void {
    this.dispatchEvent(new MessageEvent("message", { data }));
  }

  /** What Bun's callback `close` was told. */
  closed(code: number): void {
    this.dispatchEvent(Object.assign(new Event("close"), { code }));
  }
}
