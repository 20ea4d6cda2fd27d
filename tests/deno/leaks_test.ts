/**
 * Nothing of a messenger is left after its shutdown, whatever it was doing. Deno's sanitizers see every socket, timer and operation that a test
 * leaves behind; the other runtimes have no such thing.
 */

import { assert, assertEquals, assertGreater } from "@std/assert";
import { setImmediate } from "node:timers";
import {
  bytesCodec,
  type Connection,
  lossyClient,
  MessageType,
  Messenger,
  type MessengerOptions,
  statelessServer,
} from "../../mod.ts";
import { denoNetwork } from "../../src/net/deno.ts";

const Ask = new MessageType(0x8001, bytesCodec);
const Answer = new MessageType(0x8002, bytesCodec);

function leakTest(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, fn, sanitizeOps: true, sanitizeResources: true });
}

/** A server that answers, bound. */
async function newServer(options: MessengerOptions = {}): Promise<Messenger> {
  const server = new Messenger(options);
  server.on(Ask, (data, message) => void message.connection.send(Answer.message(data)));
  await server.bind("127.0.0.1:0");
  return server;
}

/** A client and how it asks. */
function newClient(
  options: MessengerOptions = {},
): { client: Messenger; ask: (connection: Connection) => Promise<void> } {
  const client = new Messenger(options);
  const waiting: (() => void)[] = [];
  client.on(Answer, () => waiting.shift()!());
  const ask = (connection: Connection): Promise<void> => {
    const answered = new Promise<void>((resolve) => waiting.push(resolve));
    connection.send(Ask.message(Uint8Array.of(1)));
    return answered;
  };
  return { client, ask };
}

/** Deno's network, and how often it was asked to dial. */
function watchedNetwork(): { network: MessengerOptions["network"]; dialed: Promise<void> } {
  const { promise: dialed, resolve } = Promise.withResolvers<void>();
  const real = denoNetwork();
  return {
    network: {
      ...real,
      connect: (address, options) => {
        const socket = real.connect(address, options);
        resolve();
        return socket;
      },
    },
    dialed,
  };
}

/** Ever later moments, in turns of the event loop. Whoever has seen enough stops asking. */
function* moments(): Generator<number> {
  for (let turns = 0; turns < 1e6; turns = Math.ceil(turns * 1.05) + 1) yield turns;
  throw new Error("there was no answer after a million turns of the event loop");
}

/** Lets the event loop go round once. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Where a listener of Deno's listens. */
function addressOf(listener: Deno.TcpListener): string {
  return `127.0.0.1:${listener.addr.port}`;
}

leakTest("an exchange, an orderly close and two shutdowns", async () => {
  const server = await newServer();
  const { client, ask } = newClient();
  const connection = client.connectTo(server.address);
  await ask(connection);
  await connection.close();
  assert(connection.isClosed);
  await client.shutdown();
  await server.shutdown();
});

leakTest("an orderly close of both ends at once", async () => {
  const server = await newServer();
  const { client, ask } = newClient();
  const connection = client.connectTo(server.address);
  await ask(connection);
  await Promise.all([connection.close(), ...server.connections.map((accepted) => accepted.close())]);
  await Promise.all([client.shutdown(), server.shutdown()]);
});

for (const first of ["client", "server"] as const) {
  leakTest(`a shutdown of the ${first} with the connection open, then of the other`, async () => {
    const server = await newServer();
    const { client, ask } = newClient();
    await ask(client.connectTo(server.address));
    for (const messenger of first === "client" ? [client, server] : [server, client]) await messenger.shutdown();
  });
}

leakTest("a shutdown while the client tries to reach a server that has gone", async () => {
  const server = await newServer();
  const { client, ask } = newClient();
  const refused = Promise.withResolvers<void>();
  client.addDispatcherTail({ handleRefused: () => refused.resolve() });
  const connection = client.connectTo(server.address);
  await ask(connection);
  await server.shutdown();
  connection.send(Ask.message(Uint8Array.of(1)));
  await refused.promise;
  assertEquals(connection.state, "connecting");
  await client.shutdown();
  assert(connection.isClosed);
});

