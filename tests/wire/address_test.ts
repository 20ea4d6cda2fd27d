import { assert, assertEquals, assertThrows } from "@std/assert";
import * as fc from "fast-check";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { MessengerError, ProtocolError } from "../../src/errors.ts";
import { EntityAddress } from "../../src/wire/address.ts";
import { ADDRESS_SIZE } from "../../src/wire/constants.ts";
import { fromHex, toHex } from "./golden.ts";

const SEED = { seed: 27 };

function bytesOf(address: EntityAddress): Uint8Array {
  const bytes = new Uint8Array(ADDRESS_SIZE);
  address.encode(bytes);
  return bytes;
}

function refused(make: () => unknown): string {
  const error = assertThrows(make, MessengerError);
  assertEquals(error.code, "invalid");
  return error.message;
}

const port = fc.integer({ min: 0, max: 0xffff });
const nonce = fc.integer({ min: 0, max: 0xffffffff });
const ip6 = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff })), { minLength: 8, maxLength: 8 })
  .map((groups) => groups.map((group) => group.toString(16)).join(":"));
const path = fc.stringMatching(/^\/[a-zA-Z0-9._/ #:-]{1,80}$/);
const anyAddress: fc.Arbitrary<EntityAddress> = fc.oneof(
  fc.tuple(fc.ipV4(), port, nonce).map(([host, port, nonce]) => EntityAddress.from(host, port, nonce)),
  fc.tuple(ip6, port, nonce).map(([host, port, nonce]) => EntityAddress.from(host, port, nonce)),
  fc.tuple(path, nonce).map(([path, nonce]) => EntityAddress.from(`unix:${path}`, 0, nonce)),
  fc.tuple(port, nonce).map(([port, nonce]) => EntityAddress.from("", port, nonce)),
);

test("EntityAddress.parse() reads IPv4 with a port, with and without a nonce and a v1: before it", () => {
  for (const text of ["10.0.0.1:6789", "10.0.0.1:6789/0", "v1:10.0.0.1:6789", "v1:10.0.0.1:6789/0"]) {
    const { kind, host, port, nonce } = EntityAddress.parse(text);
    assertEquals([kind, host, port, nonce], ["ip4", "10.0.0.1", 6789, 0]);
  }
  assertEquals(EntityAddress.parse("255.255.255.255:65535/4294967295").nonce, 4294967295);
});

test("EntityAddress.parse() reads localhost as 127.0.0.1", () => {
  assertEquals(EntityAddress.parse("localhost:6800/7").toString(), "127.0.0.1:6800/7");
});

test("EntityAddress.parse() reads IPv6 in brackets and writes it in its shortest form", () => {
  const shortest = {
    "[0:0:0:0:0:0:0:0]:1": "[::]:1/0",
    "[0:0:0:0:0:0:0:1]:1": "[::1]:1/0",
    "[FD00::0001]:6789/42": "[fd00::1]:6789/42",
    "[2001:db8:0:0:1:0:0:1]:1": "[2001:db8::1:0:0:1]:1/0",
    "[2001:0:0:1:0:0:0:1]:1": "[2001:0:0:1::1]:1/0",
    "[2001:db8:0:1:1:1:1:1]:1": "[2001:db8:0:1:1:1:1:1]:1/0",
    "[1:0:0:0:0:0:0:0]:1": "[1::]:1/0",
    "[::ffff:192.0.2.1]:1": "[::ffff:c000:201]:1/0",
    "v1:[::1]:1/2": "[::1]:1/2",
  };
  for (const [text, expected] of Object.entries(shortest)) {
    assertEquals(EntityAddress.parse(text).toString(), expected);
  }
});

test("EntityAddress.parse() reads a path, whose nonce stands behind a #", () => {
  const plain = EntityAddress.parse("unix:/run/a.sock"), numbered = EntityAddress.parse("unix:/run/a.sock#7");
  assertEquals([plain.kind, plain.host, plain.port, plain.nonce], ["unix", "/run/a.sock", 0, 0]);
  assertEquals([numbered.host, numbered.nonce], ["/run/a.sock", 7]);
  assertEquals(EntityAddress.parse("unix:/run/a#7#8").host, "/run/a#7");
  assertEquals(EntityAddress.parse("unix:/run/häuser").host, "/run/häuser");
});

test("EntityAddress.parse() refuses what is no address and quotes it", () => {
  for (
    const text of [
      "",
      "10.0.0.1",
      "::1:80",
      "[::1]",
      "[::1:80",
      "10.0.0.1:",
      ":x",
      "a:b:1",
      "v2:10.0.0.1:1",
      "unix:/\0",
    ]
  ) {
    assertEquals(
      refused(() => EntityAddress.parse(text)),
      `Bad address: got "${text}", expected "host:port" or "host:port/nonce"`,
    );
  }
  for (const host of ["10.0.0", "10.0.0.256", "10.0.0.1.2", "010.0.0.1", "example.org", "1.2.3.4x"]) {
    const expected = `Bad host: got "${host}", expected an IPv4 or IPv6 address, or unix: and a path`;
    assertEquals(refused(() => EntityAddress.parse(`${host}:80`)), expected);
  }
  for (
    const host of [
      ":",
      ":::",
      "1::2::3",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "12345::",
      "g::",
      "::1.2.3",
      "::1.2.3.256",
      "fe80::1%lo",
    ]
  ) {
    assertEquals(refused(() => EntityAddress.parse(`[${host}]:80`)).startsWith(`Bad host: got "${host}"`), true, host);
  }
});

test("EntityAddress.from() and parse() name a port or nonce out of range, and the range", () => {
  assertEquals(refused(() => EntityAddress.parse("10.0.0.1:65536")), "Bad port: got 65536, expected 0 to 65535");
  assertEquals(refused(() => EntityAddress.from("10.0.0.1", -1)), "Bad port: got -1, expected 0 to 65535");
  assertEquals(refused(() => EntityAddress.from("10.0.0.1", 1.5)), "Bad port: got 1.5, expected 0 to 65535");
  const tooLarge = "Bad nonce: got 4294967296, expected 0 to 4294967295";
  assertEquals(refused(() => EntityAddress.parse("10.0.0.1:1/4294967296")), tooLarge);
  assertEquals(
    refused(() => EntityAddress.parse("10.0.0.1:1/0").withNonce(NaN)),
    "Bad nonce: got NaN, expected 0 to 4294967295",
  );
});

test("EntityAddress.from() takes paths of up to 107 bytes, as the operating system does", () => {
  assertEquals(EntityAddress.from(`unix:/${"a".repeat(106)}`, 0).host.length, 107);
  assertEquals(
    refused(() => EntityAddress.from(`unix:/${"ä".repeat(54)}`, 0)),
    "Bad path: got 109 bytes, expected at most 107 and no NUL",
  );
});

test("EntityAddress.parse() reads what toString() writes", () => {
  fc.assert(
    fc.property(anyAddress, (address) => {
      assertEquals(EntityAddress.parse(address.toString()).key, address.key);
    }),
    SEED,
  );
});

test("EntityAddress.decode() reads what encode() wrote, anywhere in a buffer", () => {
  fc.assert(
    fc.property(anyAddress, fc.nat(50), (address, at) => {
      const bytes = new Uint8Array(at + ADDRESS_SIZE + 10).fill(0xaa);
      address.encode(bytes, at);
      const decoded = EntityAddress.decode(bytes, at);
      assertEquals([decoded.key, decoded.compare(address), decoded.toString()], [address.key, 0, address.toString()]);
      assertEquals(
        [...bytes.subarray(0, at), ...bytes.subarray(at + ADDRESS_SIZE)].every((byte) => byte === 0xaa),
        true,
      );
    }),
    SEED,
  );
});

test("EntityAddress.decode() keeps an address when the bytes change later", () => {
  const bytes = bytesOf(EntityAddress.parse("10.0.0.1:1/2")), address = EntityAddress.decode(bytes);
  bytes.fill(0);
  assertEquals(EntityAddress.decode(bytesOf(address)).toString(), "10.0.0.1:1/2");
});

test("EntityAddress.decode() leaves a Node Buffer alone, whose slice() is no copy", () => {
  const buffer = Buffer.from(bytesOf(EntityAddress.parse("10.0.0.1:1/2")));
  buffer.fill(0x55, 16);
  const before = buffer.toString("hex"), address = EntityAddress.decode(buffer);
  assertEquals(buffer.toString("hex"), before);
  buffer.fill(0);
  assertEquals(toHex(bytesOf(address)), toHex(bytesOf(EntityAddress.parse("10.0.0.1:1/2"))));
});

test("EntityAddress.decode() forgets bytes that mean nothing, so that they make no other address", () => {
  const places = { "10.0.0.1:1/2": 16, "[::1]:1/2": 36, "unix:/run/a#2": 17 };
  for (const [text, from] of Object.entries(places)) {
    const address = EntityAddress.parse(text), bytes = bytesOf(address);
    // The byte behind a path's NUL is the first that means nothing.
    bytes.fill(0x55, from + 1);
    if (address.kind !== "unix") bytes[from] = 0x55;
    const decoded = EntityAddress.decode(bytes);
    assertEquals([decoded.toString(), decoded.equals(address), decoded.compare(address)], [text, true, 0]);
    assertEquals(toHex(bytesOf(decoded)), toHex(bytesOf(address)));
  }
});

test("EntityAddress.decode() refuses an address in the form that only messages may hold", () => {
  const bytes = bytesOf(EntityAddress.parse("10.0.0.1:1"));
  bytes[0] = 1;
  const { field, value, limit } = assertThrows(() => EntityAddress.decode(bytes), ProtocolError);
  assertEquals([field, value, limit], ["address marker", "1", "0 (a legacy address)"]);
});

test("EntityAddress.decode() refuses a family that it does not know", () => {
  const bytes = bytesOf(EntityAddress.parse("10.0.0.1:1"));
  bytes[8] = 2;
  const { field, value } = assertThrows(() => EntityAddress.decode(bytes), ProtocolError);
  assertEquals([field, value], ["address family", "514"]);
});

test("EntityAddress.decode() refuses fewer than 136 bytes", () => {
  const bytes = bytesOf(EntityAddress.parse("10.0.0.1:1"));
  for (const length of [0, 1, 36, 135]) {
    const { field, value } = assertThrows(() => EntityAddress.decode(bytes.subarray(0, length)), ProtocolError);
    assertEquals([field, value], ["address", `${length} bytes`]);
  }
  assertEquals(assertThrows(() => EntityAddress.decode(bytes, 1), ProtocolError).value, "135 bytes");
});

test("EntityAddress.decode() refuses a path that is no UTF-8: two such paths would look the same", () => {
  const bytes = bytesOf(EntityAddress.parse("unix:/run/a"));
  bytes[12] = 0xff;
  assertEquals(assertThrows(() => EntityAddress.decode(bytes), ProtocolError).field, "address path");
});

test("EntityAddress.decode() refuses a path without an end", () => {
  const bytes = bytesOf(EntityAddress.parse("unix:/run/a"));
  bytes.fill(0x61, 10, 118);
  assertEquals(assertThrows(() => EntityAddress.decode(bytes), ProtocolError).limit, "at most 107 bytes and a NUL");
});

test("EntityAddress.decode() of random bytes throws ProtocolError or gives an address that encodes to itself", () => {
  const families = fc.constantFrom(0, 1, 2, 10, 11, 256);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 130, maxLength: 140 }), families, (bytes, family) => {
      bytes[0] = 0;
      bytes[8] = family >>> 8;
      bytes[9] = family;
      let address: EntityAddress;
      try {
        address = EntityAddress.decode(bytes);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        return;
      }
      const again = EntityAddress.decode(bytesOf(address));
      assertEquals([again.key, again.compare(address)], [address.key, 0]);
    }),
    { ...SEED, numRuns: 500 },
  );
});

