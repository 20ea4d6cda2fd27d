/**
 * Signatures of messages.
 *
 * @module
 */

import type { SessionSecurity } from "../auth.ts";
import { Feature, HEADER_SIZE } from "../wire/constants.ts";
import { encodeMessageHeader, type MessageFooter, type MessageHeader } from "../wire/frame.ts";
import { getU32, putU32 } from "../wire/integers.ts";
import { encrypt } from "./aes.ts";
import { seal } from "./cephx_envelope.ts";

const CRC_AT = HEADER_SIZE - 4;

/**
 * Signs and checks messages with a session key: the crcs, lengths and the number of a message, encrypted and folded into 64 bits. Ceph's
 * `CephxSessionHandler`.
 */
export class CephxSignature implements SessionSecurity {
  readonly #secret: Uint8Array;
  readonly #isNew: boolean;
  readonly #header = new Uint8Array(HEADER_SIZE);
  readonly #block = new Uint8Array(32);
  #low = 0;
  #high = 0;

  /**
   * Makes the signer of a session.
   *
   * @param secret The session key.
   * @param features Those that both sides have: they decide on the formula.
   */
  constructor(secret: Uint8Array, features: bigint) {
    this.#secret = secret;
    this.#isNew = (features & Feature.CEPHX_V2) !== 0n;
  }

  /** Sets a footer's signature. */
  sign(header: MessageHeader, footer: MessageFooter): void {
    this.#compute(header, footer);
    footer.signatureLow = this.#low;
    footer.signatureHigh = this.#high;
  }

  /** Whether a footer's signature is right. */
  verify(header: MessageHeader, footer: MessageFooter): boolean {
    this.#compute(header, footer);
    // Nothing is given away by how long this takes: the whole signature was made by then.
    return ((footer.signatureLow ^ this.#low) | (footer.signatureHigh ^ this.#high)) === 0;
  }

  #compute(header: MessageHeader, footer: MessageFooter): void {
    encodeMessageHeader(header, this.#header, 0);
    const headerCrc = getU32(this.#header, CRC_AT);
    const { frontCrc, middleCrc, dataCrc } = footer;
    this.#low = this.#high = 0;
    if (!this.#isNew) {
      this.#fold(
        seal(this.#secret, (e) => e.u32(16).u32(headerCrc).u32(frontCrc).u32(middleCrc).u32(dataCrc)),
        1,
      );
      return;
    }
    const { frontLength, middleLength, dataLength, seq } = header, block = this.#block;
    putU32(block, 0, headerCrc);
    putU32(block, 4, frontCrc);
    putU32(block, 8, frontLength);
    putU32(block, 12, middleCrc);
    putU32(block, 16, middleLength);
    putU32(block, 20, dataCrc);
    putU32(block, 24, dataLength);
    putU32(block, 28, seq % 2 ** 32);
    this.#fold(encrypt(block, this.#secret), 4);
  }

  #fold(bytes: Uint8Array, words: number): void {
    for (let i = 0; i < words; i++) {
      this.#low = (this.#low ^ getU32(bytes, 8 * i)) >>> 0;
      this.#high = (this.#high ^ getU32(bytes, 8 * i + 4)) >>> 0;
    }
  }
}
