/**
 * Two messengers of our own that authenticate each other with cephx.
 */

import { assertEquals } from "@std/assert";
import { test } from "node:test";
import {
  type Authorizer,
  type Connection,
  losslessClient,
  Message,
  Messenger,
  type MessengerStatus,
  statefulServer,
  statelessServer,
} from "../../mod.ts";
import {
  AuthName,
  CEPH_FEATURES,
  CephxAuthorizer,
  CephxService,
  type CephxServiceOptions,
  CryptoKey,
  makeTicket,
  NoneAuthorizer,
  type TicketInit,
} from "../../src/ceph/mod.ts";
import { randomBytes } from "../../src/ceph/aes.ts";
import type { Network } from "../../src/net/network.ts";
import { eventually } from "../support/eventually.ts";
import { networks } from "../support/networks.ts";

const PING = 2, NOW = Date.now();
const key = new CryptoKey(randomBytes(16)), name = AuthName.parse("client.bob");
const good: TicketInit = { service: "osd", key, name, globalId: 42, expires: NOW + 3_600_000 };

/** A server that wants tickets, and a client that presents something. */
class Pair implements AsyncDisposable {
  readonly server: Messenger;
  readonly client: Messenger;
  readonly received: Message[] = [];
  readonly log: MessengerStatus[] = [];

  constructor(network: Network, present: () => Authorizer | undefined, service: Partial<CephxServiceOptions> = {}) {
    this.server = new Messenger({ name: "osd.0", network });
    this.server.setPolicy(statefulServer({ featuresSupported: CEPH_FEATURES }));
    this.server.addDispatcherHead(new CephxService({ service: "osd", keys: new Map([[0n, key]]), ...service }));
    this.server.addDispatcherTail({ dispatch: (message) => void this.received.push(message) });
    this.client = new Messenger({ network, log: (event) => this.log.push(event) });
    this.client.setPolicy(losslessClient({ featuresSupported: CEPH_FEATURES }));
    this.client.addDispatcherTail({ getAuthorizer: present });
  }

  /** How often something has happened to the client's connection. */
  count(type: MessengerStatus["type"]): number {
    return this.log.filter((entry) => entry.type === type).length;
  }

