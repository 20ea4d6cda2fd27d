import { assertEquals } from "@std/assert";
import { test } from "node:test";
import { Feature, MESSENGER_FEATURES, Tag, tagName } from "../../src/wire/constants.ts";

test("tagName() names every tag by Ceph's word, and a number that is none as itself", () => {
  const names = Array.from({ length: 18 }, (_, tag) => tagName(tag));
  assertEquals(names, [
    "tag 0",
    "READY",
    "RESETSESSION",
    "WAIT",
    "RETRY_SESSION",
    "RETRY_GLOBAL",
    "CLOSE",
    "MSG",
    "ACK",
    "KEEPALIVE",
    "BADPROTOVER",
    "BADAUTHORIZER",
    "FEATURES",
    "SEQ",
    "KEEPALIVE2",
    "KEEPALIVE2_ACK",
    "CHALLENGE_AUTHORIZER",
    "tag 17",
  ]);
  assertEquals(new Set(Object.values(Tag)).size, 16);
});

test("MESSENGER_FEATURES offers what the messenger implements, and nothing whose encoding it cannot read", () => {
  assertEquals(MESSENGER_FEATURES, 0x0000040000800043n);
  const { UID, NOSRCADDR, RECONNECT_SEQ, MSG_AUTH, MSGR_KEEPALIVE2 } = Feature;
  assertEquals(MESSENGER_FEATURES, UID | NOSRCADDR | RECONNECT_SEQ | MSG_AUTH | MSGR_KEEPALIVE2);
});
