/** This module: every check on, two processes, the default policy. */

import { Message, Messenger, type MessengerOptions } from "../../mod.ts";
import type { Client, Peer } from "../peer.ts";

const TYPE = 0x8001;

/** Connects with a messenger of its own, as another process would. */
export function connectWith(port: number, options: MessengerOptions): Client {
  const messenger = new Messenger(options);
  const client: Client = {
    send(data) {
      if (++sent % 64 === 0) return connection.send(new Message(TYPE, { data })) ? connection.ready : undefined;
      connection.send(new Message(TYPE, { data }));
    },
    onAnswer: () => {},
    close: () => messenger.shutdown(),
  };
  messenger.addDispatcherTail({
    dispatch(message) {
      client.onAnswer(message.data);
      message.put();
    },
  });
  const connection = messenger.connectTo(`127.0.0.1:${port}`);
  let sent = 0;
  return client;
}

export const peer: Peer = {
  async serve(service) {
    const messenger = new Messenger();
    messenger.addDispatcherTail({
      dispatch(message) {
        const { data, connection } = message;
        const answer = service.take(data);
        if (answer === undefined) return message.put();
        connection.send(answer === data ? message : new Message(TYPE, { data: answer }));
      },
    });
    return (await messenger.bind("127.0.0.1:0")).port;
  },

  connect: (port) => Promise.resolve(connectWith(port, {})),
};
