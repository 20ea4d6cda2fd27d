import { assertEquals } from "@std/assert";
import { test } from "node:test";
import { Message } from "../src/message.ts";
import { Messenger } from "../src/messenger.ts";
import { MemoryNetwork } from "../src/net/memory.ts";

test("Connection.describe() tells what waits, what went out and what came, before, in and after a session", async () => {
  const network = new MemoryNetwork();
  await using server = new Messenger({ network, name: "client.1" });
  const client = new Messenger({ network, name: "client.7" });
  const connection = client.connectTo("127.0.0.1:6800");
  connection.send(new Message(0x8001, { data: new Uint8Array(100) }));
  assertEquals(connection.describe(), {
    peer: "127.0.0.1:6800/0",
    type: "client",
    state: "standby",
    isLossy: false,
    isHeld: false,
    unsent: 1,
    unacknowledged: 0,
    queuedBytes: 356,
    lastSent: 0,
    lastReceived: 0,
  });

  const { promise, resolve } = Promise.withResolvers<Message>();
  server.addDispatcherTail({ dispatch: resolve });
  await server.bind("127.0.0.1:6800");
  const { seq, connection: back } = await promise;
  await connection.flush();
  const { type, state, unsent, unacknowledged, queuedBytes, lastSent } = connection.describe();
  assertEquals([type, state, unsent, unacknowledged, queuedBytes], ["client", "open", 0, 0, 0]);
  assertEquals([lastSent, back.describe().lastReceived, back.describe().type], [seq, seq, "client"]);

  await client.shutdown();
  assertEquals(connection.describe().state, "closed");
});