leakTest("a shutdown in the pause after a refusal", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const address = addressOf(listener);
  listener.close();
  const client = new Messenger({ backoff: (attempt) => attempt < 2 ? 0 : 60_000 });
  let refusals = 0;
  const pausing = Promise.withResolvers<void>();
  client.addDispatcherTail({ handleRefused: () => void (++refusals === 2 && pausing.resolve()) });
  client.connectTo(address).send(Ask.message(Uint8Array.of(1)));
  await pausing.promise;
  await client.shutdown();
});

leakTest("a shutdown while the system dials and nobody answers", async () => {
  // Once a listener that accepts nobody has its backlog full, Linux drops whoever else knocks.
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
  const knocking = new AbortController();
  const { port } = listener.addr;
  const knocks = Array.from(
    { length: 8 },
    () => Deno.connect({ port, hostname: "127.0.0.1", signal: knocking.signal }),
  );
  await Promise.any(knocks);

  const { network, dialed } = watchedNetwork();
  const client = new Messenger({ network });
  const connection = client.connectTo(addressOf(listener));
  connection.send(Ask.message(Uint8Array.of(1)));
  await dialed;
  assertEquals(connection.state, "connecting");
  await client.shutdown();

  knocking.abort();
  for (const knock of await Promise.allSettled(knocks)) if (knock.status === "fulfilled") knock.value.close();
  listener.close();
});

leakTest("a shutdown while a server says nothing after it has accepted", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const client = new Messenger();
  const connection = client.connectTo(addressOf(listener));
  connection.send(Ask.message(Uint8Array.of(1)));
  const accepted = await listener.accept();
  await client.shutdown();
  assert(connection.isClosed);
  accepted.close();
  listener.close();
});

leakTest("a handshake that runs out of time", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const fault = Promise.withResolvers<void>();
  const client = new Messenger({
    handshakeTimeout: 20,
    backoff: (attempt) => attempt === 0 ? 0 : 60_000,
    log: ({ type }) => {
      if (type === "fault") fault.resolve();
    },
  });
  const connection = client.connectTo(addressOf(listener));
  connection.send(Ask.message(Uint8Array.of(1)));
  await fault.promise;
  await client.shutdown();
  listener.close();
});

leakTest("a shutdown of a server with a client that says nothing", async () => {
  const server = await newServer();
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: server.address.port });
  // The server speaks first: from its banner on it waits for ours.
  assertGreater(await conn.read(new Uint8Array(1)) ?? 0, 0);
  await server.shutdown();
  conn.close();
});

leakTest("a shutdown with more queued than the peer takes", async () => {
  const server = new Messenger({ dispatchThrottleBytes: 1000 });
  const work = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  server.on(Ask, () => {
    begun.resolve();
    return work.promise;
  });
  await server.bind("127.0.0.1:0");
  const client = new Messenger();
  const connection = client.connectTo(server.address);
  const data = new Uint8Array(1024 * 1024);
  for (let i = 0; i < 32; i++) connection.send(Ask.message(data));
  await begun.promise;
  const { ready } = connection;
  await client.shutdown();
  await ready;
  assertEquals(connection.send(Ask.message(data)), false);
  await server.shutdown();
  work.resolve();
});

leakTest("connection.markDown() in a dispatcher", async () => {
  const server = new Messenger();
  const marked = Promise.withResolvers<void>();
  server.on(Ask, (_, { connection }) => {
    connection.markDown();
    marked.resolve();
  });
  await server.bind("127.0.0.1:0");
  const client = new Messenger();
  client.connectTo(server.address).send(Ask.message(Uint8Array.of(1)));
  await marked.promise;
  assertEquals(server.connections, []);
  await client.shutdown();
  await server.shutdown();
});

leakTest("messenger.markDown() in a dispatcher", async () => {
  const server = await newServer();
  const client = new Messenger();
  const reset = Promise.withResolvers<void>();
  client.on(Answer, (_, { connection }) => client.markDown(connection.peerAddress));
  client.addDispatcherTail({ handleReset: () => reset.resolve() });
  client.connectTo(server.address).send(Ask.message(Uint8Array.of(1)));
  await reset.promise;
  assertEquals(client.connections, []);
  await client.shutdown();
  await server.shutdown();
});

