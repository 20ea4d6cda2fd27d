/**
 * Whatever a stranger sends ends that one connection, with an error that says what was wrong; everybody else goes on.
 */

import { assertEquals, assertMatch } from "@std/assert";
import { concat } from "@std/bytes";
import { test } from "node:test";
import { EntityAddress, Messenger, type MessengerError, ProtocolError } from "../mod.ts";
import { BANNER_V2 } from "../src/wire/constants.ts";
import { MemoryNetwork } from "../src/net/memory.ts";
import type { SocketAddress } from "../src/net/network.ts";
import { crc32c } from "../src/wire/crc32c.ts";
import { range } from "./support/duo.ts";
import { banner, connectBytes, messageBytes, RawPeer } from "./support/raw_peer.ts";
import { networks } from "./support/networks.ts";
import { Recorder } from "./support/recorder.ts";

const text = (s: string) => new TextEncoder().encode(s);
const data = Uint8Array.of(1, 2, 3, 4);

/** A message whose crcs are right and of which the test then changes bytes. */
function damaged(at: number, bytes: number[], fixHeaderCrc = false): Uint8Array {
  const message = messageBytes(data, { frontLength: 0 });
  message.set(bytes, at);
  if (fixHeaderCrc) {
    const crc = crc32c(message, 0, 1, 50);
    message.set([crc, crc >>> 8, crc >>> 16, crc >>> 24], 50);
  }
  return message;
}

interface Case {
  readonly name: string;
  /** What is sent to begin with; without it a session is opened first. */
  readonly hello?: Uint8Array;
  readonly bytes?: Uint8Array;
  readonly error: RegExp;
}

const cases: Case[] = [
  { name: "another banner", hello: text("ceph v026"), error: /^Bad banner: got "ceph v026", expected "ceph v027"$/ },
  { name: "a msgr v2 peer", hello: text(BANNER_V2), error: /^Bad banner: got "ceph v2.*\(a msgr v2 port: .*6789/ },
  { name: "an HTTP client", hello: text("GET / HTTP/1.1\r\n\r\n"), error: /^Bad banner: got "GET \/ HTT" \(HTTP\)/ },
  { name: "one wrong byte", hello: text("x"), error: /^Bad banner: got "x"/ },
  {
    name: "an address of the other form",
    hello: new Uint8Array([...banner(), 1, ...new Uint8Array(135)]),
    error: /^Bad address marker: got 1, expected 0/,
  },
  {
    name: "an address of no family",
    hello: new Uint8Array([...banner(), ...new Uint8Array(8), 0, 99, ...new Uint8Array(126)]),
    error: /^Bad address family: got 99/,
  },
  {
    name: "a tag of the handshake",
    bytes: Uint8Array.of(1),
    error: /^Bad tag: got READY, expected a tag of an open session$/,
  },
  { name: "no tag", bytes: Uint8Array.of(200), error: /^Bad tag: got tag 200/ },
  {
    name: "a damaged header",
    bytes: damaged(20, [0xff]),
    error: /^Bad header crc: got 0x[0-9a-f]{8}, expected 0x[0-9a-f]{8}$/,
  },
  { name: "damaged data", bytes: damaged(54, [9]), error: /^Bad data_crc: got 0x/ },
  { name: "a wrong front crc", bytes: damaged(58, [9]), error: /^Bad front_crc: got 0x00000009, expected 0x00000000$/ },
  {
    name: "a wrong middle crc",
    bytes: damaged(62, [9]),
    error: /^Bad middle_crc: got 0x00000009, expected 0x00000000$/,
  },
  {
    name: "a front over the limit",
    bytes: damaged(23, [1, 4, 0, 0], true),
    error: /^Bad front_len: got 1025 bytes, expected at most 1024$/,
  },
  {
    name: "a middle over the limit",
    bytes: damaged(27, [0xff, 0xff, 0xff, 0xff], true),
    error: /^Bad middle_len: got 4294967295 bytes, expected at most 2048$/,
  },
  {
    name: "data over the limit",
    bytes: damaged(31, [1, 16, 0, 0], true),
    error: /^Bad data_len: got 4097 bytes, expected at most 4096$/,
  },
  {
    name: "a sequence number beyond all counting",
    bytes: damaged(1, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], true),
    error: /^Bad seq: got 18446744073709551615, expected at most 2\^53 - 1$/,
  },
  {
    name: "an ack for what was never sent",
    bytes: Uint8Array.of(8, 5, 0, 0, 0, 0, 0, 0, 0),
    error: /^Bad ack: got 5, expected at most 0/,
  },
  { name: "a sender of no kind", bytes: messageBytes(data, { sourceType: 0 }), error: /^Bad src.type: got 0/ },
];

