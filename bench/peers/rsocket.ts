/** RSocket over TCP: one channel in both directions, with its own flow control. */

import { Buffer } from "node:buffer";
import { createServer } from "node:net";
import type { Client, Peer } from "../peer.ts";
import { installed } from "./install.ts";

/** How many messages may be on their way to the server. */
const CREDIT = 128, REFILL = 64;
/** As many as there will ever be. */
const UNLIMITED = 0x7fffffff;

interface Payload {
  readonly data: Uint8Array;
}
interface Subscription {
  request(count: number): void;
  cancel(): void;
}
interface Subscriber {
  onSubscribe(subscription: Subscription): void;
  onNext(payload: Payload): void;
  onError(error: Error): void;
}
interface Flowable {
  subscribe(subscriber: Subscriber): void;
}
interface Core {
  readonly RSocketServer: new (config: unknown) => { start(): void };
  readonly RSocketClient: new (config: unknown) => {
    connect(): { subscribe(subscriber: { onComplete(socket: Channels): void; onError(error: Error): void }): void };
    close(): void;
  };
  readonly BufferEncoders: unknown;
}
interface Channels {
  requestChannel(payloads: Flowable): Flowable;
}
type Constructor<T> = new (...args: unknown[]) => T;

const core = () => installed<Core>("rsocket-core");

/** What is to be sent, as the other side asks for it. */
class Outlet {
  readonly flowable: Flowable;
  readonly #queue: Uint8Array[] = [];
  #subscriber: Subscriber | undefined;
  #credit = 0;
  #empty: PromiseWithResolvers<void> | undefined;

  constructor() {
    const { Flowable } = installed<{ readonly Flowable: Constructor<Flowable> }>("rsocket-flowable");
    this.flowable = new Flowable((subscriber: Subscriber) => {
      this.#subscriber = subscriber;
      subscriber.onSubscribe({
        cancel: () => {},
        request: (count) => {
          this.#credit += count;
          this.#drain();
        },
      });
    });
  }

  send(message: Uint8Array): void | Promise<void> {
    this.#queue.push(message);
    this.#drain();
    if (this.#queue.length > 0) return (this.#empty ??= Promise.withResolvers()).promise;
  }

  #drain(): void {
    while (this.#queue.length > 0 && this.#credit > 0) {
      const { buffer, byteOffset, length } = this.#queue.shift()!;
      this.#credit--;
      this.#subscriber!.onNext({ data: Buffer.from(buffer, byteOffset, length) });
    }
    if (this.#queue.length > 0) return;
    this.#empty?.resolve();
    this.#empty = undefined;
  }
}

export const peer: Peer = {
  async serve(service) {
    const Transport = installed<{ default: Constructor<unknown> }>("rsocket-tcp-server").default;
    const port = await new Promise<number>((resolve) => {
      const server = createServer();
      const serverFactory = (onConnection: (socket: unknown) => void) =>
        server.on("connection", (socket) => {
          socket.setNoDelay(true);
          onConnection(socket);
        }).on("listening", () => resolve((server.address() as { port: number }).port));
      const transport = new Transport({ host: "127.0.0.1", port: 0, serverFactory }, core().BufferEncoders);
      const requestChannel = (payloads: Flowable): Flowable => {
        const outlet = new Outlet();
        let taken = 0, subscription: Subscription;
        payloads.subscribe({
          onSubscribe(its) {
            subscription = its;
            subscription.request(CREDIT);
          },
          onNext({ data }) {
            if (++taken % REFILL === 0) subscription.request(REFILL);
            const answer = service.take(data);
            if (answer !== undefined) void outlet.send(answer);
          },
          onError: () => {},
        });
        return outlet.flowable;
      };
      new (core().RSocketServer)({ transport, getRequestHandler: () => ({ requestChannel }) }).start();
    });
    return port;
  },

  connect(port) {
    const Transport = installed<{ default: Constructor<unknown> }>("rsocket-tcp-client").default;
    const transport = new Transport({ host: "127.0.0.1", port, noDelay: true }, core().BufferEncoders);
    const setup = {
      keepAlive: 60_000,
      lifetime: 180_000,
      dataMimeType: "application/octet-stream",
      metadataMimeType: "application/octet-stream",
    };
    const connection = new (core().RSocketClient)({ setup, transport });
    return new Promise((resolve, reject) => {
      connection.connect().subscribe({
        onError: reject,
        onComplete(socket) {
          const outlet = new Outlet();
          const client: Client = {
            send: (message) => outlet.send(message),
            onAnswer: () => {},
            close: () => connection.close(),
          };
          socket.requestChannel(outlet.flowable).subscribe({
            onSubscribe: (subscription) => subscription.request(UNLIMITED),
            onNext: ({ data }) => client.onAnswer(data),
            onError: () => {},
          });
          resolve(client);
        },
      });
    });
  },
};
