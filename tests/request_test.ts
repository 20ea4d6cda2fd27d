// Requests and replies: who gets what, what a failure is told as, and that each request is answered once however often the line breaks.

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import {
  type Connection,
  jsonCodec,
  type Message,
  MessageType,
  Messenger,
  MessengerError,
  type MessengerOptions,
  RequestError,
  RequestType,
  textCodec,
} from "../mod.ts";
import { SeededRandom, SimulatedNetwork, VirtualEnvironment } from "../src/testing.ts";
import { eventually } from "./support/eventually.ts";
import { Interceptor } from "./support/interceptor.ts";
import { networks } from "./support/networks.ts";

const Double = new RequestType(
  new MessageType(0x8001, jsonCodec<number>()),
  new MessageType(0x8002, jsonCodec<number>()),
);
const Upper = new RequestType(new MessageType(0x8003, textCodec), new MessageType(0x8004, textCodec));

/** A server and a client whose line can be cut. */
class Pair implements AsyncDisposable {
  readonly network: Interceptor;
  readonly server: Messenger;
  readonly client: Messenger;
  /** What the server's handlers threw. */
  readonly errors: unknown[] = [];
  connection!: Connection;

  private constructor(network: Interceptor, options: MessengerOptions) {
    this.network = network;
    const common = { network, backoff: (attempt: number) => attempt === 0 ? 0 : 5, ...options };
    this.server = new Messenger({ ...common, onDispatchError: (error) => this.errors.push(error) });
    this.client = new Messenger(common);
  }

  static async open(index = 0, options: MessengerOptions = {}): Promise<Pair> {
    const pair = new Pair(new Interceptor(await networks[index]!.open()), options);
    pair.server.addDispatcherHead({});
    pair.connection = pair.client.connectTo(await pair.server.bind("127.0.0.1:0"));
    return pair;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.shutdown();
    await this.server.shutdown();
    for (const messenger of [this.client, this.server]) {
      const { pending_requests, dispatch_throttle_bytes, msgr_active_connections } = messenger.stats();
      assertEquals([pending_requests, dispatch_throttle_bytes, msgr_active_connections], [0, 0, 0]);
    }
  }
}

async function failsWith(code: string, promise: Promise<unknown>): Promise<MessengerError> {
  const error = await assertRejects(() => promise, MessengerError);
  assertEquals(error.code, code);
  return error;
}

for (const [index, { name }] of networks.entries()) {
  test(`100,000 requests, 64 at once, are each answered once while the line is cut 100 times (${name})`, async () => {
    const COUNT = 100_000, IN_FLIGHT = 64, CUTS = 100;
    await using pair = await Pair.open(index);
    const { connection, network, server, client } = pair;
    const asked = new Uint8Array(COUNT);
    server.onRequest(Double, (n) => {
      asked[n]!++;
      // Every other one takes a turn, so that replies overtake each other.
      return n % 2 === 0 ? 2 * n : Promise.resolve(2 * n);
    });
    let next = 0, answered = 0;
    const asker = async (): Promise<void> => {
      while (next < COUNT) {
        const n = next++;
        assertEquals(await connection.request(Double.message(n), { timeout: 0 }), 2 * n);
        if (++answered % (COUNT / CUTS) === 0) network.cut();
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, asker));
    assertEquals(answered, COUNT);
    assert(asked.every((times) => times === 1));
    assert(client.stats().reconnects >= CUTS - 1, `${client.stats().reconnects} reconnects`);
    assertEquals([client.stats().late_replies, client.stats().pending_requests], [0, 0]);
  });

  test(`a reply goes to its request, whatever the order (${name})`, async () => {
    await using pair = await Pair.open(index);
    const { connection, server } = pair, waiting: (() => void)[] = [];
    server.onRequest(Upper, async (text) => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      return text.toUpperCase();
    });
    const replies = ["a", "b", "c"].map((text) => connection.request(Upper.message(text)));
    const order: string[] = [];
    for (const reply of replies) void reply.then((text) => order.push(text));
    await eventually(() => waiting.length === 3);
    for (const [i, reply] of [[1, "B"], [2, "C"], [0, "A"]] as const) {
      waiting[i]!();
      await eventually(() => order.at(-1) === reply);
    }
    assertEquals(await Promise.all(replies), ["A", "B", "C"]);
  });

  test(`both sides ask on one connection, in the middle of answering too (${name})`, async () => {
    await using pair = await Pair.open(index);
    const { connection, server, client } = pair;
    // One at a time: the reply must not wait behind the request that waits for it.
    server.onRequest(Double, async (n, { connection }) => await connection.request(Double.message(n)) + 1, {
      concurrency: 1,
    });
    client.onRequest(Double, (n) => 2 * n);
    const replies = await Promise.all([1, 2, 3].map((n) => connection.request(Double.message(n))));
    assertEquals(replies, [3, 5, 7]);
  });

  test(`requests fail with session_reset when the peer loses the session, and go on in the next one (${name})`, async () => {
    await using pair = await Pair.open(index);
    const { connection, server } = pair;
    const told = Promise.withResolvers<void>(), first = Promise.withResolvers<number>();
    let isSilent = true;
    server.onRequest(Double, (n) => {
      told.resolve();
      return isSilent ? first.promise : 2 * n;
    });
    const replies = [1, 2].map((n) => connection.request(Double.message(n)));
    await told.promise;
    isSilent = false;
    server.connections[0]!.markDown();
    for (const reply of replies) await failsWith("session_reset", reply);
    // A reply to a request of the lost session is dropped with it.
    first.resolve(0);
    assertEquals(await connection.request(Double.message(3)), 6);
  });
}