test("EntityAddress.endpoint is where to dial", () => {
  const endpoints = ["10.0.0.1:6789/3", "[::1]:6789/3", "unix:/run/a#3"].map((text) =>
    EntityAddress.parse(text).endpoint
  );
  assertEquals(endpoints, ["10.0.0.1:6789", "[::1]:6789", "unix:/run/a"]);
});

test("EntityAddress.isBlank holds for an unknown host of any family, whatever port and nonce", () => {
  for (const text of [":0/5", ":6789", "0.0.0.0:6789/5", "[::]:6789", "unix:"]) {
    assertEquals(EntityAddress.parse(text).isBlank, true, text);
  }
  for (const text of ["0.0.0.1:0", "[::1]:0", "unix:/a"]) assertEquals(EntityAddress.parse(text).isBlank, false, text);
});

test("EntityAddress.isListening holds for one with a port or a path", () => {
  const listening = [":0/5", "10.0.0.1:0/5", "unix:", "10.0.0.1:1", "[::]:1", "unix:/a"].map((text) =>
    EntityAddress.parse(text).isListening
  );
  assertEquals(listening, [false, false, false, true, true, true]);
});

test("EntityAddress.withHostOf() keeps port and nonce: a peer that does not know its host is known by the socket's", () => {
  const unknown = EntityAddress.parse(":6800/42");
  assertEquals(unknown.withHostOf(EntityAddress.parse("10.0.0.9:51234/1")).toString(), "10.0.0.9:6800/42");
  assertEquals(unknown.withHostOf(EntityAddress.parse("[fd00::9]:51234")).toString(), "[fd00::9]:6800/42");
  assertEquals(unknown.withHostOf(EntityAddress.parse("unix:/run/a")).toString(), "unix:/run/a#42");
  const blank6 = EntityAddress.parse("[::]:0/42");
  assertEquals(blank6.withHostOf(EntityAddress.parse("10.0.0.9:51234")).toString(), "10.0.0.9:0/42");
});

