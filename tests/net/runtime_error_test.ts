import { assertEquals, assertStrictEquals } from "@std/assert";
import test from "node:test";
import { connectError, listenError } from "../../src/net/runtime_error.ts";

const address = { transport: "tcp", hostname: "::1", port: 6789 } as const;

test("an error of POSIX keeps its words and its cause, and says its name once", () => {
  const cause = Object.assign(new Error("No route to host (os error 113)"), { code: "EHOSTUNREACH" });
  const error = connectError(cause, address);
  assertEquals(error.code, "unreachable");
  assertEquals(error.message, "Cannot connect to [::1]:6789: No route to host (os error 113) (EHOSTUNREACH)");
  assertStrictEquals(error.cause, cause);
  const named = connectError(Object.assign(new Error("connect ETIMEDOUT ::1"), { code: "ETIMEDOUT" }), address);
  assertEquals(named.message, "Cannot connect to [::1]:6789: connect ETIMEDOUT ::1");
  assertEquals(named.code, "timed_out");
});

test("a class of Deno's is known by its name alone", () => {
  const cause = new Error("Requires net access");
  cause.name = "NotCapable";
  assertEquals(listenError(cause, address).code, "permission_denied");
});

test("an error nobody knows is a network error with that cause", () => {
  assertEquals(connectError(new Error("strange"), address).code, "network");
  const error = connectError("not even an error", address);
  assertEquals([error.code, error.cause], ["network", "not even an error"]);
  assertEquals(connectError(undefined, address).code, "network");
});
