/**
 * What people write: keys, keyrings, ceph.conf, lists of monitors.
 */

import { assertEquals, assertFalse, assertThrows } from "@std/assert";
import { test } from "node:test";
import { MessengerError } from "../../mod.ts";
import { AuthName, CephConf, CryptoKey, parseKeyring, parseMonHost } from "../../src/ceph/mod.ts";
import { toHex } from "../wire/golden.ts";

const KEY = "AQAAEF5fFc1bBxAAAAECAwQFBgcICQoLDA0ODw==";

test("CryptoKey.parse() reads a key of a keyring, and toString() writes it again", () => {
  const key = CryptoKey.parse(` ${KEY}\n`);
  assertEquals([toHex(key.secret), Math.floor(key.created)], ["000102030405060708090a0b0c0d0e0f", 1_600_000_000_123]);
  assertEquals(key.toString(), KEY);
});

test("CryptoKey.parse() says what a key looks like, and not what it was given", () => {
  for (const text of ["", "secret!", "AQAAEF5f", KEY.slice(0, -4), btoa("\x02\0" + atob(KEY).slice(2))]) {
    const error = assertThrows(() => CryptoKey.parse(text), MessengerError, "Bad key");
    assertEquals(error.code, "invalid");
    if (text !== "") assertFalse(error.message.includes(text));
  }
});

test("parseKeyring() finds the keys of every name", () => {
  const keys = parseKeyring(`
[mon.]
	key = ${KEY}
	caps mon = "allow *"
[client.admin]
	key = AQDfUgNriqfAFRAAsDAsY8iR0WA+CARFnECe/g==   ; a comment
	caps mds = "allow *; # in quotes"
[client.keyless]
`);
  assertEquals([...keys].map(([name, key]) => [name, String(key)]), [
    ["mon.", KEY],
    ["client.admin", "AQDfUgNriqfAFRAAsDAsY8iR0WA+CARFnECe/g=="],
  ]);
});

test("a bad line is named by its number alone, as it may hold a secret", () => {
  const error = assertThrows(() => parseKeyring(`[client.admin]\n${KEY.slice(0, -2)}`), MessengerError);
  assertEquals([error.code, error.message], ["invalid", 'Bad line 2: expected "[section]" or "name = value"']);
});

test("CephConf.get() looks in the name's section, its kind's, and in global", () => {
  const conf = CephConf.parse(`
mon host = 10.0.0.9
[global]
  mon-host = "10.0.0.1, \\
10.0.0.2:7000"   # the later line counts
  a = global
  b = global
[client]
  b = kind
  c = kind
[client.admin]
  c = name
`);
  assertEquals(["a", "b", "c", "d"].map((option) => conf.get(option)), ["global", "kind", "name", undefined]);
  assertEquals(["a", "b", "c"].map((option) => conf.get(option, "osd.0")), ["global", "global", undefined]);
  assertEquals(conf.monitors().map(String), ["10.0.0.1:6789/0", "10.0.0.2:7000/0"]);
});

const monHosts: [text: string, expected: string[]][] = [
  ["10.0.0.1", ["10.0.0.1:6789/0"]],
  ["10.0.0.1:7000,10.0.0.2 10.0.0.3", ["10.0.0.1:7000/0", "10.0.0.2:6789/0", "10.0.0.3:6789/0"]],
  ["[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0] [v2:10.0.0.2:3300/0,v1:10.0.0.2:6790/0]", [
    "10.0.0.1:6789/0",
    "10.0.0.2:6790/0",
  ]],
  ["v1:10.0.0.1:6789", ["10.0.0.1:6789/0"]],
  ["[fd00::1]:7000", ["[fd00::1]:7000/0"]],
  ["fd00::1", ["[fd00::1]:6789/0"]],
  ["[fd00::1]", ["[fd00::1]:6789/0"]],
  ["[v2:[fd00::1]:3300/0,v1:[fd00::1]:6789/0],[v1:[fd00::2]:6789]", ["[fd00::1]:6789/0", "[fd00::2]:6789/0"]],
];
for (const [text, expected] of monHosts) {
  test(`parseMonHost() reads ${text}`, () => assertEquals(parseMonHost(text).map(String), expected));
}

test("parseMonHost() refuses lists without an address of msgr v1, and names of hosts", () => {
  for (const text of ["", "v2:10.0.0.1:3300", "mon.example.org"]) {
    assertEquals(assertThrows(() => parseMonHost(text), MessengerError).code, "invalid");
  }
});

test("AuthName.parse() takes any word after the kind", () => {
  assertEquals([AuthName.parse("client.a.b").type, AuthName.parse("client.a.b").id], [8, "a.b"]);
  assertEquals(assertThrows(() => AuthName.parse("admin"), MessengerError).code, "invalid");
  assertEquals(assertThrows(() => AuthName.parse("robot.1"), MessengerError).code, "invalid");
});