test("EntityAddress.withNonce() changes nothing else", () => {
  assertEquals(EntityAddress.parse("[fd00::9]:1/2").withNonce(3).toString(), "[fd00::9]:1/3");
  assertEquals(EntityAddress.parse("unix:/a#2").withNonce(3).toString(), "unix:/a#3");
});

test("EntityAddress.equals() tells apart host, port, nonce and scope", () => {
  const address = EntityAddress.parse("[fe80::1]:1/2");
  for (const other of ["[fe80::2]:1/2", "[fe80::1]:2/2", "[fe80::1]:1/3", "10.0.0.1:1/2", "unix:/fe80::1#2"]) {
    assertEquals(address.equals(EntityAddress.parse(other)), false, other);
  }
  assert(address.equals(EntityAddress.parse("[fe80:0::1]:1/2")));
  const scoped = bytesOf(address);
  scoped[32] = 2;
  assertEquals(address.equals(EntityAddress.decode(scoped)), false);
});

/** The 36 bytes that Ceph holds in memory: type, nonce, family (both little-endian there), port, address. */
function inCephsMemory(address: EntityAddress): string {
  const bytes = bytesOf(address).slice(0, 36);
  return toHex(Uint8Array.of(1, 0, 0, 0, ...bytes.subarray(4, 8), bytes[9]!, bytes[8]!, ...bytes.subarray(10)));
}

