/**
 * Messages with contents of a type: what a program defines once and uses on both sides.
 *
 * @module
 */

import { MessengerError } from "./errors.ts";
import { Message, type MessageInit } from "./message.ts";

/** The three segments of a message, of which any may be missing. */
export interface Segments {
  /** The first segment. */
  readonly front?: Uint8Array;
  /** The second segment. */
  readonly middle?: Uint8Array;
  /** The third segment. */
  readonly data?: Uint8Array | ReadableStream<Uint8Array>;
  /** How many bytes that is, where it is a stream. */
  readonly dataLength?: number;
}

/** How values of a type become bytes and bytes become values. */
export interface MessageCodec<T> {
  /** Makes segments of a value. */
  encode(value: T): Segments;
  /** Makes a value of a received message's segments. What it throws becomes the cause of a `bad_message` error. */
  decode(message: Message): T;
  /** Whether data are to be received as a stream: `decode` then finds them in the message's `dataStream`. */
  readonly isStreamed?: boolean;
}

/** Bytes as they are, in the data segment. */
export const bytesCodec: MessageCodec<Uint8Array> = {
  encode: (data) => ({ data }),
  decode: (message) => message.data,
};

/** Text in UTF-8, in the front. Bytes that are no UTF-8 are an error. */
export const textCodec: MessageCodec<string> = {
  encode: (text) => ({ front: new TextEncoder().encode(text) }),
  decode: (message) => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(message.front),
};

/**
 * JSON, in the front. A value that JSON cannot hold, such as `undefined`, is an error with code `bad_message` where it is sent.
 *
 * @param check Makes sure that what arrived is a `T`, and throws if it is not. Without one a peer is trusted to send what its type says.
 */
export function jsonCodec<T>(check: (value: unknown) => T = (value) => value as T): MessageCodec<T> {
  return {
    encode: (value) => {
      const text = JSON.stringify(value) as string | undefined;
      if (text !== undefined) return textCodec.encode(text);
      throw new MessengerError("bad_message", `Cannot write a message as JSON: got ${typeof value}`);
    },
    decode: (message) => check(JSON.parse(textCodec.decode(message))),
  };
}

/** The contents of a message whose data are a stream. */
export interface Streamed<Head> {
  /** What comes before the data. */
  readonly head: Head;
  /** The data. Who receives them has to read them to their end, or cancel them: see {@linkcode Message.dataStream}. */
  readonly stream: ReadableStream<Uint8Array>;
  /** How many bytes the stream has, 0 to 2^32 - 1. */
  readonly length: number;
}

/**
 * Data that are sent and received as a stream, with a head in front of them: files, say. They need not fit into memory; `maxStreamedDataBytes` limits them.
 *
 * @param head How the head is encoded: in the front, so not by {@linkcode bytesCodec}.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { jsonCodec, MessageType, Messenger, streamCodec } from "@msgr/pipe";
 * import { MemoryNetwork } from "@msgr/pipe/testing";
 *
 * const File = new MessageType(0x8001, streamCodec(jsonCodec<{ name: string }>()));
 * const network = new MemoryNetwork();
 *
 * await using server = new Messenger({ network });
 * const { promise: received, resolve } = Promise.withResolvers<string>();
 * server.on(File, async ({ head, stream }) => {
 *   let size = 0;
 *   for await (const chunk of stream) size += chunk.length;
 *   resolve(`${head.name}: ${size} bytes`);
 * });
 * await server.bind("127.0.0.1:6800");
 *
 * await using client = new Messenger({ network });
 * const file = new Blob([new Uint8Array(3_000_000)]);
 * client.connectTo("127.0.0.1:6800").send(
 *   File.message({ head: { name: "zeros" }, stream: file.stream(), length: file.size }),
 * );
 * assertEquals(await received, "zeros: 3000000 bytes");
 * ```
 */
export function streamCodec<Head>(head: MessageCodec<Head>): MessageCodec<Streamed<Head>> {
  return {
    isStreamed: true,
    encode: (value) => ({ ...head.encode(value.head), data: value.stream, dataLength: value.length }),
    decode: (message) => ({ head: head.decode(message), stream: message.dataStream, length: message.dataLength }),
  };
}

/**
 * A type of message: its number and how its contents are encoded.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { jsonCodec, MessageType } from "@msgr/pipe";
 *
 * const Greeting = new MessageType(0x8001, jsonCodec<{ to: string }>());
 * const message = Greeting.message({ to: "osd.3" });
 * assertEquals(message.type, 0x8001);
 * assertEquals(Greeting.read(message), { to: "osd.3" });
 * ```
 */
export class MessageType<T> {
  /** The number on the wire, 0 to 65535. Ceph's own are below 0x1000. */
  readonly type: number;
  /** How the contents are encoded. */
  readonly codec: MessageCodec<T>;

  /**
   * Defines a type of message.
   *
   * @param type The number on the wire.
   * @param codec How the contents are encoded.
   */
  constructor(type: number, codec: MessageCodec<T>) {
    this.type = new Message(type).type;
    this.codec = codec;
  }

  /**
   * Makes a message of a value. `init` sets its numbers: `tid`, `priority`, and so on.
   *
   * @throws {MessengerError} With code `invalid` for a number out of range; and what the codec throws for a value that it cannot write.
   */
  message(value: T, init: Omit<MessageInit, keyof Segments> = {}): Message {
    return new Message(this.type, { ...init, ...this.codec.encode(value) });
  }

  /** Whether its data are received as a stream. */
  get isStreamed(): boolean {
    return this.codec.isStreamed ?? false;
  }

  /** Whether a message is of this type. */
  matches(message: Message): boolean {
    return message.type === this.type;
  }

  /**
   * The value in a message of this type.
   *
   * @throws {MessengerError} With code `bad_message` if it is of another type, or its contents do not fit.
   */
  read(message: Message): T {
    if (!this.matches(message)) {
      throw new MessengerError("bad_message", `Cannot read message of type ${message.type}: expected ${this.type}`);
    }
    try {
      return this.codec.decode(message);
    } catch (cause) {
      throw new MessengerError(
        "bad_message",
        `Cannot read message ${message.seq} of type ${this.type}: ${
          cause instanceof Error ? cause.message : String(cause)
        }`,
        { cause },
      );
    }
  }
}
