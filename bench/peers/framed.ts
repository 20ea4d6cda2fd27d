/** Length-prefixed messages by hand, each written as it comes: no crc, no numbers, no acks, nothing to lose. What a programmer writes first. */

import type { Socket } from "node:net";
import type { Peer } from "../peer.ts";
import { framedBy, prefixOf, type Sender } from "./framing.ts";

/** Leaves it to the socket to put the writes of one turn together. */
class Corking implements Sender {
  readonly #socket: Socket;
  #isCorked = false;
  #drained: Promise<void> | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  send(message: Uint8Array): void | Promise<void> {
    if (!this.#isCorked) this.#cork();
    this.#socket.write(prefixOf(message));
    if (this.#socket.write(message) || this.#drained !== undefined) return this.#drained;
    return this.#drained = new Promise((resolve) =>
      this.#socket.once("drain", () => {
        this.#drained = undefined;
        resolve();
      })
    );
  }

  #cork(): void {
    this.#isCorked = true;
    this.#socket.cork();
    setImmediate(() => {
      this.#isCorked = false;
      this.#socket.uncork();
    });
  }
}

export const peer: Peer = framedBy((socket) => new Corking(socket));
