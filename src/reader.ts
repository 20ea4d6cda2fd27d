/**
 * The socket's only reader.
 *
 * @module
 */

import type { ByteSource } from "./byte_source.ts";
import { MessengerError, NetworkError, ProtocolError } from "./errors.ts";
import { accept } from "./accept.ts";
import { Hold } from "./hold.ts";
import type { Link } from "./link.ts";
import { IncomingData, shareOf } from "./incoming_data.ts";
import { type Arrival, receivedMessage, setDataSource } from "./message.ts";
import type { Pipe } from "./pipe.ts";
import type { RawBuffer } from "./raw_buffer.ts";
import { FooterFlag, Tag, tagName } from "./wire/constants.ts";
import { crc32c } from "./wire/crc32c.ts";
import { EntityName } from "./wire/entity.ts";
import {
  checkSegments,
  CONTROL_SIZE,
  decodeAck,
  decodeMessageFooter,
  decodeTimespec,
  emptyMessageFooter,
  footerSize,
  type MessageHead,
  type MessageHeader,
  type SegmentLimits,
  TAGGED_HEADER_SIZE,
} from "./wire/frame.ts";
import { FOUND_FIELDS, FRAMES_AT, FRAMES_BYTES, makeFrameKernel, SMALL_BYTES } from "./wire/frame_kernel.ts";
import { HeaderDecoder } from "./wire/header_codec.ts";
import { getU16, toU64 } from "./wire/integers.ts";

/** What the Reader is in the middle of. */
type Phase =
  /** Between records. */
  | "tag"
  /** Collecting a small record that a chunk ended in. */
  | "record"
  /** A message's header is known, and its share of the throttles is not taken yet. */
  | "throttle"
  /** Looking for a message's segments and footer. */
  | "body"
  /** Collecting a message's segments and footer that a chunk ended in. */
  | "collect"
  /** Collecting what comes before data that are received as a stream. */
  | "head"
  /** Passing such data on. */
  | "data"
  /** Collecting the footer behind them. */
  | "footer"
  /** Passing over a message that was received before. It takes no share of the throttles: what holds that may wait for what comes behind it. */
  | "skip";

/** One for all Readers: what arrives at one program is much alike. */
const headers = new HeaderDecoder();
const kernel = makeFrameKernel();
const footer = emptyMessageFooter();
/** The sender named by any header last: with many connections most are of the same name, and need not keep it a thousand times. */
let lastSender = new EntityName(255);
const NO_BYTES = new Uint8Array(0);

/** From how many bytes on it is worth while to look for many messages at once. */
const MANY_BYTES = 512;
/** How many bytes the kernel is given at least: more than the longest message that it looks at. */
const LEAST_PORTION = 4 * SMALL_BYTES;

/**
 * From how many bytes on a message's rest is read right to where it is collected; and how much room there is behind it at least, so that the next header
 * comes with it.
 */
const LARGE_BYTES = 64 * 1024, LARGE_MARGIN = 4 * 1024;
/** About how much room there is where such messages come one after the other: for the next ones, if they are as long, up to the end of the last. */
const LARGE_ROOM = 512 * 1024;

/** Where a message's type is, behind its tag. */
const TYPE_AT = 17;

/** How long a record is, or a message's tag and header; 0 for a tag that must not come. */
const RECORD_SIZE = new Uint8Array(256);
RECORD_SIZE[Tag.MSG] = TAGGED_HEADER_SIZE;
RECORD_SIZE[Tag.ACK] = RECORD_SIZE[Tag.KEEPALIVE2] = RECORD_SIZE[Tag.KEEPALIVE2_ACK] = CONTROL_SIZE;
RECORD_SIZE[Tag.KEEPALIVE] = RECORD_SIZE[Tag.CLOSE] = 1;

/**
 * Reads what the peer sends, and hands messages to the dispatch queue. Ceph's `Pipe::reader`.
 *
 * Every chunk of the stream is taken apart in one synchronous pass; whatever lies whole in it is used in place. Only a record that a chunk ends in is collected in
 * a buffer of its own.
 */
