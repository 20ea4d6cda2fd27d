/** Length-prefixed messages by hand, many copied into one buffer for each write: what somebody writes who has measured. */

import type { Socket } from "node:net";
import type { Peer } from "../peer.ts";
import { framedBy, prefixOf, type Sender } from "./framing.ts";

/** Gathers the messages of one turn into one write. */
class Batching implements Sender {
  readonly #socket: Socket;
  #parts: Uint8Array[] = [];
  #length = 0;
  #drained: Promise<void> | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  send(message: Uint8Array): void | Promise<void> {
    if (this.#parts.length === 0) setImmediate(() => this.#flush());
    const prefix = prefixOf(message);
    this.#parts.push(prefix, message);
    this.#length += prefix.length + message.length;
    if (this.#length > 64 * 1024) this.#flush();
    return this.#drained;
  }

  #flush(): void {
    if (this.#parts.length === 0) return;
    const bytes = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      bytes.set(part, at);
      at += part.length;
    }
    this.#parts = [];
    this.#length = 0;
    if (this.#socket.write(bytes) || this.#drained !== undefined) return;
    this.#drained = new Promise((resolve) =>
      this.#socket.once("drain", () => {
        this.#drained = undefined;
        resolve();
      })
    );
  }
}

export const peer: Peer = framedBy((socket) => new Batching(socket));
