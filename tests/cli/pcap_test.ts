import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { Failure } from "../../src/cli/command.ts";
import { isPcap, readPcap } from "../../src/cli/pcap.ts";
import { ACK, type Format, type Packet, pcap, SYN } from "./pcap_file.ts";

function texts(file: Uint8Array): string[][] {
  const decoder = new TextDecoder();
  return readPcap(file).map(({ connector, acceptor }) => [
    ...[connector.from, decoder.decode(connector.bytes)],
    ...[acceptor.from, decoder.decode(acceptor.bytes)],
  ]);
}

const hello: readonly Packet[] = [
  { from: 1, to: 2, seq: 99, flags: SYN },
  { from: 2, to: 1, seq: 499, flags: SYN | ACK },
  { from: 1, to: 2, seq: 100, text: "hello " },
  { from: 2, to: 1, seq: 500, text: "hi" },
  { from: 1, to: 2, seq: 106, text: "world" },
];

test("streams are put together from every kind of file", () => {
  const expected = [["10.0.0.1:1", "hello world", "10.0.0.2:2", "hi"]];
  const formats: Format[] = [{}, { little: false }, { nano: true }, { vlan: true }, { link: 101 }, { link: 113 }];
  for (const format of formats) {
    assert(isPcap(pcap(hello, format)));
    assertEquals(texts(pcap(hello, format)), expected, JSON.stringify(format));
  }
  const [[v6]] = [texts(pcap(hello, { v6: true }))];
  assertEquals(v6, ["[fd00:0:0:0:0:0:0:1]:1", "hello world", "[fd00:0:0:0:0:0:0:2]:2", "hi"]);
});

test("packets may come twice, overlap, and come out of order", () => {
  const packets = [
    ...hello.slice(0, 2),
    { from: 1, to: 2, seq: 106, text: "world" },
    { from: 1, to: 2, seq: 100, text: "hel" },
    { from: 1, to: 2, seq: 101, text: "ello w" },
    { from: 1, to: 2, seq: 100, text: "hel" },
  ];
  assertEquals(texts(pcap(packets))[0]?.[1], "hello world");
});

test("a capture that begins late, or without an answer, is read from there on", () => {
  assertEquals(texts(pcap(hello.slice(2))), [["10.0.0.1:1", "hello world", "10.0.0.2:2", "hi"]]);
  assertEquals(texts(pcap(hello.slice(1))), [["10.0.0.1:1", "hello world", "10.0.0.2:2", "hi"]]);
});

test("what comes behind a packet that is missing is left out, and counted", () => {
  const [conversation] = readPcap(pcap([...hello, { from: 1, to: 2, seq: 115, text: "late" }]));
  assertEquals([conversation?.connector.bytes.length, conversation?.connector.lost], [11, 4]);
});

test("numbers that begin at 0 again go on", () => {
  const packets = [
    { from: 1, to: 2, seq: 0xfffffffd, flags: SYN },
    { from: 1, to: 2, seq: 0xfffffffe, text: "abcd" },
    { from: 1, to: 2, seq: 2, text: "efg" },
  ];
  assertEquals(texts(pcap(packets))[0]?.[1], "abcdefg");
});

test("a port that is used again is another conversation", () => {
  const again = [{ from: 1, to: 2, seq: 7999, flags: SYN }, { from: 1, to: 2, seq: 8000, text: "again" }];
  assertEquals(texts(pcap([...hello, ...hello.slice(0, 1), ...again])).map((each) => each[1]), [
    "hello world",
    "again",
  ]);
});

test("bytes have the time of the packet that brought them", () => {
  const times = hello.map((packet, i) => ({ ...packet, time: 1_700_000_000_000 + 1.5 * i }));
  for (const nano of [false, true]) {
    const [conversation] = readPcap(pcap(times, { nano }));
    const { timeOf } = conversation!.connector;
    assertEquals([timeOf(0), timeOf(5), timeOf(6), timeOf(10)].map((time) => time - 1_700_000_000_000), [3, 3, 6, 6]);
  }
});

test("what is not TCP, and what is cut off, is passed over", () => {
  const file = pcap(hello), udp = pcap(hello, { link: 101 });
  for (let at = 24; at < udp.length;) {
    udp[at + 16 + 9] = 17;
    at += 16 + udp[at + 8]!;
  }
  assertEquals(readPcap(udp), []);
  assertEquals(texts(file.subarray(0, file.length - 3)).length, 1);
  assertEquals(readPcap(file.subarray(0, 24)), []);
});

test("other files are no captures, and those that cannot be read say so", () => {
  assertEquals(isPcap(new TextEncoder().encode("ceph v027")), false);
  assertEquals(isPcap(new Uint8Array(3)), false);
  assertThrows(() => readPcap(Uint8Array.of(0x0a, 0x0d, 0x0d, 0x0a)), Failure, "pcapng");
  assertThrows(() => readPcap(pcap(hello, { link: 147 })), Failure, "147");
});
