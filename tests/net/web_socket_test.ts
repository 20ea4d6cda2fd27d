/** A WebSocket as streams: between two that are joined in memory, and between real ones where the runtime can serve them. */

import { assert, assertEquals, assertInstanceOf, assertLess, assertStrictEquals } from "@std/assert";
import test from "node:test";
import { duplexNetwork, MessageType, Messenger, textCodec } from "../../mod.ts";
import { NetworkError } from "../../src/errors.ts";
import { type Duplex, socketFromDuplex } from "../../src/net/duplex.ts";
import type { Socket, TcpAddress } from "../../src/net/network.ts";
import { webSocketDuplex } from "../../src/net/web_socket.ts";
import { FakeWebSocket } from "../support/fake_web_socket.ts";
import { assertFails, ending, outcome, randomBytes, randomNumbers, readAll, sha256, writeAll } from "./support.ts";

const MiB = 1024 * 1024;
const Line = new MessageType(0x8001, textCodec);

async function pair(): Promise<{ one: Duplex; other: Duplex; sockets: [FakeWebSocket, FakeWebSocket] }> {
  const sockets = FakeWebSocket.pair();
  const [one, other] = await Promise.all(sockets.map((socket) => webSocketDuplex(socket)));
  return { one: one!, other: other!, sockets };
}

/** Until nothing more happens in a fake network. */
async function quiet(socket: FakeWebSocket): Promise<void> {
  for (let before = -1; before !== socket.sentBytes;) {
    before = socket.sentBytes;
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setTimeout(resolve));
  }
}

test("WebSocket: both directions carry bytes at once, and end one after the other", async () => {
  const { one, other, sockets } = await pair();
  const [up, down] = [randomBytes(3 * MiB, 1), randomBytes(2 * MiB, 2)];
  const [there, here] = await Promise.all([
    readAll(other.readable),
    readAll(one.readable),
    writeAll(one.writable, up),
    writeAll(other.writable, down),
  ]);
  assertEquals(await sha256(there), await sha256(up));
  assertEquals(await sha256(here), await sha256(down));
  await quiet(sockets[0]);
  assertEquals(sockets.map(({ readyState }) => readyState), [3, 3]);
});

test("WebSocket: one direction goes on when the other has ended", async () => {
  const { one, other } = await pair();
  await one.writable.close();
  assertEquals(await readAll(other.readable), new Uint8Array(0));
  const bytes = randomBytes(3 * MiB, 3);
  const [received] = await Promise.all([readAll(one.readable), writeAll(other.writable, bytes)]);
  assertEquals(await sha256(received), await sha256(bytes));
});

test("WebSocket: who does not read makes the sender wait, and costs a megabyte at most", async () => {
  for (const size of [1, 1000, MiB]) {
    const { one, other, sockets } = await pair();
    const writer = one.writable.getWriter();
    let settled = 0;
    const sent = randomBytes(3 * MiB, 4).subarray(0, size === 1 ? 20_000 : undefined);
    const writing = (async () => {
      for (let at = 0; at < sent.length; at += size) {
        await writer.write(sent.subarray(at, at + size));
        settled += size;
      }
      await writer.close();
    })();
    await quiet(sockets[0]);
    assert(sockets[0].sentBytes <= MiB, `${sockets[0].sentBytes} bytes under way in writes of ${size}`);
    assertLess(settled, sent.length);
    const [received] = await Promise.all([readAll(other.readable), writing]);
    assertEquals(received, new Uint8Array(sent));
  }
});

test("WebSocket: a cancelled reader does not hold up the sender", async () => {
  const { one, other } = await pair();
  const writing = writeAll(one.writable, new Uint8Array(5 * MiB));
  await other.readable.getReader().cancel();
  await writing;
  await writeAll(other.writable, Uint8Array.of(1));
  assertEquals(await readAll(one.readable), Uint8Array.of(1));
});

test("WebSocket: a cut ends reads and writes at both ends", async () => {
  const { one, other, sockets } = await pair();
  const writing = assertFails(one.writable.getWriter().write(new Uint8Array(5 * MiB)), "connection_lost");
  await quiet(sockets[0]);
  sockets[0].cut();
  const error = await writing;
  assert(error.message.includes("1006"), error.message);
  assertEquals(await ending(other.readable), "connection_lost");
  assertEquals(await ending(one.readable), "connection_lost");
  await assertFails(other.writable.getWriter().write(Uint8Array.of(1)), "connection_lost");
});

test("WebSocket: an abort rejects what is pending with its reason, and the peer hears of it", async () => {
  const { one, other } = await pair();
  const reason = new Error("enough");
  const writer = one.writable.getWriter();
  const [writing, reading] = [outcome(writer.write(new Uint8Array(5 * MiB))), outcome(readAll(one.readable))];
  await writer.abort(reason);
  assertStrictEquals(await writing, reason);
  assertStrictEquals(await reading, reason);
  assertEquals(await ending(other.readable), "connection_lost");
});

test("WebSocket: one that does not open says so", async () => {
  const [socket] = FakeWebSocket.pair();
  const opening = webSocketDuplex(socket);
  socket.cut();
  await assertFails(opening, "network");
  await assertFails(webSocketDuplex(socket), "network");
});

