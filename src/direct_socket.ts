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
  /** What the latest read of the stream came to, if nobody has taken it. */
  #result: { readonly chunk: Uint8Array | null } | { readonly error: unknown } | undefined;

  constructor(socket: Socket) {
    this.#reader = socket.readable.getReader();
    this.#writer = socket.writable.getWriter();
    // Whoever reads or writes hears of the failure there.
    this.#reader.closed.catch(nothing);
    this.#writer.closed.catch(nothing);
    this.#writer.ready.catch(nothing);
  }

  read(arrived: () => void): Uint8Array | null | undefined {
    const result = this.#result;
    if (result === undefined) {
      this.#reader.read().then(
        ({ done, value }) => this.#result = { chunk: done ? null : value },
        (error) => this.#result = { error },
      ).then(arrived);
      return undefined;
    }
    if ("error" in result) throw result.error;
    if (result.chunk !== null) this.#result = undefined;
    return result.chunk;
  }

  write(chunks: readonly Uint8Array[], settled: (error?: unknown) => void): boolean {
    Promise.all(chunks.map((chunk) => this.#writer.write(chunk))).then(() => settled(), settled);
    return false;
  }
}

function nothing(): void {}
