/**
 * What callers send and receive.
 *
 * @module
 */

import type { Connection } from "./connection.ts";
import { MessengerError } from "./errors.ts";
import { EntityType } from "./wire/constants.ts";
import { EntityName } from "./wire/entity.ts";
import { emptyMessageHeader, type MessageHead } from "./wire/frame.ts";
import { HeadCache } from "./head_cache.ts";
import type { RawBuffer } from "./raw_buffer.ts";

const EMPTY = new Uint8Array(0);
/** Where the segments of a message lie that has been put. */
const NOWHERE = -1;
const heads = new HeadCache();
const UNKNOWN_SOURCE = new EntityName(EntityType.CLIENT);

/** The parts of a message beside its type; all may be left out. */
export interface MessageInit {
  /** The first segment: by custom the message's encoded fields. */
  readonly front?: Uint8Array;
  /** The second segment: seldom used. */
  readonly middle?: Uint8Array;
  /** The third segment: by custom bulk data. A stream is read while it is sent, so that it need not fit into memory: see {@linkcode Message.dataStream}. */
  readonly data?: Uint8Array | ReadableStream<Uint8Array>;
  /** How many bytes `data` has, 0 to 2^32 - 1. A stream needs it; of bytes it has to be their length. */
  readonly dataLength?: number;
  /** The application's transaction number, 0 to 2^53 - 1. */
  readonly tid?: number;
  /** 1 to 65535, by custom at most 255; a higher one overtakes. 0 takes the messenger's default, 127. */
  readonly priority?: number;
  /** How the contents are encoded, 0 to 65535. */
  readonly version?: number;
  /** The oldest decoder that can read the contents, 0 to 65535. By default that of `version`. */
  readonly compatVersion?: number;
  /** How the data wants to be aligned in a receiver's memory: the low 16 bits of its natural offset. */
  readonly dataOffset?: number;
}

/** What messages share that came with one read of the socket. */
export interface Arrival {
  /** What was read. */
  readonly bytes: Uint8Array;
  /** What that lies in, if it can be used again; each of the messages needs it. */
  readonly memory?: RawBuffer | undefined;
  /** That is so little that parts of it are better copied. */
  readonly isCopied?: boolean;
  /** Who sent it. */
  readonly source: EntityName;
  /** By which connection. */
  readonly connection: Connection;
  /** When, in milliseconds since 1970. */
  readonly receivedAt: number;
}

let receive: (
  head: Readonly<MessageHead>,
  seq: number,
  tid: number,
  arrival: Arrival,
  at: number,
  lease?: Lease,
) => Message;
let headOf: (message: Message) => Readonly<MessageHead>;
let setData: (message: Message, data: DataSource) => void;
let markReceived: (
  message: Message,
  connection: Connection,
  source: EntityName,
  receivedAt: number,
  data?: DataSource & Lease,
) => Message;
let keepBytes: (message: Message) => void;
let isPut: (message: Message) => boolean;
let letGo: (message: Message) => void;
let keep: (message: Message) => Lease | undefined;

/** What takes back a received message's share of the throttles: one for all messages of a connection. */
export interface Lease {
  /** Gives one message of `bytes` bytes back. */
  release(bytes: number): void;
}

/** Where the data of a message come from that are a stream. */
export interface DataSource {
  /** The stream: always the same. */
  readonly stream: ReadableStream<Uint8Array>;
}

/**
 * A message: a type, three segments of bytes, and a few numbers. Ceph's `Message`.
 *
 * The segments are not copied: do not change bytes that were given to a message until it has been sent, or where the session is
 * lossless, acknowledged. If their buffer is transferred meanwhile, as by `postMessage`, the message cannot be sent: status events tell `not_sent`,
 * `flush()` and a request reject with code `invalid`, and the other messages go on. Those of a received message lie in what was read together with its neighbours: see {@linkcode Message.detach}. One message may be sent on any number of connections, and a received one may be sent on. Where the data are a stream it can be sent once.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Message } from "@msgr/pipe";
 *
 * const message = new Message(0x8001, { data: new TextEncoder().encode("hello"), tid: 7 });
 * assertEquals([message.type, message.tid, message.byteLength], [0x8001, 7, 5]);
 * ```
 *
 * @example Data that are not in memory
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Message } from "@msgr/pipe";
 *
 * const image = new Blob(["so many bytes"]);
 * const message = new Message(0x8001, { data: image.stream(), dataLength: image.size });
 * assertEquals([message.isStreamed, message.dataLength], [true, 13]);
 * ```
 */
