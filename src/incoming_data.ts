/**
 * The data of a message while they arrive.
 *
 * @module
 */

import { MessengerError } from "./errors.ts";
import type { DataSource, Lease } from "./message.ts";
import { Ring } from "./ring.ts";
import { crc32c } from "./wire/crc32c.ts";
import { checkCrcs, type MessageFooter, type MessageHeader } from "./wire/frame.ts";

/** How many bytes a stream holds that nobody has read yet: then its connection is not read either. */
export const WINDOW: number = 1024 * 1024;
/** What a piece costs beside its bytes: a peer that sends them one by one must not get a million of them into the window. */
const OVERHEAD = 64;

/**
 * A message's data on their way from the Reader to whoever reads the message's `dataStream`.
 *
 * It belongs to the session: when the connection breaks in the middle, the message has been dispatched and cannot be taken back. The peer sends it again
 * from its first byte, since it was not acknowledged; what the program has been given already is passed over.
 */
export class IncomingData implements DataSource, Lease {
  readonly #header: MessageHeader;
  readonly #frontCrc: number;
  readonly #middleCrc: number;
  /** What takes the message's share of the throttles back, until it has. */
  #lease: Lease | undefined;
  readonly #share: number;
  /** The dispatchers are done with the message. */
  #isHandled = false;

  /** How many bytes have arrived at least once, and their crc. */
  #received = 0;
  #crc = 0;
  /** The same by the connection in use, as long as it brings again what has arrived before. */
  #position = 0;
  #positionCrc = 0;

  readonly #waiting = new Ring<Uint8Array>();
  /** What those weigh. */
  #unread = 0;
  #stream: ReadableStream<Uint8Array> | undefined;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #isWanted = false;
  /** All has arrived, and is what was sent. */
  #isComplete = false;
  /** Nobody gets anything any more: it was read to its end, cancelled, or has failed. */
  #isOver = false;
  #error: MessengerError | undefined;
  #wakeReader: (() => void) | undefined;

  /**
   * @param header The message's header.
   * @param frontCrc The crc of its front.
   * @param middleCrc The crc of its middle.
   * @param lease Takes `share` back.
   * @param share What the message holds of the throttles, in bytes.
   */
  constructor(header: MessageHeader, frontCrc: number, middleCrc: number, lease: Lease, share: number) {
    this.#header = header;
    this.#frontCrc = frontCrc;
    this.#middleCrc = middleCrc;
    this.#lease = lease;
    this.#share = share;
  }

  /** The stream. Who asks for it has to read it to its end or cancel it. */
  get stream(): ReadableStream<Uint8Array> {
    return this.#stream ??= new ReadableStream({
      start: (controller) => {
        this.#controller = controller;
        if (this.#error !== undefined) controller.error(this.#error);
        else this.#closeIfRead();
      },
      pull: () => this.#pull(),
      cancel: () => this.#drop(),
    }, { highWaterMark: 0 });
  }

  /** How many bytes the connection in use has yet to bring. */
  get missing(): number {
    return this.#header.dataLength - this.#position;
  }

  /** How many bytes it may bring now. */
  get room(): number {
    if (this.#position < this.#received) return this.#received - this.#position;
    return this.#isOver ? Infinity : Math.max(0, WINDOW - this.#unread);
  }

  /** Fulfils when there is room again, or the signal aborts. One Reader waits at a time. */
  hasRoom(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        if (this.#wakeReader === done) this.#wakeReader = undefined;
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#wakeReader = done;
      signal.addEventListener("abort", done, { once: true });
      if (signal.aborted) done();
    });
  }

  /** Whether a message that arrives is this one, sent again. */
  isOf(header: MessageHeader): boolean {
    const mine = this.#header;
    return header.seq === mine.seq && header.tid === mine.tid && header.type === mine.type &&
      header.version === mine.version && header.frontLength === mine.frontLength &&
      header.middleLength === mine.middleLength && header.dataLength === mine.dataLength;
  }

  /**
   * It comes again, from its first byte.
   *
   * @throws {MessengerError} With code `aborted` if the segments before the data are others than they were.
   */
  restart(frontCrc: number, middleCrc: number): void {
    if (frontCrc !== this.#frontCrc || middleCrc !== this.#middleCrc) throw this.abandoned();
    this.#position = this.#positionCrc = 0;
  }

  /**
   * Takes the next bytes, no more than there is {@linkcode room} for. They belong to the stream.
   *
   * @throws {MessengerError} With code `aborted` if what comes again is not what came before.
   */
  push(bytes: Uint8Array): void {
    this.#position += bytes.length;
    if (this.#position <= this.#received) {
      this.#positionCrc = crc32c(bytes, this.#positionCrc);
      if (this.#position === this.#received && this.#positionCrc !== this.#crc) throw this.abandoned();
      return;
    }
    this.#received = this.#position;
    this.#crc = crc32c(bytes, this.#crc);
    if (this.#isOver) return;
    this.#waiting.push(bytes);
    this.#unread += bytes.length + OVERHEAD;
    if (this.#isWanted) this.#pull();
  }

  /** Compares it with what the sender says of it. @throws {ProtocolError} Naming the segment whose crc is wrong. */
  check(footer: MessageFooter): void {
    checkCrcs(footer, this.#frontCrc, this.#middleCrc, this.#crc);
  }

  /** All has arrived: the stream ends when it has been read. */
  end(): void {
    this.#isComplete = true;
    this.#closeIfRead();
  }

  /** The rest will not come. */
  fail(error: MessengerError): void {
    if (this.#isOver) return;
    this.#error = error;
    this.#drop();
    this.#controller?.error(error);
  }

  /** What to say when the sender has given it up. */
  abandoned(): MessengerError {
    const { seq, dataLength } = this.#header;
    return new MessengerError(
      "aborted",
      `The sender has given message ${seq} up: ${this.#received} of ${dataLength} bytes of its data arrived`,
    );
  }

  /** The dispatchers are done with the message. If nobody has asked for its data they are dropped, and else they keep its share of the throttles. */
  release(): void {
    this.#isHandled = true;
    if (this.#stream === undefined) this.#drop();
    this.#giveBack();
  }

  #pull(): void {
    const bytes = this.#waiting.shift();
    this.#isWanted = bytes === undefined;
    if (bytes === undefined) return;
    this.#unread -= bytes.length + OVERHEAD;
    this.#controller!.enqueue(bytes);
    this.#wakeReader?.();
    this.#closeIfRead();
  }

  #closeIfRead(): void {
    if (!this.#isComplete || this.#isOver || this.#waiting.length > 0 || this.#controller === undefined) return;
    this.#controller.close();
    this.#drop();
  }

  /** Forgets what was not read, and whatever may still come. */
  #drop(): void {
    this.#isOver = true;
    this.#waiting.clear();
    this.#unread = 0;
    this.#wakeReader?.();
    this.#giveBack();
  }

  #giveBack(): void {
    if (!this.#isHandled || !this.#isOver) return;
    const lease = this.#lease;
    this.#lease = undefined;
    lease?.release(this.#share);
  }
}

/** The share of the throttles that data of so many bytes take while they arrive as a stream. */
export function shareOf(dataLength: number): number {
  return Math.min(dataLength, WINDOW);
}
