/** What both ways to frame by hand have in common: four bytes of length in front of a message, over node:net, and nothing else. */

import { connect, createServer, type Socket } from "node:net";
import type { Client, Peer } from "../peer.ts";

/** Bytes of the length in front of a message. */
const PREFIX = 4;

/** How a way to frame writes. */
export interface Sender {
  /** Sends a message; a promise if the sender had better wait. */
  send(message: Uint8Array): void | Promise<void>;
}

/** The length in front of a message. */
export function prefixOf({ length }: Uint8Array): Uint8Array {
  return new Uint8Array([length, length >> 8, length >> 16, length >> 24]);
}

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

/** A peer that frames by hand and writes with the given sender. */
export function framedBy(senderTo: (socket: Socket) => Sender): Peer {
  return {
    serve(service) {
      const server = createServer({ noDelay: true }, (socket) => {
        const sender = senderTo(socket);
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
          const sender = senderTo(socket);
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
}
