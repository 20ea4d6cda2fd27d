/**
 * Small messages of one connection that leave one after the other and are alike.
 *
 * @module
 */

import type { Batch } from "./batch.ts";
import { isWhole, type Message } from "./message.ts";
import { FRAMES_AT, FRAMES_BYTES, makeFrameKernel, RUN_MOST, SMALL_BYTES } from "./wire/frame_kernel.ts";
import { footerSize, TAGGED_HEADER_SIZE } from "./wire/frame.ts";
import type { HeaderEncoder } from "./wire/header_codec.ts";

/** One for all Writers: none of them is interrupted in the middle of a batch. */
const kernel = makeFrameKernel();

/** Puts them together in the kernel's memory, which completes them all at once. */
export class FrameRun {
  readonly #headers: HeaderEncoder;
  readonly #oldFooter: boolean;
  #count = 0;
  /** The first one's number, and how long the segments of each are. */
  #seq = 0;
  #front = 0;
  #middle = 0;
  #data = 0;
  /** Where the next one goes. */
  #at = FRAMES_AT;

  /**
   * @param headers Those of the messages that come.
   * @param oldFooter Whether footers have no room for a signature.
   */
  constructor(headers: HeaderEncoder, oldFooter: boolean) {
    this.#headers = headers;
    this.#oldFooter = oldFooter;
  }

  /** Adds a message whose header is like the one before. Whether it could: it must be small, and have its bytes. */
  add(message: Message, seq: number): boolean {
    const { frontLength, middleLength, dataLength, tid } = message, length = frontLength + middleLength + dataLength;
    if (kernel === undefined || length > SMALL_BYTES || !isWhole(message) || message.isStreamed) return false;
    const { memory, tids } = kernel;
    if (this.#count === 0) {
      this.#headers.copyTo(kernel.template);
      this.#seq = seq;
      this.#front = frontLength;
      this.#middle = middleLength;
      this.#data = dataLength;
    }
    let at = this.#at + TAGGED_HEADER_SIZE;
    if (frontLength > 0) memory.set(message.front, at);
    if (middleLength > 0) memory.set(message.middle, at + frontLength);
    if (dataLength > 0) memory.set(message.data, at + frontLength + middleLength);
    at += length + footerSize(this.#oldFooter);
    tids[2 * this.#count] = tid;
    tids[2 * this.#count + 1] = tid / 2 ** 32;
    this.#at = at;
    this.#count++;
    return true;
  }

  /** Whether there is no room for another one. */
  get isFull(): boolean {
    return this.#count === RUN_MOST || this.#at - FRAMES_AT > FRAMES_BYTES / 2;
  }

  /** Moves what there is to the batch. */
  end(batch: Batch): void {
    if (this.#count === 0) return;
    const { memory, seal } = kernel!, footerBytes = footerSize(this.#oldFooter);
    seal(this.#count, this.#seq, this.#seq / 2 ** 32, this.#front, this.#middle, this.#data, footerBytes);
    batch.append(memory.subarray(FRAMES_AT, this.#at));
    this.#count = 0;
    this.#at = FRAMES_AT;
  }
}
