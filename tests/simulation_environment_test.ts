import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "node:test";
import { Message } from "../src/message.ts";
import { Messenger } from "../src/messenger.ts";
import {
  type ConnectionFault,
  DeliveryChecker,
  SeededRandom,
  SimulatedNetwork,
  VirtualEnvironment,
} from "../src/testing.ts";

const A = "10.0.0.1", B = "10.0.0.2";

test("VirtualEnvironment advances no time while any promise or stream has something to do, however long that takes", async () => {
  const environment = new VirtualEnvironment();
  let awaited = 0, read = 0, sent = 0;
  const stream = new ReadableStream<number>({
    pull: (controller) => ++sent > 3000 ? controller.close() : controller.enqueue(sent),
  }, { highWaterMark: 0 });
  const chain = async () => {
    for (; awaited < 20_000; awaited++) await undefined;
    const through = stream.pipeThrough(new TransformStream<number, number>());
    for await (const _ of through) read++;
  };
  let seen: number[] = [];
  environment.setTimer(() => seen = [awaited, read], 0);
  void chain();
  await environment.run();
  assertEquals(seen, [20_000, 3000]);
});

test("VirtualEnvironment fires timers by time, those of one moment in the order in which they were set", async () => {
  const environment = new VirtualEnvironment({ startTime: 1000 });
  const order: [string, number][] = [];
  const note = (name: string) => () => void order.push([name, environment.now()]);
  environment.setTimer(note("late"), 10);
  environment.setTimer(note("first"), 5);
  environment.setTimer(note("second"), 5);
  environment.clearTimer(environment.setTimer(note("never"), 1));
  environment.setTimer(() => environment.setTimer(note("at once"), 0), 5);
  environment.nextTurn(note("turn"));
  assertEquals(await environment.run(), true);
  assertEquals(order, [["turn", 1000], ["first", 1005], ["second", 1005], ["at once", 1005], ["late", 1010]]);
  assertEquals([environment.timers, environment.elapsed], [0, 10]);
});

test("VirtualEnvironment.run() stops at its end, at its condition, and at a simulation that never rests", async () => {
  const environment = new VirtualEnvironment();
  let ticks = 0;
  const tick = () => {
    ticks++;
    environment.setTimer(tick, 1);
  };
  tick();
  assertEquals(await environment.run({ ms: 4.5 }), false);
  assertEquals([ticks, environment.elapsed], [5, 4.5]);
  assertEquals(await environment.run({ until: () => ticks === 8 }), true);
  await assertRejects(() => environment.run({ maxSteps: 10 }), Error, "did not come to rest");
});

test("SeededRandom gives the same numbers for a seed on every runtime, and others for another", () => {
  const numbers = (seed: number, stream = 0) => {
    const random = new SeededRandom(seed, stream);
    return Array.from({ length: 4 }, () => random.int(0, 999_999));
  };
  assertEquals(numbers(1), numbers(1));
  assert(new Set([numbers(1), numbers(2), numbers(1 + 2 ** 32), numbers(1, 1)].map(String)).size === 4);
  const random = new SeededRandom(7), counts = new Array<number>(6).fill(0);
  for (let i = 0; i < 6000; i++) counts[random.int(0, 5)]!++;
  assert(counts.every((count) => count > 850 && count < 1150), `no even die: ${counts}`);
});

/** Two bare sockets, and what arrives at the end that accepted. */
async function connected(
  faults: readonly ConnectionFault[],
  play: (pair: {
    environment: VirtualEnvironment;
    network: SimulatedNetwork;
    writer: WritableStreamDefaultWriter<Uint8Array>;
    arrived: { at: number; bytes: number[] }[];
    ends: string[];
  }) => Promise<void>,
): Promise<void> {
  const environment = new VirtualEnvironment();
  const network = new SimulatedNetwork(environment, { latency: [1, 1], faults: () => faults });
  const listener = await network.host(A).listen({ transport: "tcp", hostname: A, port: 6800 });
  const accepted = listener[Symbol.asyncIterator]().next();
  const dialled = network.host(B).connect(listener.address);
  await environment.run();
  const [here, there] = [await dialled, (await accepted).value!];
  const arrived: { at: number; bytes: number[] }[] = [], ends: string[] = [];
  const start = environment.elapsed;
  const watch = async (readable: ReadableStream<Uint8Array>, name: string, keep: boolean) => {
    try {
      for await (const chunk of readable) {
        if (keep) arrived.push({ at: environment.elapsed - start, bytes: [...chunk] });
      }
      ends.push(`${name} ended`);
    } catch (error) {
      ends.push(`${name}: ${(error as { code?: string }).code}`);
    }
  };
  void watch(there.readable, "acceptor", true);
  void watch(here.readable, "dialler", false);
  const writer = here.writable.getWriter();
  writer.closed.catch(() => {});
  await play({ environment, network, writer, arrived, ends });
  here.abort();
  there.abort();
  await listener.close();
  await environment.run();
  assertEquals([network.openSockets, network.openListeners, environment.timers], [0, 0, 0]);
}

const bytes = (...list: number[]) => Uint8Array.from(list);

test("SimulatedNetwork cuts after a byte, and each end notices when it is said to", () =>
  connected([{ kind: "cut", to: "acceptor", afterBytes: 3, notice: "acceptor" }], async (pair) => {
    const { environment, writer, arrived, ends } = pair;
    await writer.write(bytes(1, 2, 3, 4, 5));
    await environment.run();
    assertEquals([arrived.flatMap(({ bytes }) => bytes), ends], [[1, 2, 3], ["acceptor: connection_lost"]]);
    await writer.write(bytes(6));
    await environment.run();
    assertEquals(ends, ["acceptor: connection_lost", "dialler: connection_lost"]);
  }));

