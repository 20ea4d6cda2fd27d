/** gRPC: one stream in both directions. */

import type { Client, Peer, Service } from "../peer.ts";
import { connectGrpc, serveGrpc } from "./grpc_service.ts";

/** Serves streams as well as single calls. */
export function serve(service: Service): Promise<number> {
  return serveGrpc({
    exchange(call) {
      call.on("data", (message) => {
        const answer = service.take(message);
        if (answer !== undefined) call.write(answer);
      });
      call.on("error", () => {});
    },
    ask: ({ request }, answer) => answer(null, service.take(request) ?? new Uint8Array(0)),
  });
}

export const peer: Peer = {
  serve,

  connect(port) {
    const stub = connectGrpc(port), call = stub.exchange();
    let drained: Promise<void> | undefined;
    const client: Client = {
      send(message) {
        if (call.write(message)) return;
        return drained ??= new Promise((resolve) =>
          call.once("drain", () => {
            drained = undefined;
            resolve();
          })
        );
      },
      onAnswer: () => {},
      close() {
        call.cancel();
        stub.close();
      },
    };
    call.on("data", (message) => client.onAnswer(message));
    call.on("error", () => {});
    return Promise.resolve(client);
  },
};
