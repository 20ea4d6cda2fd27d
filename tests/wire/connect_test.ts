import { assertEquals, assertThrows } from "@std/assert";
import * as fc from "fast-check";
import { test } from "node:test";
import { ProtocolError } from "../../src/errors.ts";
import {
  type ConnectReply,
  type ConnectRequest,
  decodeConnect,
  decodeConnectReply,
  encodeConnect,
  encodeConnectReply,
} from "../../src/wire/connect.ts";
import { CONNECT_REPLY_SIZE, CONNECT_SIZE } from "../../src/wire/constants.ts";

const SEED = { seed: 27 };
const u8 = fc.integer({ min: 0, max: 0xff });
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

const anyRequest: fc.Arbitrary<ConnectRequest> = fc.record({
  features: u64,
  hostType: u32,
  globalSeq: u32,
  connectSeq: u32,
  protocolVersion: u32,
  authorizerProtocol: u32,
  authorizerLength: u32,
  flags: u8,
});
const anyReply: fc.Arbitrary<ConnectReply> = fc.record({
  tag: u8,
  features: u64,
  globalSeq: u32,
  connectSeq: u32,
  protocolVersion: u32,
  authorizerLength: u32,
  flags: u8,
});

test("decodeConnect() reads what encodeConnect() wrote", () => {
  fc.assert(
    fc.property(anyRequest, (request) => {
      const bytes = encodeConnect(request);
      assertEquals(bytes.length, CONNECT_SIZE);
      assertEquals(decodeConnect(bytes, 0xffffffff), request);
    }),
    SEED,
  );
});

test("decodeConnectReply() reads what encodeConnectReply() wrote", () => {
  fc.assert(
    fc.property(anyReply, (reply) => {
      const bytes = encodeConnectReply(reply);
      assertEquals(bytes.length, CONNECT_REPLY_SIZE);
      assertEquals(decodeConnectReply(bytes, 0xffffffff), reply);
    }),
    SEED,
  );
});

test("decodeConnect() and decodeConnectReply() refuse an authorizer over the limit, before anything is read for it", () => {
  const numbers = { features: 0n, globalSeq: 0, connectSeq: 0, protocolVersion: 0, flags: 0 };
  const request = encodeConnect({ ...numbers, hostType: 8, authorizerProtocol: 2, authorizerLength: 4097 });
  const reply = encodeConnectReply({ ...numbers, tag: 1, authorizerLength: 0xffffffff });
  assertEquals(decodeConnect(request, 4097).authorizerLength, 4097);
  const errors = [() => decodeConnect(request, 4096), () => decodeConnectReply(reply, 4096)].map((decode) => {
    const { field, value, limit } = assertThrows(decode, ProtocolError);
    return [field, value, limit];
  });
  assertEquals(errors, [["authorizer_len", "4097", "at most 4096"], ["authorizer_len", "4294967295", "at most 4096"]]);
});
