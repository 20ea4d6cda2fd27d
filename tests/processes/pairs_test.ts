/**
 * Two programs on any two runtimes. Each of the three test runs dials servers on all three, so `deno task test` covers all nine pairs, and
 * each of them once; a run on one runtime alone covers three.
 */

import { assertEquals } from "@std/assert";
import { test } from "node:test";
import { Messenger } from "../../mod.ts";
import { runtimes } from "../../tools/runtimes.ts";
import { Account, COUNT, Exchange, type Records } from "./exchange.ts";
import { Script } from "./script.ts";

for (const server of runtimes) {
  test(`messages of 0 bytes up to the limit in every segment go both ways, with a server on ${server}`, async () => {
    await using peer = new Script(server, "tests/processes/peer.ts");
    const [, address] = await peer.prints(/^listening at (.+)\n/);
    await using client = new Messenger();
    const exchange = new Exchange(client, 1);
    const { promise: account, resolve } = Promise.withResolvers<Records>();
    client.on(Account, resolve);

    const connection = client.connectTo(address!);
    const sending = exchange.run(connection);
    const [ours, theirs] = await peer.whileRunning(Promise.all([exchange.records, account, sending]));

    assertEquals(ours.sent.length, COUNT);
    assertSame(theirs.received, ours.sent);
    assertSame(ours.received, theirs.sent);
    await connection.close();
    assertEquals(await peer.leave(), { code: 0, output: `listening at ${address}\n` });
  });
}

/** Names the first message that is not the one it should be, rather than printing thousands. */
function assertSame(received: readonly string[], sent: readonly string[]): void {
  const index = sent.findIndex((line, i) => received[i] !== line);
  if (index >= 0) assertEquals(received[index], sent[index], `message ${index + 1} of ${sent.length}`);
  assertEquals(received.length, sent.length);
}
