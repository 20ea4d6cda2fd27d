/** This module, with messages as Web Streams: one stream operation for each message at either end. */

import { type Connection, Message, Messenger } from "../../mod.ts";
import type { Client, Peer, Service } from "../peer.ts";

const TYPE = 0x8001;

export const peer: Peer = {
  async serve(service) {
    const messenger = new Messenger();
    messenger.addDispatcherTail({ handleAccept: (connection) => void answerAll(connection, service) });
    return (await messenger.bind("127.0.0.1:0")).port;
  },

  connect(port) {
    const messenger = new Messenger(), connection = messenger.connectTo(`127.0.0.1:${port}`);
    const writer = connection.writable.getWriter();
    const client: Client = {
      send(data) {
        void writer.write(new Message(TYPE, { data }));
        if (writer.desiredSize! <= 0) return writer.ready;
      },
      onAnswer: () => {},
      async close() {
        await writer.close();
        await messenger.shutdown();
      },
    };
    void receiveAll(connection, client);
    return Promise.resolve(client);
  },
};

async function answerAll({ readable, writable }: Connection, service: Service): Promise<void> {
  const writer = writable.getWriter();
  try {
    for await (const message of readable) {
      const answer = service.take(message.data);
      if (answer === undefined) {
        message.put();
        continue;
      }
      await writer.ready;
      // Whether it arrives, the end of the session tells.
      writer.write(new Message(TYPE, { data: answer })).catch(() => {});
    }
  } catch {
    // The client has left.
  }
}

async function receiveAll({ readable }: Connection, client: Client): Promise<void> {
  try {
    for await (const message of readable) {
      client.onAnswer(message.data);
      message.put();
    }
  } catch {
    // It was closed.
  }
}
