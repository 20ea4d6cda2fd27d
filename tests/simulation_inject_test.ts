// Ceph's injections on real sockets: what its own stress tests run with.

import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import type { Connection } from "../src/connection.ts";
import { MessengerError } from "../src/errors.ts";
import { Message } from "../src/message.ts";
import { Messenger } from "../src/messenger.ts";
import { defaultNetwork } from "../src/net/default.ts";
import { exponentialBackoff } from "../src/options.ts";
import { systemEnvironment } from "../src/environment.ts";
import {
  DeliveryChecker,
  type InjectedFaults,
  injectFaults,
  MemoryNetwork,
  SeededRandom,
  SimulatedNetwork,
  VirtualEnvironment,
} from "../src/testing.ts";

const BATCH = 20, RECONNECTS = 10;

test("a lossless session over real sockets loses nothing while msInjectSocketFailures breaks them", async () => {
  const dice = new SeededRandom(1);
  const environment = { ...systemEnvironment, random: () => dice.next() };
  const network = injectFaults(await defaultNetwork(), environment, {
    msInjectSocketFailures: 40,
    msInjectInternalDelays: 0.002,
    msInjectDelayProbability: 0.05,
    msInjectDelayMax: 0.005,
  });
  const checker = new DeliveryChecker(), ann = checker.party("ann"), bob = checker.party("bob");
  const backoff = exponentialBackoff({ initial: 1, max: 20 });
  await using server = new Messenger({ network, environment, backoff, nonce: 1 });
  await using client = new Messenger({ network, environment, backoff, nonce: 2 });
  let caughtUp = Promise.withResolvers<void>();
  server.addDispatcherTail(bob.watch({
    dispatch: () => {
      if (checker.pending === 0) caughtUp.resolve();
    },
  }));
  client.addDispatcherTail(ann.watch({}));
  const connection = client.connectTo(await server.bind("127.0.0.1:0"));
  // How many reads and writes that takes is the system's to say; each is a chance to fail, and each batch has some.
  for (let tid = 1; client.stats().reconnects < RECONNECTS;) {
    caughtUp = Promise.withResolvers();
    for (let i = 0; i < BATCH; i++, tid++) {
      ann.send(connection, new Message(1, { tid, data: new Uint8Array(tid % 300) }), "bob");
    }
    await caughtUp.promise;
  }
  assertEquals([checker.finish(), checker.delivered], [[], checker.sent]);
});

/** A pair whose bytes go through the injections, in virtual time. */
async function injected(faults: InjectedFaults, play: (world: Injected) => Promise<void>): Promise<void> {
  const environment = new VirtualEnvironment({ seed: 3 }),
    plain = new SimulatedNetwork(environment, { latency: [1, 1] });
  const server = new Messenger({ network: plain.host("10.0.0.1"), environment, nonce: 1 });
  const client = new Messenger({
    network: injectFaults(plain.host("10.0.0.2"), environment, faults),
    environment,
    nonce: 2,
    backoff: exponentialBackoff({ initial: 1, max: 10 }),
  });
  const arrived: Injected["arrived"] = [];
  server.addDispatcherTail({
    dispatch: (message) => void message.connection.send(new Message(2, { tid: message.tid })),
  });
  client.addDispatcherTail({ dispatch: ({ tid }) => void arrived.push({ tid, at: environment.elapsed }) });
  const bound = server.bind("10.0.0.1:6800");
  await environment.run();
  await bound;
  await play({ environment, client, arrived, connection: client.connectTo(server.address) });
  const ended = [client.shutdown(), server.shutdown()];
  await environment.run();
  await Promise.all(ended);
  assertEquals([environment.timers, plain.openSockets], [0, 0]);
}

interface Injected {
  readonly environment: VirtualEnvironment;
  readonly client: Messenger;
  readonly connection: Connection;
  /** What has arrived at the client, and when. */
  readonly arrived: { readonly tid: number; readonly at: number }[];
}

test("msInjectSocketFailures breaks connections about once in so many reads and writes, and 0 breaks none", async () => {
  const reconnects = async (msInjectSocketFailures: number): Promise<number> => {
    let count = 0;
    await injected({ msInjectSocketFailures }, async ({ environment, client, connection, arrived }) => {
      for (let tid = 1; tid <= 500; tid++) {
        connection.send(new Message(1, { tid }));
        await environment.run({ ms: 10 });
      }
      await environment.run({ until: () => arrived.length === 500 && connection.queued === 0 });
      assertEquals(arrived.map(({ tid }) => tid), Array.from({ length: 500 }, (_, i) => i + 1));
      count = client.stats().reconnects;
    });
    return count;
  };
  assertEquals(await reconnects(0), 0);
  const often = await reconnects(20), seldom = await reconnects(200);
  assert(often > 2 * seldom && seldom > 0, `${often} and ${seldom}`);
});

test("msInjectInternalDelays holds a dialled connection up, by at most that many seconds", () =>
  injected({ msInjectInternalDelays: 5 }, async ({ environment, connection, arrived }) => {
    const opened: number[] = [];
    for (let tid = 1; tid <= 10; tid++) {
      const start = environment.elapsed;
      connection.send(new Message(1, { tid }));
      await environment.run({ until: () => arrived.length === tid });
      opened.push(environment.elapsed - start);
    }
    const [first, ...others] = opened;
    assert(first! > 100 && first! < 5100, `${first} ms`);
    assert(others.every((ms) => ms < 10), "a connection that is open is not held up");
  }));

test("msInjectDelayProbability and msInjectDelayMax make what arrives late, and nothing overtakes it", () =>
  injected({ msInjectDelayProbability: 0.5, msInjectDelayMax: 2 }, async ({ environment, connection, arrived }) => {
    const waits: number[] = [];
    for (let tid = 1; tid <= 40; tid++) {
      const start = environment.elapsed;
      connection.send(new Message(1, { tid }));
      connection.send(new Message(1, { tid: tid + 1000 }));
      await environment.run({ until: () => arrived.length === 2 * tid });
      waits.push(arrived.at(-1)!.at - start);
    }
    assertEquals(arrived.map(({ tid }) => tid), Array.from({ length: 40 }, (_, i) => [i + 1, i + 1001]).flat());
    const late = waits.filter((ms) => ms > 10).length;
    assert(late > 5 && late < 40, `${late} of 40 were late`);
    assert(waits.every((ms) => ms < 8010), `the latest by ${Math.max(...waits)} ms`);
    assert(waits.some((ms) => ms > 1000));
  }));

test("injectFaults() refuses what is no probability or time", () => {
  for (const faults of [{ msInjectDelayProbability: 2 }, { msInjectSocketFailures: -1 }, { msInjectDelayMax: NaN }]) {
    const error = assertThrows(() => injectFaults(new MemoryNetwork(), systemEnvironment, faults), MessengerError);
    assert(error.code === "invalid" && error.message.includes(Object.keys(faults)[0]!));
  }
});
