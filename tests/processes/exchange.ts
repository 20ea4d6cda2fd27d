/**
 * What both ends of a pair do: send everything there is to send, and keep a record of each message that left and of each that arrived.
 *
 * @module
 */

import { createHash } from "node:crypto";
import { type Connection, jsonCodec, Message, type MessageInit, MessageType, type Messenger } from "../../mod.ts";

/** The longest segment that a messenger takes unless it is told otherwise: 67,108,864 bytes. */
const LIMIT = 64 * 1024 * 1024;
const BULK = 0x8001;

/** One line for every message, in order: its number, and the length and digest of each segment. */
export interface Records {
  readonly sent: string[];
  readonly received: string[];
}

/** What the end that was dialled tells the other about its side. */
export const Account: MessageType<Records> = new MessageType(0x8002, jsonCodec<Records>());

/** Sends its part as soon as it is given a connection, and fulfils `records` when the other end's part is here as well. */
export class Exchange {
  readonly records: Promise<Records>;
  readonly #done = Promise.withResolvers<Records>();
  readonly #seed: number;
  readonly #sent: string[] = [];
  readonly #received: string[] = [];
  #begun = false;

  /** @param seed What is sent follows from it. */
  constructor(messenger: Messenger, seed: number) {
    this.#seed = seed;
    this.records = this.#done.promise;
    messenger.addDispatcherHead({
      dispatch: (message) => {
        if (message.type !== BULK) return false;
        this.#received.push(record(message));
        this.#look();
        return true;
      },
      handleAccept: (connection) => this.run(connection),
      handleReset: (_, { error }) => this.#done.reject(error),
      handleRemoteReset: () => this.#done.reject(new Error("The peer lost the session")),
    });
  }

  /** Sends everything, as fast as it is taken. */
  async run(connection: Connection): Promise<void> {
    if (this.#begun) return;
    this.#begun = true;
    for (const init of parts(this.#seed)) {
      await connection.ready;
      const message = new Message(BULK, { ...init, tid: this.#sent.length + 1 });
      this.#sent.push(record(message));
      connection.send(message);
    }
    this.#look();
  }

  #look(): void {
    if (this.#sent.length < COUNT || this.#received.length < COUNT) return;
    this.#done.resolve({ sent: this.#sent, received: this.#received });
  }
}

const SMALL = 1000;
/** How many messages {@linkcode parts} makes. */
export const COUNT = SMALL + 5 + SMALL;

/** Small messages, then an empty one, one with the longest possible front, middle and data each, an empty one, and small ones again. */
function* parts(seed: number): Generator<MessageInit> {
  // An odd start, and another one for each segment: nothing is aligned, and no segment passes for another.
  const bytes = randomBytes(LIMIT + 5, seed);
  yield* small(bytes);
  yield {};
  yield { front: bytes.subarray(1, 1 + LIMIT) };
  yield { middle: bytes.subarray(3, 3 + LIMIT) };
  yield { data: bytes.subarray(5, 5 + LIMIT) };
  yield {};
  yield* small(bytes.subarray(LIMIT / 2));
}

/** Segments of 0 to 2,047 bytes, and now and then data of up to 64 KiB. */
function* small(bytes: Uint8Array): Generator<MessageInit> {
  let at = 0;
  const take = (length: number): Uint8Array => bytes.subarray(at, at += length);
  for (let i = 0; i < SMALL; i++) {
    const [a, b, c, d, e, f] = take(6) as unknown as [number, number, number, number, number, number];
    yield {
      front: take((a << 8 | b) % 2048),
      middle: c < 128 ? take(0) : take((c << 8 | d) % 2048),
      data: take(i % 20 === 0 ? e << 8 | f : (e << 8 | f) % 2048),
    };
  }
}

function record({ tid, front, middle, data }: Message): string {
  return [tid, ...[front, middle, data].map((segment) => `${segment.length}:${digest(segment)}`)].join(" ");
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex").slice(0, 16);
}

/** Bytes that no shift, loss or repetition leaves unnoticed (xorshift32). */
function randomBytes(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}
