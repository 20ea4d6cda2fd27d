/** Socket.IO over WebSocket. */

import { createServer } from "node:http";
import type { Client, Peer } from "../peer.ts";
import { installed } from "./install.ts";

/** Packets that may wait in a socket before its sender does. */
const MOST_WAITING = 1000;

interface Engine {
  readonly writeBuffer: readonly unknown[];
  once(event: string, listener: () => void): void;
}
interface Socket {
  readonly io: { readonly engine: Engine };
  on(event: string, listener: (message: Uint8Array) => void): void;
  emit(event: string, message: Uint8Array): void;
  disconnect(): void;
}
interface ServerModule {
  readonly Server: new (http: unknown, options: unknown) => {
    on(event: string, listener: (socket: Socket) => void): void;
  };
}
interface ClientModule {
  io(url: string, options: unknown): Socket;
}

const options = { transports: ["websocket"], perMessageDeflate: false };

export const peer: Peer = {
  serve(service) {
    const { Server } = installed<ServerModule>("socket.io");
    const http = createServer();
    const server = new Server(http, { ...options, maxHttpBufferSize: 1e8, serveClient: false });
    server.on("connection", (socket) => {
      socket.on("message", (message) => {
        const answer = service.take(message);
        if (answer !== undefined) socket.emit("message", answer);
      });
    });
    return new Promise((resolve) =>
      http.listen(0, "127.0.0.1", () => resolve((http.address() as { port: number }).port))
    );
  },

  connect(port) {
    const { io } = installed<ClientModule>("socket.io-client");
    const socket = io(`http://127.0.0.1:${port}`, { ...options, forceNew: true, reconnection: false });
    const client: Client = {
      send(message) {
        socket.emit("message", message);
        const { engine } = socket.io;
        if (engine.writeBuffer.length > MOST_WAITING) {
          return new Promise((resolve) => engine.once("drain", () => resolve()));
        }
      },
      onAnswer: () => {},
      close: () => socket.disconnect(),
    };
    socket.on("message", (message) => client.onAnswer(message));
    return new Promise((resolve, reject) => {
      socket.on("connect", () => resolve(client));
      socket.on("connect_error", (error) => reject(error));
    });
  },
};
