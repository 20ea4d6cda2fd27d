// What the simulation found, one scenario each: small enough to read, and on the same virtual network.

import { assert, assertEquals } from "@std/assert";
import { test } from "node:test";
import type { Connection } from "../src/connection.ts";
import { Message } from "../src/message.ts";
import { Messenger } from "../src/messenger.ts";
import { losslessPeer, losslessPeerReuse, type Policy } from "../src/policy.ts";
import { decideExisting } from "../src/race.ts";
import { SimulatedNetwork, VirtualEnvironment } from "../src/testing.ts";
import { Feature, MESSENGER_FEATURES, Tag } from "../src/wire/constants.ts";

const A = "10.0.0.1", B = "10.0.0.2";
const WITHOUT_SEQ = { featuresSupported: MESSENGER_FEATURES & ~Feature.RECONNECT_SEQ };

/** One of two messengers, and what it was given. */
interface Side {
  readonly messenger: Messenger;
  readonly received: number[];
  readonly resets: string[];
}

/** Two messengers that listen, and the time and the network between them. */
class World {
  readonly environment = new VirtualEnvironment();
  readonly network: SimulatedNetwork;
  readonly a: Side;
  readonly b: Side;

  private constructor(policy: Policy, handle: () => Promise<void> | void, capacity: number) {
    this.network = new SimulatedNetwork(this.environment, { latency: [1, 1], capacity });
    const side = (host: string, nonce: number): Side => {
      const { environment, network } = this;
      const messenger = new Messenger({ network: network.host(host), environment, nonce });
      const received: number[] = [], resets: string[] = [];
      messenger.setPolicy(policy);
      messenger.addDispatcherTail({
        dispatch: ({ tid }) => {
          received.push(tid);
          return handle();
        },
        handleReset: (_, { dropped }) => void resets.push(`reset ${dropped}`),
        handleRemoteReset: (_, { dropped }) => void resets.push(`remote reset ${dropped}`),
      });
      return { messenger, received, resets };
    };
    this.a = side(A, 1);
    this.b = side(B, 2);
  }

  static async play(
    play: (world: World, connection: Connection) => Promise<void>,
    { policy = losslessPeerReuse(), handle = () => {}, capacity = 65_536 }: {
      policy?: Policy;
      handle?: () => Promise<void> | void;
      capacity?: number;
    } = {},
  ): Promise<void> {
    const world = new World(policy, handle, capacity), { a, b, environment } = world;
    const bound = [a.messenger.bind(`${A}:6800`), b.messenger.bind(`${B}:6800`)];
    await environment.run();
    await Promise.all(bound);
    const connection = a.messenger.connectTo(b.messenger.address);
    try {
      await play(world, connection);
    } finally {
      const ended = [a.messenger.shutdown(), b.messenger.shutdown()];
      await environment.run();
      await Promise.all(ended);
    }
    assertEquals([environment.timers, world.network.openSockets, world.network.openListeners], [0, 0, 0]);
  }

  /** Lets `ms` pass. */
  async pass(ms: number): Promise<void> {
    await this.environment.run({ ms });
  }
}

function send(connection: Connection, ...tids: number[]): boolean[] {
  return tids.map((tid) => connection.send(new Message(0x8001, { tid })));
}

test("send() refuses a message behind CLOSE: it could not be sent, and nobody would be told", () =>
  World.play(async (world, connection) => {
    assertEquals(send(connection, 1), [true]);
    await world.pass(100);
    for (const link of world.network.connections) link.inflict({ kind: "black_hole", to: "acceptor", afterBytes: 0 });
    void connection.close();
    await world.pass(1);
    assertEquals(connection.state, "closing");
    assertEquals(send(connection, 2), [false]);
  }));

test("a message that comes again is acknowledged again: its sender would keep and replay it for ever", () =>
  World.play(async (world, connection) => {
    send(connection, 1);
    await world.pass(100);
    // The message arrives and its ack does not.
    for (const link of world.network.connections) link.inflict({ kind: "black_hole", to: "dialler", afterBytes: 0 });
    send(connection, 2);
    await world.pass(100);
    assertEquals([world.b.received, connection.queued], [[1, 2], 1]);
    for (const link of world.network.connections) link.cut("acceptor");
    // Nothing reaches A any more, so it takes its time to notice.
    await world.pass(901_000);
    assertEquals([world.b.received, connection.queued], [[1, 2], 0]);
    assertEquals(world.b.messenger.stats().duplicate_messages, 1);
  }, { policy: losslessPeerReuse(WITHOUT_SEQ) }));

