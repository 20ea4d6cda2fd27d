/**
 * Streams of bytes that tests send, and what came of them.
 *
 * @module
 */

import { concat } from "@std/bytes";
import type { SeededRandom } from "../../src/testing.ts";

/** So many bytes, of which no long part is like another. */
export function pattern(length: number, salt = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0, x = salt; i < length; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) | 0;
    bytes[i] = x >>> 24;
  }
  return bytes;
}

/** A stream of the bytes, in chunks of that size or of what the function says. It knows how far it was read. */
export class Source {
  readonly stream: ReadableStream<Uint8Array>;
  /** How many bytes were taken. */
  taken = 0;
  /** Nobody wants the rest. */
  isCancelled = false;
  /** Why. */
  reason: unknown;

  /**
   * @param bytes What it gives.
   * @param chunk How much of it at a time.
   * @param stalls After how many bytes it gives nothing more, and does not end.
   */
  constructor(bytes: Uint8Array, chunk: number | (() => number) = 64 * 1024, stalls = Infinity) {
    this.stream = new ReadableStream({
      pull: (controller) => {
        if (this.taken >= stalls) return new Promise(() => {});
        if (this.taken === bytes.length) return controller.close();
        const end = Math.min(bytes.length, this.taken + (typeof chunk === "number" ? chunk : chunk()));
        controller.enqueue(bytes.slice(this.taken, end));
        this.taken = end;
      },
      cancel: (reason) => {
        this.isCancelled = true;
        this.reason = reason;
      },
    }, { highWaterMark: 0 });
  }
}

/** A number from 1 to `most`, small ones as likely as large ones. */
export function anySize(random: SeededRandom, most: number): number {
  return Math.max(1, Math.floor(most ** random.next()));
}

/** All that the stream gives. */
export async function readAll(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return concat(await Array.fromAsync(stream));
}