test("a reply is not sent to a peer that has lost the session in between", async () => {
  await using pair = await Pair.open();
  const { server, client } = pair, gate = Promise.withResolvers<number>(), strays: Message[] = [];
  client.addDispatcherTail({ dispatch: (message) => void strays.push(message) });
  server.onRequest(Double, (n) => n === 1 ? gate.promise : 2 * n);
  const lost = pair.connection.request(Double.message(1));
  await pair.connection.flush();
  pair.connection.markDown();
  await failsWith("closed", lost);
  const connection = client.connectTo(server.address);
  assertEquals(await connection.request(Double.message(2)), 4);
  gate.resolve(2);
  assertEquals(await connection.request(Double.message(3)), 6);
  assertEquals([strays, server.connections.length], [[], 1]);
});

test("a pending request keeps its session awake: a peer that restarted is found out", async () => {
  const network = new Interceptor(await networks[0]!.open());
  const open = () => new Messenger({ network, backoff: (attempt) => attempt === 0 ? 0 : 5 });
  await using client = open();
  client.addDispatcherTail({});
  await client.bind("127.0.0.1:0");
  const first = open();
  first.onRequest(Double, () => new Promise<number>(() => {}));
  const address = await first.bind("127.0.0.1:0");
  const connection = client.connectTo(address.endpoint), reply = connection.request(Double.message(1));
  await connection.flush();
  await first.shutdown();
  await using second = open();
  second.onRequest(Double, (n) => 2 * n);
  await second.bind(address.endpoint);
  await failsWith("session_reset", reply);
  assertEquals(await connection.request(Double.message(2)), 4);
});

test("what a handler throws reaches the caller: a RequestError as it is, anything else without its words", async () => {
  await using pair = await Pair.open();
  const { connection, server, errors } = pair, failure = new Error("a secret");
  server.onRequest(Upper, (text) => {
    if (text === "") throw new RequestError("empty", "Nothing to do");
    if (text === "late") return Promise.reject(new RequestError("late", "Too late"));
    if (text === "async") return Promise.reject(failure);
    throw failure;
  });
  const outcomes = await Promise.all(["", "late", "async", "sync"].map(async (text) => {
    const error = await assertRejects(() => connection.request(Upper.message(text)), RequestError);
    assertEquals([error.code, error.name], ["request_failed", "RequestError"]);
    return [error.reason, error.message];
  }));
  assertEquals(outcomes, [
    ["empty", "Nothing to do"],
    ["late", "Too late"],
    ["internal", "The handler failed"],
    ["internal", "The handler failed"],
  ]);
  assertEquals(errors, [failure, failure]);
});

test("a reply that cannot be sent is a failure of the handler", async () => {
  await using pair = await Pair.open();
  const { connection, server, errors } = pair;
  server.onRequest(Double, () => undefined as unknown as number);
  const error = await assertRejects(() => connection.request(Double.message(1)), RequestError);
  assertEquals(error.reason, "internal");
  assertEquals(errors.map((e) => (e as MessengerError).code), ["bad_message"]);
});