test("a peer may acknowledge what it had in an earlier connection before all of that has come again", () =>
  World.play(async (world, connection) => {
    send(connection, 1);
    await world.pass(100);
    for (const link of world.network.connections) link.inflict({ kind: "black_hole", to: "dialler", afterBytes: 0 });
    const data = new Uint8Array(20_000), tids = Array.from({ length: 200 }, (_, i) => 2 + i);
    for (const tid of tids) connection.send(new Message(0x8001, { tid, data }));
    await world.pass(1000);
    assertEquals([world.b.received, connection.queued], [[1, ...tids], 200]);
    for (const link of world.network.connections) link.cut("both");
    // More than goes into one write, or into the network at once: the acks are faster than the rest.
    await world.pass(901_000);
    assertEquals([world.b.received, connection.queued], [[1, ...tids], 0]);
    assertEquals(world.a.messenger.stats().protocol_errors, 0);
    assertEquals(world.b.messenger.stats().duplicate_messages, 200);
  }, { policy: losslessPeerReuse(WITHOUT_SEQ), capacity: 1000 }));

test("row h asks a peer without SEQ to begin anew, whatever the policy: our first numbers would be old to it", () => {
  const existing = { state: "connecting", lossy: false, server: false, connectSeq: 0, peerGlobalSeq: 0 } as const;
  const session = { globalSeq: 5, connectSeq: 2, resetcheck: false, peerIsSmaller: true, existing };
  const { row, action } = decideExisting({ ...session, canExchangeSeq: true });
  assertEquals([row, action], ["i", "replace"]);
  const decision = decideExisting({ ...session, canExchangeSeq: false });
  assert(decision.action === "reply");
  assertEquals([decision.row, decision.tag], ["h", Tag.RESETSESSION]);
});

test("losslessPeer() without SEQ loses nothing that it sends after markDown()", () =>
  World.play(async (world, connection) => {
    send(connection, 1, 2, 3);
    const back = () => world.b.messenger.findConnection(world.a.messenger.address)!;
    await world.pass(100);
    send(back(), 4, 5, 6);
    await world.pass(100);
    // B forgets the session and begins another. A, which dials already, still speaks of the old one, and is first.
    back().markDown();
    send(connection, 7);
    await world.pass(4);
    const fresh = world.b.messenger.connectTo(world.a.messenger.address);
    send(fresh, 8);
    await world.pass(1000);
    assertEquals(world.a.received, [4, 5, 6, 8]);
    assertEquals([fresh.queued, connection.queued], [0, 0]);
  }, { policy: losslessPeer(WITHOUT_SEQ) }));

test("close() goes on when the peer's new connection takes the session over", () =>
  World.play(async (world, connection) => {
    send(connection, 1);
    await world.pass(100);
    const back = world.b.messenger.findConnection(world.a.messenger.address)!;
    send(back, 2);
    let isClosed = false;
    void back.close().then(() => isClosed = true);
    await world.pass(0.5);
    // Both dial, and the connection of A, whose address is smaller, takes the place of the one that was to be closed.
    world.network.cut(A, B);
    send(connection, 3);
    await world.pass(1000);
    assertEquals([world.a.received, world.b.received], [[2], [1, 3]]);
    assertEquals([isClosed, back.isClosed, world.a.resets], [true, true, ["reset 0"]]);
  }));

test("a peer that begins anew before its CLOSE is answered costs none of the messages that it was acknowledged", () => {
  const handled = Promise.withResolvers<void>();
  return World.play(async (world, connection) => {
    send(connection, 1, 2, 3);
    await world.pass(100);
    assertEquals([world.b.received, connection.queued], [[1], 0]);
    const back = world.b.messenger.findConnection(world.a.messenger.address)!;
    // B says CLOSE; the answer does not arrive, and A begins another session.
    for (const link of world.network.connections) link.inflict({ kind: "black_hole", to: "acceptor", afterBytes: 0 });
    void back.close();
    await world.pass(10);
    assertEquals([world.a.resets, back.state], [["reset 0"], "closing"]);
    send(world.a.messenger.connectTo(world.b.messenger.address), 4);
    await world.pass(100);
    handled.resolve();
    await world.pass(100);
    assertEquals([world.b.received.toSorted(), back.isClosed], [[1, 2, 3, 4], true]);
  }, { handle: () => handled.promise });
});

test("close() on both sides at once tells what stayed behind", () =>
  World.play(async (world, connection) => {
    send(connection, 1);
    await world.pass(100);
    const back = world.b.messenger.findConnection(world.a.messenger.address)!;
    // A still waits for the acknowledgement of 2, which B never gets, when the CLOSE of B arrives.
    for (const link of world.network.connections) {
      link.inflict({ kind: "stall", to: "acceptor", afterBytes: 0, ms: 50 });
    }
    send(connection, 2);
    const closed = [connection.close(), back.close()];
    await world.pass(40);
    assertEquals([world.b.received, world.a.resets], [[1], ["reset 1"]]);
    await world.pass(1000);
    await Promise.all(closed);
  }));
