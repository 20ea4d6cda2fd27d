// Ceph's injections on real sockets: what its own stress tests run with.

import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { MessengerError } from "../src/errors.ts";
import { Message } from "../src/message.ts";
import { Messenger } from "../src/messenger.ts";
import { defaultNetwork } from "../src/net/default.ts";
import { exponentialBackoff } from "../src/options.ts";
import { systemEnvironment } from "../src/environment.ts";
import { DeliveryChecker, injectFaults, MemoryNetwork, SeededRandom } from "../src/testing.ts";

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

test("injectFaults() refuses what is no probability or time", () => {
  for (const faults of [{ msInjectDelayProbability: 2 }, { msInjectSocketFailures: -1 }, { msInjectDelayMax: NaN }]) {
    const error = assertThrows(() => injectFaults(new MemoryNetwork(), systemEnvironment, faults), MessengerError);
    assert(error.code === "invalid" && error.message.includes(Object.keys(faults)[0]!));
  }
});
