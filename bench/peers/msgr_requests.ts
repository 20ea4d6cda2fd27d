/** This module, with a request for each message. */

import { bytesCodec, MessageType, Messenger, RequestType } from "../../mod.ts";
import type { Client, Peer } from "../peer.ts";

const Exchange = new RequestType(new MessageType(0x8001, bytesCodec), new MessageType(0x8002, bytesCodec));
const NOTHING = new Uint8Array(0);

export const peer: Peer = {
  async serve(service) {
    const messenger = new Messenger();
    messenger.onRequest(Exchange, (message) => service.take(message) ?? NOTHING);
    return (await messenger.bind("127.0.0.1:0")).port;
  },

  connect(port) {
    const messenger = new Messenger(), connection = messenger.connectTo(`127.0.0.1:${port}`);
    const client: Client = {
      async send(message) {
        const answer = await connection.request(Exchange.message(message));
        // What is only counted has an answer too, an empty one.
        if (answer.length > 0) client.onAnswer(answer);
      },
      onAnswer: () => {},
      close: () => messenger.shutdown(),
    };
    return Promise.resolve(client);
  },
};
