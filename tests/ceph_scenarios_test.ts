/**
 * The scenarios of Ceph's own messenger tests (`test_msgr.cc`), on the memory network and on real TCP.
 */

import { assert, assertEquals, assertFalse, assertNotEquals } from "@std/assert";
import { test } from "node:test";
import {
  type Connection,
  exponentialBackoff,
  losslessClient,
  losslessPeer,
  lossyClient,
  Message,
  Messenger,
  MESSENGER_FEATURES,
  type MessengerOptions,
  type Policy,
  statefulServer,
  statelessServer,
} from "../mod.ts";
import { randomBytes } from "../src/ceph/aes.ts";
import { AuthName, CEPH_FEATURES, CephxAuthorizer, CephxService, CryptoKey, makeTicket } from "../src/ceph/mod.ts";
import type { Network } from "../src/net/network.ts";
import { AuthProtocol } from "../src/wire/constants.ts";
import { eventually } from "./support/eventually.ts";
import { networks } from "./support/networks.ts";
import { PING, Recorder, roundTrip, session } from "./support/recorder.ts";

/** A type that no dispatcher here treats in any way. Ceph's `MSG_COMMAND`. */
const COMMAND = 97;

/** A server osd.0 and a client, with their dispatchers. Ceph's `MessengerTest`. */
class Pair implements AsyncDisposable {
  readonly server: Messenger;
  readonly client: Messenger;
  readonly onServer = new Recorder({ answers: true });
  readonly onClient = new Recorder();

  private constructor(network: Network, options: MessengerOptions) {
    const common = { network, backoff: exponentialBackoff({ initial: 20, max: 1000 }), ...options };
    this.server = new Messenger({ name: "osd.0", ...common });
    this.client = new Messenger({ name: "client.?", ...common });
    this.server.addDispatcherHead(this.onServer);
    this.client.addDispatcherHead(this.onClient);
  }

  static async open(
    network: Network,
    policies: { server?: Policy; client?: Policy } = {},
    options: MessengerOptions = {},
  ): Promise<Pair> {
    const pair = new Pair(network, options);
    pair.server.setPolicy(policies.server ?? statelessServer());
    pair.client.setPolicy(policies.client ?? lossyClient());
    await pair.server.bind("127.0.0.1:0");
    return pair;
  }

  /** The client's connection to where the server is now. */
  connect(): Connection {
    return this.client.connectTo(this.server.address, { type: "osd" });
  }

  /** The server's connection to the client. */
  get accepted(): Connection {
    const connection = this.server.findConnection(this.client.address);
    assert(connection !== undefined, "the server knows the client by the address the client knows itself by");
    return connection;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.shutdown();
    await this.server.shutdown();
    for (const messenger of [this.client, this.server]) {
      assertEquals(messenger.stats().dispatch_queue_len, 0);
      assertEquals(messenger.stats().dispatch_throttle_bytes, 0);
      assertEquals(messenger.stats().msgr_active_connections, 0);
    }
  }
}