test("EntityAddress.compare() orders as Ceph compares its memory, byte by byte", () => {
  const ip = anyAddress.filter(({ kind }) => kind === "ip4" || kind === "ip6");
  fc.assert(
    fc.property(ip, ip, fc.boolean(), fc.boolean(), (a, other, sameNonce, sameHost) => {
      let b = sameHost ? other.withHostOf(a) : other;
      if (sameNonce) b = b.withNonce(a.nonce);
      const x = inCephsMemory(a), y = inCephsMemory(b);
      assertEquals(Math.sign(a.compare(b)), x < y ? -1 : x > y ? 1 : 0);
      assertEquals(Math.sign(b.compare(a)), -Math.sign(a.compare(b)) || 0);
    }),
    { ...SEED, numRuns: 500 },
  );
});

test("EntityAddress.compare() looks at the nonce's lowest byte first, then at its others", () => {
  const [low, high] = ["10.0.0.1:1/256", "10.0.0.1:1/1"].map(EntityAddress.parse) as [EntityAddress, EntityAddress];
  assert(low.compare(high) < 0, "256 is 00 01 00 00 and comes before 01 00 00 00");
  assert(
    EntityAddress.parse("10.0.0.9:9/1").compare(EntityAddress.parse("10.0.0.1:1/2")) < 0,
    "nonce before host and port",
  );
});

test("EntityAddress.compare() looks at the family, then the port, then the host", () => {
  assert(
    EntityAddress.parse("255.0.0.1:65535").compare(EntityAddress.parse("[::1]:1")) < 0,
    "IPv4 (2) before IPv6 (10)",
  );
  assert(
    EntityAddress.parse("10.0.0.9:255").compare(EntityAddress.parse("10.0.0.1:256")) < 0,
    "the port is big-endian",
  );
  assert(EntityAddress.parse("10.0.0.1:1").compare(EntityAddress.parse("10.0.0.2:1")) < 0);
  assert(EntityAddress.parse("unix:/a").compare(EntityAddress.parse("unix:/b")) < 0);
});

test("EntityAddress.compare() is 0 exactly for equal addresses", () => {
  fc.assert(
    fc.property(anyAddress, anyAddress, (a, b) => {
      assertEquals(a.compare(b) === 0, a.equals(b));
      assertEquals(a.compare(EntityAddress.parse(a.toString())), 0);
    }),
    SEED,
  );
});

test("EntityAddress.decode() reads flow label and scope of a link-local address, and encode() keeps them", () => {
  const bytes = fromHex(
    "00000000 07000000 000a 1a85 00000011 fe800000000000000000000000000001 03000000" + "00".repeat(100),
  );
  const address = EntityAddress.decode(bytes);
  assertEquals(address.toString(), "[fe80::1]:6789/7");
  assertEquals(toHex(bytesOf(address)), toHex(bytes));
});
