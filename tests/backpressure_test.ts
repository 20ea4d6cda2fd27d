// A dispatcher that never settles, in front of a sender that does not let up: what that costs, and whom.

import { assert, assertEquals, assertLess } from "@std/assert";
import { test } from "node:test";
import { losslessPeer, Message, Messenger, type MessengerOptions, statefulServer, Throttle } from "../mod.ts";
import { MemoryNetwork } from "../src/net/memory.ts";
import { SimulatedNetwork, VirtualEnvironment } from "../src/testing.ts";
import { range } from "./support/duo.ts";
import { eventually } from "./support/eventually.ts";
import { messageBytes, RawPeer } from "./support/raw_peer.ts";
import { VirtualPair } from "./support/virtual_pair.ts";

const MIB = 1024 * 1024;
/** What the dispatcher may be given and keep, and what the sender may queue. */
const LIMIT = MIB;
/** The sender's pace: 8 MiB a second. */
const DATA = new Uint8Array(64 * 1024), PACE = 1000 * DATA.length / (8 * MIB);
const NEVER = 666;

/** A throttle that several connections may share. */
type Shared = "dispatchThrottleBytes" | "throttlerBytes" | "throttlerMessages";

/** What stood where, in bytes, at one moment. */
interface Held {
  /** Given to the dispatcher, or waiting for it. */
  readonly server: number;
  /** Accepted by `send()` and not acknowledged. */
  readonly sender: number;
  /** Written to the network in all. */
  readonly written: number;
}

/** A server that three clients exchange messages with, and, where wanted, a fourth that is never done with. */
class Stall {
  readonly environment = new VirtualEnvironment();
  readonly throttle: Throttle;
  /** What has been offered so far, and what `send()` took. */
  offered = 0;
  accepted = 0;
  readonly #server: Messenger;
  readonly #network: SimulatedNetwork;
  readonly #messengers: Messenger[] = [];
  #written = 0;
  #isOver = false;

