/**
 * The sending half of a socket, as the Writer and the handshakes see it.
 *
 * @module
 */

import { concat } from "@std/bytes";

/** Below this many bytes, pieces are copied into one write; above it a copy costs more than a write. */
const GATHER_BYTES = 16 * 1024;

/** Writes byte slices to a stream, gathered where that saves writes. */
export class ByteSink {
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #held: Uint8Array[] = [];
  #heldLength = 0;

  /** @param writable Where the bytes go. */
  constructor(writable: WritableStream<Uint8Array>) {
    this.#writer = writable.getWriter();
    // Whoever writes hears of the failure from its write.
    this.#writer.closed.catch(() => {});
    this.#writer.ready.catch(() => {});
  }

  /**
   * Sends slices of bytes, in order. Ceph's `do_sendmsg`.
   *
   * @param msg The slices. They belong to the sink until the promise settles, or with `more` until that of the next call does.
   * @param length Bytes of all of them.
   * @param more More is to follow at once: the bytes wait and leave with the next call, as with `MSG_MORE`.
   * @returns A promise that fulfils when the network has taken every byte. If it rejects, the socket is lost.
   */
  doSendmsg(msg: Uint8Array[], length: number, more: boolean): Promise<void> {
    if (more || this.#held.length > 0) {
      this.#held.push(...msg);
      this.#heldLength += length;
      if (more) return SENT;
      msg = this.#held;
      length = this.#heldLength;
      this.#held = [];
      this.#heldLength = 0;
    }
    if (msg.length === 1) return this.#writer.write(msg[0]!);
    if (length <= GATHER_BYTES) return this.#writer.write(concat(msg));
    return Promise.all(msg.map((slice) => this.#writer.write(slice))).then(nothing);
  }
}

/** Sends slices of bytes at once, or with `more` together with the next ones. */
export function sendAll(sink: ByteSink, slices: Uint8Array[], more = false): Promise<void> {
  return sink.doSendmsg(slices, slices.reduce((sum, { length }) => sum + length, 0), more);
}

const SENT = Promise.resolve();

function nothing(): void {}
