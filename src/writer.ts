/**
 * The socket's only writer, and the one who dials.
 *
 * @module
 */

import { NetworkError } from "./errors.ts";
import { connect } from "./connect.ts";
import type { Link } from "./link.ts";
import type { Message } from "./message.ts";
import type { Pipe } from "./pipe.ts";
import { Feature, FooterFlag, Tag } from "./wire/constants.ts";
import { crc32c } from "./wire/crc32c.ts";
import {
  CONTROL_SIZE,
  emptyMessageFooter,
  emptyMessageHeader,
  encodeAck,
  encodeKeepalive2,
  encodeKeepalive2Ack,
  encodeMessageFooter,
  footerSize,
  TAGGED_HEADER_SIZE,
} from "./wire/frame.ts";
import { HeaderEncoder } from "./wire/header_codec.ts";

/** A batch ends when it has this many bytes, so that a long queue does not hold the event loop up. */
const BATCH_BYTES = 128 * 1024;
/** Segments from this size on are written from where they lie; smaller ones are copied into the batch. */
const BY_REFERENCE_BYTES = 32 * 1024;
/** The largest message whose parts are all copied, and three control records. */
const LARGEST_COPY = 3 * BY_REFERENCE_BYTES + 1024;
const BUFFER_BYTES = BATCH_BYTES + LARGEST_COPY;
/** Buffers that are kept for the next batch. A connection that is idle holds none. */
const POOL_SIZE = 8;

/** One for all Writers: the messages of one program are much alike. */
const headers = new HeaderEncoder();
const pool: Uint8Array[] = [];

function recycle(buffer: Uint8Array): void {
  if (pool.length < POOL_SIZE) pool.push(buffer);
}

function nothing(): void {}

const CLOSE_RECORD = Uint8Array.of(Tag.CLOSE);

/**
 * Sends what is queued, and dials where that is needed. Ceph's `Pipe::writer`.
 *
 * All that waits is put into one buffer and leaves in one write; while that write is on its way the next buffer is filled.
 */
export class Writer {
  readonly #pipe: Pipe;
  /** Whether it is at work. */
  isRunning = false;
  /** Fulfils when it has ended, if it is running. */
  stopped: Promise<void> = Promise.resolve();

  #wakeUp: (() => void) | undefined;
  #awake = false;
  #deferred = false;
  /** The write that is on its way. It never rejects: a failure is a fault. */
  #writing: Promise<void> | undefined;
  readonly #header = emptyMessageHeader();
  readonly #footer = emptyMessageFooter();

  // The batch that is being filled.
  #buffer: Uint8Array = CLOSE_RECORD;
  #slices: Uint8Array[] = [];
  #start = 0;
  #end = 0;
  #length = 0;

  /** @param pipe The Pipe that it lives in. */
  constructor(pipe: Pipe) {
    this.#pipe = pipe;
  }

  /** Begins to work. */
  start(): void {
    this.isRunning = true;
    this.stopped = this.#run(this.stopped);
  }

  /**
   * Says that there is something to do.
   *
   * @param now The state has changed, so there is nothing to gain from waiting for more messages.
   */
  wake(now = false): void {
    this.#awake = true;
    if (this.#wakeUp === undefined) return;
    if (now) return this.#wakeLoop();
    if (this.#deferred) return;
    this.#deferred = true;
    this.#pipe.host.defer(this.#resume);
  }

  readonly #resume = (): void => {
    this.#deferred = false;
    const { state, closeRequested } = this.#pipe;
    if (state === "open") this.#flush();
    if (state !== "open" || closeRequested) this.#wakeLoop();
  };

  #wakeLoop(): void {
    const wakeUp = this.#wakeUp;
    this.#wakeUp = undefined;
    wakeUp?.();
  }

