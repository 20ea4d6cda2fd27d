/**
 * How cephx encrypts structures, so that whoever decrypts one sees whether it had the right secret.
 *
 * @module
 */

import { decrypt, encrypt } from "./aes.ts";
import { bad, Decoder } from "./decoder.ts";
import { Encoder } from "./encoder.ts";

/** `AUTH_ENC_MAGIC`. */
const MAGIC = 0xff009cad8826aa55n;

/** Encrypts what `write` writes. Ceph's `encode_encrypt_enc_bl`. */
export function seal(secret: Uint8Array, write: (encoder: Encoder) => unknown): Uint8Array {
  const encoder = new Encoder().u8(1).u64Big(MAGIC);
  write(encoder);
  return encrypt(encoder.finish(), secret);
}

/**
 * Decrypts what {@linkcode seal} made.
 *
 * @throws {MessengerError} With code `bad_message` if the secret is another one.
 */
export function unseal(secret: Uint8Array, encrypted: Uint8Array): Decoder {
  const decoder = new Decoder(decrypt(encrypted, secret));
  decoder.u8();
  if (decoder.u64Big() !== MAGIC) throw bad("encrypted bytes", "another secret's", "ours");
  return decoder;
}
