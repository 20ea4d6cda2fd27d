/** The package ws at both ends, which Bun replaces with its own. */

import type { AddressInfo } from "node:net";
import type { Client, Peer } from "../peer.ts";
import { installed } from "./install.ts";

/** Bytes that may wait in a socket before its sender does. */
const MOST_WAITING = 1024 * 1024;

interface Socket {
  binaryType: string;
  readonly bufferedAmount: number;
  on(event: string, listener: (data: Uint8Array) => void): void;
  send(data: Uint8Array, sent?: () => void): void;
  terminate(): void;
}
interface Server {
  on(event: string, listener: (socket: Socket) => void): void;
  address(): AddressInfo;
}
interface Ws {
  readonly WebSocket: new (url: string, options: unknown) => Socket;
  readonly WebSocketServer: new (options: unknown, listening: () => void) => Server;
}

const options = { perMessageDeflate: false };

export const peer: Peer = {
  serve(service) {
    const { WebSocketServer } = installed<Ws>("ws");
    return new Promise((resolve) => {
      const server = new WebSocketServer(
        { ...options, host: "127.0.0.1", port: 0 },
        () => resolve(server.address().port),
      );
      server.on("connection", (socket) => {
        socket.on("error", () => {});
        socket.on("message", (message) => {
          const answer = service.take(message);
          if (answer !== undefined) socket.send(answer);
        });
      });
    });
  },

  connect(port) {
    const { WebSocket } = installed<Ws>("ws");
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}`, options);
      const client: Client = {
        send(message) {
          if (socket.bufferedAmount < MOST_WAITING) socket.send(message);
          else return new Promise((sent) => socket.send(message, () => sent()));
        },
        onAnswer: () => {},
        close: () => socket.terminate(),
      };
      socket.on("open", () => resolve(client));
      socket.on("error", reject);
      socket.on("message", (message) => client.onAnswer(message));
    });
  },
};
