/**
 * Writing a stream of messages without the stream's own work for each of them.
 *
 * @module
 */

import type { Message } from "./message.ts";

/** Sends a message, if there is room for it. */
export type SendMessage = (message: Message) => boolean;

const SENT = Promise.resolve();
const nothing = (): void => {};

/**
 * A stream's writer that goes through the stream only where that has something to say: a message for which there is room is sent at once. That saves the
 * queue of the stream, and a few promises.
 */
export class MessageWriter extends WritableStreamDefaultWriter<Message> {
  #send: SendMessage | undefined;
  /** Writes that the stream has not finished. Those that follow must not overtake them. */
  #writes = 0;
  #lastWrite: Promise<void> = SENT;
  #isEnding = false;

  /**
   * @param stream The stream: it is locked.
   * @param send Sends a message as the stream would.
   */
  constructor(stream: WritableStream<Message>, send: SendMessage) {
    super(stream);
    this.#send = send;
  }

  override write(message: Message): Promise<void> {
    // Node's own writer throws an internal error here.
    if (this.#isEnding) return Promise.reject(new TypeError("Cannot write: the stream was closed or aborted"));
    if (this.#writes === 0 && this.#send?.(message)) return SENT;
    const written = super.write(message), settled = () => void this.#writes--;
    this.#writes++;
    this.#lastWrite = written.then(settled, settled);
    return written;
  }

  /** Waits until the stream has finished all writes. If it let somebody go on when it has room for one more, then all that follow would go through it. */
  override get ready(): Promise<void> {
    if (this.#writes === 0) return super.ready;
    const ready = this.#lastWrite.then(() => super.ready);
    ready.catch(nothing);
    return ready;
  }

  override close(): Promise<void> {
    this.#isEnding = true;
    return super.close();
  }

  override abort(reason?: unknown): Promise<void> {
    this.#isEnding = true;
    return super.abort(reason);
  }

  override releaseLock(): void {
    this.#send = undefined;
    super.releaseLock();
  }
}
