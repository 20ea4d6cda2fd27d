/** The promises of `src/net/network.ts`, each as a test that every adapter has to pass for every family of addresses. */

import { assert, assertEquals, assertGreater, assertLess, assertRejects, assertStrictEquals } from "@std/assert";
import { existsSync, linkSync, writeFileSync } from "node:fs";
import test from "node:test";
import { concat } from "@std/bytes";
import { NetworkError } from "../../src/errors.ts";
import type { Network, Socket, SocketAddress } from "../../src/net/network.ts";
import {
  accept,
  assertFails,
  ending,
  type Family,
  type Limits,
  onStage,
  outcome,
  pair,
  passOver,
  randomBytes,
  randomNumbers,
  readAll,
  readExactly,
  roundTrips,
  sha256,
  type Stage,
  writeAll,
} from "./support.ts";

const MiB = 1024 * 1024;
/** More than the buffers of any kernel we meet hold for one connection (Linux: 4 MiB to send and 6 MiB to receive). */
const MORE_THAN_BUFFERS = 16 * MiB;

/** Registers the suite for one adapter. */
export async function testNetwork(name: string, makeNetwork: () => Network, limits: Limits = {}): Promise<void> {
  const noIpv6 = await whyNoIpv6(makeNetwork());
  for (const family of ["tcp4", "tcp6", "unix"] as const) {
    const skip = family === "tcp6" ? noIpv6 : family === "unix" ? limits.noUnix : undefined;
    const add = (what: string, act: (stage: Stage) => Promise<void>, skipThis?: string): void => {
      test(
        `${name} ${family}: ${what}`,
        { timeout: 60_000, skip: skip ?? skipThis ?? false },
        () => onStage(makeNetwork(), family, limits, act),
      );
    };
    addConnectTests(add, family, limits);
    addListenTests(add, family, limits);
    addTransferTests(add, family, limits);
    addEndingTests(add, family, limits);
  }
}

type Add = (what: string, act: (stage: Stage) => Promise<void>, skip?: string) => void;

async function whyNoIpv6(network: Network): Promise<string | undefined> {
  try {
    await (await network.listen({ transport: "tcp", hostname: "::1", port: 0 })).close();
    return;
  } catch (error) {
    if (error instanceof NetworkError && error.code === "address_not_available") return "this machine has no ::1";
    throw error;
  }
}

