/**
 * The sending half of a socket, as the Writer and the handshakes see it.
 *
 * @module
 */

import { concat } from "@std/bytes";
import type { DirectSocket } from "./net/network.ts";

/** Below this many bytes, pieces are copied into one write; above it a copy costs more than a write. */
const GATHER_BYTES = 16 * 1024;

/** Writes byte slices to a socket, gathered where that saves writes. */
export class ByteSink {
  readonly #socket: DirectSocket;
  /** What waits for the next call, and how many bytes that are. */
  #held: Uint8Array[] | undefined;
  #heldLength = 0;

  /** @param socket Where the bytes go. */
  constructor(socket: DirectSocket) {
    this.#socket = socket;
  }

  /** Whether several slices cost no more than one. */
  get gathers(): boolean {
    return this.#socket.gathers === true;
  }

  /**
   * Sends slices of bytes, in order. Ceph's `do_sendmsg`. A failure is final: the socket is lost.
   *
   * @param msg The slices. They belong to the sink until the network has taken them, or with `more` until it has taken those of the next call.
   * @param length Bytes of all of them.
   * @param more More is to follow at once: the bytes wait and leave with the next call, as with `MSG_MORE`.
   * @param settled Called once the network has taken every byte, unless that was at once; or with what broke the connection.
   * @returns Whether the network has taken every byte at once, or keeps it for the next call.
   */
  doSendmsg(
    msg: readonly Uint8Array[],
    length: number,
    more: boolean,
    settled: (error?: unknown) => void,
  ): boolean {
    if (more || this.#held !== undefined) {
      const held = this.#held ??= [];
      held.push(...msg);
      this.#heldLength += length;
      if (more) return true;
      msg = held;
      length = this.#heldLength;
      this.#held = undefined;
      this.#heldLength = 0;
    }
    return this.#socket.write(msg.length > 1 && length <= GATHER_BYTES ? [concat(msg)] : msg, settled);
  }
}

/** Sends slices of bytes at once, or with `more` together with the next ones. Rejects with what broke the connection. */
export function sendAll(sink: ByteSink, slices: Uint8Array[], more = false): Promise<void> {
  return new Promise((resolve, reject) => {
    const length = slices.reduce((sum, slice) => sum + slice.length, 0);
    const done = sink.doSendmsg(slices, length, more, (error) => error === undefined ? resolve() : reject(error));
    if (done) resolve();
  });
}