for (const { name, open } of networks) {
  test(`SimpleTest: round trip, rebind, mark down, dead server, loopback (${name})`, async () => {
    await using pair = await Pair.open(await open());
    const first = pair.connect();
    await roundTrip(first, pair.onClient);
    assert(first.isConnected);
    assertEquals(session(first).count, 1);
    assertEquals(first.peerType, 4);

    const before = pair.server.address;
    const avoidPorts = Array.from({ length: 10 }, (_, i) => before.port + i);
    await pair.server.rebind({ ports: [16800, 17300], avoidPorts });
    assertFalse(avoidPorts.includes(pair.server.address.port));
    assertNotEquals(pair.server.address.nonce, before.nonce);
    const second = pair.connect();
    assert(second !== first);
    await roundTrip(second, pair.onClient);
    assertEquals(session(second).count, 1);

    second.markDown();
    assertFalse(second.isConnected);
    await pair.server.shutdown();
    assertFalse(second.send(new Message(PING)));

    await roundTrip(pair.client.loopback, pair.onClient);
    assertEquals(session(pair.client.loopback).count, 1);
  });

  test(`NameAddrTest: both sides know the client by one address (${name})`, async () => {
    await using pair = await Pair.open(await open());
    const connection = pair.connect();
    await roundTrip(connection, pair.onClient);
    assert(connection.peerAddress.equals(pair.server.address));
    assertEquals(pair.accepted.peerAddress.toString(), pair.client.address.toString());
    assertEquals(session(connection).count, 1);
  });

  test(`FeatureTest: a missing feature refuses the session, and a later one opens it (${name})`, async () => {
    const base = MESSENGER_FEATURES | 0x3ffn;
    await using pair = await Pair.open(await open());
    pair.server.setPolicy(
      statelessServer({ featuresSupported: base | 1n << 13n, featuresRequired: 0x3ffn | 1n << 13n }),
      "client",
    );
    pair.client.setPolicy(lossyClient({ featuresSupported: base }), "osd");
    const attempts = pair.client.stats().connect_attempts;
    const refused = pair.connect();
    refused.send(new Message(PING));
    // The attempt is over when the next one begins.
    await eventually(() => pair.client.stats().connect_attempts >= attempts + 2);
    assertFalse(refused.isConnected);
    assertEquals(pair.onServer.messages.length, 0);

    await pair.client.shutdown();
    pair.client.setPolicy(lossyClient({ featuresSupported: base | 1n << 13n | 1n << 14n }), "osd");
    await pair.client.start();
    const accepted = pair.connect();
    await roundTrip(accepted, pair.onClient);
    assertEquals(session(accepted).count, 1);
  });

  test(`TimeoutTest: a connection that brings nothing for too long is broken (${name})`, async () => {
    await using pair = await Pair.open(await open(), {}, { readTimeout: 100 });
    const connection = pair.connect();
    await roundTrip(connection, pair.onClient);
    assert(connection.isConnected);
    await pair.onClient.until(() => pair.onClient.count("reset") === 1);
    assertFalse(connection.isConnected);
  });

  test(`StatefulTest: the server keeps the session of a client that marked it down (${name})`, async () => {
    await using pair = await Pair.open(await open(), { server: statefulServer(), client: losslessClient() });
    const first = pair.connect();
    await roundTrip(first, pair.onClient);
    first.markDown();
    assertFalse(first.isConnected);
    assertEquals(session(pair.accepted).count, 1);

    const second = pair.connect();
    await roundTrip(second, pair.onClient);
    assertEquals(session(second).count, 1);
    await pair.onServer.until(() => pair.onServer.count("remote_reset") === 1);

    assertEquals(pair.onClient.count("remote_reset"), 0);
    const connects = pair.onClient.count("connect");
    pair.accepted.markDown();
    await pair.onClient.until(() => pair.onClient.count("connect") === connects + 1);
    assertEquals(pair.onClient.count("remote_reset"), 1);
    assert(second.isConnected);
    await roundTrip(second, pair.onClient);
    assertEquals(session(second).count, 1);
    assertEquals(session(pair.accepted).count, 1);
  });

  test(`StatelessTest: the server forgets a client, and the client a server, with the connection (${name})`, async () => {
    await using pair = await Pair.open(await open());
    const first = pair.connect();
    await roundTrip(first, pair.onClient);
    first.markDown();
    const second = pair.connect();
    await roundTrip(second, pair.onClient);
    assertEquals(session(second).count, 1);
    assertEquals(session(pair.accepted).count, 1);

    pair.accepted.markDown();
    second.sendKeepalive();
    await pair.onClient.until(() => pair.onClient.count("reset") === 1);
    assertFalse(second.isConnected);
    assertFalse(second.send(new Message(PING)));
    const third = pair.connect();
    await roundTrip(third, pair.onClient);
    assertEquals(session(third).count, 1);
  });

  test(`ClientStandbyTest: an idle peer sleeps after a fault, and learns of the reset when it wakes (${name})`, async () => {
    await using pair = await Pair.open(await open(), { server: statefulServer(), client: losslessPeer() });
    // A client that listens nowhere does not sleep here, as it does in Ceph.
    await pair.client.bind("127.0.0.1:0");
    const connection = pair.connect();
    await roundTrip(connection, pair.onClient);
    // Once the server's answer is acknowledged, neither side has a reason to reconnect.
    await eventually(() => pair.accepted.queued === 0 && connection.queued === 0);
    pair.accepted.markDown();
    await eventually(() => connection.state !== "open");
    assertEquals(connection.state, "standby");

    pair.onClient.clear();
    connection.send(new Message(PING));
    await pair.onClient.until(() => pair.onClient.count("connect") === 1);
    assertEquals(pair.onClient.events, ["remote_reset", "connect"]);
    assertEquals(pair.onClient.resets[0]?.dropped, 1);
    assert(connection.isConnected);
    await roundTrip(connection, pair.onClient);
    assertEquals(session(connection).count, 1);
    assertEquals(session(pair.accepted).count, 1);
  });

  test(`AuthTest: a session with cephx, and after it one without (${name})`, async () => {
    await using pair = await Pair.open(await open(), {
      server: statelessServer({ featuresSupported: CEPH_FEATURES }),
      client: lossyClient({ featuresSupported: CEPH_FEATURES }),
    });
    const key = new CryptoKey(randomBytes(16)),
      service = new CephxService({ service: "osd", keys: new Map([[0n, key]]) });
    const ticket = {
      service: "osd",
      key,
      name: AuthName.parse("client.bob"),
      globalId: 42,
      expires: Date.now() + 3_600_000,
    };
    const asked: number[] = [];
    let required = true;
    pair.server.addDispatcherHead({
      verifyAuthorizer: (check) => {
        asked.push(check.protocol);
        return required ? service.verifyAuthorizer(check) : { valid: true };
      },
    });
    pair.client.addDispatcherHead({
      getAuthorizer: () => required ? new CephxAuthorizer(42, makeTicket(ticket)) : undefined,
    });
    const first = pair.connect();
    await roundTrip(first, pair.onClient);
    assert(first.isConnected);
    assertEquals(session(first).count, 1);
    required = false;
    first.markDown();
    assertFalse(first.isConnected);
    const second = pair.connect();
    await roundTrip(second, pair.onClient);
    assert(second.isConnected);
    assertEquals(session(second).count, 1);
    // The ticket, the answer to the server's challenge, and nothing.
    assertEquals(asked, [AuthProtocol.CEPHX, AuthProtocol.CEPHX, AuthProtocol.UNKNOWN]);
  });

  test(`MessageTest: a large front, and large data (${name})`, async () => {
    await using pair = await Pair.open(await open(), { server: statefulServer(), client: losslessPeer() });
    const connection = pair.connect();
    connection.send(new Message(COMMAND, { front: new Uint8Array(921_620).fill(97) }));
    await pair.onClient.until(() => pair.onClient.messages.length === 1);
    assertEquals(pair.onServer.messages[0]?.frontLength, 921_620);
    const data = new Uint8Array(798_720).map((_, i) => i);
    await roundTrip(connection, pair.onClient, data);
    assertEquals(pair.onClient.messages[1]?.data, data);
  });
}