function addConnectTests(add: Add, family: Family, limits: Limits): void {
  add("both ends know both addresses", async (stage) => {
    await using ends = await pair(stage);
    const { client, server, listener } = ends;
    assertEquals(client.remoteAddress, listener.address);
    assertEquals(server.localAddress, listener.address);
    assertEquals(server.remoteAddress, client.localAddress);
    if (family === "unix") {
      assertEquals(listener.address, stage.address);
      assertEquals(client.localAddress, { transport: "unix", path: "" });
    } else {
      assert(client.localAddress.transport === "tcp" && listener.address.transport === "tcp");
      assertGreater(listener.address.port, 0);
      assertGreater(client.localAddress.port, 0);
    }
  });

  add("connecting where nobody listens any more fails", async ({ network, address }) => {
    const listener = await network.listen(address);
    await listener.close();
    const error = await assertFails(network.connect(listener.address), family === "unix" ? "unreachable" : "refused");
    assert(error.message.startsWith("Cannot connect to "), error.message);
  });

  add("addresses that cannot be are not tried", async ({ network, path }) => {
    const addresses: SocketAddress[] = family === "unix"
      ? ["", "a\0b", path("x".repeat(120))].map((path) => ({ transport: "unix", path }))
      : [
        { transport: "tcp", hostname: "localhost", port: 1 },
        { transport: "tcp", hostname: "256.0.0.1", port: 1 },
        { transport: "tcp", hostname: "[::1]", port: 1 },
        { transport: "tcp", hostname: "::1::", port: 1 },
        { transport: "tcp", hostname: "127.0.0.1", port: 65536 },
        { transport: "tcp", hostname: "127.0.0.1", port: -1 },
        { transport: "tcp", hostname: "127.0.0.1", port: 1.5 },
      ];
    for (const address of addresses) {
      await assertFails(network.connect(address), "address_not_available");
      await assertFails(network.listen(address), "address_not_available");
    }
    if (family !== "unix") {
      await assertFails(network.connect({ transport: "tcp", hostname: "127.0.0.1", port: 0 }), "address_not_available");
    }
  });

  add("a signal aborted before gives its reason and connects nothing", async ({ network, address }) => {
    const reason = new Error("changed my mind");
    await using listener = await network.listen(address);
    const signal = AbortSignal.abort(reason);
    assertStrictEquals(await outcome(network.connect(listener.address, { signal })), reason);
    assertStrictEquals(
      await outcome(network.connect({ ...address, hostname: "nonsense" } as SocketAddress, { signal })),
      reason,
    );
  });

  add("a signal aborted during the attempt gives its reason; the late socket is closed unseen", async (stage) => {
    const { network, address } = stage;
    const reason = { not: "an Error" };
    const listener = await network.listen(address);
    const controller = new AbortController();
    const attempt = outcome(network.connect(listener.address, { signal: controller.signal }));
    controller.abort(reason);
    assertStrictEquals(await attempt, reason);
    // Whatever came of it is accepted before this one, or not at all.
    assertLess(await passOver(listener, await network.connect(listener.address)), 2);
    await listener.close();
  });

  add("a signal that aborts after the connection was made changes nothing", async ({ network, address }) => {
    const listener = await network.listen(address);
    const controller = new AbortController();
    const [client, server] = await Promise.all([
      network.connect(listener.address, { signal: controller.signal }),
      accept(listener),
    ]);
    controller.abort();
    await Promise.all([writeAll(client.writable, new Uint8Array([7])), server.writable.close()]);
    assertEquals(await readAll(server.readable), new Uint8Array([7]));
    assertEquals(await readAll(client.readable), new Uint8Array(0));
    await Promise.all([client.closed, server.closed, listener.close()]);
  });

  if (family !== "unix") return;
  add("a path that leads nowhere is unreachable", async ({ network, path }) => {
    await assertFails(network.connect({ transport: "unix", path: path("missing") }), "unreachable");
    await assertFails(network.connect({ transport: "unix", path: path("missing/too") }), "unreachable");
  });

  add("a path whose owner is gone refuses, and is taken over by a listener", async ({ network, address, path }) => {
    const stale: SocketAddress = { transport: "unix", path: path("stale") };
    const gone = await network.listen(address);
    // A second name for the socket outlives its owner, as the first one does when a process is killed.
    linkSync(path("socket"), stale.path);
    await gone.close();
    assert(existsSync(stale.path));
    await assertFails(network.connect(stale), "refused");
    await using listener = await network.listen(stale);
    const [client, server] = await Promise.all([network.connect(stale), accept(listener)]);
    client.abort();
    server.abort();
    await Promise.all([client.closed, server.closed]);
  }, limits.noFiles);

  add("a path that is no socket is left alone", async ({ network, path }) => {
    const file: SocketAddress = { transport: "unix", path: path("file") };
    writeFileSync(file.path, "precious");
    await assertFails(network.listen(file), "address_in_use");
    assert(existsSync(file.path));
  }, limits.noFiles);

  add("a path in no folder cannot be listened on", async ({ network, path }) => {
    await assertFails(network.listen({ transport: "unix", path: path("missing/socket") }), "address_not_available");
  }, limits.noFiles);

  add("closing a listener removes its path", async ({ network, address, path }) => {
    const listener = await network.listen(address);
    assert(existsSync(path("socket")));
    await listener.close();
    assert(!existsSync(path("socket")));
  }, limits.noFiles);
}

