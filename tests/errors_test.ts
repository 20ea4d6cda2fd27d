import { assertEquals, assertInstanceOf, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { MessengerError, NetworkError, ProtocolError } from "../src/errors.ts";

test("MessengerError tells what kind it is, what failed and why", () => {
  const cause = new Error("below"), error = new MessengerError("closed", "Cannot bind: it was shut down", { cause });
  assertInstanceOf(error, Error);
  assertEquals([error.name, error.code, error.message], ["MessengerError", "closed", "Cannot bind: it was shut down"]);
  assertStrictEquals(error.cause, cause);
});

test("NetworkError is a MessengerError with the runtime's error as its cause", () => {
  const cause = new Error("ECONNREFUSED"), error = new NetworkError("refused", "Cannot connect", { cause });
  assertInstanceOf(error, MessengerError);
  assertEquals([error.name, error.code], ["NetworkError", "refused"]);
  assertStrictEquals(error.cause, cause);
});

test("ProtocolError holds field, value and limit as text, and its message holds them all", () => {
  const error = new ProtocolError("front_len", 2n ** 32n, 1024);
  assertInstanceOf(error, MessengerError);
  assertEquals([error.name, error.code], ["ProtocolError", "protocol"]);
  assertEquals([error.field, error.value, error.limit], ["front_len", "4294967296", "1024"]);
  assertEquals(error.message, "Bad front_len: got 4294967296, expected 1024");
});

test("an error without a cause has none, rather than one that is undefined", () => {
  assertEquals("cause" in new MessengerError("closed", ""), false);
  assertEquals("cause" in new ProtocolError("tag", 1, 2), false);
});

test("an error prints as its name and message", () => {
  assertEquals(String(new ProtocolError("tag", 42, "7")), "ProtocolError: Bad tag: got 42, expected 7");
  assertEquals(String(new NetworkError("network", "Lost")), "NetworkError: Lost");
});
