/**
 * The heads of messages that were made lately: most messages are like one before.
 *
 * @module
 */

import type { MessageHead } from "./wire/frame.ts";

/** A power of two. */
const SLOTS = 16;

/** Finds the head of a message that is to be sent. Who sends it is not known yet, and stays 0. */
export class HeadCache {
  readonly #slots: Readonly<MessageHead>[] = [];

  /** The head with these fields: that of an earlier message, if possible. */
  of(
    type: number,
    priority: number,
    version: number,
    compatVersion: number,
    dataOffset: number,
    frontLength: number,
    middleLength: number,
    dataLength: number,
  ): Readonly<MessageHead> {
    const slot = (type + frontLength + dataLength) & (SLOTS - 1), head = this.#slots[slot];
    if (
      head !== undefined && head.type === type && head.dataLength === dataLength && head.frontLength === frontLength &&
      head.middleLength === middleLength && head.priority === priority && head.version === version &&
      head.compatVersion === compatVersion && head.dataOffset === dataOffset
    ) return head;
    return this.#slots[slot] = {
      type,
      priority,
      version,
      frontLength,
      middleLength,
      dataLength,
      dataOffset,
      sourceType: 0,
      sourceNum: 0,
      compatVersion,
    };
  }
}
