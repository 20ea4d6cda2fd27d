/**
 * Serves the page and talks to it. In the checkout, build the page and start the server:
 *
 *     deno task browser                                   (both, on Deno)
 *     bun run examples/browser/server.ts 127.0.0.1:8080   (after deno task browser:build and npm ci)
 *     node examples/browser/server.ts 127.0.0.1:8080      (the same)
 *
 * and open http://127.0.0.1:8080/ in any number of windows.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import process from "node:process";
import { type Connection, duplexNetwork, Messenger, webSocketDuplex, type WebSocketLike } from "@msgr/pipe";
import { SERVER, Tick, Tock } from "./messages.ts";
import { BunWebSocket, type ServedWebSocket } from "./bun_web_socket.ts";

const [hostname, port] = (process.argv[2] ?? "127.0.0.1:8080").split(":");
const where = { hostname: hostname!, port: Number(port) };

const network = duplexNetwork();
const messenger = new Messenger({ network });
const ticks = new WeakMap<Connection, number>();
messenger.on(Tick, ({ number }, { connection }) => {
  // The connection outlives its WebSockets: the count goes on where it was.
  const received = (ticks.get(connection) ?? 0) + 1;
  ticks.set(connection, received);
  connection.send(Tock.message({ number, received }));
});
await messenger.bind(SERVER);

function welcome(webSocket: WebSocketLike): void {
  webSocketDuplex(webSocket).then((duplex) => network.accept(duplex), () => {});
}

const files: Readonly<Record<string, readonly [name: string, type: string]>> = {
  "/": ["page.html", "text/html"],
  "/page.js": ["page.js", "text/javascript"],
};

async function page(request: Request): Promise<Response> {
  const [name, type] = files[new URL(request.url).pathname] ?? [];
  if (name === undefined) return new Response("Not found", { status: 404 });
  return new Response(await readFile(new URL(name, import.meta.url), "utf8"), { headers: { "content-type": type! } });
}

const wantsPipe = (request: Request): boolean => new URL(request.url).pathname === "/pipe";

interface BunServer {
  readonly port: number;
  upgrade(request: Request): boolean;
}

declare const Bun: {
  serve(options: {
    readonly hostname: string;
    readonly port: number;
    fetch(request: Request, server: BunServer): Response | undefined | Promise<Response>;
    readonly websocket: {
      open(served: ServedWebSocket): void;
      message(served: ServedWebSocket, data: string | Uint8Array): void;
      close(served: ServedWebSocket, code: number): void;
    };
  }): BunServer;
};

if ("Bun" in globalThis) {
  const ends = new WeakMap<ServedWebSocket, BunWebSocket>();
  const server = Bun.serve({
    ...where,
    fetch: (request, server) => {
      if (!wantsPipe(request)) return page(request);
      return server.upgrade(request) ? undefined : new Response("A WebSocket was expected", { status: 426 });
    },
    websocket: {
      open: (served) => {
        const end = new BunWebSocket(served);
        ends.set(served, end);
        welcome(end);
      },
      message: (served, data) => ends.get(served)?.received(data),
      close: (served, code) => ends.get(served)?.closed(code),
    },
  });
  console.log(`The page is at http://${where.hostname}:${server.port}/`);
} else if ("Deno" in globalThis) {
  const onListen = ({ port }: { port: number }): void =>
    console.log(`The page is at http://${where.hostname}:${port}/`);
  Deno.serve({ ...where, onListen }, (request) => {
    if (!wantsPipe(request)) return page(request);
    const { socket, response } = Deno.upgradeWebSocket(request);
    welcome(socket);
    return response;
  });
} else {
  const { serve } = await import("./node_server.ts");
  const port = await serve(where, { page, wantsPipe, welcome });
  console.log(`The page is at http://${where.hostname}:${port}/`);
}