export class Reader {
  readonly #pipe: Pipe;
  /** Whether it is at work. */
  isRunning = false;
  /** Bytes of messages that have arrived since the last ack. */
  bytesSinceAck = 0;
  /** Until when a throttle kept it from reading; `Infinity` while one does. That silence is not the peer's. */
  heldUntil = 0;

  /** Whom to tell when it has ended. */
  #stopped: PromiseWithResolvers<void> | undefined;
  /** The socket that is being read. */
  #link: Link | undefined;
  #phase: Phase = "tag";
  /** The header of the message at hand: what it has in common with others, and its numbers. */
  #head: Readonly<MessageHead> = headers.head;
  #seq = 0;
  #tid = 0;
  /** What it has in common with those that came with it. Whoever waits must not hold on to that. */
  #arrival: Arrival | undefined;
  /** Made when the first chunk ends in a record: most idle connections never see one. */
  #record = NO_BYTES;
  #recordFilled = 0;
  #body: Uint8Array = NO_BYTES;
  /** What a message's segments and footer are collected in. */
  #raw: RawBuffer | undefined;
  #bodyFilled = 0;
  /** Bytes of the message at hand, and whether its share of the throttles is taken and not yet the message's own. */
  #segments = 0;
  #holding = false;
  /** The data that are passed on, if the message at hand is received so. */
  #isStreamed = false;
  #data: IncomingData | undefined;
  /** How many bytes the kernel is given: twice what it could use of the last ones. */
  #portion = LEAST_PORTION;
  /** How many bytes are to be passed over. */
  #skip = 0;
  /** The sender named in the latest header; it is nearly always the same. */
  #sender = lastSender;

  /** @param pipe The Pipe that it lives in. */
  constructor(pipe: Pipe) {
    this.#pipe = pipe;
  }

  /** Begins to read the Pipe's socket; not at once, as whoever starts it may not be done with other things. */
  start(): void {
    const link = this.#pipe.link!;
    this.isRunning = true;
    this.#link = link;
    queueMicrotask(() => void this.#begin(link));
  }

  /** Fulfils when it has ended, if it is running. */
  get stopped(): Promise<void> {
    if (!this.isRunning) return Promise.resolve();
    this.#stopped ??= Promise.withResolvers();
    return this.#stopped.promise;
  }

  async #begin(link: Link): Promise<void> {
    const pipe = this.#pipe;
    try {
      if (pipe.state === "accepting") await accept(pipe, link);
    } catch (error) {
      return this.#fail(error);
    }
    this.#phase = "tag";
    this.#read();
  }

  /** Reads while there is something to read. What is called when there is more; no promise is made for a message that nobody waits for. */
  readonly #read = (): void => {
    const link = this.#link!, { dispatchQueue } = this.#pipe.host;
    try {
      while (this.#isReading(link)) {
        if (!link.source.tcpPoll(this.#read, this.#destination())) return;
        dispatchQueue.collect();
        const throttles = this.#takeApart(link);
        this.#arrival = undefined;
        dispatchQueue.dispatch();
        this.#pipe.ackSoon();
        if (throttles !== undefined) return void throttles.then(this.#read, (error) => this.#fail(error));
      }
    } catch (error) {
      return this.#fail(error);
    }
    this.#end();
  };

  /** Bytes of the message at hand behind its header. */
  #bodySize(): number {
    return this.#segments + footerSize(this.#pipe.oldFooter);
  }

  /** Where the next bytes had best go: to the rest of a message, if that is large. */
  #destination(): Uint8Array | undefined {
    if (this.#phase !== "collect" || this.#bodySize() < LARGE_BYTES) return undefined;
    return this.#body.subarray(this.#bodyFilled);
  }

  /** How much memory the message at hand is collected in, which takes so many bytes. */
  #roomFor(size: number, { chunk, readsInPlace }: ByteSource): number {
    if (size < LARGE_BYTES || !readsInPlace) return size;
    const whole = size + TAGGED_HEADER_SIZE, isOneOfMany = chunk.length > 2 * whole;
    return size + Math.max(LARGE_MARGIN, isOneOfMany ? (Math.round(LARGE_ROOM / whole) - 1) * whole : 0);
  }