function addListenTests(add: Add, family: Family, limits: Limits): void {
  add("an address in use is not taken from its listener", async ({ network, address }) => {
    await using listener = await network.listen(address);
    await assertFails(network.listen(listener.address), "address_in_use");
    // An adapter may have asked at the path whether anybody is there.
    assertLess(await passOver(listener, await network.connect(listener.address)), 2);
  });

  add("closing a listener ends its iteration and frees the address at once", async ({ network, address }) => {
    const listener = await network.listen(address);
    const sockets: Socket[] = [];
    const iteration = (async (): Promise<void> => {
      for await (const socket of listener) sockets.push(socket);
    })();
    await listener.close();
    await iteration;
    await listener.close();
    assertEquals(sockets, []);
    for await (const _ of listener) throw new Error("a closed listener accepted");
    const again = await network.listen(listener.address);
    assertEquals(again.address, listener.address);
    await again.close();
  });

  add("leaving an accept loop leaves the listener open", async ({ network, address }) => {
    await using listener = await network.listen(address);
    for (let round = 0; round < 3; round++) {
      const client = await network.connect(listener.address);
      for await (const server of listener) {
        server.abort();
        await server.closed;
        break;
      }
      client.abort();
      await client.closed;
    }
  });

  add("an iteration given up while it waits costs no connection", async ({ network, address }) => {
    await using listener = await network.listen(address);
    const first = listener[Symbol.asyncIterator]();
    const waiting = first.next();
    await first.return?.();
    assertEquals(await waiting, { done: true, value: undefined });
    const [client, server] = await Promise.all([network.connect(listener.address), accept(listener)]);
    client.abort();
    server.abort();
    await Promise.all([client.closed, server.closed]);
  });

  add("two iterations share the connections", async ({ network, address }) => {
    await using listener = await network.listen(address);
    const [one, two, ...clients] = await Promise.all([
      accept(listener),
      accept(listener),
      network.connect(listener.address),
      network.connect(listener.address),
    ]);
    assert(one !== two);
    for (const socket of [one, two, ...clients]) socket.abort();
    await Promise.all([one, two, ...clients].map((socket) => socket.closed));
  });

  add("connections nobody took are aborted with their listener; others stay", async ({ network, address }) => {
    const listener = await network.listen(address);
    const [kept, server] = await Promise.all([network.connect(listener.address), accept(listener)]);
    const others = await Promise.all([1, 2, 3].map(() => network.connect(listener.address)));
    await listener.close();
    for (const other of others) {
      assert(["end", "connection_lost"].includes(await ending(other.readable)));
      other.abort();
      await other.closed;
    }
    await writeAll(kept.writable, new Uint8Array([1, 2, 3]));
    assertEquals(await readAll(server.readable), new Uint8Array([1, 2, 3]));
    await server.writable.close();
    assertEquals(await ending(kept.readable), "end");
    await Promise.all([kept.closed, server.closed]);
  });

  add("a listener is closed by await using", async ({ network, address }) => {
    let bound: SocketAddress;
    {
      await using listener = await network.listen(address);
      bound = listener.address;
    }
    await (await network.listen(bound)).close();
  });

  add("200 connections at once", async ({ network, address }) => {
    const count = 200;
    await using listener = await network.listen(address);
    const echoing = (async (): Promise<void> => {
      const echoes: Promise<void>[] = [];
      for await (const server of listener) {
        echoes.push(server.readable.pipeTo(server.writable).then(() => server.closed));
        if (echoes.length === count) break;
      }
      await Promise.all(echoes);
    })();
    const clients = Array.from({ length: count }, async (_, index): Promise<number> => {
      const client = await network.connect(listener.address);
      const words = Uint32Array.of(index);
      await writeAll(client.writable, new Uint8Array(words.buffer));
      const echo = await readAll(client.readable);
      await client.closed;
      return new DataView(echo.buffer).getUint32(0, true);
    });
    assertEquals(await Promise.all(clients), Array.from({ length: count }, (_, index) => index));
    await echoing;
  });

  if (family === "unix") return;
  add("an address of another machine cannot be listened on", async ({ network }) => {
    // Set aside for documentation: nobody's.
    const hostname = family === "tcp4" ? "192.0.2.1" : "2001:db8::1";
    await assertFails(network.listen({ transport: "tcp", hostname, port: 0 }), "address_not_available");
  }, limits.noFiles);
}