test("contents that do not fit the request's type are told to the caller; those that do not fit the reply's are its own affair", async () => {
  await using pair = await Pair.open();
  const { connection, server } = pair;
  const Wrong = new RequestType(new MessageType(0x8001, textCodec), Double.reply);
  const Strict = new RequestType(
    Double.request,
    new MessageType(0x8002, jsonCodec((value) => value === 4 ? 4 : bad(value))),
  );
  server.onRequest(Double, (n) => 2 * n);
  const error = await assertRejects(() => connection.request(Wrong.message("{")), RequestError);
  assertEquals(error.reason, "bad_request");
  await failsWith("bad_message", connection.request(Strict.message(1)));
  assertEquals(await connection.request(Strict.message(2)), 4);
  assertEquals(pair.client.connections, [connection]);
});

function bad(value: unknown): never {
  throw new RangeError(`${value} is not 4`);
}

test("a time-out ends the wait, its late reply is dropped and counted, and nothing is left of it", async () => {
  const environment = new VirtualEnvironment(), network = new SimulatedNetwork(environment, { latency: [1, 1] });
  const server = new Messenger({ environment, network: network.host("10.0.0.1") });
  const client = new Messenger({ environment, network: network.host("10.0.0.2") });
  const strays: Message[] = [];
  client.addDispatcherTail({ dispatch: (message) => void strays.push(message) });
  server.onRequest(Double, (n) => new Promise((resolve) => environment.setTimer(() => resolve(2 * n), n)));
  void server.bind("10.0.0.1:6800");
  await environment.run();
  const connection = client.connectTo("10.0.0.1:6800"), ended: [number, unknown, number][] = [];
  for (const [n, timeout] of [[500, 1000], [3000, 2000], [3100, 2000], [100, 50], [4000, 0], [200, 3]] as const) {
    void connection.request(Double.message(n), { timeout }).catch((error) => error.code).then((outcome) => {
      ended.push([n, outcome, Math.round(environment.elapsed)]);
    });
  }
  assertEquals(client.stats().pending_requests, 6);
  await environment.run({ ms: 10_000 });
  assertEquals(ended.map(([n, outcome]) => [n, outcome]), [
    [200, "timed_out"],
    [100, "timed_out"],
    [500, 1000],
    [3000, "timed_out"],
    [3100, "timed_out"],
    [4000, 8000],
  ]);
  for (const [i, due] of [[0, 3], [1, 50], [3, 2000], [4, 2000]] as const) {
    const late = ended[i]![2] - due;
    assert(late >= 0 && late <= 10, `${late} ms late`);
  }
  assertEquals([client.stats().pending_requests, client.stats().late_replies, strays], [0, 4, []]);
  // What is left is the other side's: nothing waits for a reply.
  const timers = environment.timers;
  void connection.request(Double.message(9), { timeout: 100 }).catch(() => {});
  await environment.run({ ms: 200 });
  await environment.run({ ms: 2000 });
  assertEquals(environment.timers, timers);
  void client.shutdown();
  void server.shutdown();
  await environment.run();
  assertEquals(environment.timers, 0);
});

test("an abort ends the wait with its reason, its late reply is dropped and counted, and nothing is left of it", async () => {
  await using pair = await Pair.open();
  const { connection, server, client } = pair, waiting: (() => void)[] = [];
  server.onRequest(Double, (n) => new Promise((resolve) => waiting.push(() => resolve(2 * n))));
  const controller = new AbortController(), { signal } = controller, reason = new Error("no more");
  let listeners = 0;
  const add = signal.addEventListener.bind(signal), remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof add>) => (listeners++, add(...args));
  signal.removeEventListener = (...args: Parameters<typeof remove>) => (listeners--, remove(...args));
  const kept = connection.request(Double.message(1), { signal });
  const given = connection.request(Double.message(2), { signal });
  const rejected = assertRejects(() => given);
  await eventually(() => waiting.length === 2);
  assertEquals(listeners, 2);
  waiting[0]!();
  assertEquals(await kept, 2);
  assertEquals(listeners, 1);
  controller.abort(reason);
  assertStrictEquals(await rejected, reason);
  assertEquals([listeners, client.stats().pending_requests], [0, 0]);
  waiting[1]!();
  await eventually(() => client.stats().late_replies === 1);
  assertStrictEquals(await assertRejects(() => connection.request(Double.message(3), { signal })), reason);
  assertEquals(server.stats().msgr_recv_messages, 2);
});

test("requests fail with closed when the session is ended here, and when it was over before", async () => {
  await using pair = await Pair.open();
  const { connection, server } = pair, answer = Promise.withResolvers<number>();
  server.onRequest(Double, () => answer.promise);
  const reply = connection.request(Double.message(1));
  await connection.flush();
  connection.markDown();
  await failsWith("closed", reply);
  await failsWith("closed", connection.request(Double.message(1)));
  answer.resolve(0);
});