leakTest("a shutdown in a dispatcher", async () => {
  const server = new Messenger();
  const down = Promise.withResolvers<void>();
  server.on(Ask, () => server.shutdown().then(down.resolve, down.reject));
  await server.bind("127.0.0.1:0");
  const client = new Messenger();
  client.connectTo(server.address).send(Ask.message(Uint8Array.of(1)));
  await down.promise;
  await client.shutdown();
});

leakTest("a shutdown of both at any moment of their first exchange", async () => {
  for (const turns of moments()) {
    const server = await newServer();
    const { client, ask } = newClient();
    const connection = client.connectTo(server.address);
    let answered = false;
    void ask(connection).then(() => answered = true);
    for (let i = 0; i < turns; i++) await nextTurn();
    const order = turns % 2 === 0 ? [client, server] : [server, client];
    await Promise.all(order.map((messenger) => messenger.shutdown()));
    assert(connection.isClosed, `after ${turns} turns`);
    if (answered) break;
  }
});

leakTest("a shutdown of two that dial each other, at any moment", async () => {
  for (const turns of moments()) {
    const answers = [0, 0];
    const both = [await newServer(), await newServer()] as const;
    both.forEach((messenger, i) => messenger.on(Answer, () => void answers[i]!++));
    const connections = [both[0].connectTo(both[1].address), both[1].connectTo(both[0].address)];
    for (const connection of connections) connection.send(Ask.message(Uint8Array.of(1)));
    for (let i = 0; i < turns; i++) await nextTurn();
    await Promise.all(both.map((messenger) => messenger.shutdown()));
    for (const connection of connections) assert(connection.isClosed, `after ${turns} turns`);
    if (answers.every((count) => count === 1)) break;
  }
});

leakTest("an orderly close that waits for a dead peer, and a shutdown that ends it", async () => {
  const server = await newServer();
  const { client, ask } = newClient();
  const connection = client.connectTo(server.address);
  await ask(connection);
  await server.shutdown();
  connection.send(Ask.message(Uint8Array.of(1)));
  const closed = connection.close();
  await client.shutdown();
  await closed;
});

leakTest("peers that break the protocol, or off", async () => {
  const faults: string[] = [];
  let told = Promise.withResolvers<void>();
  const server = await newServer({
    log: ({ type, error }) => {
      if (type !== "fault") return;
      faults.push(error!.code);
      told.resolve();
    },
  });
  for (const bytes of ["GET / HTTP/1.1\r\n\r\n", "ceph v027", ""]) {
    told = Promise.withResolvers();
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: server.address.port });
    await conn.write(new TextEncoder().encode(bytes));
    await conn.closeWrite();
    await told.promise;
    conn.close();
  }
  assertEquals(faults, ["protocol", "connection_lost", "connection_lost"]);
  await server.shutdown();
});

leakTest("a lossy session whose server goes", async () => {
  const server = await newServer();
  server.setPolicy(statelessServer());
  const { client, ask } = newClient();
  client.setPolicy(lossyClient());
  const reset = Promise.withResolvers<void>();
  client.addDispatcherTail({ handleReset: () => reset.resolve() });
  await ask(client.connectTo(server.address));
  await server.shutdown();
  await reset.promise;
  assertEquals(client.connections, []);
  await client.shutdown();
});

leakTest("a listener that nobody dials", async () => {
  const server = await newServer();
  await server.shutdown();
});

leakTest("a listener without a dispatcher, and a client in front of it", async () => {
  const server = new Messenger();
  await server.bind("127.0.0.1:0");
  const { network, dialed } = watchedNetwork();
  const client = new Messenger({ network });
  client.connectTo(server.address).send(Ask.message(Uint8Array.of(1)));
  await dialed;
  await server.shutdown();
  await client.shutdown();
});

leakTest("a messenger that was never used, and a connection that never dialed", async () => {
  const client = new Messenger();
  client.connectTo("127.0.0.1:6800");
  await client.shutdown();
});

leakTest("a second life after the shutdown", async () => {
  const server = await newServer();
  await server.shutdown();
  await server.start();
  await server.bind("127.0.0.1:0");
  const { client, ask } = newClient();
  await ask(client.connectTo(server.address));
  await client.shutdown();
  await server.shutdown();
});

leakTest("await using", async () => {
  await using server = await newServer();
  const { client, ask } = newClient();
  await using _ = client;
  await ask(client.connectTo(server.address));
});
