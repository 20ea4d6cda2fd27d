/**
 * Both sides of the handshake, byte by byte: what a real Ceph peer sends us and gets from us, and each reply tag from a scripted server.
 */

import { assertEquals } from "@std/assert";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  EntityAddress,
  exponentialBackoff,
  losslessClient,
  losslessPeerReuse,
  Message,
  Messenger,
  MESSENGER_FEATURES,
} from "../mod.ts";
import { MemoryNetwork } from "../src/net/memory.ts";
import { decodeConnect } from "../src/wire/connect.ts";
import { Tag } from "../src/wire/constants.ts";
import { encodeAck } from "../src/wire/frame.ts";
import { addressBytes, banner, connectBytes, messageBytes, RawPeer, replyBytes } from "./support/raw_peer.ts";
import { PING, Recorder } from "./support/recorder.ts";

function golden(name: string): Uint8Array {
  const hex = readFileSync(new URL(`golden/${name}.hex`, import.meta.url), "utf8").replaceAll(/\s/g, "");
  return Uint8Array.from(hex.match(/../g)!, (byte) => parseInt(byte, 16));
}

/** What a 16.2.15 daemon offers. Claiming it makes our bytes comparable with those of Ceph's own client. */
const CEPH_16_FEATURES = 0x3f01cfbdfffdffffn;

/** A messenger and a server that is played by the test. */
async function scripted(options: { nonce?: number; name?: string } = {}) {
  const network = new MemoryNetwork();
  const listener = await network.listen({ transport: "tcp", hostname: "127.0.0.1", port: 7001 });
  const sockets = listener[Symbol.asyncIterator]();
  const client = new Messenger({
    network,
    name: options.name ?? "client.0",
    nonce: options.nonce ?? 20303,
    backoff: exponentialBackoff({ initial: 10, max: 20 }),
  });
  client.setPolicy(losslessClient());
  const recorder = new Recorder();
  client.addDispatcherTail(recorder);
  return {
    client,
    recorder,
    connection: client.connectTo("127.0.0.1:7001/0", { type: "osd" }),
    /** The next connection that the client opens, with banner and addresses exchanged. */
    async accept(): Promise<RawPeer> {
      const peer = new RawPeer((await sockets.next()).value!);
      await peer.write(
        banner(),
        addressBytes(EntityAddress.parse("127.0.0.1:7001/0")),
        addressBytes(EntityAddress.parse("127.0.0.1:4000/0")),
      );
      await peer.read(9 + 136);
      return peer;
    },
    async [Symbol.asyncDispose]() {
      await client.shutdown();
      await listener.close();
      assertEquals(network.openSockets, 0);
    },
  };
}

for (const chunk of [1, 7, 281, 100_000]) {
  test(`connect() sends what Ceph's own client sent, fed ${chunk} bytes at a time`, async () => {
    const theirs = golden("peer-lossy-echo.c2s"), server = golden("peer-lossy-echo.s2c");
    const network = new MemoryNetwork();
    const listener = await network.listen({ transport: "tcp", hostname: "127.0.0.1", port: 7001 });
    const client = new Messenger({ network, name: "client.0", nonce: 20303 });
    client.setPolicy(losslessClient({ featuresSupported: CEPH_16_FEATURES }));
    const recorder = new Recorder();
    client.addDispatcherTail(recorder);
    const connection = client.connectTo("127.0.0.1:7001/0", { type: "osd" });
    // Three messages of 10 and 64 bytes, the answer to each awaited. The captured client gave no compat_version.
    const front = theirs.subarray(240, 250), data = theirs.subarray(250, 314);
    const say = (tid: number) => connection.send(new Message(PING, { front, data, tid, version: 1, compatVersion: 0 }));
    say(0);

    const { value: socket } = await listener[Symbol.asyncIterator]().next();
    const peer = new RawPeer(socket!);
    const sent = peer.read(theirs.length);
    const feed = async (begin: number, end: number) => {
      for (let at = begin; at < end; at += chunk) await peer.write(server.subarray(at, Math.min(end, at + chunk)));
    };
    const handshake = 281 + 26 + 8, answer = 1 + 53 + 10 + 64 + 21;
    await feed(0, handshake);
    for (let round = 0; round < 3; round++) {
      await feed(handshake + round * answer, handshake + (round + 1) * answer);
      await recorder.until(() => recorder.messages.length === round + 1);
      const { source, seq } = recorder.messages[round]!;
      assertEquals([source.toString(), seq, recorder.messages[round]!.data], ["osd.0", round + 1, data]);
      if (round < 2) say(round + 1);
    }
    assertEquals(await sent, theirs);
    await client.shutdown();
    await listener.close();
    assertEquals(network.openSockets, 0);
  });
}

