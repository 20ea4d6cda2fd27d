/**
 * Secrets, as keyrings hold them.
 *
 * @module
 */

import { MessengerError } from "../errors.ts";
import { SECRET_SIZE } from "./aes.ts";
import { bad, Decoder } from "./decoder.ts";
import { Encoder } from "./encoder.ts";

const AES = 1;

/**
 * A secret and when it was made. Ceph's `CryptoKey`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { CryptoKey } from "@msgr/pipe/ceph";
 *
 * const key = CryptoKey.parse("AQAAEF5fFc1bBxAAAAECAwQFBgcICQoLDA0ODw==");
 * assertEquals(key.secret.length, 16);
 * assertEquals(key.toString(), "AQAAEF5fFc1bBxAAAAECAwQFBgcICQoLDA0ODw==");
 * ```
 */
export class CryptoKey {
  /** The 16 bytes that matter. */
  readonly secret: Uint8Array;
  /** When it was made, in ms since 1970. */
  readonly created: number;
  /** The same as it is encoded: to the nanosecond, which a number of ms cannot hold. */
  #stamp: Uint8Array;

  /**
   * Makes a key of a secret.
   *
   * @throws {MessengerError} With code `invalid` if the secret does not have 16 bytes.
   */
  constructor(secret: Uint8Array, created = 0) {
    if (secret.length !== SECRET_SIZE) {
      throw new MessengerError("invalid", `Bad secret: got ${secret.length} bytes, expected ${SECRET_SIZE}`);
    }
    this.secret = Uint8Array.from(secret);
    this.created = created;
    this.#stamp = new Encoder().time(created).finish();
  }

  /**
   * Reads a key as keyrings have it, in base64.
   *
   * @throws {MessengerError} With code `invalid`. The error does not hold the text.
   */
  static parse(text: string): CryptoKey {
    try {
      return CryptoKey.decode(new Decoder(Uint8Array.from(atob(text.trim()), (c) => c.charCodeAt(0))));
    } catch (cause) {
      throw new MessengerError("invalid", "Bad key: expected the base64 text of a keyring, such as AQ…==", { cause });
    }
  }

  /**
   * Reads an encoded key.
   *
   * @throws {MessengerError} With code `bad_message`.
   */
  static decode(decoder: Decoder): CryptoKey {
    const type = decoder.u16(), stamp = Uint8Array.from(decoder.raw(8)), length = decoder.u16();
    if (type !== AES) throw bad("key type", type, `${AES} (AES)`);
    if (length !== SECRET_SIZE) throw bad("key length", length, SECRET_SIZE);
    const key = new CryptoKey(decoder.raw(length), new Decoder(stamp).time());
    key.#stamp = stamp;
    return key;
  }

  /** Writes the 28 bytes of an encoded key. */
  encode(encoder: Encoder): Encoder {
    return encoder.u16(AES).raw(this.#stamp).u16(SECRET_SIZE).raw(this.secret);
  }

  /** The key as keyrings have it. Whoever reads it can be who it belongs to. */
  toString(): string {
    return btoa(String.fromCharCode(...this.encode(new Encoder()).finish()));
  }
}
