// In which order a message takes its share of the throttles, and that every share comes back, whatever becomes of the message.

import { assertEquals } from "@std/assert";
import { test } from "node:test";
import { Messenger, statefulServer, statelessServer, Throttle } from "../mod.ts";
import { MemoryNetwork } from "../src/net/memory.ts";
import { EntityAddress } from "../src/wire/address.ts";
import { Tag } from "../src/wire/constants.ts";
import { eventually } from "./support/eventually.ts";
import { connectBytes, messageBytes, RawPeer } from "./support/raw_peer.ts";
import { Recorder } from "./support/recorder.ts";

const HERE = { transport: "tcp", hostname: "127.0.0.1", port: 7001 } as const;
const DATA = new Uint8Array(1000);

/** A server with a budget of each kind, and peers that are played byte by byte. */
class Budgets implements AsyncDisposable {
  readonly messages: Throttle;
  readonly bytes: Throttle;
  readonly recorder = new Recorder();
  readonly server: Messenger;
  /** Held up until it is resolved: every message's handler. */
  readonly handled = Promise.withResolvers<void>();
  readonly #network = new MemoryNetwork();
  readonly #peers: RawPeer[] = [];

  private constructor([messages, bytes, whole]: readonly [number, number, number], isLossy: boolean) {
    this.messages = new Throttle(messages);
    this.bytes = new Throttle(bytes);
    this.server = new Messenger({ network: this.#network, dispatchThrottleBytes: whole });
    const throttles = { throttlerMessages: this.messages, throttlerBytes: this.bytes };
    this.server.setPolicy(isLossy ? statelessServer(throttles) : statefulServer(throttles));
    this.server.addDispatcherTail({ dispatch: () => this.handled.promise.then(() => false) });
    this.server.addDispatcherTail(this.recorder);
  }

  static async open(budgets: readonly [number, number, number], isLossy = false): Promise<Budgets> {
    const made = new Budgets(budgets, isLossy);
    await made.server.bind("127.0.0.1:7001");
    return made;
  }

  async peer(): Promise<RawPeer> {
    const peer = await RawPeer.dial(this.#network, HERE);
    this.#peers.push(peer);
    await peer.introduce(EntityAddress.from("", 0, 100 + this.#peers.length));
    await peer.write(connectBytes());
    await peer.read(26);
    return peer;
  }

  /** What is taken of each, and how many wait for it. */
  get taken(): unknown {
    const { messages, bytes, server } = this;
    return [messages.current, bytes.current, server.stats().dispatch_throttle_bytes, messages.waiting, bytes.waiting];
  }

  /** Waits until that is so. */
  async until(...taken: number[]): Promise<void> {
    await eventually(() => JSON.stringify(this.taken) === JSON.stringify(taken));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { socket } of this.#peers) socket.abort();
    this.handled.resolve();
    await this.server.shutdown();
    await this.until(0, 0, 0, 0, 0);
    assertEquals(this.#network.openSockets, 0);
  }
}

test("a message takes its place among the messages first, then its bytes of the kind, then of the messenger", async () => {
  for (
    const [budgets, ...taken] of [
      // The second waits in the first line, and has taken nothing.
      [[1, 10_000, 10_000], 1, 1000, 1000, 1, 0],
      // It has its place, and no bytes of its kind's or of the messenger's.
      [[10, 1000, 10_000], 2, 1000, 1000, 0, 1],
      // It has all but the messenger's.
      [[10, 10_000, 1000], 2, 2000, 1000, 0, 0],
    ] as const
  ) {
    await using server = await Budgets.open(budgets);
    await (await server.peer()).write(messageBytes(DATA));
    await server.until(1, 1000, 1000, 0, 0);
    const second = await server.peer();
    await second.write(messageBytes(DATA));
    await server.until(...taken);
    // It leaves the line with its session, and gives back what it had.
    server.server.connections[1]!.markDown();
    await second.readToEnd();
    await server.until(1, 1000, 1000, 0, 0);
    const third = await server.peer();
    await third.write(messageBytes(DATA));
    await server.until(...taken);
    server.handled.resolve();
    await server.recorder.until(() => server.recorder.messages.length === 2);
    await server.until(0, 0, 0, 0, 0);
  }
});

const ends: Record<string, (peer: RawPeer) => Promise<void>> = {
  "breaks off in the middle": async (peer) => {
    await peer.write(messageBytes(DATA).subarray(0, 500));
  },
  "has been changed on its way": async (peer) => {
    await peer.write(messageBytes(DATA, {}, { dataCrc: 1 }));
  },
  "is taken back by its sender": async (peer) => {
    await peer.write(messageBytes(DATA, {}, { flags: 0 }));
  },
  "has come before": async (peer) => {
    await peer.write(messageBytes(DATA), messageBytes(DATA), messageBytes(DATA));
  },
  "is followed by nonsense": async (peer) => {
    await peer.write(messageBytes(DATA), Uint8Array.of(Tag.RESETSESSION));
  },
  "is followed by CLOSE": async (peer) => {
    await peer.write(messageBytes(DATA), Uint8Array.of(Tag.CLOSE));
  },
};

for (const [what, play] of Object.entries(ends)) {
  test(`nothing stays taken of a throttle when a message ${what}`, async () => {
    for (const isLossy of [false, true]) {
      await using server = await Budgets.open([10, 10_000, 10_000], isLossy);
      const peer = await server.peer();
      await play(peer);
      // Until the server has read all there is.
      await peer.end();
      await peer.readToEnd();
      server.handled.resolve();
      await server.until(0, 0, 0, 0, 0);
    }
  });
}