test("accept() understands Ceph's own client", async () => {
  const theirs = golden("peer-oneway-acks.c2s");
  const network = new MemoryNetwork();
  const server = new Messenger({ network, name: "osd.0", nonce: 0 });
  const recorder = new Recorder();
  server.addDispatcherTail(recorder);
  server.setPolicy(losslessPeerReuse({ featuresSupported: CEPH_16_FEATURES }));
  await server.bind("127.0.0.1:7001");
  const peer = await RawPeer.dial(network, { transport: "tcp", hostname: "127.0.0.1", port: 7001 });
  // Ceph's daemons answer a new session with SEQ, to which the client adds its in_seq; a Pipe answers with READY.
  await peer.write(theirs.subarray(0, 178), theirs.subarray(186));
  await recorder.until(() => recorder.messages.length === 10);
  assertEquals(recorder.messages.map(({ seq }) => seq), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  assertEquals((await peer.read(281)).subarray(0, 9), banner());
  assertEquals((await peer.read(26))[0], Tag.READY);
  const ack = new Uint8Array(9);
  encodeAck(10, ack, 0);
  assertEquals(await peer.read(9), ack);
  await server.shutdown();
  await peer.readToEnd();
});

test("RETRY_GLOBAL is answered with a higher global_seq on the same socket", async () => {
  await using script = await scripted();
  script.connection.send(new Message(PING));
  const peer = await script.accept();
  const first = decodeConnect(await peer.read(33), 0);
  await peer.write(replyBytes({ tag: Tag.RETRY_GLOBAL, globalSeq: 41, connectSeq: 0 }));
  const second = decodeConnect(await peer.read(33), 0);
  assertEquals([first.globalSeq, first.connectSeq], [1, 0]);
  assertEquals([second.globalSeq, second.connectSeq], [42, 0]);
  await peer.write(replyBytes({ tag: Tag.READY }));
  assertEquals((await peer.read(75))[0], Tag.MSG);
});

test("RETRY_SESSION is answered with the given connect_seq, and one that is not higher is an error", async () => {
  await using script = await scripted();
  script.connection.send(new Message(PING));
  const peer = await script.accept();
  await peer.read(33);
  await peer.write(replyBytes({ tag: Tag.RETRY_SESSION, connectSeq: 5 }));
  assertEquals(decodeConnect(await peer.read(33), 0).connectSeq, 5);
  await peer.write(replyBytes({ tag: Tag.RETRY_SESSION, connectSeq: 5 }));
  await peer.readToEnd();
  assertEquals(script.connection.isConnected, false);
});

test("RESETSESSION begins anew with connect_seq 0 and says how many messages were dropped", async () => {
  await using script = await scripted();
  for (let i = 0; i < 3; i++) script.connection.send(new Message(PING));
  const peer = await script.accept();
  await peer.read(33);
  await peer.write(replyBytes({ tag: Tag.RESETSESSION, connectSeq: 0 }));
  assertEquals(decodeConnect(await peer.read(33), 0).connectSeq, 0);
  await peer.write(replyBytes({ tag: Tag.READY }));
  await script.recorder.until(() => script.recorder.count("connect") === 1);
  assertEquals(script.recorder.events, ["remote_reset", "connect"]);
  assertEquals(script.recorder.resets[0]!.dropped, 3);
});

test("WAIT keeps the socket and sends nothing, and when the winner dies dialling begins again", async () => {
  await using script = await scripted();
  script.connection.send(new Message(PING));
  const loser = await script.accept();
  await loser.read(33);
  await loser.write(replyBytes({ tag: Tag.WAIT, connectSeq: 0 }));
  assertEquals(script.connection.isConnected, false);
  loser.socket.abort();
  const again = await script.accept();
  assertEquals(decodeConnect(await again.read(33), 0).connectSeq, 0);
  await again.write(replyBytes({ tag: Tag.READY }));
  assertEquals((await again.read(75))[0], Tag.MSG);
});

for (
  const [tag, changes, code] of [
    [Tag.FEATURES, { features: MESSENGER_FEATURES | 1n << 50n }, "incompatible"],
    [Tag.BADPROTOVER, { protocolVersion: 24 }, "incompatible"],
    [Tag.BADAUTHORIZER, {}, "auth"],
    [Tag.CHALLENGE_AUTHORIZER, {}, "auth"],
    [99, {}, "protocol"],
  ] as const
) {
  test(`reply tag ${tag} ends the attempt with the code ${code}, and the next one may succeed`, async () => {
    const errors: (string | undefined)[] = [];
    const network = new MemoryNetwork();
    const listener = await network.listen({ transport: "tcp", hostname: "127.0.0.1", port: 7001 });
    const sockets = listener[Symbol.asyncIterator]();
    const client = new Messenger({
      network,
      backoff: () => 0,
      log: ({ type, error }) => type === "fault" && errors.push(error?.code),
    });
    const connection = client.connectTo("127.0.0.1:7001/0");
    connection.send(new Message(PING));
    for (const reply of [replyBytes({ ...changes, tag }), replyBytes()]) {
      const peer = new RawPeer((await sockets.next()).value!);
      await peer.write(banner(), addressBytes(EntityAddress.parse("127.0.0.1:7001/0")));
      await peer.write(addressBytes(EntityAddress.parse("127.0.0.1:4000/0")));
      await peer.read(9 + 136 + 33);
      await peer.write(reply);
      if (reply[0] === Tag.READY) assertEquals((await peer.read(75))[0], Tag.MSG);
    }
    assertEquals(errors, [code]);
    await client.shutdown();
    await listener.close();
  });
}

test("a peer that was dialled as another kind of daemon than it is, is named in the error", async () => {
  const network = new MemoryNetwork(), failed = Promise.withResolvers<string>();
  await using osd = new Messenger({ network, name: "osd.0" });
  osd.addDispatcherTail({ dispatch: () => {} });
  const address = await osd.bind("127.0.0.1:7001");
  const client = new Messenger({ network, log: ({ error }) => error !== undefined && failed.resolve(error.message) });
  const connection = client.connectTo(address);
  connection.send(new Message(PING));
  assertEquals(
    await failed.promise,
    `Cannot connect to ${address}: it speaks protocol 24, not 0: it seems to be of type "osd", which has to be said to connectTo`,
  );
  connection.markDown();
  const right = client.connectTo(address, { type: "osd" });
  right.send(new Message(PING));
  await right.flush();
  await client.shutdown();
});

test("SEQ in the middle of what was sent replays only what the peer lacks, under the old numbers", async () => {
  await using script = await scripted();
  for (let i = 1; i <= 4; i++) script.connection.send(new Message(PING, { tid: i }));
  const first = await script.accept();
  await first.read(33);
  await first.write(replyBytes());
  await first.read(4 * 75);
  const ack = new Uint8Array(9);
  encodeAck(1, ack, 0);
  await first.write(ack, messageBytes(Uint8Array.of(1)));
  await script.recorder.until(() => script.recorder.messages.length === 1);
  first.socket.abort();

  const second = await script.accept();
  assertEquals(decodeConnect(await second.read(33), 0).connectSeq, 2);
  // The peer has 1 to 3: it lacks only 4.
  await second.write(replyBytes({ tag: Tag.SEQ, connectSeq: 3 }), Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0));
  assertEquals(await second.read(8), Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0));
  const replayed = await second.read(75);
  assertEquals([replayed[1], replayed[9]], [4, 4]);
  script.connection.send(new Message(PING, { tid: 5 }));
  const next = await second.read(75);
  assertEquals([next[1], next[9]], [5, 5]);
});

