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
  #held: Uint8Array[] = [];
  #heldLength = 0;

  /** @param socket Where the bytes go. */
  constructor(socket: DirectSocket) {
    this.#socket = socket;
  }

  /**
   * Sends slices of bytes, in order. Ceph's `do_sendmsg`.
   *
   * @param msg The slices. They belong to the sink until the promise settles, or with `more` until that of the next call does.
   * @param length Bytes of all of them.
   * @param more More is to follow at once: the bytes wait and leave with the next call, as with `MSG_MORE`.
   * @returns Undefined if the network has taken every byte, or a promise that fulfils when it has. If it rejects, the socket is lost.
   */
  doSendmsg(msg: readonly Uint8Array[], length: number, more: boolean): Promise<void> | undefined {
    if (more || this.#held.length > 0) {
      this.#held.push(...msg);
      this.#heldLength += length;
      if (more) return undefined;
      msg = this.#held;
      length = this.#heldLength;
      this.#held = [];
      this.#heldLength = 0;
    }
    return this.#socket.write(msg.length > 1 && length <= GATHER_BYTES ? [concat(msg)] : msg);
  }
}

/** Sends slices of bytes at once, or with `more` together with the next ones. */
export function sendAll(sink: ByteSink, slices: Uint8Array[], more = false): Promise<void> | undefined {
  return sink.doSendmsg(slices, slices.reduce((sum, { length }) => sum + length, 0), more);
}
