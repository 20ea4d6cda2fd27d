/**
 * cephx against numbers from real conversations and from another program: keys, envelopes, authorizers, signatures.
 */

import { assert, assertEquals, assertFalse, assertThrows } from "@std/assert";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Feature, MessengerError } from "../../mod.ts";
import { decrypt, encrypt } from "../../src/ceph/aes.ts";
import { seal, unseal } from "../../src/ceph/cephx_envelope.ts";
import { challengeKey, sealAuthorize } from "../../src/ceph/cephx_structures.ts";
import { CEPH_FEATURES, CephxAuthorizer, CephxSignature, CryptoKey } from "../../src/ceph/mod.ts";
import { readConversation } from "../../src/wire/describe.ts";
import { capture, fromHex, toHex } from "../wire/golden.ts";

const vectors = JSON.parse(readFileSync(new URL("vectors.json", import.meta.url), "utf8"));
const SECRET = fromHex("000102030405060708090a0b0c0d0e0f");

test("decrypt() gives back what was encrypted, for every length around a block", () => {
  for (let length = 0; length <= 33; length++) {
    const plain = Uint8Array.from({ length }, (_, i) => i), encrypted = encrypt(plain, SECRET);
    assertEquals(encrypted.length, (Math.floor(length / 16) + 1) * 16);
    assertEquals([...decrypt(encrypted, SECRET)], [...plain]);
  }
});

test("decrypt() refuses lengths that no encryption gives", () => {
  for (const length of [0, 1, 15, 17]) {
    assertEquals(assertThrows(() => decrypt(new Uint8Array(length), SECRET), MessengerError).code, "bad_message");
  }
});

test("seal() and unseal() are Ceph's", () => {
  const { plaintext, ciphertext, server_challenge, client_challenge } = vectors.challenge;
  const secret = fromHex(vectors.client_admin_secret);
  const sealed = seal(secret, (e) => e.u64Big(BigInt(`0x${server_challenge}`)).u64Big(BigInt(`0x${client_challenge}`)));
  assertEquals(toHex(sealed), ciphertext);
  assertEquals(toHex(decrypt(sealed, secret)), plaintext);
  assertEquals(unseal(secret, sealed).u64Big(), BigInt(`0x${server_challenge}`));
  assertThrows(() => unseal(SECRET, sealed), MessengerError, "another secret's");
});

test("challengeKey() proves the secret as Ceph's clients do", () => {
  const { server_challenge, client_challenge, key } = vectors.challenge;
  const secret = fromHex(vectors.client_admin_secret);
  assertEquals(
    challengeKey(secret, BigInt(`0x${server_challenge}`), BigInt(`0x${client_challenge}`)).toString(16),
    key,
  );
  assertEquals(challengeKey(SECRET, 0x1122334455667788n, 0x99aabbccddeeff00n), 0x4fadd85010bcad18n);
});

test("sealAuthorize() writes what another program computed", () => {
  assertEquals(
    toHex(sealAuthorize(SECRET, { nonce: 0x0102030405060708n, serverChallenge: undefined })),
    "867fbb5b689f99b0850f6ee0a15e449219676ccadf876fe048b0d1aee2159a6d",
  );
});

/** The authorizers of a captured conversation with an OSD, in the order in which they were sent. */
function authorizers(side: "connector" | "acceptor"): Uint8Array[] {
  const { connector, acceptor } = capture("rados-cephx.4");
  return readConversation(connector, acceptor)[side].filter(({ content }) => content.kind === "authorizer")
    .map(({ bytes }) => bytes);
}

function osdAuthorizer(nonce = BigInt(`0x${vectors.osd_authorizer.first.nonce}`)): CephxAuthorizer {
  const [first] = authorizers("connector");
  const sessionKey = new CryptoKey(fromHex(vectors.osd_session_key));
  // Behind version, global_id and service: the ticket's version and number, and the ticket.
  const blob = first!.slice(13 + 9 + 4, first!.length - 36);
  return new CephxAuthorizer(4118, { service: 4, sessionKey, ticket: { secretId: 2n, blob } }, nonce);
}

