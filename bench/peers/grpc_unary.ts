/** gRPC: a call for each message. */

import type { Client, Peer } from "../peer.ts";
import { serve } from "./grpc.ts";
import { connectGrpc } from "./grpc_service.ts";

export const peer: Peer = {
  serve,
  unordered: true,

  connect(port) {
    const stub = connectGrpc(port);
    const client: Client = {
      send: (message) =>
        new Promise((resolve, reject) =>
          stub.ask(message, (error, answer) => {
            if (error !== null) return reject(error);
            resolve();
            // What is only counted has an answer too, an empty one.
            if (answer.length > 0) client.onAnswer(answer);
          })
        ),
      onAnswer: () => {},
      close: () => stub.close(),
    };
    return Promise.resolve(client);
  },
};