test("WebSocket: a peer that keeps to no rule ends its connection and nothing else", async () => {
  const lies: ((socket: FakeWebSocket) => void)[] = [
    (socket) => socket.send("no number"),
    (socket) => socket.send("0"),
    (socket) => socket.send("1"),
    (socket) => socket.send("-1"),
    (socket) => socket.send("99999999999999999999"),
    (socket) => socket.send(new Uint8Array(2 * MiB)),
    (socket) => {
      for (let i = 0; i < 100; i++) socket.send(new Uint8Array(60_000));
    },
    (socket) => {
      socket.send("end");
      socket.send(Uint8Array.of(1));
    },
    (socket) => {
      socket.send("end");
      socket.send("end");
    },
  ];
  for (const lie of lies) {
    const [liar, honest] = FakeWebSocket.pair();
    const duplex = await webSocketDuplex(honest);
    lie(liar);
    await quiet(liar);
    await assertFails(duplex.writable.getWriter().closed as Promise<unknown>, "connection_lost");
    assertEquals([liar.readyState, honest.readyState], [3, 3]);
  }
});

test("WebSocket: aborted at random moments, streams settle and sockets close", async () => {
  const random = randomNumbers(5);
  for (let round = 0; round < 20; round++) {
    const { one, other, sockets } = await pair();
    const ends: [Socket, Socket] = [socketFromDuplex(one), socketFromDuplex(other)];
    const traffic = ends.flatMap((end) => [
      readAll(end.readable).catch((error) => error),
      writeAll(end.writable, new Uint8Array(random() % (4 * MiB))).catch((error) => error),
    ]);
    for (let turns = random() % 30; turns > 0; turns--) await new Promise((resolve) => setTimeout(resolve));
    const reason = new Error("stop");
    ends[random() % 2]!.abort(reason);
    for (const result of await Promise.all(traffic)) {
      if (!(result instanceof Error) || result === reason) continue;
      assert(result instanceof NetworkError && result.code === "connection_lost", String(result));
    }
    for (const end of ends) end.abort();
    await Promise.all(ends.map((end) => end.closed));
    await quiet(sockets[0]);
    assertEquals(sockets.map(({ readyState }) => readyState), [3, 3]);
  }
});

test("WebSocket: messages survive connections that are cut", async () => {
  const total = 2000;
  const received: number[] = [];
  const all = Promise.withResolvers<void>();
  const opened: FakeWebSocket[] = [];
  const there = duplexNetwork();
  const here = duplexNetwork({
    dial: () => {
      const [near, far] = FakeWebSocket.pair();
      opened.push(near);
      webSocketDuplex(far).then((duplex) => there.accept(duplex), () => {});
      return webSocketDuplex(near);
    },
  });
  await using server = new Messenger({ network: there });
  server.on(Line, (text) => {
    received.push(Number(text.trim()));
    if (received.length % 250 === 0) opened.at(-1)?.cut();
    if (received.length === total) all.resolve();
  });
  await server.bind("10.0.0.1:1");
  await using client = new Messenger({ network: here });
  const connection = client.connectTo("10.0.0.1:1");
  for (let i = 0; i < total; i++) {
    await connection.ready;
    connection.send(Line.message(`${i}${" ".repeat(i % 3000)}`));
  }
  await all.promise;
  assertEquals(received, Array.from({ length: total }, (_, i) => i));
  assert(opened.length > 2, `only ${opened.length} connections`);
});

interface DenoServer {
  readonly addr: { readonly port: number };
  shutdown(): Promise<void>;
}

interface DenoServing {
  serve(
    options: { hostname: string; port: number; onListen(): void },
    handler: (request: Request) => Response,
  ): DenoServer;
  upgradeWebSocket(request: Request): { socket: WebSocket; response: Response };
}

const deno = (globalThis as { Deno?: DenoServing }).Deno;

test("WebSocket: real ones, served by Deno", { skip: !deno && "only Deno serves a WebSocket as one" }, async () => {
  const there = duplexNetwork();
  const served: WebSocket[] = [];
  const http = deno!.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { socket, response } = deno!.upgradeWebSocket(request);
    served.push(socket);
    webSocketDuplex(socket).then((duplex) => there.accept(duplex), () => {});
    return response;
  });
  const { port } = http.addr;
  const where: TcpAddress = { transport: "tcp", hostname: "127.0.0.1", port };
  const here = duplexNetwork({ dial: () => webSocketDuplex(new WebSocket(`ws://127.0.0.1:${port}/`)) });
  {
    const texts: string[] = [];
    const all = Promise.withResolvers<void>();
    await using server = new Messenger({ network: there });
    server.on(Line, (text) => {
      if (texts.push(text) === 300) all.resolve();
      if (texts.length === 100) served.at(-1)?.close(4000, "cut");
    });
    await server.bind(`${where.hostname}:${port}`);
    await using client = new Messenger({ network: here });
    const connection = client.connectTo(`${where.hostname}:${port}`);
    for (let i = 0; i < 300; i++) connection.send(Line.message(`${i} ${"y".repeat(10_000)}`));
    await all.promise;
    assertEquals(texts.map((text) => Number.parseInt(text)), Array.from({ length: 300 }, (_, i) => i));
    assert(served.length >= 2);
    await connection.close();
  }
  const listener = await there.listen(where);
  const refused = duplexNetwork({ dial: () => webSocketDuplex(new WebSocket(`ws://127.0.0.1:1/`)) });
  assertInstanceOf(await outcome(refused.connect(where)), NetworkError);
  await listener.close();
  await http.shutdown();
});