test("SimulatedNetwork splits into single bytes, stalls and delays, in order", () =>
  connected([
    { kind: "split", to: "acceptor", bytes: 2 },
    { kind: "stall", to: "acceptor", afterBytes: 3, ms: 50 },
    { kind: "delay", ms: 10 },
  ], async ({ environment, writer, arrived }) => {
    await writer.write(bytes(1, 2, 3, 4, 5));
    await environment.run();
    assertEquals(arrived, [
      { at: 11, bytes: [1] },
      { at: 11, bytes: [2] },
      { at: 11, bytes: [3] },
      { at: 61, bytes: [4, 5] },
    ]);
  }));

test("SimulatedNetwork lets bytes vanish in a black hole, and nobody notices", () =>
  connected([{ kind: "black_hole", to: "acceptor", afterBytes: 1 }], async ({ environment, writer, arrived, ends }) => {
    await writer.write(bytes(1, 2));
    await writer.write(bytes(3));
    await environment.run();
    assertEquals([arrived.flatMap(({ bytes }) => bytes), ends], [[1], []]);
  }));

test("SimulatedNetwork refuses, or never answers until the attempt is given up", async () => {
  const environment = new VirtualEnvironment();
  const fault: ConnectionFault[] = [{ kind: "refuse" }];
  const network = new SimulatedNetwork(environment, { faults: () => fault });
  const listener = await network.host(A).listen({ transport: "tcp", hostname: A, port: 6800 });
  const refused = assertRejects(() => network.host(B).connect(listener.address), Error, "nobody listens");
  await environment.run();
  await refused;
  fault[0] = { kind: "no_answer" };
  const giveUp = new AbortController();
  const given = assertRejects(
    () => network.host(B).connect(listener.address, { signal: giveUp.signal }),
    Error,
    "enough",
  );
  assertEquals(await environment.run(), true);
  giveUp.abort(new Error("enough"));
  await given;
  await listener.close();
});

test("a crashed host is gone at once; the other end hears of it, or when it was silent finds out by sending", async () => {
  for (const silent of [false, true]) {
    await connected([], async ({ environment, network, writer, ends }) => {
      const host = network.host("10.0.0.9");
      const listener = await host.listen({ transport: "tcp", hostname: "10.0.0.9", port: 1 });
      const dialled = network.host(B).connect(listener.address);
      await environment.run();
      const socket = await dialled;
      let lost = false;
      socket.readable.getReader().read().catch(() => lost = true);
      host.crash(silent);
      await environment.run();
      assertEquals([lost, network.openListeners], [!silent, 1]);
      const sent = socket.writable.getWriter();
      sent.closed.catch(() => {});
      await sent.write(bytes(1)).catch(() => {});
      await environment.run();
      assertEquals(lost, true);
      await assertRejects(() => host.connect(listener.address), Error, "crashed");
      await writer.write(bytes(1));
      await environment.run();
      assertEquals(ends, []);
    });
  }
});

/** Two messengers with a checker, of which the receiver's dispatcher is tampered with. */
async function violations(
  tamper: (message: Message, give: (message: Message) => void) => void,
): Promise<readonly string[]> {
  const environment = new VirtualEnvironment(), network = new SimulatedNetwork(environment);
  const checker = new DeliveryChecker(), ann = checker.party("ann"), bob = checker.party("bob");
  const server = new Messenger({ network: network.host(A), environment, nonce: 1 });
  const client = new Messenger({ network: network.host(B), environment, nonce: 2 });
  const watched = bob.watch({});
  server.addDispatcherTail({ dispatch: (message) => tamper(message, (given) => void watched.dispatch!(given)) });
  const bound = server.bind(`${A}:6800`);
  await environment.run();
  const connection = client.connectTo(await bound);
  for (let tid = 1; tid <= 4; tid++) ann.send(connection, new Message(1, { tid, data: bytes(tid) }), "bob");
  await environment.run({ ms: 1000 });
  const found = checker.finish();
  const ended = [server.shutdown(), client.shutdown()];
  await environment.run();
  await Promise.all(ended);
  return found;
}

test("DeliveryChecker finds what is lost, repeated, reordered or made up, and nothing where all is well", async () => {
  assertEquals(await violations((message, give) => give(message)), []);
  assertEquals(await violations((message, give) => message.tid === 4 || give(message)), [
    "1 messages from ann to bob are missing and nobody was told: 4",
  ]);
  assertEquals(await violations((message, give) => message.tid === 2 || give(message)), [
    "1 messages from ann to bob are missing and nobody was told: 2",
    "3 from ann to bob arrived and 2 before it did not",
    "4 from ann to bob arrived and 2 before it did not",
  ]);
  assertEquals(
    await violations((message, give) => {
      give(message);
      if (message.tid === 4) give(message);
    }),
    ["bob was given 4 of ann twice in one session"],
  );
  let held: Message | undefined;
  assertEquals(
    await violations((message, give) => {
      if (message.tid === 2) return void (held = message);
      give(message);
      if (message.tid === 3) give(held!);
    }),
    ["bob was given 2 of ann after one that was sent later"],
  );
  assertEquals(
    await violations((message, give) => {
      give(message);
      message.data[0] = 9;
      if (message.tid === 1) Object.defineProperty(message, "tid", { value: 77 });
      if (message.tid === 77) give(message);
    }),
    ["bob was given 77, which nobody sent"],
  );
  assertEquals(
    await violations((message, give) => {
      if (message.tid === 3) message.data[0] = 9;
      give(message);
    }),
    ["bob was given 3 of ann with another data"],
  );
});
