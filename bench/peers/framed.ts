/** Length-prefixed messages by hand over node:net: no crc, no numbers, no acks, nothing to lose. What a hurried programmer writes. */

import { connect, createServer, type Socket } from "node:net";
import type { Client, Peer } from "../peer.ts";

const PREFIX = 4;

/** Takes a stream of chunks apart into messages. */
class Framer {
  #rest = new Uint8Array(0);
  readonly #onMessage: (message: Uint8Array) => void;

  constructor(onMessage: (message: Uint8Array) => void) {
    this.#onMessage = onMessage;
  }

  push(chunk: Uint8Array): void {
    let bytes = chunk;
    if (this.#rest.length > 0) {
      bytes = new Uint8Array(this.#rest.length + chunk.length);
      bytes.set(this.#rest);
      bytes.set(chunk, this.#rest.length);
    }
    let at = 0;
    while (bytes.length - at >= PREFIX) {
      const length = bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16 | bytes[at + 3]! << 24;
      if (bytes.length - at < PREFIX + length) break;
      this.#onMessage(bytes.subarray(at + PREFIX, at + PREFIX + length));
      at += PREFIX + length;
    }
    this.#rest = bytes.slice(at);
  }
}

/** Gathers the messages of one turn into one write. */
class Sender {
  readonly #socket: Socket;
  #parts: Uint8Array[] = [];
  #length = 0;
  #drained: Promise<void> | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  send(message: Uint8Array): void | Promise<void> {
    if (this.#parts.length === 0) setImmediate(() => this.#flush());
    const prefix = new Uint8Array([message.length, message.length >> 8, message.length >> 16, message.length >> 24]);
    this.#parts.push(prefix, message);
    this.#length += PREFIX + message.length;
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

export const peer: Peer = {
  serve(service) {
    const server = createServer({ noDelay: true }, (socket) => {
      const sender = new Sender(socket);
      const framer = new Framer((message) => {
        const answer = service.take(message);
        if (answer !== undefined) void sender.send(answer);
      });
      socket.on("data", (chunk: Uint8Array) => framer.push(chunk));
      socket.on("error", () => {});
    });
    return new Promise((resolve) =>
      server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port))
    );
  },

  connect(port) {
    return new Promise((resolve) => {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => {
        const sender = new Sender(socket);
        const client: Client = {
          send: (message) => sender.send(message),
          onAnswer: () => {},
          close: () => void socket.destroy(),
        };
        const framer = new Framer((message) => client.onAnswer(message));
        socket.on("data", (chunk: Uint8Array) => framer.push(chunk));
        resolve(client);
      });
    });
  },
};