for (
  const [claimed, dialled, accepted] of [
    ["127.0.0.1:7001/5", "127.0.0.1:7001/0", false],
    ["127.0.0.1:7002/0", "127.0.0.1:7001/0", false],
    ["10.0.0.1:7001/0", "127.0.0.1:7001/0", false],
    ["0.0.0.0:7001/0", "127.0.0.1:7001/0", true],
    ["127.0.0.1:7001/5", "127.0.0.1:7001", true],
    ["127.0.0.1:7002/5", "127.0.0.1:7001", false],
  ] as const
) {
  test(`a server that calls itself ${claimed} is ${accepted ? "the" : "not the"} one at ${dialled}`, async () => {
    const network = new MemoryNetwork();
    const listener = await network.listen({ transport: "tcp", hostname: "127.0.0.1", port: 7001 });
    const fault = Promise.withResolvers<string>();
    const client = new Messenger({
      network,
      backoff: () => 0,
      log: ({ type, error }) => type === "fault" && fault.resolve(error!.message),
    });
    const connection = client.connectTo(dialled);
    connection.send(new Message(PING));
    const peer = new RawPeer((await listener[Symbol.asyncIterator]().next()).value!);
    await peer.write(banner(), addressBytes(EntityAddress.parse(claimed)));
    await peer.write(addressBytes(EntityAddress.parse("127.0.0.1:4000/0")));
    if (accepted) {
      assertEquals((await peer.read(9 + 136)).length, 145);
      await peer.read(33);
      assertEquals(connection.peerAddress.toString(), claimed.replace("0.0.0.0", "127.0.0.1"));
    } else {
      assertEquals(await fault.promise, `Bad peer address: got ${claimed}, expected ${dialled}`);
    }
    await client.shutdown();
    await listener.close();
  });
}

test("a request with an authorizer that is too long, or of no kind of entity, ends that connection alone", async () => {
  const network = new MemoryNetwork();
  const errors: string[] = [];
  const server = new Messenger({
    network,
    log: ({ type, error }) => type === "fault" && errors.push(error!.message),
  });
  const recorder = new Recorder();
  server.addDispatcherTail(recorder);
  await server.bind("127.0.0.1:7001");
  const where = { transport: "tcp", hostname: "127.0.0.1", port: 7001 } as const;
  const good = await RawPeer.dial(network, where);
  await good.open();
  for (const changes of [{ authorizerLength: 1 << 30 }, { hostType: 0 }]) {
    const bad = await RawPeer.dial(network, where);
    await bad.introduce(EntityAddress.from("", 0, 78));
    await bad.write(connectBytes(changes));
    await bad.readToEnd();
  }
  assertEquals(errors, [
    "Bad authorizer_len: got 1073741824, expected at most 65536",
    "Bad host_type: got 0, expected 1 to 255",
  ]);
  await good.write(messageBytes(Uint8Array.of(1)));
  await recorder.until(() => recorder.messages.length === 1);
  await server.shutdown();
  await good.readToEnd();
  assertEquals(network.openSockets, 0);
});
