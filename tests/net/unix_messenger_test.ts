/** Messengers at Unix-domain paths. */

import { assertEquals, assertStrictEquals } from "@std/assert";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { MessageType, Messenger, textCodec, type TlsOptions } from "../../mod.ts";
import { identity, pem } from "../support/certificates.ts";

const Line = new MessageType(0x8001, textCodec);
const noTls = "Deno" in globalThis && "Deno has no TLS over paths";

/** Two messengers, each at a path of its own, exchange lines both ways. */
async function exchange(tls: TlsOptions | undefined): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "pipe-unix-"));
  const total = 500;
  try {
    await using server = new Messenger({ tls });
    await using client = new Messenger({ tls });
    const all = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
    const got: [string[], string[]] = [[], []];
    server.on(Line, (text, { connection }) => {
      connection.send(Line.message(`answer to ${text}`));
      if (got[0].push(text) === total) all[0].resolve();
    });
    client.on(Line, (text) => {
      if (got[1].push(text) === total) all[1].resolve();
    });
    const address = await server.bind(`unix:${join(folder, "server")}`);
    await client.bind(`unix:${join(folder, "client")}`);
    const connection = client.connectTo(`unix:${join(folder, "server")}`);
    for (let i = 0; i < total; i++) connection.send(Line.message(`line ${i}`));
    await Promise.all(all.map(({ promise }) => promise));
    assertEquals(got[0], Array.from({ length: total }, (_, i) => `line ${i}`));
    assertEquals(got[1], got[0].map((text) => `answer to ${text}`));
    assertEquals(connection.peerAddress.toString(), address.toString());
    assertStrictEquals(server.findConnection(client.address)?.peerAddress.endpoint, client.address.endpoint);
    await connection.close();
    await Promise.all([client.shutdown(), server.shutdown()]);
    assertEquals([existsSync(join(folder, "server")), existsSync(join(folder, "client"))], [false, false]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("messengers at Unix-domain paths", () => exchange(undefined));

test("messengers at Unix-domain paths, with TLS", { skip: noTls }, () =>
  exchange({
    ...identity("server"),
    ca: pem("ca"),
    serverName: "server.test",
    requireClientCertificate: true,
  }));

test("a messenger waits for one that is to come at a Unix-domain path", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pipe-unix-"));
  const path = `unix:${join(folder, "later")}`;
  try {
    const failed = Promise.withResolvers<unknown>();
    await using client = new Messenger({ backoff: () => 10, log: ({ error }) => error && failed.resolve(error.code) });
    client.connectTo(path).send(Line.message("early"));
    assertEquals(await failed.promise, "unreachable");
    await using server = new Messenger();
    const heard = Promise.withResolvers<string>();
    server.on(Line, heard.resolve);
    await server.bind(path);
    assertEquals(await heard.promise, "early");
    await Promise.all([client.shutdown(), server.shutdown()]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