export class Message {
  /** What kind of message it is, 0 to 65535. Ceph's own types are below 0x1000. */
  declare readonly type: number;
  /** The application's transaction number. */
  declare readonly tid: number;
  /** The number that the sender gave it within the session; 0 for a message that was not received. */
  declare readonly seq: number;

  /** What it shares with others: a message costs as much memory as it has fields, and time with it. */
  readonly #head: Readonly<MessageHead>;
  /** How a received message came. Its segments lie in there from {@linkcode #at} on; views of them are only made when somebody looks. */
  #arrival: Arrival | undefined;
  #at: number;
  #front: Uint8Array | undefined;
  #middle: Uint8Array | undefined;
  #data: Uint8Array | undefined;
  #lease: Lease | undefined;
  #source: DataSource | undefined;
  /** It was sent on: its bytes are needed, whoever says that he does not. */
  #isKept = false;

  /**
   * Makes a message to send.
   *
   * @param type What kind of message it is, 0 to 65535.
   * @param init Its segments and numbers.
   * @throws {MessengerError} With code `invalid` for a number out of range, a segment that is no `Uint8Array`, or a stream without `dataLength`.
   */
  constructor(type: number, init: MessageInit = {}) {
    if (init === received) {
      this.#head = received.head;
      this.#arrival = received.arrival;
      this.#at = received.at;
      this.#lease = received.lease;
      this.type = type;
      this.tid = received.tid;
      this.seq = received.seq;
      return;
    }
    this.type = checked("type", type, 0xffff);
    this.tid = init.tid === undefined ? 0 : checked("tid", init.tid, Number.MAX_SAFE_INTEGER);
    this.seq = 0;
    const priority = init.priority === undefined ? 0 : checked("priority", init.priority, 0xffff);
    const version = init.version === undefined ? 0 : checked("version", init.version, 0xffff);
    const compatVersion = init.compatVersion === undefined
      ? version
      : checked("compatVersion", init.compatVersion, 0xffff);
    const dataOffset = init.dataOffset === undefined ? 0 : checked("dataOffset", init.dataOffset, 0xffff);
    this.#at = 0;
    this.#front = init.front === undefined ? EMPTY : checkedBytes("front", init.front);
    this.#middle = init.middle === undefined ? EMPTY : checkedBytes("middle", init.middle);
    const { data } = init;
    if (data instanceof Uint8Array) this.#data = data;
    else if (data instanceof ReadableStream) this.#source = { stream: data };
    else this.#data = data === undefined ? EMPTY : checkedBytes("data", data);
    const dataLength = this.#data?.length ?? checked("dataLength", init.dataLength ?? NaN, 0xffffffff);
    if (init.dataLength !== undefined) checkLength(init.dataLength, dataLength);
    this.#head = heads.of(
      type,
      priority,
      version,
      compatVersion,
      dataOffset,
      this.#front.length,
      this.#middle.length,
      dataLength,
    );
  }

  /** Higher leaves, and is dispatched, first; 0 for the messenger's default. */
  get priority(): number {
    return this.#head.priority;
  }

  /** How the contents are encoded. */
  get version(): number {
    return this.#head.version;
  }

  /** The oldest decoder that can read the contents. */
  get compatVersion(): number {
    return this.#head.compatVersion;
  }

  /** How the data wants to be aligned in a receiver's memory. */
  get dataOffset(): number {
    return this.#head.dataOffset;
  }

  /** Bytes of the front. */
  get frontLength(): number {
    return this.#head.frontLength;
  }

  /** Bytes of the middle. */
  get middleLength(): number {
    return this.#head.middleLength;
  }

  /** Bytes of the data. */
  get dataLength(): number {
    return this.#head.dataLength;
  }

  /** Bytes of all three segments. */
  get byteLength(): number {
    const { frontLength, middleLength, dataLength } = this.#head;
    return frontLength + middleLength + dataLength;
  }

  /** Who sent it; `client.?` for a message that was not received. */
  get source(): EntityName {
    return this.#arrival?.source ?? UNKNOWN_SOURCE;
  }

  /** When its first byte was seen, in milliseconds since 1970; 0 for a message that was not received. Ceph's `recv_stamp`. */
  get receivedAt(): number {
    return this.#arrival?.receivedAt ?? 0;
  }

  /** The first segment. */
  get front(): Uint8Array {
    return this.#front ??= this.#view(0, this.frontLength);
  }

  /** The second segment. */
  get middle(): Uint8Array {
    return this.#middle ??= this.#view(this.frontLength, this.middleLength);
  }

  /**
   * The third segment.
   *
   * @throws {MessengerError} With code `invalid` if it is a stream: see {@linkcode dataStream}.
   */
  get data(): Uint8Array {
    if (this.#data !== undefined) return this.#data;
    if (this.#source === undefined) {
      return this.#data = this.#view(this.frontLength + this.middleLength, this.dataLength);
    }
    throw new MessengerError("invalid", `Cannot hand out the data of message ${this.seq}: read its dataStream`);
  }

  /** Whether the third segment is a stream: it was made so, or received as one. */
  get isStreamed(): boolean {
    return this.#source !== undefined;
  }

  /**
   * The third segment as a stream: that of the message where it is {@linkcode isStreamed}, and else a new one of its bytes.
   *
   * Of a received message it has to be read to its end, or cancelled: at most 1 MiB of it waits unread, and after that its connection. If nobody has
   * asked for it when the dispatchers are done with the message, the data are dropped.
   *
   * It fails with a {@linkcode MessengerError}, after some of the bytes or all, whose code is
   * - `session_reset` or `closed`: the session was lost, or ended on this side;
   * - `aborted`: the sender has given the message up;
   * - `protocol`: what arrived is not what was sent. Front, middle and data are only known to be right when the stream has ended.
   */
  get dataStream(): ReadableStream<Uint8Array> {
    return this.#source?.stream ?? streamOf(this.data);
  }

  /**
   * The connection that it came by, to answer on.
   *
   * @throws {MessengerError} With code `invalid` for a message that was not received.
   */
  get connection(): Connection {
    if (this.#arrival !== undefined) return this.#arrival.connection;
    throw new MessengerError("invalid", "Cannot tell the connection of a message: it was not received");
  }

  /**
   * Gives a received message bytes of its own. Its segments are views of what came with one read of the socket, up to 256 KiB (512 KiB on Bun, or of large ones; where
   * Bun read less than 1 KiB they are copies), and as long as one of them is kept so is all of that: call this on a message that you keep. Segments that were looked at before stay what they were.
   *
   * @returns The message.
   *
   * @example A log that holds what it logs, and nothing else
   * ```ts
   * import type { Dispatcher, Message } from "@msgr/pipe";
   *
   * const latest: Message[] = [];
   *
   * export const log: Dispatcher = {
   *   dispatch(message) {
   *     latest.push(message.detach());
   *     if (latest.length > 1000) latest.shift();
   *   },
   * };
   * ```
   */
  detach(): this {
    const byteLength = this.isStreamed ? this.frontLength + this.middleLength : this.byteLength;
    const arrival = this.#arrival;
    if (arrival === undefined || this.#at === NOWHERE) return this;
    if (arrival.bytes.length === 0 || arrival.bytes.buffer.byteLength === byteLength) return this;
    const bytes = arrival.bytes.slice(this.#at, this.#at + byteLength);
    this.#arrival = { ...arrival, bytes, memory: undefined };
    this.#at = 0;
    // Nobody has views of what it leaves.
    const isSeen = this.#front !== undefined || this.#middle !== undefined || this.#data !== undefined;
    if (!isSeen && !this.#isKept) arrival.memory?.put();
    this.#front = this.#middle = this.#data = undefined;
    return this;
  }

  /**
   * Gives the memory of a received message's segments back, so that what arrives next goes there: of use with large messages and many small ones, as new memory
   * costs more than all else that receiving them does. Call it once, when nobody needs the bytes any more; nobody has to. Ceph's `Message::put`.
   *
   * The segments are gone with that: to ask for them throws, and what was looked at before becomes empty as soon as what arrived together has been given back.
   * It does nothing to a message that was not received, or was sent on.
   *
   * @example Adding up what comes
   * ```ts
   * import type { Dispatcher } from "@msgr/pipe";
   *
   * let sum = 0;
   *
   * export const adder: Dispatcher = {
   *   dispatch(message) {
   *     for (const byte of message.data) sum += byte;
   *     message.put();
   *   },
   * };
   * ```
   */
  put(): void {
    const arrival = this.#arrival;
    if (arrival === undefined || this.#isKept || this.#at === NOWHERE) return;
    this.#at = NOWHERE;
    this.#front = this.#middle = undefined;
    if (this.#source === undefined) this.#data = undefined;
    arrival.memory?.put();
  }

  #view(offset: number, length: number): Uint8Array {
    if (length === 0) return EMPTY;
    if (this.#at === NOWHERE) {
      throw new MessengerError(
        "invalid",
        `Cannot hand out the bytes of message ${this.seq}: they were given back by put()`,
      );
    }
    const { bytes, isCopied } = this.#arrival!, from = this.#at + offset;
    return isCopied ? bytes.slice(from, from + length) : bytes.subarray(from, from + length);
  }

  static {
    receive = (head, seq, tid, arrival, at, lease) => {
      received.head = head;
      received.seq = seq;
      received.tid = tid;
      received.arrival = arrival;
      received.at = at;
      received.lease = lease;
      const message = new Message(head.type, received);
      received.arrival = received.lease = undefined;
      return message;
    };
    headOf = (message) => message.#head;
    setData = (message, data) => {
      message.#source = data;
    };
    markReceived = (original, connection, source, receivedAt, data) => {
      const message = copyOf(original, original.tid);
      if (data !== undefined) message.#source = message.#lease = data;
      message.#arrival = { bytes: EMPTY, source, connection, receivedAt };
      return message;
    };
    keepBytes = (message) => {
      message.#isKept = true;
    };
    isPut = (message) => message.#at === NOWHERE;
    letGo = (message) => {
      const lease = message.#lease;
      if (lease === undefined) return;
      message.#lease = undefined;
      lease.release(message.byteLength);
    };
    keep = (message) => {
      const lease = message.#lease;
      message.#lease = undefined;
      return lease;
    };
  }
}

/** What a received message is made of. One for all of them: it is used up at once. */
const received: MessageInit & {
  head: Readonly<MessageHead>;
  seq: number;
  tid: number;
  arrival: Arrival | undefined;
  at: number;
  lease: Lease | undefined;
} = { head: emptyMessageHeader(), seq: 0, tid: 0, arrival: undefined, at: 0, lease: undefined };

function checked(field: string, value: number, most: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= most) return value;
  throw new MessengerError("invalid", `Bad message ${field}: got ${value}, expected 0 to ${most}`);
}

function checkLength(given: number, length: number): void {
  if (given === length) return;
  throw new MessengerError("invalid", `Bad message dataLength: got ${given}, expected ${length}, the length of data`);
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: (controller) => {
      if (bytes.length > 0) controller.enqueue(bytes);
      controller.close();
    },
  });
}

/** The same message under another transaction number. */
export function copyOf(message: Message, tid: number): Message {
  const { type, priority, version, compatVersion, dataOffset, front, middle, dataLength } = message;
  keepBytes(message);
  const data = message.isStreamed ? message.dataStream : message.data;
  return new Message(type, { tid, priority, version, compatVersion, dataOffset, front, middle, data, dataLength });
}

/** Whether a message to be sent still has its bytes: since it was made they may have been given back, or their buffer transferred, or resized. */
export function isWhole(message: Message): boolean {
  const { frontLength, middleLength, dataLength } = message;
  return !isPut(message) && (frontLength === 0 || message.front.length === frontLength) &&
    (middleLength === 0 || message.middle.length === middleLength) &&
    (dataLength === 0 || message.isStreamed || message.data.length === dataLength);
}

function checkedBytes(field: string, value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new MessengerError("invalid", `Bad message ${field}: expected a Uint8Array`);
}

export {
  /** What a message shares with those that are like it. */
  headOf,
  /** Takes what a received message holds of its throttles from it: whoever asks gives it back. */
  keep as keepThrottles,
  /** Keeps the bytes of a message, whoever gives them back. */
  keepBytes,
  /** Gives back what a received message holds of its throttles; a second time it does nothing. */
  letGo as releaseThrottles,
  /** Makes a received message of one that never left the process. */
  markReceived as deliverLocally,
  /** Makes a received message; its segments lie in what arrived from `at` on. */
  receive as receivedMessage,
  /** Says where the data of a received message come from. */
  setData as setDataSource,
};
