/**
 * AES-128-CBC as Ceph uses it: always the same initialisation vector, PKCS#7 padding.
 *
 * This is `node:crypto`, which Deno, Bun and Node all have and which needs no permission: Web Crypto only answers with promises, and a
 * signature has to be there when its message is written.
 *
 * @module
 */

import { createCipheriv, createDecipheriv, randomBytes as chance } from "node:crypto";
import { getU64Big } from "../wire/integers.ts";
import { bad } from "./decoder.ts";

const ALGORITHM = "aes-128-cbc";
const BLOCK = 16;
/** `CEPH_AES_IV`. */
const IV = new TextEncoder().encode("cephsageyudagreg");

/** Length of a secret in bytes. */
export const SECRET_SIZE = 16;

/** Encrypts. */
export function encrypt(plain: Uint8Array, secret: Uint8Array): Uint8Array {
  const cipher = createCipheriv(ALGORITHM, secret, IV);
  const first = cipher.update(plain), last = cipher.final();
  const out = new Uint8Array(first.length + last.length);
  out.set(first);
  out.set(last, first.length);
  return out;
}

/**
 * Decrypts. Like Ceph it does not say whether the padding was right: another secret gives other bytes, which is for the caller to notice.
 *
 * @throws {MessengerError} With code `bad_message` if the length is none that encryption gives.
 */
export function decrypt(encrypted: Uint8Array, secret: Uint8Array): Uint8Array {
  if (encrypted.length === 0 || encrypted.length % BLOCK !== 0) {
    throw bad("encrypted length", encrypted.length, `a multiple of ${BLOCK}`);
  }
  const decipher = createDecipheriv(ALGORITHM, secret, IV).setAutoPadding(false);
  const plain = Uint8Array.from(decipher.update(encrypted));
  return plain.subarray(0, plain.length - Math.min(plain.at(-1)!, BLOCK));
}

/**
 * Bytes that nobody can foresee. Secrets and challenges must not come from the environment's dice, which a simulation makes predictable.
 */
export function randomBytes(length: number): Uint8Array {
  return Uint8Array.from(chance(length));
}

/** A number of 64 bits that nobody can foresee. */
export function randomU64(): bigint {
  return getU64Big(randomBytes(8), 0);
}