  /** @param shared What all clients share; without it the fourth has a throttle for its kind alone. */
  private constructor(shared?: Shared) {
    this.throttle = new Throttle(shared === "throttlerMessages" ? LIMIT / DATA.length : LIMIT);
    this.#network = new SimulatedNetwork(this.environment, {
      latency: [1, 1],
      tap: ({ from }, end, bytes) => {
        if (from.transport === "tcp" && from.hostname === "10.0.0.9" && end === "dialler") {
          this.#written += bytes.length;
        }
      },
    });
    // Shorter than the test: that the server does not read is not the sender's silence.
    const isWhole = shared === "dispatchThrottleBytes";
    this.#server = this.#messenger("10.0.0.1", {
      name: "osd.0",
      readTimeout: 2000,
      ...(isWhole ? { dispatchThrottleBytes: LIMIT } : {}),
    });
    const policy = losslessPeer({ [shared === "throttlerMessages" ? shared : "throttlerBytes"]: this.throttle });
    if (shared === undefined) this.#server.setPolicy(policy, "mds");
    else if (!isWhole) this.#server.setPolicy(policy);
    this.#server.addDispatcherTail({
      dispatch: (message) => {
        if (message.type === NEVER) return new Promise<void>(() => {});
        message.connection.send(new Message(2, { tid: message.tid, data: message.data }));
      },
    });
  }

  static async play(play: (stall: Stall) => Promise<void>, shared?: Shared): Promise<void> {
    const stall = new Stall(shared), { environment } = stall;
    await stall.#done(stall.#server.bind("10.0.0.1:6800"));
    try {
      await play(stall);
    } finally {
      stall.#isOver = true;
      await stall.#done(Promise.all(stall.#messengers.map((messenger) => messenger.shutdown())));
      // The last words of sockets are still on their way.
      await environment.run();
    }
    assertEquals([environment.timers, stall.#network.openSockets], [0, 0]);
    // The message that the dispatcher has is still the dispatcher's.
    assertEquals(stall.heldBytes, stall.offered > 0 ? DATA.length : 0);
  }

  /** Offers 8 MiB a second from now on, and says what `ready` is doing. */
  startSender(): { readonly isReady: () => boolean; readonly held: () => Held; readonly isConnected: () => boolean } {
    const sender = this.#messenger("10.0.0.9", { name: "mds.0", sendHighWaterMark: LIMIT });
    const connection = sender.connectTo(this.#server.address, { type: "osd" });
    let isReady = true;
    const offer = (): void => {
      if (this.#isOver) return;
      this.offered += DATA.length;
      if (isReady) {
        isReady = false;
        this.accepted += DATA.length;
        connection.send(new Message(NEVER, { data: DATA }));
        void connection.ready.then(() => isReady = true);
      }
      this.environment.setTimer(offer, PACE);
    };
    offer();
    return {
      isReady: () => isReady,
      isConnected: () => connection.isConnected,
      held: () => ({
        server: this.heldBytes,
        sender: connection.queued * DATA.length,
        written: this.#written,
      }),
    };
  }

  /** Three clients send as fast as they can and get everything back. @returns After how many virtual ms each was done. */
  async exchange(count: number): Promise<number[]> {
    const { environment } = this, start = environment.elapsed;
    const ended = Array.from({ length: 3 }, (_, i) => {
      const client = this.#messenger(`10.0.0.${i + 2}`, { sendHighWaterMark: 256 * 1024 });
      const { promise, resolve } = Promise.withResolvers<number>();
      let next = 1;
      client.addDispatcherHead({
        dispatch: ({ tid }) => {
          assertEquals(tid, next++);
          if (tid === count) resolve(environment.elapsed - start);
        },
      });
      const connection = client.connectTo(this.#server.address, { type: "osd" });
      void (async () => {
        for (let tid = 1; tid <= count; tid++) {
          await connection.ready;
          connection.send(new Message(1, { tid, data: DATA.subarray(0, 1000) }));
        }
      })();
      return promise;
    });
    return await this.#done(Promise.all(ended));
  }

  /** Bytes that the server has read and not handled. */
  get heldBytes(): number {
    return this.#server.stats().dispatch_throttle_bytes;
  }

  /** How often a session was opened again. */
  get reconnects(): number {
    return this.#server.stats().reconnects;
  }

  /** Lets `ms` go by. */
  async pass(ms: number): Promise<void> {
    await this.environment.run({ ms });
  }

  #messenger(host: string, options: MessengerOptions): Messenger {
    const messenger = new Messenger({ network: this.#network.host(host), environment: this.environment, ...options });
    messenger.addDispatcherTail({});
    this.#messengers.push(messenger);
    return messenger;
  }

  async #done<T>(promise: Promise<T>): Promise<T> {
    let isDone = false;
    void promise.then(() => isDone = true);
    assert(await this.environment.run({ ms: 60_000, until: () => isDone }), "it takes more than a minute");
    return await promise;
  }
}

test("a dispatcher that never settles holds its throttle's bytes, and no more however long the sender goes on", () =>
  Stall.play(async (stall) => {
    const { isReady, held } = stall.startSender();
    await stall.pass(1000);
    const first = held();
    assert(first.server > 0);
    assertLess(first.server, LIMIT + 1);
    assertEquals(isReady(), false);
    // What `ready` allows, and one message on top.
    assertLess(first.sender, LIMIT + DATA.length + 1);
    for (let second = 2; second <= 20; second++) {
      await stall.pass(1000);
      assertEquals([held(), isReady()], [first, false], `after ${second} s`);
    }
    assert(stall.offered >= 160 * MIB);
    assertLess(stall.accepted, 2 * LIMIT + DATA.length + 1);
  }));

test("what a throttle keeps from being read is not taken for the peer's silence", () =>
  Stall.play(async (stall) => {
    const { isConnected } = stall.startSender();
    await stall.pass(20_000);
    assert(isConnected());
    assertEquals(stall.reconnects, 0);
  }));

test("the others are as fast beside it as without it", async () => {
  const COUNT = 5000;
  let alone: number[] = [];
  await Stall.play(async (stall) => {
    await stall.pass(2000);
    alone = await stall.exchange(COUNT);
  });
  await Stall.play(async (stall) => {
    const { isReady } = stall.startSender();
    await stall.pass(2000);
    assertEquals(isReady(), false);
    assertEquals(await stall.exchange(COUNT), alone);
    assertEquals(isReady(), false);
  });
});

test("one connection's dispatcher cannot use up what all share: each takes no more than it leaves", async () => {
  for (const which of ["dispatchThrottleBytes", "throttlerBytes", "throttlerMessages"] as const) {
    await Stall.play(async (stall) => {
      const { isReady } = stall.startSender();
      await stall.pass(2000);
      assertEquals(isReady(), false);
      assertLess(stall.heldBytes, LIMIT / 2 + DATA.length + 1);
      await stall.exchange(1000);
    }, which);
  }
});

for (const isPolite of [true, false]) {
  const who = isPolite ? "that waits, too" : "that does not";
  test(`a handler that waits for room does not wait for acks that are stuck behind messages, of a client ${who}`, () => {
    const limits = { sendHighWaterMark: 64 * 1024, dispatchThrottleBytes: 64 * 1024 };
    return VirtualPair.play({ a: limits, b: limits, network: { capacity: 256 * 1024 } }, async (pair) => {
      const count = 2000, data = DATA.subarray(0, 4000);
      pair.b.messenger.addDispatcherHead({
        dispatch: async ({ connection, tid }) => {
          await connection.ready;
          connection.send(new Message(2, { tid, data: DATA.subarray(0, 8000) }));
        },
      });
      const connection = pair.dial();
      void (async () => {
        for (let tid = 1; tid <= count; tid++) {
          if (isPolite) await connection.ready;
          connection.send(new Message(1, { tid, data }));
        }
      })();
      await pair.until(() => pair.a.told.messages.length === count);
      assertEquals(pair.a.tids, range(1, count));
      assertEquals([pair.a.messenger.stats().reconnects, pair.b.messenger.stats().reconnects], [0, 0]);
    });
  });
}

test("a peer that floods, reads what it is answered and acknowledges nothing gets no more than so many bytes", async () => {
  const network = new MemoryNetwork();
  await using server = new Messenger({ network, sendHighWaterMark: MIB, dispatchThrottleBytes: MIB });
  server.setPolicy(statefulServer());
  let answered = 0;
  server.addDispatcherTail({
    dispatch: async ({ connection }) => {
      await connection.ready;
      answered += DATA.length;
      connection.send(new Message(2, { data: DATA }));
    },
  });
  await server.bind("127.0.0.1:7001");
  const peer = await RawPeer.dial(network, { transport: "tcp", hostname: "127.0.0.1", port: 7001 });
  await peer.open();
  const flood = (async () => {
    for (let seq = 1;; seq++) await peer.write(messageBytes(DATA, { seq }));
  })().catch(() => {});
  let read = 0;
  const reading = (async () => {
    for (;;) read += (await peer.read(DATA.length)).length;
  })().catch(() => {});
  await eventually(() => answered > 32 * MIB && read > 32 * MIB);
  // That is where it stops.
  for (let turns = 0; turns < 50; turns++) await new Promise((resolve) => setTimeout(resolve, 0));
  assertLess(answered, 34 * MIB);
  peer.socket.abort();
  await Promise.all([flood, reading]);
});
