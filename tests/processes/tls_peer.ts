/**
 * Servers with certificates good and bad, and a Messenger, each at an address that it prints. It runs on all three runtimes, on Deno with
 * `--allow-net` and leave to read its certificates, until its standard input ends.
 *
 * @module
 */

import process from "node:process";
import { Message, Messenger } from "../../mod.ts";
import { NetworkError } from "../../src/errors.ts";
import { defaultNetwork } from "../../src/net/default.ts";
import type { Listener, TlsOptions } from "../../src/net/network.ts";
import { identity, pem } from "../support/certificates.ts";

const network = await defaultNetwork();
const ca = pem("ca");
const servers: Record<string, TlsOptions> = {
  server: identity("server"),
  elsewhere: identity("elsewhere"),
  expired: identity("expired"),
  mutual: { ...identity("server"), ca, requireClientCertificate: true },
};

/** Says one byte to whoever is let in. */
async function greet(listener: Listener): Promise<void> {
  for await (const socket of listener) {
    const writer = socket.writable.getWriter();
    writer.write(Uint8Array.of(42)).then(() => writer.close()).catch(() => {});
    socket.readable.cancel().catch(() => {});
  }
}

const listeners: Listener[] = [];
const addresses: Record<string, unknown> = {};
for (const [name, tls] of Object.entries(servers)) {
  try {
    const listener = await network.listen({ transport: "tcp", hostname: "127.0.0.1", port: 0 }, { tls });
    listeners.push(listener);
    void greet(listener);
    addresses[name] = listener.address;
  } catch (error) {
    if (!(error instanceof NetworkError)) throw error;
    addresses[name] = error.code;
  }
}

const tls = typeof addresses.mutual === "string" ? servers.server! : servers.mutual!;
const messenger = new Messenger({ tls });
messenger.addDispatcherTail({
  dispatch: (message) => {
    message.connection.send(new Message(message.type, { tid: message.tid, data: message.data }));
    return true;
  },
});
addresses.messenger = `${await messenger.bind("127.0.0.1:0")}`;

process.stdin.on("data", () => {}).on("end", async () => {
  await Promise.all([messenger.shutdown(), ...listeners.map((listener) => listener.close())]);
});
console.log(`listening at ${JSON.stringify(addresses)}`);