  #fail(error: unknown): void {
    // A broken connection does not end a stream: the session brings the rest. Wrong contents do.
    if (this.#data !== undefined && error instanceof MessengerError && !(error instanceof NetworkError)) {
      this.#pipe.session.endArriving(error);
    }
    // The Pipe may have given this socket up already; then there is nothing left to say about it.
    if (this.#pipe.link === this.#link) this.#pipe.fault(error, true);
    this.#end();
    this.#pipe.host.dispatchQueue.dispatch();
  }

  #end(): void {
    if (this.#holding) this.#release();
    this.isRunning = false;
    this.#link = this.#data = undefined;
    this.#body = NO_BYTES;
    this.#raw = undefined;
    this.#stopped?.resolve();
    this.#stopped = undefined;
    this.#pipe.reapIfDone();
  }

  /** Whether this socket is still to be read: a dispatcher may have ended the session in the middle of a chunk. */
  #isReading(link: Link): boolean {
    const { state } = this.#pipe;
    return this.#pipe.link === link && (state === "open" || state === "closing");
  }

  /** Takes apart what is in the current chunk. Returns a promise only where a throttle makes it wait. */
  #takeApart(link: Link): void | Promise<void> {
    const { source } = link;
    while (this.#isReading(link)) {
      switch (this.#phase) {
        case "tag": {
          if (source.available === 0) return;
          const tag = source.chunk[source.at]!;
          if (tag === Tag.MSG && source.available >= MANY_BYTES && this.#takeMany(source, link)) break;
          const size = RECORD_SIZE[tag]!;
          if (size === 0) throw new ProtocolError("tag", tagName(tag), "a tag of an open session");
          if (source.available < size) {
            if (this.#record === NO_BYTES) this.#record = new Uint8Array(TAGGED_HEADER_SIZE);
            this.#recordFilled = source.tcpReadNonblocking(this.#record, 0, size);
            this.#phase = "record";
            return;
          }
          const at = source.at;
          source.at += size;
          this.#handle(source.chunk, at);
          break;
        }
        case "record": {
          const size = RECORD_SIZE[this.#record[0]!]!;
          this.#recordFilled += source.tcpReadNonblocking(this.#record, this.#recordFilled, size - this.#recordFilled);
          if (this.#recordFilled < size) return;
          this.#phase = "tag";
          this.#handle(this.#record, 0);
          break;
        }
        case "throttle": {
          const wait = this.#takeThrottles(link);
          if (wait !== undefined) return wait;
          this.#admitted();
          break;
        }
        case "body": {
          const size = this.#bodySize();
          if (source.available < size) {
            this.#raw = source.allocate(this.#roomFor(size, source));
            this.#body = this.#raw.bytes;
            this.#bodyFilled = source.tcpReadNonblocking(this.#body, 0, size);
            this.#phase = "collect";
            return;
          }
          const at = source.at;
          source.at += size;
          this.#phase = "tag";
          this.#deliver(source, source.chunk, at);
          break;
        }
        case "collect": {
          const size = this.#bodySize();
          this.#bodyFilled += source.tcpReadNonblocking(this.#body, this.#bodyFilled, size - this.#bodyFilled);
          if (this.#bodyFilled < size) return;
          const body = this.#body, raw = this.#raw!;
          this.#body = NO_BYTES;
          this.#phase = "tag";
          this.#deliver(source, body, 0);
          // Not before: it is what the message lies in.
          this.#raw = undefined;
          raw.put();
          break;
        }
        case "head":
          if (!this.#collect(source)) return;
          this.#open(source);
          break;
        case "data": {
          const data = this.#data!;
          if (data.missing === 0) {
            this.#gather("footer", footerSize(this.#pipe.oldFooter));
            break;
          }
          if (source.available === 0) return;
          const count = Math.min(source.available, data.missing, data.room);
          if (count === 0) return this.#waitForRoom(data, link.signal);
          // Whoever reads the stream may keep it.
          source.chunkMemory?.get();
          data.push(source.chunk.subarray(source.at, source.at + count));
          source.at += count;
          break;
        }
        case "footer":
          if (!this.#collect(source)) return;
          this.#phase = "tag";
          this.#close(this.#body);
          break;
        case "skip": {
          const count = Math.min(source.available, this.#skip);
          source.at += count;
          this.#skip -= count;
          if (this.#skip > 0) return;
          this.#phase = "tag";
          this.#ignore();
          break;
        }
      }
    }
  }

  /**
   * Takes messages that the kernel has found to be whole and right, up to the first one for which there is more to be done than to hand it on. Whether
   * there were any.
   */
  #takeMany(source: ByteSource, link: Link): boolean {
    const pipe = this.#pipe,
      { session, host, policy } = pipe,
      { chunk } = source,
      from = source.at;
    if (kernel === undefined || pipe.security !== undefined || this.#segments > SMALL_BYTES) return false;
    if (policy.throttlerMessages !== undefined || policy.throttlerBytes !== undefined) return false;
    if (this.#isOfStreamedType(chunk, from)) return false;
    const length = Math.min(source.available, this.#portion, FRAMES_BYTES);
    if (session.heldBytes + 2 * length > host.dispatchThrottle.room) return false;
    kernel.memory.set(chunk.subarray(from, from + length), FRAMES_AT);
    const footerBytes = footerSize(pipe.oldFooter), { found } = kernel;
    const count = kernel.check(FRAMES_AT, FRAMES_AT + length, footerBytes);
    host.dispatchQueue.expect(count, session.out.unacknowledged);
    for (let i = 0; i < count; i++) {
      const field = i * FOUND_FIELDS, at = from + found[field]! - FRAMES_AT;
      source.at = at;
      if (!this.#isReading(link)) return true;
      if (found[field + 5] === 0) {
        this.#decodeHeader(chunk, at + 1, host.options);
        if (host.streamedTypes.has(this.#head.type)) return i > 0;
        this.#learnSender();
      } else {
        this.#seq = toU64(found[field + 1]!, found[field + 2]!);
        this.#tid = toU64(found[field + 3]!, found[field + 4]!);
      }
      // Larger than a number can be: the other way says so.
      if (Number.isNaN(this.#seq + this.#tid)) return i > 0;
      if (this.#wasReceived()) {
        this.#ignore();
        source.at = at + TAGGED_HEADER_SIZE + this.#segments + footerBytes;
        continue;
      }
      if (!host.dispatchThrottle.getOrFail(this.#segments)) return i > 0;
      this.#hold();
      source.at = at + TAGGED_HEADER_SIZE + this.#segments + footerBytes;
      this.#accept(source, chunk, at + TAGGED_HEADER_SIZE);
    }
    // Where the chunk ends in the middle of the first one, that says nothing of those that come.
    if (count > 0 || length < source.available) this.#portion = Math.max(LEAST_PORTION, 2 * (source.at - from));
    return count > 0;
  }

  /** Whether the data of the message whose tag is at `at` are received as a stream. */
  #isOfStreamedType(bytes: Uint8Array, at: number): boolean {
    const { streamedTypes } = this.#pipe.host;
    return streamedTypes.size > 0 && streamedTypes.has(getU16(bytes, at + TYPE_AT));
  }

  /** Begins to collect so many bytes. */
  #gather(phase: "head" | "footer", size: number): void {
    this.#phase = phase;
    this.#body = new Uint8Array(size);
    this.#bodyFilled = 0;
  }

  /** Whether all of them are here. */
  #collect(source: ByteSource): boolean {
    const body = this.#body;
    this.#bodyFilled += source.tcpReadNonblocking(body, this.#bodyFilled, body.length - this.#bodyFilled);
    return this.#bodyFilled === body.length;
  }

  /** A whole record, or a message's tag and header, lies at `at`. */
  #handle(bytes: Uint8Array, at: number): void {
    const pipe = this.#pipe;
    switch (bytes[at]) {
      case Tag.MSG:
        this.#isStreamed = this.#isOfStreamedType(bytes, at);
        this.#decodeHeader(bytes, at + 1, this.#isStreamed ? pipe.host.streamedLimits : pipe.host.options);
        if (this.#wasReceived()) {
          this.#skip = this.#bodySize();
          this.#phase = "skip";
          break;
        }
        this.#endReplaced();
        this.#phase = "throttle";
        if (this.#isStreamed) this.#expectStream();
        break;
      case Tag.ACK: {
        const seq = decodeAck(bytes, at + 1), { session } = pipe;
        // A lossy session remembers nothing that an ack could be about.
        if (seq > session.out.lastSeq && !pipe.policy.lossy) {
          throw new ProtocolError("ack", seq, `at most ${session.out.lastSeq}, the last number sent`);
        }
        if (session.out.handleAck(seq) > 0) session.acknowledged();
        if (pipe.closeRequested) pipe.writer.wake();
        break;
      }
      case Tag.KEEPALIVE:
        pipe.session.lastKeepalive = pipe.host.options.environment.now();
        break;
      case Tag.KEEPALIVE2:
        pipe.session.lastKeepalive = pipe.host.options.environment.now();
        pipe.keepaliveStamp = bytes.slice(at + 1, at + CONTROL_SIZE);
        pipe.writer.wake();
        break;
      case Tag.KEEPALIVE2_ACK:
        pipe.session.lastKeepaliveAck = decodeTimespec(bytes, at + 1);
        break;
      case Tag.CLOSE:
        pipe.closeReceived();
        break;
    }
  }

  /** Makes the message at hand the one whose header lies at `at`. */
  #decodeHeader(bytes: Uint8Array, at: number, limits: SegmentLimits): void {
    headers.decode(bytes, at, limits);
    const head = this.#head = headers.head;
    this.#seq = headers.seq;
    this.#tid = headers.tid;
    this.#segments = head.frontLength + head.middleLength + head.dataLength;
  }

  /** The whole header of the message at hand, for those who look at more than its numbers. */
  #header(): MessageHeader {
    return { ...this.#head, seq: this.#seq, tid: this.#tid };
  }

  /** Takes the message's share of the throttles, in Ceph's order. Returns a promise only if it has to wait. */
  #takeThrottles(link: Link): Promise<void> | undefined {
    const { throttlerMessages, throttlerBytes } = this.#pipe.policy;
    if (throttlerMessages === undefined && throttlerBytes === undefined) {
      if (!this.#holdsTooMuch() && this.#pipe.host.dispatchThrottle.getOrFail(this.#segments)) {
        this.#hold();
        return undefined;
      }
    }
    return this.#waitForThrottles(link.signal);
  }

  /**
   * Whether the session holds more of a throttle than is left for all who share it. Then it waits for its own dispatcher, and not in the others'
   * line: whatever one connection brings, there is room for another.
   */
  #holdsTooMuch(): boolean {
    const { session: { heldMessages, heldBytes }, policy, host } = this.#pipe;
    return heldMessages > 0 && (
      heldBytes > host.dispatchThrottle.room ||
      (policy.throttlerBytes !== undefined && heldBytes > policy.throttlerBytes.room) ||
      (policy.throttlerMessages !== undefined && heldMessages > policy.throttlerMessages.room)
    );
  }

  async #waitForThrottles(signal: AbortSignal): Promise<void> {
    const { throttlerMessages, throttlerBytes } = this.#pipe.policy;
    const size = this.#segments;
    const { session } = this.#pipe;
    const hold = new Hold(this.#pipe);
    this.heldUntil = Infinity;
    session.isHeld = true;
    try {
      while (this.#holdsTooMuch()) {
        signal.throwIfAborted();
        await session.handled(signal);
      }
      hold.by = "throttlerMessages";
      await throttlerMessages?.get(1, signal);
      try {
        hold.by = "throttlerBytes";
        await throttlerBytes?.get(size, signal);
        try {
          hold.by = "dispatchThrottleBytes";
          await this.#pipe.host.dispatchThrottle.get(size, signal);
        } catch (error) {
          throttlerBytes?.put(size);
          throw error;
        }
      } catch (error) {
        throttlerMessages?.put(1);
        throw error;
      }
    } finally {
      session.isHeld = false;
      hold.end();
      this.heldUntil = this.#pipe.host.options.environment.now();
    }
    this.#hold();
    this.#admitted();
  }

  #hold(): void {
    this.#holding = true;
    this.#pipe.session.hold(this.#segments);
  }

  #release(): void {
    this.#holding = false;
    this.#pipe.lease.release(this.#segments);
  }

  /** The message at hand has its share of the throttles. */
  #admitted(): void {
    if (this.#isStreamed) this.#gather("head", this.#head.frontLength + this.#head.middleLength);
    else this.#phase = "body";
  }

  /**
   * Another message comes in place of the one whose data were arriving when the last connection broke: its sender has given that up. It must not keep its share of
   * the throttles, as the message at hand may wait for that.
   */
  #endReplaced(): void {
    const { session } = this.#pipe, { arriving } = session;
    if (arriving === undefined || arriving.isOf(this.#header())) return;
    session.endArriving(arriving.abandoned());
  }

  /** Whether the message at hand came in over an earlier connection, and is replayed because no ack for it arrived. */
  #wasReceived(): boolean {
    return this.#seq <= this.#pipe.session.inSeq;
  }

  /** The message at hand was received before. */
  #ignore(): void {
    const { session, host } = this.#pipe;
    host.counters.duplicates++;
    // The ack for it was lost with the last connection. Without another its sender keeps it, and replays it, for ever.
    session.inSeqAcked = Math.min(session.inSeqAcked, this.#seq - 1);
  }

  /** Sees who sent the message at hand. */
  #learnSender(): void {
    const { sourceType, sourceNum } = this.#head;
    if (this.#sender.num === sourceNum && this.#sender.type === sourceType) return;
    if (sourceType === 0) throw new ProtocolError("src.type", 0, "1 to 255");
    if (lastSender.num !== sourceNum || lastSender.type !== sourceType) {
      lastSender = new EntityName(sourceType, sourceNum);
    }
    this.#sender = lastSender;
  }

  /** How the message at hand came, whose contents lie in `bytes`. */
  #arrivalOf({ chunk, chunkMemory, copiesUpTo, lastReadAt: receivedAt }: ByteSource, bytes: Uint8Array): Arrival {
    const last = this.#arrival, source = this.#sender;
    if (last?.bytes === bytes && last.source === source && last.receivedAt === receivedAt) return last;
    const isChunk = bytes === chunk, memory = isChunk ? chunkMemory : this.#raw;
    const isCopied = isChunk && bytes.length <= copiesUpTo, { connection } = this.#pipe.session;
    return this.#arrival = { bytes, memory, isCopied, source, connection, receivedAt };
  }

  /** A message whose data are a stream is about to come: for the first time, again, or again from where it was cut off. */
  #expectStream(): void {
    const { session } = this.#pipe, head = this.#head;
    this.#data = undefined;
    // What it held of the throttles it still holds.
    if (session.arriving?.isOf(this.#header())) {
      this.#data = session.arriving;
      return this.#admitted();
    }
    this.#segments = head.frontLength + head.middleLength + shareOf(head.dataLength);
  }

  /** What comes before the data is here: hands the message on, unless that was done before the last connection broke. */
  #open(source: ByteSource): void {
    const { session, host, lease } = this.#pipe, header = this.#header(), head = this.#body;
    this.#body = NO_BYTES;
    this.#phase = "data";
    const frontCrc = crc32c(head, 0, 0, header.frontLength), middleCrc = crc32c(head, 0, header.frontLength);
    if (this.#data !== undefined) return this.#data.restart(frontCrc, middleCrc);
    this.#learnSender();
    if (session.arriving !== undefined) session.endArriving(session.arriving.abandoned());
    const data = new IncomingData(header, frontCrc, middleCrc, lease, this.#segments);
    this.#data = session.arriving = data;
    const message = receivedMessage(this.#head, this.#seq, this.#tid, this.#arrivalOf(source, head), 0, data);
    setDataSource(message, data);
    this.#holding = false;
    host.counters.recvMessages++;
    if (!session.take(message)) host.dispatchQueue.deliver(message, session.id, header.priority);
  }

  /** The stream's reader is slow: that is no silence of the peer's. */
  async #waitForRoom(data: IncomingData, signal: AbortSignal): Promise<void> {
    const { session, host } = this.#pipe, hold = new Hold(this.#pipe);
    hold.by = "stream";
    this.heldUntil = Infinity;
    session.isHeld = true;
    await data.hasRoom(signal);
    session.isHeld = false;
    hold.end();
    this.heldUntil = host.options.environment.now();
  }

  /** The data have passed, and the footer is here: only now is it known what they were worth. */
  #close(bytes: Uint8Array): void {
    const { session, host, security, oldFooter } = this.#pipe, head = this.#head, data = this.#data!;
    this.#body = NO_BYTES;
    decodeMessageFooter(bytes, 0, footer, oldFooter);
    if ((footer.flags & FooterFlag.COMPLETE) === 0) return session.endArriving(data.abandoned());
    data.check(footer);
    if (security !== undefined && !security.verify(this.#header(), footer)) {
      throw new ProtocolError("signature", "another one", "the session key's");
    }
    session.inSeq = this.#seq;
    const length = head.frontLength + head.middleLength + head.dataLength;
    this.bytesSinceAck += length;
    host.counters.recvBytes += length;
    session.arriving = this.#data = undefined;
    data.end();
  }

  /** A message's segments and footer lie at `at`. */
  #deliver(source: ByteSource, bytes: Uint8Array, at: number): void {
    const pipe = this.#pipe, { session } = pipe;
    decodeMessageFooter(bytes, at + this.#segments, footer, pipe.oldFooter);
    if ((footer.flags & FooterFlag.COMPLETE) === 0) {
      if (session.arriving !== undefined) session.endArriving(session.arriving.abandoned());
      return this.#release();
    }
    checkSegments(bytes, at, this.#head, footer);
    if (pipe.security !== undefined && !pipe.security.verify(this.#header(), footer)) {
      throw new ProtocolError("signature", "another one", "the session key's");
    }
    this.#learnSender();
    this.#accept(source, bytes, at);
  }

  /** The message at hand is new, right, and has its share of the throttles: hands it on. */
  #accept(source: ByteSource, bytes: Uint8Array, at: number): void {
    const pipe = this.#pipe, { session, host } = pipe;
    if (session.arriving !== undefined) session.endArriving(session.arriving.abandoned());
    session.inSeq = this.#seq;
    this.bytesSinceAck += this.#segments;
    const arrival = this.#arrivalOf(source, bytes);
    arrival.memory?.get();
    const message = receivedMessage(this.#head, this.#seq, this.#tid, arrival, at, pipe.lease);
    this.#holding = false;
    host.counters.recvMessages++;
    host.counters.recvBytes += this.#segments;
    if (!session.take(message)) host.dispatchQueue.deliver(message, session.id, this.#head.priority);
  }
}