test("a failure that is too long for the limits is reported where it happened, and ends nothing", async () => {
  await using pair = await Pair.open(0, { maxFrontBytes: 60 });
  const { connection, server, errors } = pair;
  server.onRequest(Upper, async (text) => {
    await Promise.resolve();
    if (text === "") throw new RequestError("long", "word ".repeat(100));
    return text.toUpperCase();
  });
  const controller = new AbortController();
  const silent = assertRejects(() => connection.request(Upper.message(""), { signal: controller.signal }));
  await eventually(() => errors.length === 1);
  assertEquals((errors[0] as MessengerError).code, "invalid");
  assertEquals(await connection.request(Upper.message("a")), "A");
  controller.abort();
  await silent;
});

test("a message that is too long, or a bad time-out, is the caller's mistake and leaves nothing behind", async () => {
  await using pair = await Pair.open(0, { maxFrontBytes: 10 });
  const { connection, server, client } = pair;
  server.onRequest(Upper, (text) => text.toUpperCase());
  await failsWith("invalid", connection.request(Upper.message("longer than ten bytes")));
  for (const timeout of [-1, NaN, 2 ** 31]) {
    await failsWith("invalid", connection.request(Upper.message("a"), { timeout }));
  }
  assertEquals(client.stats().pending_requests, 0);
  assertEquals(await connection.request(Upper.message("a")), "A");
});

test("no more requests of a connection are answered at once than the handler allows, and others' are", async () => {
  await using pair = await Pair.open();
  const { connection, server, network } = pair;
  await using other = new Messenger({ network });
  let most = 0, running = 0;
  const waiting: (() => void)[] = [];
  server.onRequest(Double, async (n) => {
    most = Math.max(most, ++running);
    await new Promise<void>((resolve) => waiting.push(resolve));
    running--;
    return 2 * n;
  }, { concurrency: 3 });
  const replies = Array.from({ length: 10 }, (_, n) => connection.request(Double.message(n)));
  await connection.flush();
  await eventually(() => running === 3);
  const held = server.stats().dispatch_throttle_bytes;
  assertEquals(held, 10, "the bytes of all ten requests");
  const reply = other.connectTo(server.address).request(Double.message(50));
  await eventually(() => running === 4);
  for (let answered = 0; answered < 11; answered++) {
    await eventually(() => waiting.length > 0);
    waiting.shift()!();
  }
  assertEquals(await Promise.all(replies), Array.from({ length: 10 }, (_, n) => 2 * n));
  assertEquals([await reply, most], [100, 4]);
  assertEquals(server.stats().dispatch_throttle_bytes, 0);
});

test("a request that was only sent is handled, and not answered", async () => {
  await using pair = await Pair.open();
  const { connection, server } = pair, asked: number[] = [];
  server.onRequest(Double, (n) => (asked.push(n), 2 * n));
  connection.send(Double.message(1));
  assertEquals(await connection.request(Double.message(2)), 4);
  assertEquals([asked, server.stats().msgr_send_messages], [[1, 2], 1]);
});

test("a request may be asked twice, on any connections, each time with a number of its own", async () => {
  await using pair = await Pair.open();
  const { connection, server, client } = pair, tids = new Set<number>();
  for (const messenger of [server, client]) messenger.onRequest(Double, (n, { tid }) => (tids.add(tid), 2 * n));
  const message = Double.message(21);
  const replies = [connection, connection, client.loopback].map((to) => to.request(message));
  assertEquals(await Promise.all(replies), [42, 42, 42]);
  assertEquals([tids.size, message.tid], [3, 0]);
});

test("messages of a reply's type that no request waits for go to the dispatchers", async () => {
  await using pair = await Pair.open();
  const { connection, server, client } = pair;
  const told = Promise.withResolvers<number>();
  client.on(Double.reply, (n) => told.resolve(n));
  server.onRequest(Double, (n, { connection }) => {
    connection.send(Double.reply.message(1000, { tid: 7 }));
    return 2 * n;
  });
  assertEquals(await connection.request(Double.message(1)), 2);
  assertEquals([await told.promise, client.stats().late_replies], [1000, 0]);
});

test("RequestType refuses what could not tell a request from a reply or a failure", () => {
  const a = new MessageType(1, textCodec),
    b = new MessageType(2, textCodec),
    failed = new MessageType(0xffff, textCodec);
  for (const [request, reply] of [[a, a], [a, failed], [failed, b]] as const) {
    assertEquals(assertThrows(() => new RequestType(request, reply), MessengerError).code, "invalid");
  }
});

