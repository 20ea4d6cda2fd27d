/** What TLS says when certificates are not in order, with both ends on one runtime; `tests/processes/tls_test.ts` has all pairs. */

import { assert, assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import test from "node:test";
import { MessengerError } from "../../src/errors.ts";
import { defaultNetwork } from "../../src/net/default.ts";
import type { Listener, Socket, TcpAddress, TlsOptions } from "../../src/net/network.ts";
import { identity, pem } from "../support/certificates.ts";
import { accept, assertFails, ending, outcome, readAll, writeAll } from "./support.ts";

const network = await defaultNetwork();
const trusting = { ca: pem("ca") };
const requiring = { ...identity("server"), ...trusting, requireClientCertificate: true };
const anyPort: TcpAddress = { transport: "tcp", hostname: "127.0.0.1", port: 0 };
const noClientCertificates = network.name === "deno" && "Deno cannot ask clients for certificates";
const neverLetsGo = network.name === "deno" &&
  "Deno keeps a connection whose handshake is not through, whoever closes it";

function connect(listener: Listener, tls: TlsOptions): Promise<Socket> {
  return network.connect(listener.address, { tls });
}

test("TLS: the address that is connected to is the name that the certificate must carry", async () => {
  await using listener = await network.listen(anyPort, { tls: identity("server") });
  const [client, server] = await Promise.all([connect(listener, trusting), accept(listener)]);
  const hello = new TextEncoder().encode("hello");
  await Promise.all([writeAll(client.writable, hello), server.writable.close()]);
  assertEquals(await readAll(server.readable), hello);
  assertEquals(await ending(client.readable), "end");
  await Promise.all([client.closed, server.closed]);
});

test("TLS: a server of another authority is not trusted, and the listener goes on", async () => {
  await using listener = await network.listen(anyPort, { tls: identity("server") });
  const refusing = accept(listener);
  const error = await assertFails(connect(listener, { ca: pem("other_ca") }), "tls_untrusted");
  assert(error.message.startsWith("Cannot connect to 127.0.0.1:"), error.message);
  assertInstanceOf(error.cause, Error);
  (await refusing).abort();
  const [client, server] = await Promise.all([connect(listener, trusting), accept(listener)]);
  client.abort();
  server.abort();
  await Promise.all([client.closed, server.closed]);
});

test("TLS: without ca, only the authorities that the runtime knows are trusted", async () => {
  await using listener = await network.listen(anyPort, { tls: identity("server") });
  await assertFails(connect(listener, {}), "tls_untrusted");
});

test("TLS: a server of another name is not the one that was called", async () => {
  await using listener = await network.listen(anyPort, { tls: identity("elsewhere") });
  await assertFails(connect(listener, trusting), "tls_wrong_name");
  await assertFails(connect(listener, { ...trusting, serverName: "server.test" }), "tls_wrong_name");
});

test("TLS: a certificate whose time is over", async () => {
  await using listener = await network.listen(anyPort, { tls: identity("expired") });
  await assertFails(connect(listener, trusting), "tls_expired");
});

test("TLS: a client without the certificate that the server requires", { skip: noClientCertificates }, async () => {
  await using listener = await network.listen(anyPort, { tls: requiring });
  const [client, server] = await Promise.all([connect(listener, trusting), accept(listener)]);
  assertEquals(await ending(client.readable), "tls_client_certificate");
  assertEquals(await ending(server.readable), "tls_client_certificate");
  await Promise.all([client.closed, server.closed]);
});

test("TLS: a client of another authority gets nothing", { skip: noClientCertificates }, async () => {
  await using listener = await network.listen(anyPort, { tls: requiring });
  const stranger = { ...trusting, ...identity("stranger") };
  const [client, server] = await Promise.all([connect(listener, stranger), accept(listener)]);
  const [seenByServer, seenByClient] = [await ending(server.readable), await ending(client.readable)];
  assertEquals(seenByServer, network.name === "bun" ? "tls_untrusted" : "connection_lost");
  assert(["end", "connection_lost", "tls_refused"].includes(seenByClient), seenByClient);
  client.abort();
  await Promise.all([client.closed, server.closed]);
});

test("TLS: both ends prove who they are", { skip: noClientCertificates }, async () => {
  await using listener = await network.listen(anyPort, { tls: requiring });
  const known = { ...trusting, ...identity("client"), serverName: "server.test" };
  const [client, server] = await Promise.all([connect(listener, known), accept(listener)]);
  await Promise.all([writeAll(client.writable, Uint8Array.of(1)), writeAll(server.writable, Uint8Array.of(2))]);
  assertEquals(await readAll(server.readable), Uint8Array.of(1));
  assertEquals(await readAll(client.readable), Uint8Array.of(2));
  await Promise.all([client.closed, server.closed]);
});

test("TLS: a server that speaks none", async () => {
  await using listener = await network.listen(anyPort);
  const [error, server] = await Promise.all([
    outcome(connect(listener, trusting)),
    accept(listener).then(async (server) => {
      await server.writable.getWriter().write(new TextEncoder().encode("ceph v027"));
      return server;
    }),
  ]);
  assertInstanceOf(error, MessengerError);
  assertEquals(error.code, "tls_failed");
  server.abort();
});

test("TLS: a client that speaks none", async () => {
  await using listener = await network.listen(anyPort, { tls: identity("server") });
  const client = await network.connect(listener.address);
  await client.writable.getWriter().write(new TextEncoder().encode("ceph v027"));
  const server = await accept(listener);
  assertEquals(await ending(server.readable), "tls_failed");
  await server.closed;
  client.abort();
});

test("TLS: an attempt can be given up in the middle of the handshake", async () => {
  await using listener = await network.listen(anyPort);
  const controller = new AbortController();
  const connecting = outcome(network.connect(listener.address, { tls: trusting, signal: controller.signal }));
  const server = await accept(listener);
  // The client has begun, and waits for an answer.
  await server.readable.getReader().read();
  const reason = new Error("changed my mind");
  controller.abort(reason);
  assertStrictEquals(await connecting, reason);
  server.abort();
});

test("TLS: closing a listener lets go of a client in the middle of its handshake", { skip: neverLetsGo }, async () => {
  const listener = await network.listen(anyPort, { tls: identity("server") });
  const silent = await network.connect(listener.address);
  // Whoever comes after it proves that the server has it.
  const client = await connect(listener, trusting);
  const ended = ending(silent.readable);
  await listener.close();
  const end = await ended;
  assert(end === "end" || end === "connection_lost", end);
  silent.abort();
  client.abort();
  await Promise.all([silent.closed, client.closed]);
});

test("TLS: options that cannot work are named", async () => {
  const { cert, key } = identity("server");
  for (const tls of [{}, { cert }, { key }, { cert, key, requireClientCertificate: true }]) {
    if (noClientCertificates && "requireClientCertificate" in tls) continue;
    const error = await outcome(network.listen(anyPort, { tls }));
    assertInstanceOf(error, MessengerError);
    assertEquals(error.code, "invalid", error.message);
  }
  const somewhere: TcpAddress = { ...anyPort, port: 1 };
  for (const tls of [{ cert }, { key }]) {
    const error = await outcome(network.connect(somewhere, { tls }));
    assertInstanceOf(error, MessengerError);
    assertEquals(error.code, "invalid");
  }
  await assertFails(network.listen(anyPort, { tls: { cert: "no certificate", key: "no key" } }), "tls_failed");
  await assertFails(network.listen(anyPort, { tls: { cert, key: pem("client.key") } }), "tls_failed");
});

test("TLS: what this runtime cannot do is turned down, not left out", { skip: !noClientCertificates }, async () => {
  await assertFails(network.listen(anyPort, { tls: requiring }), "not_supported");
  const path = { transport: "unix", path: "/tmp/never" } as const;
  await assertFails(network.listen(path, { tls: identity("server") }), "not_supported");
  await assertFails(network.connect(path, { tls: { ...trusting, serverName: "server.test" } }), "not_supported");
});
