/** What the network in memory promises beyond the seam. */

import { assert, assertEquals } from "@std/assert";
import test from "node:test";
import { MemoryNetwork } from "../../src/net/memory.ts";
import type { TcpAddress } from "../../src/net/network.ts";
import { accept, assertFails } from "./support.ts";

const anyPort: TcpAddress = { transport: "tcp", hostname: "10.0.0.1", port: 0 };

test("memory: networks know nothing of each other", async () => {
  const one = new MemoryNetwork();
  const other = new MemoryNetwork();
  const address: TcpAddress = { ...anyPort, port: 6789 };
  await one.listen(address);
  await assertFails(other.connect(address), "refused");
  await other.listen(address);
  assertEquals([one.openListeners, other.openListeners], [1, 1]);
});

test("memory: TLS is turned down, not left out", async () => {
  const network = new MemoryNetwork();
  await assertFails(network.listen(anyPort, { tls: {} }), "not_supported");
  const listener = await network.listen(anyPort);
  await assertFails(network.connect(listener.address, { tls: {} }), "not_supported");
});

test("memory: the same program sees the same ports every time", async () => {
  const ports = async (): Promise<number[]> => {
    const network = new MemoryNetwork();
    const taken: TcpAddress = { ...anyPort, port: 49153 };
    const listeners = [await network.listen(anyPort), await network.listen(taken), await network.listen(anyPort)];
    const client = await network.connect(taken);
    return [...listeners.map((listener) => listener.address), client.localAddress].map((address) => {
      assert(address.transport === "tcp");
      return address.port;
    });
  };
  assertEquals(await ports(), [49152, 49153, 49154, 49155]);
  assertEquals(await ports(), await ports());
});

test("memory: open sockets and listeners are counted until they are closed", async () => {
  const network = new MemoryNetwork();
  assertEquals([network.openSockets, network.openListeners], [0, 0]);
  const listener = await network.listen(anyPort);
  const [client, server] = await Promise.all([network.connect(listener.address), accept(listener)]);
  assertEquals([network.openSockets, network.openListeners], [2, 1]);
  await client.writable.close();
  await listener.close();
  assertEquals([network.openSockets, network.openListeners], [2, 0]);
  server.abort();
  await Promise.all([client.closed, server.closed]);
  assertEquals([network.openSockets, network.openListeners], [0, 0]);
});

test("memory: a listener on every address is found at each, and by every spelling", async () => {
  const network = new MemoryNetwork();
  const listener = await network.listen({ transport: "tcp", hostname: "::", port: 6789 });
  const [, server] = await Promise.all([
    network.connect({ transport: "tcp", hostname: "2001:DB8:0:0::1", port: 6789 }),
    accept(listener),
  ]);
  assertEquals(server.localAddress, { transport: "tcp", hostname: "2001:DB8:0:0::1", port: 6789 });
  await network.listen({ transport: "tcp", hostname: "fd00::1", port: 1 });
  await network.connect({ transport: "tcp", hostname: "fd00:0:0:0:0:0:0:1", port: 1 });
  await assertFails(network.connect({ transport: "tcp", hostname: "10.0.0.1", port: 6789 }), "refused");
});

test("memory: a full backlog refuses until somebody accepts", async () => {
  const network = new MemoryNetwork();
  const listener = await network.listen(anyPort, { backlog: 2 });
  const first = await network.connect(listener.address);
  await network.connect(listener.address);
  await assertFails(network.connect(listener.address), "refused");
  assertEquals((await accept(listener)).remoteAddress, first.localAddress);
  await network.connect(listener.address);
});

test("memory: what a write may leave under way is the capacity", async () => {
  const network = new MemoryNetwork({ capacity: 1000 });
  const listener = await network.listen(anyPort);
  const [client, server] = await Promise.all([network.connect(listener.address), accept(listener)]);
  const writer = client.writable.getWriter();
  await writer.write(new Uint8Array(1000));
  let settled = false;
  const writing = writer.write(new Uint8Array(1)).then(() => {
    settled = true;
  });
  const reader = server.readable.getReader();
  assert(!settled);
  assertEquals((await reader.read()).value?.byteLength, 1000);
  await writing;
});
