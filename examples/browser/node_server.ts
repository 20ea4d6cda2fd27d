/**
 * Node serves HTTP, and leaves WebSockets to a package: https://www.npmjs.com/package/ws.
 *
 * @module
 */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { WebSocketLike } from "@msgr/pipe";
import * as webSocketPackage from "ws";

/** What is used of it: its types are a package of their own, which brings all of Node's. */
interface Ws {
  readonly WebSocket: new (...args: unknown[]) => WebSocketLike;
  readonly WebSocketServer: new (options: { noServer: true; WebSocket: Ws["WebSocket"] }) => {
    handleUpgrade(request: unknown, socket: unknown, head: unknown, done: (webSocket: WebSocketLike) => void): void;
  };
}

const ws = webSocketPackage as unknown as Ws;

/** What is sent may be used for something else at once, and `ws` keeps it until it is written. */
class CopyingWebSocket extends ws.WebSocket {
  override send(data: string | Uint8Array<ArrayBuffer>): void {
    super.send(typeof data === "string" ? data : data.slice());
  }
}

/** What is served. */
export interface Service {
  /** Answers a request. */
  page(request: Request): Promise<Response>;
  /** Whether a request is for a WebSocket. */
  wantsPipe(request: Request): boolean;
  /** Gets each WebSocket. */
  welcome(webSocket: WebSocketLike): void;
}

/** Serves pages and WebSockets. @returns The port. */
export function serve({ hostname, port }: { hostname: string; port: number }, service: Service): Promise<number> {
  const webSockets = new ws.WebSocketServer({ noServer: true, WebSocket: CopyingWebSocket });
  // A stranger may ask for what is no path at all.
  const asked = (path = "/"): Request => new Request(URL.parse(path, `http://${hostname}`) ?? `http://${hostname}`);
  const server = createServer(async (request, answer) => {
    try {
      const response = await service.page(asked(request.url));
      answer.writeHead(response.status, Object.fromEntries(response.headers)).end(await response.text());
    } catch {
      answer.writeHead(500).end();
    }
  });
  server.on("upgrade", (request, socket, head) => {
    if (!service.wantsPipe(asked(request.url))) return socket.destroy();
    webSockets.handleUpgrade(request, socket, head, service.welcome);
  });
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen(port, hostname, () => resolve((server.address() as AddressInfo).port));
  });
}
