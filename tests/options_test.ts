import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { systemEnvironment } from "../src/environment.ts";
import { MessengerError } from "../src/errors.ts";
import { exponentialBackoff, type MessengerOptions, resolveOptions } from "../src/options.ts";
import type { MessengerStatus } from "../src/status.ts";

function refused(make: () => unknown): string {
  const error = assertThrows(make, MessengerError);
  assertEquals(error.code, "invalid");
  return error.message;
}

test("resolveOptions() fills in the documented defaults", () => {
  const { environment, backoff, log, onDispatchError, ...numbers } = resolveOptions({});
  assertEquals(numbers, {
    maxFrontBytes: 67108864,
    maxMiddleBytes: 67108864,
    maxDataBytes: 67108864,
    maxStreamedDataBytes: 4294967295,
    dispatchThrottleBytes: 104857600,
    sendHighWaterMark: 4194304,
    handshakeTimeout: 10000,
    readTimeout: 900000,
    absenceTimeout: 900000,
    defaultSendPriority: 127,
    clusterProtocol: 0,
  });
  assertStrictEquals(environment, systemEnvironment);
  assertEquals([backoff(0, 0), backoff(1, 0)], [0, 200]);
  assertEquals([typeof log, typeof onDispatchError], ["function", "function"]);
});

test("resolveOptions() takes what is given, and the default where undefined is given", () => {
  const events: string[] = [];
  const log = ({ type }: MessengerStatus) => void events.push(type);
  const options = { readTimeout: 0, maxDataBytes: 1, log, handshakeTimeout: undefined } as unknown as MessengerOptions;
  const resolved = resolveOptions(options);
  assertEquals([resolved.readTimeout, resolved.maxDataBytes, resolved.handshakeTimeout], [0, 1, 10000]);
  resolved.log({ type: "listening", address: "" });
  assertEquals(events, ["listening"]);
});

const ranges: Record<string, [number, number]> = {
  maxFrontBytes: [0, 0xffffffff],
  maxMiddleBytes: [0, 0xffffffff],
  maxDataBytes: [0, 0xffffffff],
  maxStreamedDataBytes: [0, 0xffffffff],
  dispatchThrottleBytes: [0, Number.MAX_SAFE_INTEGER],
  sendHighWaterMark: [1, Number.MAX_SAFE_INTEGER],
  handshakeTimeout: [1, 0x7fffffff],
  readTimeout: [0, 0x7fffffff],
  absenceTimeout: [0, 0x7fffffff],
  defaultSendPriority: [1, 255],
  clusterProtocol: [0, 0xffffffff],
};

for (const [option, [least, most]] of Object.entries(ranges)) {
  test(`resolveOptions() names ${option} and its range when it is out of it`, () => {
    for (const value of [least - 1, most + 1, least + 0.5, NaN, Infinity, "1", null]) {
      assertEquals(
        refused(() => resolveOptions({ [option]: value })),
        `Bad option ${option}: got ${value}, expected ${least} to ${most}`,
      );
    }
    for (const value of [least, most]) {
      assertEquals((resolveOptions({ [option]: value }) as unknown as Record<string, unknown>)[option], value);
    }
  });
}

for (const option of ["backoff", "log", "onDispatchError"]) {
  test(`resolveOptions() names ${option} when it is no function`, () => {
    assertEquals(refused(() => resolveOptions({ [option]: 5 })), `Bad option ${option}: got 5, expected a function`);
  });
}

test("exponentialBackoff() waits as Ceph does: not at all, then 0.2 s, doubled up to 15 s", () => {
  const backoff = exponentialBackoff();
  const waits = Array.from({ length: 10 }, (_, attempt) => backoff(attempt, 0.5));
  assertEquals(waits, [0, 200, 400, 800, 1600, 3200, 6400, 12800, 15000, 15000]);
  assertEquals(backoff(1_000_000, 0), 15000);
});

test("exponentialBackoff() leaves the given share of each wait to chance", () => {
  const backoff = exponentialBackoff({ initial: 1000, max: 4000, jitter: 0.25 });
  assertEquals([backoff(0, 0.9), backoff(1, 0), backoff(1, 0.5), backoff(3, 1)], [0, 1000, 875, 3000]);
});

test("exponentialBackoff() names a bad option and its range", () => {
  assertEquals(
    refused(() => exponentialBackoff({ initial: -1 })),
    "Bad option initial: got -1, expected 0 to 2147483647",
  );
  assertEquals(refused(() => exponentialBackoff({ max: NaN })), "Bad option max: got NaN, expected 0 to 2147483647");
  assertEquals(
    refused(() => exponentialBackoff({ max: 2 ** 31 })),
    "Bad option max: got 2147483648, expected 0 to 2147483647",
  );
  assertEquals(refused(() => exponentialBackoff({ jitter: 1.5 })), "Bad option jitter: got 1.5, expected 0 to 1");
});