  /** Does what takes more than one step: dialling and closing. An open session's messages leave by {@linkcode #flush}. */
  async #run(earlier: Promise<void>): Promise<void> {
    const pipe = this.#pipe;
    await earlier;
    while (pipe.state !== "closed") {
      this.#awake = false;
      if (pipe.state === "standby" && pipe.isQueued && pipe.canDial) pipe.state = "connecting";
      if (pipe.state === "open") this.#flush();
      if (pipe.state === "connecting") await this.#connect();
      else if (pipe.state === "closing" && !pipe.closeRequested) await this.#answerClose();
      else if (pipe.closeRequested && this.#isDone()) await this.#sendClose();
      else if (!this.#awake) await new Promise<void>((resolve) => this.#wakeUp = resolve);
    }
    this.isRunning = false;
    pipe.reapIfDone();
  }

  #hasWork(): boolean {
    return this.#pipe.isQueued || this.#pipe.ackUrgent;
  }

  /** Whether an orderly close has nothing left to wait for. */
  #isDone(): boolean {
    const { session, state } = this.#pipe;
    if (session.out.unsent > 0 || session.out.unacknowledged > 0) return false;
    return state === "open" || state === "standby" || state === "wait";
  }

  /** One attempt to connect, after the pause that its number asks for. */
  async #connect(): Promise<void> {
    const pipe = this.#pipe, { environment, backoff } = pipe.host.options;
    const pause = backoff(pipe.attempts++, environment.random());
    if (pause > 0) await this.#pause(pause);
    if (pipe.state !== "connecting") return;
    try {
      await connect(pipe);
    } catch (error) {
      if (pipe.state !== "connecting") return;
      if (error instanceof NetworkError && error.code === "refused") {
        pipe.log("refused", { error });
        pipe.host.dispatchQueue.event("handleRefused", pipe.session.connection);
      }
      pipe.fault(error);
    }
  }

  /** Waits, but not longer than until the Pipe changes its state or somebody asks it to hurry. */
  async #pause(ms: number): Promise<void> {
    const { environment } = this.#pipe.host.options, { state } = this.#pipe;
    let over = false;
    const timer = environment.setTimer(() => {
      over = true;
      this.wake(true);
    }, ms);
    this.#pipe.hurry = false;
    while (!over && this.#pipe.state === state && !this.#pipe.hurry) {
      await new Promise<void>((resolve) => this.#wakeUp = resolve);
    }
    environment.clearTimer(timer);
  }

  async #answerClose(): Promise<void> {
    const { link } = this.#pipe;
    if (link !== undefined) await this.#say(link).catch(nothing);
    this.#pipe.fault(new NetworkError("connection_lost", `${this.#pipe.peer} closed the session`));
  }

  async #sendClose(): Promise<void> {
    const pipe = this.#pipe, { link } = pipe;
    if (link === undefined) return pipe.markDown();
    pipe.startClosing();
    await this.#say(link).catch((error) => pipe.fault(error));
  }

  /** Sends CLOSE behind all that is on its way, and an ack before it: what has arrived would be told to the peer as dropped. */
  async #say(link: Link): Promise<void> {
    await this.#writing;
    const { session, ackDue } = this.#pipe;
    if (!ackDue) return link.sink.doSendmsg([CLOSE_RECORD], 1, false);
    const ack = new Uint8Array(CONTROL_SIZE);
    encodeAck(session.inSeq, ack, 0);
    session.inSeqAcked = session.inSeq;
    return link.sink.doSendmsg([ack, CLOSE_RECORD], CONTROL_SIZE + 1, false);
  }

  /** Sends one batch, if there is something to send and no write is on its way; what comes meanwhile makes the next batch. */
  #flush(): void {
    const { link } = this.#pipe;
    if (link === undefined || this.#writing !== undefined || !this.#hasWork()) return;
    this.#fill();
    const buffer = this.#buffer, seq = this.#pipe.session.out.outSeq;
    this.#buffer = CLOSE_RECORD;
    const sent = link.sink.doSendmsg(this.#slices, this.#length, false);
    if (sent !== undefined) {
      this.#writing = sent.then(() => this.#sent(link, buffer, seq), (error) => this.#failed(link, error));
      return;
    }
    this.#pipe.session.handedOver(seq);
    recycle(buffer);
    // The next batch has to wait for its turn, since others have work to do, too.
    if (this.#hasWork()) this.wake();
  }

  #sent(link: Link, buffer: Uint8Array, seq: number): void {
    this.#writing = undefined;
    if (this.#pipe.link === link) this.#pipe.session.handedOver(seq);
    recycle(buffer);
    this.#resume();
  }

  /** The network may still hold the buffer: it is left to the garbage collector. */
  #failed(link: Link, error: unknown): void {
    this.#writing = undefined;
    if (this.#pipe.link === link) this.#pipe.fault(error);
    else this.#resume();
  }

  /** Puts what waits into a buffer: keepalives, an ack for everything that has arrived, messages by priority. */
  #fill(): void {
    const pipe = this.#pipe, { session, host } = pipe;
    this.#buffer = pool.pop() ?? new Uint8Array(BUFFER_BYTES);
    this.#slices = [];
    this.#start = this.#end = this.#length = 0;
    if (pipe.keepaliveQueued) {
      pipe.keepaliveQueued = false;
      if ((session.features & Feature.MSGR_KEEPALIVE2) === 0n) {
        this.#buffer[this.#end++] = Tag.KEEPALIVE;
      } else {
        encodeKeepalive2(host.options.environment.now(), this.#buffer, this.#end);
        this.#end += CONTROL_SIZE;
      }
    }
    if (pipe.keepaliveStamp !== undefined) {
      encodeKeepalive2Ack(pipe.keepaliveStamp, this.#buffer, this.#end);
      pipe.keepaliveStamp = undefined;
      this.#end += CONTROL_SIZE;
    }
    if (pipe.ackDue) {
      pipe.ackUrgent = false;
      pipe.reader.bytesSinceAck = 0;
      session.inSeqAcked = session.inSeq;
      encodeAck(session.inSeq, this.#buffer, this.#end);
      this.#end += CONTROL_SIZE;
    }
    const keep = !pipe.policy.lossy;
    while (this.#length + this.#end - this.#start < BATCH_BYTES && this.#end < BATCH_BYTES) {
      const message = session.out.next(keep);
      if (message === undefined) break;
      this.#encode(message, session.out.outSeq);
    }
    this.#cut();
    if (!keep || session.isHeld) session.drained();
  }

  /** Adds a message to the batch. Ceph's `write_message`. */
  #encode(message: Message, seq: number): void {
    const { host, oldFooter, security } = this.#pipe, header = this.#header, footer = this.#footer;
    const headerAt = this.#end;
    header.seq = seq;
    header.tid = message.tid;
    header.type = message.type;
    header.priority = message.priority || host.options.defaultSendPriority;
    header.version = message.version;
    header.frontLength = message.frontLength;
    header.middleLength = message.middleLength;
    header.dataLength = message.dataLength;
    header.dataOffset = message.dataOffset;
    header.sourceType = host.name.type;
    header.sourceNum = host.name.num;
    header.compatVersion = message.compatVersion;
    this.#buffer[headerAt] = Tag.MSG;
    headers.encode(header, this.#buffer, headerAt + 1);
    this.#end += TAGGED_HEADER_SIZE;
    footer.frontCrc = header.frontLength === 0 ? 0 : this.#put(message.front);
    footer.middleCrc = header.middleLength === 0 ? 0 : this.#put(message.middle);
    footer.dataCrc = header.dataLength === 0 ? 0 : this.#put(message.data);
    footer.signatureLow = footer.signatureHigh = 0;
    footer.flags = FooterFlag.COMPLETE;
    if (security !== undefined) {
      footer.flags |= FooterFlag.SIGNED;
      security.sign(header, footer);
    }
    encodeMessageFooter(footer, this.#buffer, this.#end, oldFooter);
    this.#end += footerSize(oldFooter);
    host.counters.sendMessages++;
    host.counters.sendBytes += message.byteLength;
  }

  /** Adds a segment to the batch, by copy or by reference. Returns its crc. */
  #put(segment: Uint8Array): number {
    if (segment.length < BY_REFERENCE_BYTES) {
      this.#buffer.set(segment, this.#end);
      this.#end += segment.length;
    } else {
      this.#cut();
      this.#slices.push(segment);
      this.#length += segment.length;
    }
    return crc32c(segment);
  }

  /** Ends the slice of the buffer that is being filled. */
  #cut(): void {
    if (this.#end === this.#start) return;
    this.#slices.push(this.#buffer.subarray(this.#start, this.#end));
    this.#length += this.#end - this.#start;
    this.#start = this.#end;
  }
}