function addTransferTests(add: Add, family: Family, limits: Limits): void {
  add("a large write waits for a reader that does not read, and arrives whole", async (stage) => {
    await using ends = await pair(stage);
    const { client, server } = ends;
    const sent = randomBytes(MORE_THAN_BUFFERS, 1);
    let settled = false;
    const writing = writeAll(client.writable, sent).then(() => {
      settled = true;
    });
    await roundTrips(stage, 50);
    assert(!settled, "the write settled though nobody read");
    // The other direction does not wait for this one.
    await server.writable.getWriter().write(new Uint8Array([42]));
    assertEquals(await readExactly(client.readable.getReader(), 1), new Uint8Array([42]));
    assert(!settled, "the write settled though nobody read");
    const [received] = await Promise.all([readAll(server.readable), writing]);
    assertEquals(received.byteLength, sent.byteLength);
    assertEquals(await sha256(received), await sha256(sent));
  });

  add("a reader that does not read bounds what is taken from the writer", async (stage) => {
    await using ends = await pair(stage);
    const chunk = new Uint8Array(64 * 1024);
    let taken = 0;
    const writer = ends.client.writable.getWriter();
    const reason = new Error("enough");
    const writing = (async (): Promise<void> => {
      for (; taken < 4 * MORE_THAN_BUFFERS; taken += chunk.byteLength) await writer.write(chunk);
    })();
    const ended = outcome(writing);
    for (let before = -1; before !== taken;) {
      before = taken;
      await roundTrips(stage, 50);
    }
    assertLess(taken, MORE_THAN_BUFFERS);
    ends.client.abort(reason);
    assertStrictEquals(await ended, reason);
  });

  add("both directions carry random writes at the same time", async (stage) => {
    await using ends = await pair(stage);
    const { client, server } = ends;
    const send = async (writable: WritableStream<Uint8Array>, bytes: Uint8Array, seed: number): Promise<void> => {
      const random = randomNumbers(seed);
      const writer = writable.getWriter();
      for (let offset = 0; offset < bytes.byteLength;) {
        const size = random() % (1 << random() % 20);
        await writer.write(bytes.subarray(offset, offset + size));
        offset += size;
      }
      await writer.close();
    };
    const up = randomBytes(8 * MiB, 2);
    const down = randomBytes(8 * MiB, 3);
    const [upReceived, downReceived] = await Promise.all([
      readAll(server.readable),
      readAll(client.readable),
      send(client.writable, up, 4),
      send(server.writable, down, 5),
    ]);
    assertEquals(await sha256(upReceived), await sha256(up));
    assertEquals(await sha256(downReceived), await sha256(down));
    await Promise.all([client.closed, server.closed]);
  });

  add("single bytes arrive in order", async (stage) => {
    await using ends = await pair(stage);
    const sent = randomBytes(2000, 6);
    const writing = (async (): Promise<void> => {
      const writer = ends.client.writable.getWriter();
      for (let i = 0; i < sent.byteLength; i++) await writer.write(sent.subarray(i, i + 1));
      await writer.close();
    })();
    assertEquals(await readAll(ends.server.readable), sent);
    await writing;
  });

  add("queued single bytes arrive in order", async (stage) => {
    await using ends = await pair(stage);
    const sent = randomBytes(2000, 7);
    const writer = ends.client.writable.getWriter();
    const writing = Promise.all(Array.from(sent, (byte) => writer.write(Uint8Array.of(byte))));
    const closing = writer.close();
    assertEquals(await readAll(ends.server.readable), sent);
    await Promise.all([writing, closing]);
  });

  add("writes of no bytes are fine and arrive as nothing", async (stage) => {
    await using ends = await pair(stage);
    const writer = ends.client.writable.getWriter();
    await writer.write(new Uint8Array(0));
    await writer.write(Uint8Array.of(1));
    await writer.write(new Uint8Array(0));
    await writer.close();
    assertEquals(await readAll(ends.server.readable), Uint8Array.of(1));
  });

  add("a buffer is the writer's again once its write has settled", async (stage) => {
    await using ends = await pair(stage);
    const buffer = new Uint8Array(1000);
    const writer = ends.client.writable.getWriter();
    for (let round = 1; round <= 20; round++) {
      buffer.fill(round);
      await writer.write(buffer);
    }
    buffer.fill(0);
    await writer.close();
    const expected = new Uint8Array(20_000);
    for (let round = 1; round <= 20; round++) expected.fill(round, (round - 1) * 1000, round * 1000);
    assertEquals(await sha256(await readAll(ends.server.readable)), await sha256(expected));
  });

  add("a direct read that says where bytes had best go gets them in order, there or elsewhere", async (stage) => {
    await using ends = await pair(stage);
    const { client, server } = ends, sent = randomBytes(4 * MiB, 12), random = randomNumbers(13);
    const { direct } = server;
    assert(direct !== undefined);
    const chunks: Uint8Array[] = [], taken = new Set<ArrayBufferLike>();
    const writing = writeAll(client.writable, sent);
    let waited: Uint8Array | undefined;
    for (;;) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const place = random() % 3 === 0 ? undefined : new Uint8Array(1 + random() % 300_000);
      const chunk = direct.read(resolve, place);
      if (chunk === null) break;
      if (chunk !== undefined) {
        chunks.push(chunk);
        assert(!taken.has(chunk.buffer), "a chunk where bytes were wanted before others came");
        for (const { buffer } of [waited, place].filter((one) => one !== undefined)) {
          if (chunk.buffer === buffer) assertEquals(chunk.byteOffset, 0);
          taken.add(buffer);
        }
      }
      waited = chunk === undefined ? place : undefined;
      if (chunk === undefined) await promise;
      if (random() % 4 === 0) await roundTrips(stage, 1);
    }
    await writing;
    assertEquals(await sha256(concat(chunks)), await sha256(sent));
    await server.writable.close();
  });

  add("chunks are the reader's: plain, and never changed later", async (stage) => {
    await using ends = await pair(stage);
    const sent = randomBytes(2 * MiB, 8);
    const random = randomNumbers(9);
    const writing = (async (): Promise<void> => {
      const writer = ends.client.writable.getWriter();
      for (let offset = 0; offset < sent.byteLength;) {
        const size = 1 + random() % 5000;
        await writer.write(sent.subarray(offset, offset + size));
        offset += size;
      }
      await writer.close();
    })();
    const chunks: Uint8Array[] = [];
    const copies: Uint8Array<ArrayBuffer>[] = [];
    for await (const chunk of ends.server.readable) {
      // A Buffer's slice() would share memory.
      assertStrictEquals(chunk.constructor, Uint8Array);
      chunks.push(chunk);
      copies.push(new Uint8Array(chunk));
    }
    await writing;
    for (const [index, chunk] of chunks.entries()) {
      assertStrictEquals(await sha256(new Uint8Array(chunk)), await sha256(copies[index]!));
    }
    // What the reader writes into its chunks reaches no other.
    for (const chunk of chunks) chunk.fill(0xa5);
    for (const chunk of chunks) assert(chunk.every((byte) => byte === 0xa5));
  });

  add("small writes are not held back", async (stage) => {
    await using ends = await pair(stage);
    const clientWriter = ends.client.writable.getWriter();
    const clientReader = ends.client.readable.getReader();
    const serverWriter = ends.server.writable.getWriter();
    const serverReader = ends.server.readable.getReader();
    const rounds = 200;
    const start = performance.now();
    for (let i = 0; i < rounds; i++) {
      // Two writes and then a read: Nagle's algorithm would keep the second until the first is acknowledged, which the other
      // end puts off for 40 ms and more.
      await clientWriter.write(new Uint8Array(10));
      await clientWriter.write(new Uint8Array(10));
      await readExactly(serverReader, 20);
      await serverWriter.write(new Uint8Array(10));
      await serverWriter.write(new Uint8Array(10));
      await readExactly(clientReader, 20);
    }
    // No runtime lets one ask for the socket's option. Without it this takes 8 s; with it, 20 ms on an idle machine.
    assertLess(performance.now() - start, rounds * 20);
  }, limits.noNoDelay);

  if (family === "unix") return;
  add("noDelay can be left off", async ({ network, address }) => {
    await using listener = await network.listen(address, { noDelay: false, backlog: 10 });
    const [client, server] = await Promise.all([
      network.connect(listener.address, { noDelay: false }),
      accept(listener),
    ]);
    await Promise.all([writeAll(client.writable, Uint8Array.of(1)), server.writable.close()]);
    assertEquals(await readAll(server.readable), Uint8Array.of(1));
    assertEquals(await ending(client.readable), "end");
    await Promise.all([client.closed, server.closed]);
  });
}

