/**
 * Waiting until the peer has what was queued.
 *
 * @module
 */

import type { MessengerError } from "./errors.ts";
import type { QueueMark } from "./out_queue.ts";

interface Flush {
  readonly mark: QueueMark;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** Who waits for the end of what was queued when they came. */
export class Flushes {
  readonly #waiting = new Set<Flush>();

  /** Fulfils when {@linkcode settle} is told of the last message before the mark. */
  add(mark: QueueMark, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = () => leave(() => reject(signal!.reason));
      const leave = (settle: () => void) => {
        signal?.removeEventListener("abort", abort);
        this.#waiting.delete(flush);
        settle();
      };
      const flush: Flush = {
        mark,
        resolve: () => leave(resolve),
        reject: (reason) => leave(() => reject(reason)),
      };
      signal?.addEventListener("abort", abort);
      this.#waiting.add(flush);
    });
  }

  /** Everything up to number `seq` is where it should be. */
  settle(seq: number): void {
    for (const { mark, resolve } of this.#waiting) {
      if (isReached(mark, seq)) resolve();
    }
  }

  /** Of what was queued only the messages up to number `seq` can arrive. */
  rejectAbove(seq: number, reason: MessengerError): void {
    for (const { mark, reject } of this.#waiting) {
      if (!isReached(mark, seq)) reject(reason);
    }
  }

  /** What was queued is lost. */
  rejectAll(reason: MessengerError): void {
    for (const { reject } of this.#waiting) reject(reason);
  }
}

/** Whether all messages before the mark are up to number `seq`. */
export function isReached({ open, seq: last }: QueueMark, seq: number): boolean {
  return open === 0 && last <= seq;
}
