/** ZeroMQ: a DEALER at the client, a ROUTER at the server. */

import type { Client, Peer } from "../peer.ts";
import { installed } from "./install.ts";

interface ZeroMq {
  readonly context: { maxSockets: number };
  readonly Dealer: new (options: unknown) => Socket;
  readonly Router: new (options: unknown) => Socket & { readonly lastEndpoint: string };
}
interface Socket extends AsyncIterable<Uint8Array[]> {
  bind(address: string): Promise<void>;
  connect(address: string): void;
  send(parts: Uint8Array | Uint8Array[]): Promise<void>;
  close(): void;
}

/** It sends one at a time: another attempt before the first is done is refused. */
class Sender {
  readonly #socket: Socket;
  readonly #queue: (Uint8Array | Uint8Array[])[] = [];
  #draining: Promise<void> | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  send(message: Uint8Array | Uint8Array[]): Promise<void> {
    this.#queue.push(message);
    return this.#draining ??= this.#drain();
  }

  async #drain(): Promise<void> {
    for (let message = this.#queue.shift(); message !== undefined; message = this.#queue.shift()) {
      await this.#socket.send(message);
    }
    this.#draining = undefined;
  }
}

export const peer: Peer = {
  async serve(service) {
    const { context, Router } = installed<ZeroMq>("zeromq");
    context.maxSockets = 4096;
    const router = new Router({ sendHighWaterMark: 1000, receiveHighWaterMark: 1000 });
    await router.bind("tcp://127.0.0.1:*");
    const sender = new Sender(router);
    (async () => {
      for await (const [from, message] of router) {
        const answer = service.take(message!);
        if (answer !== undefined) void sender.send([from!, answer]);
      }
    })();
    return Number(router.lastEndpoint.split(":").at(-1));
  },

  connect(port) {
    const { context, Dealer } = installed<ZeroMq>("zeromq");
    context.maxSockets = 4096;
    const dealer = new Dealer({ sendHighWaterMark: 1000, receiveHighWaterMark: 1000, linger: 0 });
    dealer.connect(`tcp://127.0.0.1:${port}`);
    const sender = new Sender(dealer);
    const client: Client = {
      send: (message) => sender.send(message),
      onAnswer: () => {},
      close: () => dealer.close(),
    };
    (async () => {
      for await (const [message] of dealer) client.onAnswer(message!);
    })();
    return Promise.resolve(client);
  },
};
