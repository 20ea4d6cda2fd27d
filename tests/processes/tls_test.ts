/**
 * TLS between any two runtimes. Each of the three test runs dials servers on all three, so `deno task test` covers all nine pairs.
 */

import { assertEquals } from "@std/assert";
import { test } from "node:test";
import { Message, Messenger } from "../../mod.ts";
import { defaultNetwork } from "../../src/net/default.ts";
import type { SocketAddress, TlsOptions } from "../../src/net/network.ts";
import { runtimes } from "../../tools/runtimes.ts";
import { identity, pem } from "../support/certificates.ts";
import { Script } from "./script.ts";

const network = await defaultNetwork();
const trusting: TlsOptions = { ca: pem("ca"), serverName: "server.test" };
const known: TlsOptions = { ...trusting, ...identity("client") };

/** What a client gets from a server: the byte that all of them say, or the code of what went wrong. */
async function visit(address: SocketAddress, tls: TlsOptions): Promise<unknown> {
  try {
    const socket = await network.connect(address, { tls });
    try {
      const { value } = await socket.readable.getReader().read();
      return value?.[0];
    } finally {
      socket.abort();
      await socket.closed;
    }
  } catch (error) {
    return (error as { code?: unknown }).code;
  }
}

for (const server of runtimes) {
  test(`TLS says what is wrong with a certificate, with servers on ${server}`, async () => {
    await using peer = new Script(server, "tests/processes/tls_peer.ts", [], {
      permissions: ["--allow-net", "--allow-read"],
    });
    const [, line] = await peer.prints(/^listening at (.+)\n/);
    const addresses = JSON.parse(line!) as Record<string, SocketAddress & string>;
    const meet = (name: string, tls: TlsOptions) => peer.whileRunning(visit(addresses[name]!, tls));

    assertEquals(await meet("server", trusting), 42);
    assertEquals(await meet("server", { ca: pem("ca") }), 42);
    assertEquals(await meet("server", known), 42);
    assertEquals(await meet("server", { ...trusting, ca: pem("other_ca") }), "tls_untrusted");
    assertEquals(await meet("server", { ...trusting, serverName: "elsewhere.test" }), "tls_wrong_name");
    assertEquals(await meet("elsewhere", trusting), "tls_wrong_name");
    assertEquals(await meet("expired", trusting), "tls_expired");
    // Having been turned away, a server that is asked rightly still answers.
    assertEquals(await meet("server", trusting), 42);

    if (server === "deno") {
      assertEquals(addresses.mutual, "not_supported");
    } else {
      assertEquals(await meet("mutual", known), 42);
      assertEquals(await meet("mutual", trusting), "tls_client_certificate");
      assertEquals(await meet("mutual", { ...known, ca: pem("other_ca") }), "tls_untrusted");
    }
    assertEquals((await peer.leave()).code, 0);
  });

  test(`messages go both ways through TLS, and a client not let in hears why, with a server on ${server}`, async () => {
    await using peer = new Script(server, "tests/processes/tls_peer.ts", [], {
      permissions: ["--allow-net", "--allow-read"],
    });
    const [, line] = await peer.prints(/^listening at (.+)\n/);
    const { messenger: address, mutual } = JSON.parse(line!) as Record<string, string>;
    const count = 200;
    await using client = new Messenger({ tls: known });
    const answers: number[] = [];
    const { promise: all, resolve } = Promise.withResolvers<void>();
    client.addDispatcherTail({
      dispatch: ({ tid, data }) => {
        assertEquals(data, new Uint8Array(tid * 100).fill(7));
        if (answers.push(tid) === count) resolve();
        return true;
      },
    });
    const connection = client.connectTo(address!);
    for (let i = 1; i <= count; i++) {
      connection.send(new Message(0x8001, { tid: i, data: new Uint8Array(i * 100).fill(7) }));
    }
    await peer.whileRunning(all);
    assertEquals(answers, Array.from({ length: count }, (_, i) => i + 1));
    await connection.close();

    const reason = Promise.withResolvers<string | undefined>();
    await using stranger = new Messenger({
      tls: mutual === "not_supported" ? { ...trusting, ca: pem("other_ca") } : trusting,
      log: ({ error }) => error && reason.resolve(error.code),
    });
    stranger.connectTo(address!).send(new Message(0x8001));
    assertEquals(
      await peer.whileRunning(reason.promise),
      mutual === "not_supported" ? "tls_untrusted" : "tls_client_certificate",
    );
    await stranger.shutdown();
    assertEquals((await peer.leave()).code, 0);
  });
}
