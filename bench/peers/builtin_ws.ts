/** The runtime's own WebSocket and its own server for it. */

import type { Client, Peer, Service } from "../peer.ts";

/** Bytes that may wait in a socket before its sender does. */
const MOST_WAITING = 1024 * 1024;

interface AnyBun {
  serve(options: unknown): { readonly port: number };
}
interface AnyDeno {
  serve(options: unknown, handler: (request: Request) => Response): { readonly addr: { readonly port: number } };
  upgradeWebSocket(request: Request): { readonly socket: WebSocket; readonly response: Response };
}

const { Bun, Deno } = globalThis as unknown as { Bun?: AnyBun; Deno?: AnyDeno };

function serveOnBun(bun: AnyBun, service: Service): number {
  const server = bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request: Request, self: { upgrade(request: Request): boolean }) =>
      self.upgrade(request) ? undefined : new Response("A WebSocket is wanted", { status: 400 }),
    websocket: {
      perMessageDeflate: false,
      message(socket: { send(data: Uint8Array): void }, message: Uint8Array) {
        const answer = service.take(message);
        if (answer !== undefined) socket.send(answer);
      },
    },
  });
  return server.port;
}

function serveOnDeno(deno: AnyDeno, service: Service): number {
  const server = deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { socket, response } = deno.upgradeWebSocket(request);
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      const answer = service.take(new Uint8Array(data));
      if (answer !== undefined) socket.send(answer as Uint8Array<ArrayBuffer>);
    };
    socket.onerror = () => {};
    return response;
  });
  return server.addr.port;
}

export const peer: Peer = {
  serve(service) {
    if (Bun !== undefined) return Promise.resolve(serveOnBun(Bun, service));
    if (Deno !== undefined) return Promise.resolve(serveOnDeno(Deno, service));
    return Promise.reject(new Error("No server for WebSockets"));
  },

  connect(port) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}`);
      socket.binaryType = "arraybuffer";
      const client: Client = {
        send(message) {
          socket.send(message as Uint8Array<ArrayBuffer>);
          if (socket.bufferedAmount > MOST_WAITING) return drained(socket);
        },
        onAnswer: () => {},
        close: () => socket.close(),
      };
      socket.onopen = () => resolve(client);
      socket.onerror = () => reject(new Error("The WebSocket did not open"));
      socket.onmessage = ({ data }) => client.onAnswer(new Uint8Array(data));
    });
  },
};

/** There is no event for it: one has to look again and again. */
async function drained(socket: WebSocket): Promise<void> {
  while (socket.bufferedAmount > MOST_WAITING / 2) await new Promise((resolve) => setTimeout(resolve));
}