test("onRequest refuses to answer none at once", async () => {
  await using pair = await Pair.open();
  for (const concurrency of [0, NaN]) {
    const error = assertThrows(() => pair.server.onRequest(Double, (n) => n, { concurrency }), MessengerError);
    assertEquals(error.code, "invalid");
  }
});

/** What became of the requests between two peers whose connections break all the time. */
interface Played {
  /** How often each outcome came: `"reply"` or a code. */
  readonly outcomes: ReadonlyMap<string, number>;
  readonly reconnects: number;
}

/**
 * Two peers ask each other, in virtual time. Nearly every connection breaks after some bytes, at a place that the seed decides.
 *
 * @param loses Whether sessions are ended now and then, and requests given up.
 */
async function play(seed: number, loses: boolean): Promise<Played> {
  const COUNT = 400, IN_FLIGHT = 16, random = new SeededRandom(seed);
  const environment = new VirtualEnvironment({ seed });
  const network = new SimulatedNetwork(environment, {
    seed,
    faults: () => {
      if (network.attempts > 60) return [];
      const to = random.pick(["dialler", "acceptor"] as const),
        notice = random.pick(["both", "dialler", "acceptor"] as const);
      return [{ kind: "cut", to, afterBytes: random.int(0, 6000), notice }];
    },
  });
  const outcomes = new Map<string, number>();
  const peers = ["10.0.0.1", "10.0.0.2"].map((host) => {
    const messenger = new Messenger({ environment, network: network.host(host), readTimeout: 5000 });
    const asked = new Map<number, number>();
    messenger.onRequest(Double, (n) => {
      asked.set(n, (asked.get(n) ?? 0) + 1);
      const ms = n % 7;
      return ms === 0 ? 2 * n : new Promise((resolve) => environment.setTimer(() => resolve(2 * n), ms));
    });
    return { host, messenger, asked };
  });
  for (const { host, messenger } of peers) void messenger.bind(`${host}:6800`);
  await environment.run();
  let working = 2 * IN_FLIGHT;
  for (const [i, { messenger }] of peers.entries()) {
    const other = peers[1 - i]!;
    let next = 0;
    const asker = async (): Promise<void> => {
      while (next < COUNT) {
        const n = next++, connection = messenger.connectTo(other.messenger.address);
        const timeout = loses && random.chance(0.1) ? 20 : 0;
        if (loses && random.chance(0.02)) connection.markDown();
        const outcome = await connection.request(Double.message(n), { timeout }).then(
          (reply) => reply === 2 * n ? "reply" : `the reply ${reply} to ${n}`,
          (error) => (error as MessengerError).code,
        );
        const times = other.asked.get(n) ?? 0;
        assert(outcome === "reply" ? times === 1 : times <= 1, `${n} was asked ${times} times: ${outcome}`);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
      working--;
    };
    for (let k = 0; k < IN_FLIGHT; k++) void asker();
  }
  assert(
    await environment.run({ ms: 600_000, until: () => working === 0 }),
    `seed ${seed}: ${working} askers wait for ever`,
  );
  const reconnects = peers[0]!.messenger.stats().reconnects + peers[1]!.messenger.stats().reconnects;
  for (const { messenger } of peers) assertEquals(messenger.stats().pending_requests, 0);
  for (const { messenger } of peers) void messenger.shutdown();
  await environment.run();
  assertEquals([environment.timers, network.openSockets], [0, 0]);
  for (const { messenger, asked } of peers) {
    assertEquals(messenger.stats().dispatch_throttle_bytes, 0);
    assert([...asked.values()].every((times) => times === 1));
  }
  return { outcomes, reconnects };
}

test("peers whose connections break at any byte reply to all requests, once", async () => {
  let reconnects = 0;
  for (let seed = 1; seed <= 10; seed++) {
    const played = await play(seed, false);
    assertEquals([...played.outcomes], [["reply", 800]], `seed ${seed}`);
    reconnects += played.reconnects;
  }
  assert(reconnects > 250, `${reconnects} reconnects`);
});

test("where sessions are lost and requests time out too, each has one outcome, and none is carried out twice", async () => {
  const seen = new Set<string>();
  for (let seed = 1; seed <= 10; seed++) {
    const { outcomes } = await play(seed, true);
    for (const outcome of outcomes.keys()) seen.add(outcome);
    assertEquals([...outcomes.values()].reduce((sum, count) => sum + count), 800, `seed ${seed}`);
  }
  assertEquals([...seen].sort(), ["closed", "reply", "session_reset", "timed_out"]);
});
