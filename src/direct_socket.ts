/**
 * The short way to any socket's bytes: its own, or one over its streams.
 *
 * @module
 */

import type { DirectSocket, Socket } from "./net/network.ts";

/** The socket's direct way, or the same calls over its two streams, which are then taken. */
export function directSocket(socket: Socket): DirectSocket {
  return socket.direct ?? new OverStreams(socket);
}

class OverStreams implements DirectSocket {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  constructor(socket: Socket) {
    this.#reader = socket.readable.getReader();
    this.#writer = socket.writable.getWriter();
    // Whoever reads or writes hears of the failure there.
    this.#reader.closed.catch(nothing);
    this.#writer.closed.catch(nothing);
    this.#writer.ready.catch(nothing);
  }

  async read(): Promise<Uint8Array | null> {
    const { done, value } = await this.#reader.read();
    return done ? null : value;
  }

  write(chunks: readonly Uint8Array[]): Promise<void> {
    if (chunks.length === 1) return this.#writer.write(chunks[0]!);
    return Promise.all(chunks.map((chunk) => this.#writer.write(chunk))).then(nothing);
  }
}

function nothing(): void {}