test("CephxAuthorizer presents, answers and checks what a Ceph client and an OSD said", () => {
  const authorizer = osdAuthorizer(), [first, second] = authorizers("connector");
  const [challenge, reply] = authorizers("acceptor");
  assertEquals(toHex(authorizer.bytes), toHex(first!));
  assert(authorizer.addChallenge(challenge!));
  assertEquals(toHex(authorizer.bytes), toHex(second!));
  assert(authorizer.verifyReply(reply!));
});

test("CephxAuthorizer believes no service that could not read its nonce", () => {
  const [challenge, reply] = authorizers("acceptor");
  assertFalse(osdAuthorizer(1n).verifyReply(reply!), "the proof of another connection");
  assertFalse(osdAuthorizer().verifyReply(new Uint8Array(0)), "no proof");
  assertFalse(osdAuthorizer().verifyReply(reply!.map((byte, i) => i < 4 ? byte : byte ^ 1)), "a broken proof");
  assertFalse(osdAuthorizer().addChallenge(challenge!.map((byte) => byte ^ 1)), "a broken challenge");
});

for (const name of ["rados-cephx.4", "rados-cephx.9"]) {
  test(`CephxSignature signs and accepts every message of ${name}`, () => {
    const { connector, acceptor } = capture(name), records = readConversation(connector, acceptor);
    const messages = [...records.connector, ...records.acceptor].flatMap(({ content }) =>
      content.kind === "message" ? [content] : []
    );
    // The session key of the other conversation is not known: every message must be refused.
    const isKnown = name === "rados-cephx.4";
    const signature = new CephxSignature(fromHex(vectors.osd_session_key), CEPH_FEATURES);
    assertEquals(messages.map(({ header, footer }) => signature.verify(header, footer)), messages.map(() => isKnown));
    for (const { header, footer } of isKnown ? messages : []) {
      const signed = { ...footer, signatureLow: 0, signatureHigh: 0 };
      signature.sign(header, signed);
      assertEquals([signed.signatureLow, signed.signatureHigh], [footer.signatureLow, footer.signatureHigh]);
    }
  });
}

const header = {
  seq: 1,
  tid: 0,
  type: 2,
  priority: 127,
  version: 1,
  frontLength: 0,
  middleLength: 0,
  dataLength: 0,
  dataOffset: 0,
  sourceType: 8,
  sourceNum: -1,
  compatVersion: 1,
};
const footer = {
  frontCrc: 0xef5b6ed7,
  middleCrc: 0,
  dataCrc: 0x12345678,
  signatureLow: 0,
  signatureHigh: 0,
  flags: 5,
};

test("CephxSignature covers every field of a message", () => {
  const signature = new CephxSignature(SECRET, CEPH_FEATURES), signed = { ...footer };
  signature.sign(header, signed);
  assert(signature.verify(header, signed));
  for (const field of ["seq", "tid", "type", "frontLength", "sourceNum"] as const) {
    assertFalse(signature.verify({ ...header, [field]: header[field] + 1 }, signed), field);
  }
  for (const field of ["frontCrc", "middleCrc", "dataCrc", "signatureLow", "signatureHigh"] as const) {
    assertFalse(signature.verify(header, { ...signed, [field]: signed[field] ^ 1 }), field);
  }
});

test("CephxSignature has the older formula for peers that know no other: it covers the header alone", () => {
  const signature = new CephxSignature(SECRET, CEPH_FEATURES & ~Feature.CEPHX_V2), signed = { ...footer };
  signature.sign(header, signed);
  assertEquals([signed.signatureHigh, signed.signatureLow], [0x1dbeaa5c, 0x8f046408]);
  assertFalse(signature.verify({ ...header, seq: 2 }, signed));
});
