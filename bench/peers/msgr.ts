/** This module: every check on, two processes, the default policy. */

import { Message, Messenger } from "../../mod.ts";
import { Ask, type Client, Count, type Peer } from "../peer.ts";

const TYPE = 0x8001;

export const peer: Peer = {
  async serve() {
    const messenger = new Messenger();
    const count = new Count();
    messenger.addDispatcherTail({
      dispatch(message) {
        const ask = count.add(message.data);
        if (ask === Ask.SINK) return;
        message.connection.send(ask === Ask.ECHO ? message : new Message(TYPE, { data: new Uint8Array(8) }));
      },
    });
    return (await messenger.bind("127.0.0.1:0")).port;
  },

  connect(port) {
    const messenger = new Messenger();
    const client: Client = {
      send(data) {
        if (++sent % 64 === 0) return connection.send(new Message(TYPE, { data })) ? connection.ready : undefined;
        connection.send(new Message(TYPE, { data }));
      },
      onAnswer: () => {},
      close: () => messenger.shutdown(),
    };
    messenger.addDispatcherTail({ dispatch: (message) => client.onAnswer(message.dataLength) });
    const connection = messenger.connectTo(`127.0.0.1:${port}`);
    let sent = 0;
    return Promise.resolve(client);
  },
};
