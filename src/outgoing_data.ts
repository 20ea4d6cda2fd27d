/**
 * The data of a message while they are sent.
 *
 * @module
 */

import { MessengerError } from "./errors.ts";
import type { Message } from "./message.ts";

const sending = new WeakMap<Message, OutgoingData>();
/** Streams that were sent, here or to ourselves: a stream can be read once. */
const claimed = new WeakSet<ReadableStream>();

/** A message's data on their way from their source to the Writer. */
export class OutgoingData {
  /** What was read and may have to be sent: with a session that is lossless everything, for the replay. */
  readonly chunks: Uint8Array[] = [];
  /** Whether the source has ended where it should. */
  isWhole = false;
  /** Why the message cannot be sent. */
  error: MessengerError | undefined;

  readonly #message: Message;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #settled: (data: OutgoingData) => void;
  #length = 0;
  #reading: Promise<void> | undefined;

  /**
   * @param message The message; its stream is taken.
   * @param settled Called when the source has nothing more to give.
   */
  constructor(message: Message, settled: (data: OutgoingData) => void) {
    this.#message = message;
    this.#reader = message.dataStream.getReader();
    this.#settled = settled;
  }

  /** Reads the source's next chunk; never more than one is under way. It never rejects: see {@linkcode error}. */
  read(): Promise<void> {
    return this.#reading ??= this.#read();
  }

  /** The message is not to be sent any more. */
  cancel(reason: MessengerError): void {
    this.error ??= reason;
    this.#settled(this);
    this.#reader.cancel(reason).catch(nothing);
  }

  async #read(): Promise<void> {
    const { dataLength } = this.#message;
    try {
      const { done, value } = await this.#reader.read();
      if (this.error !== undefined) return;
      if (done) {
        if (this.#length < dataLength) return this.#fail(`its data ended after ${this.#length} of ${dataLength} bytes`);
        this.isWhole = true;
        return this.#settled(this);
      }
      if (!(value instanceof Uint8Array)) return this.#fail("its data are no bytes");
      this.#length += value.length;
      if (this.#length > dataLength) return this.#fail(`its data are longer than ${dataLength} bytes`);
      if (value.length > 0) this.chunks.push(value);
    } catch (cause) {
      this.#fail(`its data failed: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    } finally {
      this.#reading = undefined;
    }
  }

  #fail(why: string, options?: ErrorOptions): void {
    this.cancel(new MessengerError("aborted", `Gave up a message of type ${this.#message.type}: ${why}`, options));
  }
}

/**
 * Takes the data of a message that is about to be sent.
 *
 * @param settled Called when the source has nothing more to give.
 * @throws {MessengerError} With code `invalid` if somebody has sent or reads them.
 */
export function takeData(message: Message, settled: (data: OutgoingData) => void): OutgoingData {
  claim(message.dataStream);
  const data = new OutgoingData(message, settled);
  sending.set(message, data);
  return data;
}

/** The data of a message that {@linkcode takeData} was called for. */
export function outgoingData(message: Message): OutgoingData {
  return sending.get(message)!;
}

/** The stream, for whoever is the first to send it. @throws {MessengerError} With code `invalid` for everybody else. */
export function claim(stream: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  if (stream.locked || claimed.has(stream)) {
    throw new MessengerError("invalid", "Cannot send a stream of data that is being read or was sent before");
  }
  claimed.add(stream);
  return stream;
}

function nothing(): void {}