function addEndingTests(add: Add, family: Family, limits: Limits): void {
  /** Why a peer may see the end of an aborted socket rather than its loss. */
  const noReset = family === "unix" ? "Unix-domain sockets have no reset" : limits.noReset;

  for (const first of ["client", "server"] as const) {
    add(`half-close: the ${first} ends its side first and goes on reading`, async (stage) => {
      await using ends = await pair(stage);
      const [early, late] = first === "client" ? [ends.client, ends.server] : [ends.server, ends.client];
      await writeAll(early.writable, Uint8Array.of(1, 2, 3));
      assertEquals(await readAll(late.readable), Uint8Array.of(1, 2, 3));
      const writer = late.writable.getWriter();
      const reader = early.readable.getReader();
      for (let i = 0; i < 10; i++) {
        await writer.write(Uint8Array.of(i));
        assertEquals(await readExactly(reader, 1), Uint8Array.of(i));
      }
      const large = randomBytes(2 * MiB, 10);
      const [received] = await Promise.all([readExactly(reader, large.byteLength), writer.write(large)]);
      assertEquals(await sha256(received), await sha256(large));
      await writer.close();
      assertEquals((await reader.read()).done, true);
      await Promise.all([early.closed, late.closed]);
    });
  }

  add("half-close: an end that arrives in the middle of a write does not harm it", async ({ network, address }) => {
    const listener = await network.listen(address);
    const large = randomBytes(MiB, 14);
    const client = await network.connect(listener.address);
    const closing = client.writable.close();
    const server = await accept(listener);
    const [received] = await Promise.all([readAll(client.readable), writeAll(server.writable, large), closing]);
    assertEquals(await sha256(received), await sha256(large));
    assertEquals(await ending(server.readable), "end");
    await Promise.all([client.closed, server.closed, listener.close()]);
  }, limits.noWriteAcrossEnd);

  add("both ends may end at the same time", async (stage) => {
    await using ends = await pair(stage);
    const { client, server } = ends;
    await Promise.all([client.writable.close(), server.writable.close()]);
    assertEquals(await ending(client.readable), "end");
    assertEquals(await ending(server.readable), "end");
    await Promise.all([client.closed, server.closed]);
  });

  add("what was sent before the end is read before it", async (stage) => {
    await using ends = await pair(stage);
    const sent = randomBytes(200_000, 11);
    const writing = writeAll(ends.client.writable, sent);
    await roundTrips(stage, 20);
    assertEquals(await sha256(await readAll(ends.server.readable)), await sha256(sent));
    await writing;
  });

  add("closing twice, and aborting afterwards, does no harm", async (stage) => {
    await using ends = await pair(stage);
    const { client, server } = ends;
    await client.writable.close();
    await assertRejects(() => client.writable.close(), TypeError);
    await server.writable.close();
    assertEquals(await ending(client.readable), "end");
    assertEquals(await ending(server.readable), "end");
    await Promise.all([client.closed, server.closed]);
    client.abort(new Error("too late"));
    server.abort(new Error("too late"));
    await Promise.all([client.closed, server.closed]);
    await client.readable.cancel();
  });

  add("an abort rejects a pending read with its reason, and what follows", async (stage) => {
    await using ends = await pair(stage);
    const reason = new Error("stop");
    const reader = ends.client.readable.getReader();
    const pending = outcome(reader.read());
    const writer = ends.client.writable.getWriter();
    ends.client.abort(reason);
    assertStrictEquals(await pending, reason);
    assertStrictEquals(await outcome(reader.read()), reason);
    assertStrictEquals(await outcome(writer.write(Uint8Array.of(1))), reason);
    await ends.client.closed;
    ends.client.abort(new Error("again"));
    assertStrictEquals(await outcome(reader.read()), reason);
  });

  add("an abort rejects pending writes and a pending close with its reason", async (stage) => {
    await using ends = await pair(stage);
    const reason = new Error("stop");
    const writer = ends.client.writable.getWriter();
    const pending = [
      outcome(writer.write(new Uint8Array(MORE_THAN_BUFFERS))),
      outcome(writer.write(Uint8Array.of(1))),
      outcome(writer.close()),
    ];
    await roundTrips(stage, 20);
    ends.client.abort(reason);
    for (const rejection of await Promise.all(pending)) assertStrictEquals(rejection, reason);
    await ends.client.closed;
    assertStrictEquals(await outcome(ends.client.readable.getReader().read()), reason);
  });

  add("an abort while or after this end is closed releases the socket", async (stage) => {
    for (const settled of [false, true]) {
      await using ends = await pair(stage);
      const reason = new Error("stop");
      const closing = ends.client.writable.close().catch((error) => error);
      if (settled) assertEquals(await closing, undefined);
      ends.client.abort(reason);
      const result = await closing;
      assert(result === undefined || result === reason);
      await ends.client.closed;
      assertStrictEquals(await outcome(ends.client.readable.getReader().read()), reason);
    }
  });

  add("an abort drops what was not read", async (stage) => {
    await using ends = await pair(stage);
    await ends.server.writable.getWriter().write(Uint8Array.of(1, 2, 3));
    await roundTrips(stage, 20);
    const reason = new Error("stop");
    ends.client.abort(reason);
    assertStrictEquals(await outcome(ends.client.readable.getReader().read()), reason);
  });

  add("an abort without a reason has an AbortError", async (stage) => {
    await using ends = await pair(stage);
    ends.client.abort();
    const error = await outcome(ends.client.readable.getReader().read());
    assert(error instanceof DOMException && error.name === "AbortError");
  });

  add("aborting the writable aborts the socket, even while a write is pending", async (stage) => {
    await using ends = await pair(stage);
    const reason = new Error("stop");
    const reading = outcome(ends.client.readable.getReader().read());
    const writer = ends.client.writable.getWriter();
    const writing = outcome(writer.write(new Uint8Array(MORE_THAN_BUFFERS)));
    await roundTrips(stage, 20);
    await writer.abort(reason);
    assertStrictEquals(await writing, reason);
    assertStrictEquals(await reading, reason);
    await ends.client.closed;
  });

  add("cancelling the readable leaves the writable open and the peer unblocked", async (stage) => {
    await using ends = await pair(stage);
    const { client, server } = ends;
    const serverWriter = server.writable.getWriter();
    await serverWriter.write(Uint8Array.of(1));
    await client.readable.cancel();
    await serverWriter.write(new Uint8Array(MORE_THAN_BUFFERS));
    const sent = randomBytes(100_000, 12);
    const [received] = await Promise.all([readAll(server.readable), writeAll(client.writable, sent)]);
    assertEquals(await sha256(received), await sha256(sent));
    await serverWriter.close();
    await Promise.all([client.closed, server.closed]);
  });

  add("the peer's abort ends a pending read", async (stage) => {
    await using ends = await pair(stage);
    const reading = ending(ends.client.readable);
    ends.server.abort();
    const end = await reading;
    assert(end === "connection_lost" || (noReset !== undefined && end === "end"), end);
  });

  add("the peer's abort fails a pending write", async (stage) => {
    await using ends = await pair(stage);
    const writing = assertFails(
      ends.client.writable.getWriter().write(new Uint8Array(MORE_THAN_BUFFERS)),
      "connection_lost",
    );
    await roundTrips(stage, 20);
    ends.server.abort();
    await writing;
    assertEquals(await ending(ends.client.readable), "connection_lost");
    await ends.client.closed;
  });

  add("writes to a peer that is gone fail, and so does everything after", async (stage) => {
    await using ends = await pair(stage);
    const { client, server } = ends;
    server.abort();
    await server.closed;
    const writer = client.writable.getWriter();
    // The first ones may still go out.
    await assertFails(
      (async (): Promise<void> => {
        for (let i = 0; i < 1000; i++) await writer.write(new Uint8Array(100_000));
      })(),
      "connection_lost",
    );
    await assertFails(writer.write(Uint8Array.of(1)), "connection_lost");
    await assertFails(writer.closed, "connection_lost");
    const end = await ending(client.readable);
    assert(end === "connection_lost" || (noReset !== undefined && end === "end"), end);
    await client.closed;
  });

  add("what arrived before the peer ended can be read after a write has failed", async (stage) => {
    await using ends = await pair(stage);
    const { client, server } = ends;
    await writeAll(server.writable, Uint8Array.of(1, 2, 3));
    const reader = client.readable.getReader();
    // The first byte being here, so are the others.
    assertEquals((await reader.read()).value?.[0], 1);
    assertEquals((await reader.read()).done, true);
    server.abort();
    await server.closed;
    const writer = client.writable.getWriter();
    await assertFails(
      (async (): Promise<void> => {
        for (let i = 0; i < 1000; i++) await writer.write(new Uint8Array(100_000));
      })(),
      "connection_lost",
    );
    await client.closed;
  }, limits.noAbortAfterEnd);

  add("many sockets aborted at random moments leave nothing behind", async ({ network, address }) => {
    const random = randomNumbers(13);
    await using listener = await network.listen(address);
    for (let round = 0; round < 20; round++) {
      const [client, server] = await Promise.all([network.connect(listener.address), accept(listener)]);
      const reason = new Error("stop");
      const traffic = [client, server].flatMap((socket) => [
        readAll(socket.readable).catch((error) => error),
        writeAll(socket.writable, new Uint8Array(random() % MORE_THAN_BUFFERS)).catch((error) => error),
      ]);
      const victim = random() % 2 === 0 ? client : server;
      for (let turns = random() % 30; turns > 0; turns--) await new Promise((resolve) => setTimeout(resolve, 0));
      victim.abort(reason);
      const outcomes = await Promise.all(traffic);
      for (const result of outcomes) {
        if (!(result instanceof Error) || result === reason) continue;
        assert(result instanceof NetworkError && result.code === "connection_lost", String(result));
      }
      client.abort();
      server.abort();
      await Promise.all([client.closed, server.closed]);
    }
  });
}
