/**
 * Reading a stream of messages without the stream's own work for each of them.
 *
 * @module
 */

import type { Message } from "./message.ts";

/** Takes the message that the stream would give next, if there is one. */
export type TakeMessage = () => Message | undefined;

type Result = ReadableStreamReadResult<Message>;

/**
 * A stream's reader that goes through the stream only to wait: a message that is there already is taken from where the stream would get it. That saves the
 * promises of a pull and a read.
 */
export class MessageReader extends ReadableStreamDefaultReader<Message> {
  #take: TakeMessage | undefined;
  /** Reads of the stream that have not been answered. Those that follow must not overtake them. */
  #reads = 0;

  /**
   * @param stream The stream: it is locked.
   * @param take Takes what it would give.
   */
  constructor(stream: ReadableStream<Message>, take: TakeMessage) {
    super(stream);
    this.#take = take;
  }

  override read(): Promise<Result> {
    const message = this.#reads === 0 ? this.#take?.() : undefined;
    return message === undefined ? this.#read() : Promise.resolve({ done: false, value: message });
  }

  override releaseLock(): void {
    this.#take = undefined;
    super.releaseLock();
  }

  async #read(): Promise<Result> {
    this.#reads++;
    try {
      return await super.read();
    } finally {
      this.#reads--;
    }
  }
}

/** What `for await` over the stream uses. */
export class MessageIterator implements AsyncIterableIterator<Message, undefined> {
  readonly #reader: MessageReader;
  readonly #preventCancel: boolean;
  #isOver = false;

  /**
   * @param reader Reads the stream.
   * @param preventCancel Whether who leaves the loop leaves the stream as it is.
   */
  constructor(reader: MessageReader, preventCancel: boolean) {
    this.#reader = reader;
    this.#preventCancel = preventCancel;
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    if (this.#isOver) return Promise.resolve({ done: true, value: undefined });
    return this.#reader.read().then(this.#told, this.#failed);
  }

  async return(): Promise<IteratorResult<Message, undefined>> {
    if (this.#isOver) return { done: true, value: undefined };
    const cancelled = this.#preventCancel ? undefined : this.#reader.cancel();
    this.#end();
    await cancelled;
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  readonly #told = (result: Result): IteratorResult<Message, undefined> => {
    if (!result.done) return result;
    this.#end();
    return { done: true, value: undefined };
  };

  readonly #failed = (error: unknown): never => {
    this.#end();
    throw error;
  };

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#reader.releaseLock();
  }
}
