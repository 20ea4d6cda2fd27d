/**
 * A connection's messages as Web Streams.
 *
 * @module
 */

import { abortable } from "@std/async";
import { MessengerError } from "./errors.ts";
import { type Message, releaseThrottles } from "./message.ts";
import { MessageIterator, MessageReader } from "./message_reader.ts";
import { MessageWriter } from "./message_writer.ts";
import { Ring } from "./ring.ts";
import type { Session } from "./session.ts";

/** How much a writable stream holds itself before its `ready` waits, in bytes; each message counts {@linkcode OVERHEAD} more. */
const WRITABLE_MARK = 64 * 1024, OVERHEAD = 256;

/**
 * A session's messages on their way to the readers of a stream.
 *
 * The stream itself holds none: what was not asked for stays here, with its share of the throttles, and goes to the dispatchers if the stream is
 * cancelled. A message counts as handled when the next one is asked for.
 */
export class IncomingMessages {
  /** The stream. */
  readonly stream: ReadableStream<Message>;
  readonly #session: Session;
  readonly #waiting = new Ring<Message>();
  /** What was handed to a reader, and may still be at work with. */
  #handed: Message | undefined;
  /** A reader waits. */
  #isWanted = false;
  /** No more will come. */
  #hasEnded = false;
  #controller!: ReadableStreamDefaultController<Message>;

  /** Begins with what has arrived and was not dispatched yet. */
  constructor(session: Session) {
    this.#session = session;
    this.stream = new ReadableStream<Message>({
      start: (controller) => {
        this.#controller = controller;
      },
      pull: () => this.#pull(),
      cancel: () => this.#cancel(),
    }, { highWaterMark: 0 });
    const { stream } = this, { getReader } = stream;
    const reader = () => new MessageReader(stream, this.#take);
    define(stream, {
      // A BYOB reader is refused as any such stream refuses it.
      getReader: (options?: ReadableStreamGetReaderOptions) =>
        options?.mode === undefined ? reader() : getReader.call(stream, options),
      values: ({ preventCancel = false }: ReadableStreamIteratorOptions = {}) =>
        new MessageIterator(reader(), preventCancel),
    });
    define(stream, { [Symbol.asyncIterator]: stream.values });
    const { carrier, id } = session;
    if (carrier === undefined) this.end();
    else for (const message of carrier.host.dispatchQueue.withdraw(id)) this.#waiting.push(message);
  }

  /** A message has arrived. */
  push(message: Message): true {
    if (this.#isWanted) this.#hand(message);
    else this.#waiting.push(message);
    return true;
  }

  /**
   * The session has ended, or its peer has lost it.
   *
   * @param error What broke; it drops what was not read. Without one the stream ends behind that.
   */
  end(error?: MessengerError): void {
    this.#hasEnded = true;
    if (error === undefined) {
      if (this.#waiting.length === 0) this.#close();
      return;
    }
    this.#detach();
    this.#drop();
    this.#controller.error(error);
  }

  #pull(): void {
    this.#letGo();
    const message = this.#waiting.shift();
    if (message === undefined) this.#isWanted = true;
    else this.#hand(message);
  }

  #hand(message: Message): void {
    this.#isWanted = false;
    this.#letGo();
    this.#handed = message;
    this.#session.carrier?.host.messageTaken();
    this.#controller.enqueue(message);
    if (this.#hasEnded && this.#waiting.length === 0) this.#close();
  }

  /** Hands a message that waits past the stream, to who reads it and waits for nothing. */
  readonly #take = (): Message | undefined => {
    const message = this.#waiting.shift();
    if (message === undefined) return undefined;
    this.#letGo();
    this.#handed = message;
    this.#session.carrier?.host.messageTaken();
    if (this.#hasEnded && this.#waiting.length === 0) this.#close();
    return message;
  };

  #close(): void {
    this.#detach();
    this.#letGo();
    this.#controller.close();
  }

  /** Hands back what nobody has read, as if there had never been a stream. */
  #cancel(): void {
    this.#detach();
    this.#letGo();
    const { carrier, id } = this.#session;
    if (carrier === undefined) return this.#drop();
    const { dispatchQueue, options } = carrier.host;
    for (let message = this.#waiting.shift(); message !== undefined; message = this.#waiting.shift()) {
      dispatchQueue.deliver(message, id, message.priority || options.defaultSendPriority);
    }
  }

  #drop(): void {
    this.#letGo();
    for (let message = this.#waiting.shift(); message !== undefined; message = this.#waiting.shift()) {
      releaseThrottles(message);
    }
  }

  #letGo(): void {
    if (this.#handed === undefined) return;
    releaseThrottles(this.#handed);
    this.#handed = undefined;
  }

  #detach(): void {
    if (this.#session.incoming === this) this.#session.incoming = undefined;
  }
}

/** A stream whose messages are sent on a session. */
export class OutgoingMessages {
  /** The stream. */
  readonly stream: WritableStream<Message>;
  readonly #session: Session;
  #controller!: WritableStreamDefaultController;

  /** Sends what is written from now on. */
  constructor(session: Session) {
    this.#session = session;
    this.stream = new WritableStream<Message>({
      start: (controller) => {
        this.#controller = controller;
      },
      write: (message) => this.#write(message),
      close: () => {
        this.#detach();
        return session.flush(this.#controller.signal);
      },
      abort: () => this.#detach(),
    }, { highWaterMark: WRITABLE_MARK, size: weight });
    define(this.stream, { getWriter: () => new MessageWriter(this.stream, this.#send) });
  }

  /** What was sent is lost. */
  fail(error: MessengerError): void {
    this.#detach();
    this.#controller.error(error);
  }

  #write(message: Message): void | Promise<void> {
    const session = this.#session;
    try {
      if (!session.carrier?.enqueue(message)) {
        throw new MessengerError("closed", `Cannot send to ${session.peerAddress}: the session is over`);
      }
    } catch (error) {
      this.#detach();
      throw error;
    }
    if (session.isFull) return abortable(session.ready, this.#controller.signal);
  }

  /** Sends a message past the stream. Where there is no room, or something is wrong, the stream is the one to say so. */
  readonly #send = (message: Message): boolean => {
    const session = this.#session;
    try {
      if (session.outgoing !== this || !session.hasRoomFor(weight(message))) return false;
      return session.carrier?.enqueue(message) ?? false;
    } catch {
      return false;
    }
  };

  #detach(): void {
    if (this.#session.outgoing === this) this.#session.outgoing = undefined;
  }
}

/** Gives a stream methods of its own in place of those of its kind. */
function define(stream: object, methods: Record<PropertyKey, unknown>): void {
  for (const key of Reflect.ownKeys(methods)) Object.defineProperty(stream, key, { value: methods[key] });
}

function weight(message: Message): number {
  return message.byteLength + OVERHEAD;
}