for (const { name, open } of networks) {
  for (const { name: what, hello, bytes, error } of cases) {
    test(`${what} ends that one connection (${name})`, async () => {
      const network = await open();
      const faults: MessengerError[] = [];
      await using server = new Messenger({
        network,
        maxFrontBytes: 1024,
        maxMiddleBytes: 2048,
        maxDataBytes: 4096,
        log: ({ type, error }) => void (type === "fault" && faults.push(error!)),
      });
      const recorder = new Recorder();
      server.addDispatcherTail(recorder);
      const where: SocketAddress = {
        transport: "tcp",
        hostname: "127.0.0.1",
        port: (await server.bind("127.0.0.1:0")).port,
      };
      const good = await RawPeer.dial(network, where);
      await good.open();

      const bad = await RawPeer.dial(network, where);
      if (hello === undefined) {
        await bad.introduce(EntityAddress.from("", 0, 78));
        await bad.write(connectBytes());
        await bad.read(26);
      }
      await bad.write(hello ?? bytes!);
      await bad.readToEnd();
      assertEquals(faults.length, 1);
      assertEquals(faults[0] instanceof ProtocolError, true);
      assertMatch(faults[0]!.message, error);
      assertEquals(server.stats().protocol_errors, 1);

      await good.write(messageBytes(data));
      await recorder.until(() => recorder.messages.length === 1);
      assertEquals(recorder.messages[0]!.data, data);
      assertEquals(server.stats().dispatch_throttle_bytes, 0);
      good.socket.abort();
    });
  }

  test(`a handshake that stops in the middle is ended by the time limit (${name})`, async () => {
    const network = await open();
    const fault = Promise.withResolvers<string>();
    await using server = new Messenger({
      network,
      handshakeTimeout: 50,
      log: ({ type, error }) => type === "fault" && fault.resolve(error!.message),
    });
    server.addDispatcherTail(new Recorder());
    const { port } = await server.bind("127.0.0.1:0");
    const slow = await RawPeer.dial(network, { transport: "tcp", hostname: "127.0.0.1", port });
    await slow.introduce();
    await slow.write(connectBytes().subarray(0, 20));
    await slow.readToEnd();
    assertMatch(await fault.promise, /^Handshake with 127\.0\.0\.1:0\/77 took more than 50 ms$/);
    assertEquals(server.connections, []);
  });

  test(`a handshake whose socket ends in the middle leaves nothing behind (${name})`, async () => {
    const network = await open();
    await using server = new Messenger({ network });
    server.addDispatcherTail(new Recorder());
    const { port } = await server.bind("127.0.0.1:0");
    const whole = new Uint8Array([...banner(), ...new Uint8Array(136), ...connectBytes()]);
    for (let length = 0; length < whole.length; length += 13) {
      const peer = await RawPeer.dial(network, { transport: "tcp", hostname: "127.0.0.1", port });
      await peer.write(whole.subarray(0, length));
      await peer.read(281);
      await peer.end();
      await peer.readToEnd();
    }
    await server.shutdown();
    assertEquals(server.stats().msgr_active_connections, 0);
  });
}

/** Lets a stranger with an open session speak to a messenger. */
async function withStranger(
  act: (peer: RawPeer, server: Messenger, recorder: Recorder) => Promise<void>,
): Promise<void> {
  const network = new MemoryNetwork();
  await using server = new Messenger({ network });
  const recorder = new Recorder();
  server.addDispatcherTail(recorder);
  await server.bind("127.0.0.1:7001");
  const peer = await RawPeer.dial(network, { transport: "tcp", hostname: "127.0.0.1", port: 7001 });
  await peer.open();
  await act(peer, server, recorder);
  peer.socket.abort();
}

test("an aborted message is dropped without a word, and its number may come again", () =>
  withStranger(async (peer, server, recorder) => {
    await peer.write(messageBytes(data, { seq: 1 }, { flags: 0 }), messageBytes(Uint8Array.of(7), { seq: 1 }));
    await recorder.until(() => recorder.messages.length === 1);
    assertEquals(recorder.messages[0]!.data, Uint8Array.of(7));
    assertEquals(server.stats().dispatch_throttle_bytes, 0);
  }));

test("an old message is dropped, a skipped number is no matter, and data without a crc is taken", () =>
  withStranger(async (peer, server, recorder) => {
    for (const seq of [5, 5, 4, 9]) await peer.write(messageBytes(data, { seq }, { flags: 3, dataCrc: 0 }));
    await recorder.until(() => recorder.messages.length === 2);
    assertEquals(recorder.messages.map(({ seq }) => seq), [5, 9]);
    assertEquals(server.stats().duplicate_messages, 2);
  }));

test("of many messages that come together, those that came before are dropped, wherever they are among the others", () =>
  withStranger(async (peer, server, recorder) => {
    const seqs = [1, 2, 3, 2, 2, ...range(1, 100), 7, ...range(90, 200), ...range(1, 200), 201];
    await peer.write(concat(seqs.map((seq) => messageBytes(data, { seq, tid: seq }))));
    await recorder.until(() => recorder.messages.length === 201);
    assertEquals(recorder.messages.map(({ seq }) => seq), range(1, 201));
    assertEquals(server.stats().duplicate_messages, seqs.length - 201);
    assertEquals(server.stats().dispatch_throttle_bytes, 0);
  }));

test("KEEPALIVE2 is answered with the same eight bytes, and counted as a sign of life", () =>
  withStranger(async (peer, server) => {
    await peer.write(Uint8Array.of(14, 1, 2, 3, 4, 5, 6, 7, 8));
    assertEquals(await peer.read(9), Uint8Array.of(15, 1, 2, 3, 4, 5, 6, 7, 8));
    assertEquals(server.connections[0]!.lastKeepalive > 0, true);
  }));

test("CLOSE is answered with CLOSE, and the dispatchers are told", () =>
  withStranger(async (peer, server, recorder) => {
    await peer.write(Uint8Array.of(6));
    assertEquals(await peer.read(1), Uint8Array.of(6));
    await peer.readToEnd();
    await recorder.until(() => recorder.count("reset") === 1);
    assertEquals(server.connections, []);
  }));
