/** Messengers over streams of all kinds, and what `duplexNetwork` promises beyond the seam. */

import { assert, assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import test from "node:test";
import { duplexNetwork, MessageType, Messenger, textCodec } from "../../mod.ts";
import { NetworkError } from "../../src/errors.ts";
import { type Duplex, socketFromDuplex } from "../../src/net/duplex.ts";
import type { TcpAddress } from "../../src/net/network.ts";
import { accept, assertFails, outcome, readAll, writeAll } from "./support.ts";

const Line = new MessageType(0x8001, textCodec);
const address: TcpAddress = { transport: "tcp", hostname: "10.0.0.1", port: 1 };

/** Two ends of a line of streams, which can be cut. */
function line(): { readonly here: Duplex; readonly there: Duplex; cut(): void } {
  const cutter = new AbortController();
  const [up, down] = [new TransformStream<Uint8Array>(), new TransformStream<Uint8Array>()];
  const through = (stream: TransformStream<Uint8Array>): ReadableStream<Uint8Array> => {
    const { readable, writable } = new TransformStream<Uint8Array>();
    stream.readable.pipeTo(writable, { signal: cutter.signal }).catch(() => {});
    return readable;
  };
  return {
    here: { readable: through(down), writable: up.writable },
    there: { readable: through(up), writable: down.writable },
    cut: () => cutter.abort(new Error("somebody cut the line")),
  };
}

test("duplex: messages survive lines that are cut, each on a line of its own", async () => {
  const total = 2000;
  const received: string[] = [];
  const all = Promise.withResolvers<void>();
  const lines: ReturnType<typeof line>[] = [];
  const there = duplexNetwork();
  const here = duplexNetwork({
    dial: (where) => {
      assertEquals(where, address);
      const next = line();
      lines.push(next);
      there.accept(next.there);
      return next.here;
    },
  });
  await using server = new Messenger({ network: there });
  server.on(Line, (text) => {
    received.push(text);
    if (received.length % 200 === 0) lines.at(-1)?.cut();
    if (received.length === total) all.resolve();
  });
  await server.bind("10.0.0.1:1");
  await using client = new Messenger({ network: here });
  const connection = client.connectTo("10.0.0.1:1");
  for (let i = 0; i < total; i++) {
    await connection.ready;
    connection.send(Line.message(`line ${i} ${"x".repeat(i % 500)}`));
  }
  await all.promise;
  assertEquals(received.map((text) => text.split(" ")[1]), Array.from({ length: total }, (_, i) => `${i}`));
  assert(lines.length > 3, `only ${lines.length} lines`);
});

test("duplex: a dial that fails or takes too long fails the attempt, and what comes late is let go", async () => {
  const failing = duplexNetwork({ dial: () => Promise.reject(new Error("no line today")) });
  const error = await assertFails(failing.connect(address), "network");
  assertEquals(error.message, "Cannot connect to 10.0.0.1:1: no line today");
  const { here, there } = line();
  const dialled = Promise.withResolvers<Duplex>();
  const controller = new AbortController();
  const slow = duplexNetwork({ dial: () => dialled.promise });
  const connecting = outcome(slow.connect(address, { signal: controller.signal }));
  const reason = new Error("changed my mind");
  controller.abort(reason);
  assertStrictEquals(await connecting, reason);
  dialled.resolve(here);
  assertInstanceOf(await outcome(readAll(there.readable)), Error);
});

test("duplex: one listener at a time, and none once it is closed", async () => {
  const network = duplexNetwork();
  const listener = await network.listen(address);
  await assertFails(network.listen(address), "address_in_use");
  const { here, there } = line();
  network.accept(there);
  const server = await accept(listener);
  const [received, answered] = await Promise.all([
    readAll(server.readable),
    readAll(here.readable),
    writeAll(here.writable, Uint8Array.of(1, 2)),
    writeAll(server.writable, Uint8Array.of(3)),
  ]);
  assertEquals([received, answered], [Uint8Array.of(1, 2), Uint8Array.of(3)]);
  await server.closed;
  await listener.close();
  const late = line();
  network.accept(late.there);
  assertInstanceOf(await outcome(readAll(late.here.readable)), Error);
  await (await network.listen(address)).close();
});

test("duplex: what it cannot do is turned down", async () => {
  const network = duplexNetwork();
  await assertFails(network.connect(address), "not_supported");
  await assertFails(network.listen(address, { tls: {} }), "not_supported");
  await assertFails(network.listen({ ...address, port: 0 }), "address_not_available");
  await assertFails(duplexNetwork({ dial: () => line().here }).connect(address, { tls: {} }), "not_supported");
});

test("duplex: an error of the streams is a lost connection, with the error as its cause", async () => {
  const cause = new Error("the tape is torn");
  let tear!: (error: Error) => void;
  const readable = new ReadableStream<Uint8Array>({
    start: (controller) => {
      controller.enqueue(new Uint8Array(0));
      controller.enqueue(Uint8Array.of(7));
      tear = (error) => controller.error(error);
    },
  });
  const socket = socketFromDuplex({ readable, writable: new WritableStream() });
  const reader = socket.readable.getReader();
  assertEquals((await reader.read()).value, Uint8Array.of(7));
  const reading = outcome(reader.read());
  tear(cause);
  const error = await reading;
  assertInstanceOf(error, NetworkError);
  assertEquals([error.code, error.cause], ["connection_lost", cause]);
  await socket.closed;
});

test("duplex: streams of the platform are as good as any", async () => {
  const socket = socketFromDuplex(new CompressionStream("gzip") as Duplex);
  const back = socket.readable.pipeThrough(new DecompressionStream("gzip") as ReadableWritablePair<Uint8Array>);
  const [text] = await Promise.all([readAll(back), writeAll(socket.writable, new TextEncoder().encode("once more"))]);
  assertEquals(new TextDecoder().decode(text), "once more");
  await socket.closed;
});