  async connect(): Promise<Connection> {
    await this.server.bind("127.0.0.1:0");
    return this.client.connectTo(this.server.address, { type: "osd" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.shutdown();
    await this.server.shutdown();
  }
}

for (const { name: kind, open } of networks) {
  test(`a client with a good ticket is let in, and its messages are signed (${kind})`, async () => {
    await using pair = new Pair(await open(), () => new CephxAuthorizer(42, makeTicket(good)));
    const connection = await pair.connect();
    for (let i = 0; i < 100; i++) {
      connection.send(new Message(PING, { tid: i, data: new Uint8Array(1000 * i).fill(i) }));
    }
    await eventually(() => pair.received.length === 100);
    assertEquals(pair.received.map(({ tid }) => tid), Array.from({ length: 100 }, (_, i) => i));
  });

  // The acceptor used to prove itself in the last answer of a handshake only: a session that it had forgotten could not begin anew.
  test(`a client with a ticket is let in again when the server has forgotten the session (${kind})`, async () => {
    await using pair = new Pair(await open(), () => new CephxAuthorizer(42, makeTicket(good)));
    const connection = await pair.connect();
    for (let i = 0; i < 3; i++) {
      connection.send(new Message(PING, { tid: i }));
      await eventually(() => pair.received.length === i + 1);
      const connected = pair.count("open");
      pair.server.markDownAll();
      await eventually(() => pair.count("open") > connected);
    }
    assertEquals([pair.received.map(({ tid }) => tid), pair.count("session_reset")], [[0, 1, 2], 3]);
  });
}

const refused: Readonly<
  Record<string, [present: () => Authorizer | undefined, service?: Partial<CephxServiceOptions>]>
> = {
  "nothing to present": [() => undefined],
  "a name and no ticket": [() => new NoneAuthorizer(name, 42)],
  "a ticket that has ended": [() => new CephxAuthorizer(42, makeTicket({ ...good, expires: NOW - 1 }))],
  "a ticket for another service": [() => new CephxAuthorizer(42, makeTicket({ ...good, service: "mds" }))],
  "a ticket of another secret": [
    () => new CephxAuthorizer(42, makeTicket({ ...good, key: new CryptoKey(randomBytes(16)) })),
  ],
  "a ticket of a secret that has gone": [() => new CephxAuthorizer(42, makeTicket({ ...good, secretId: 7n }))],
  "the ticket of somebody else": [() => new CephxAuthorizer(43, makeTicket(good))],
  "a stolen ticket without its session key": [
    () => new CephxAuthorizer(42, { ...makeTicket(good), sessionKey: new CryptoKey(randomBytes(16)) }),
  ],
  "an owner that is not allowed": [
    () => new CephxAuthorizer(42, makeTicket(good)),
    { allow: (owner) => String(owner.name) !== "client.bob" },
  ],
  "an answer that was heard elsewhere": [() => {
    const authorizer = new CephxAuthorizer(42, makeTicket(good));
    return { protocol: authorizer.protocol, bytes: authorizer.bytes, addChallenge: () => true };
  }],
};

for (const [what, [present, service]] of Object.entries(refused)) {
  test(`a client is refused with ${what}`, async () => {
    await using pair = new Pair(await networks[0]!.open(), present, service);
    const connection = await pair.connect();
    connection.send(new Message(PING));
    await eventually(() => pair.log.some(({ type }) => type === "fault"));
    assertEquals(pair.log.find(({ type }) => type === "fault")!.error?.code, "auth");
    assertEquals(pair.received, []);
  });
}

test("a client lets no server in that cannot read its ticket", async () => {
  const network = await networks[0]!.open();
  await using pair = new Pair(network, () => new CephxAuthorizer(42, makeTicket(good)));
  // It says yes to everything.
  pair.server.addDispatcherHead({ verifyAuthorizer: () => ({ valid: true }) });
  const connection = await pair.connect();
  connection.send(new Message(PING));
  await eventually(() => pair.log.some(({ type }) => type === "fault"));
  assertEquals(pair.log.find(({ type }) => type === "fault")!.error?.code, "auth");
  assertEquals(connection.isConnected, false);
});

test("a message that was changed on its way ends the connection: its signature no longer fits", async () => {
  const network = await networks[0]!.open();
  const present = () => {
    const authorizer = new CephxAuthorizer(42, makeTicket(good));
    // The client signs with another key than the one that it has proven to own.
    const other = new CephxAuthorizer(42, makeTicket(good));
    return {
      protocol: authorizer.protocol,
      get bytes() {
        return authorizer.bytes;
      },
      addChallenge: (challenge: Uint8Array) => authorizer.addChallenge(challenge),
      verifyReply: (reply: Uint8Array) => authorizer.verifyReply(reply),
      session: (features: bigint) => other.session(features),
    };
  };
  await using pair = new Pair(network, present);
  // A session that is not lossy would try it again and again.
  pair.server.setPolicy(statelessServer({ featuresSupported: CEPH_FEATURES }));
  const connection = await pair.connect();
  connection.send(new Message(PING));
  await eventually(() => connection.isClosed);
  const { protocol_errors, msgr_recv_messages } = pair.server.stats();
  assertEquals([pair.received.length, protocol_errors, msgr_recv_messages], [0, 1, 0]);
});

test("while the secret of a service changes, tickets of the old and of the new one are good", async () => {
  const next = new CryptoKey(randomBytes(16)), keys = new Map([[0n, key], [1n, next]]);
  for (const init of [good, { ...good, key: next, secretId: 1n }]) {
    await using pair = new Pair(await networks[0]!.open(), () => new CephxAuthorizer(42, makeTicket(init)), { keys });
    (await pair.connect()).send(new Message(PING));
    await eventually(() => pair.received.length === 1);
  }
});
