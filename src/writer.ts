/**
 * The socket's only writer, and the one who dials.
 *
 * @module
 */

import { Batch } from "./batch.ts";
import { MessengerError, NetworkError } from "./errors.ts";
import { sendAll } from "./byte_sink.ts";
import { connect } from "./connect.ts";
import { FrameRun } from "./frame_run.ts";
import type { Link } from "./link.ts";
import { headOf, isWhole, type Message } from "./message.ts";
import { outgoingData } from "./outgoing_data.ts";
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
  encodeMessageHeader,
  footerSize,
  type MessageFooter,
  type MessageHeader,
  TAGGED_HEADER_SIZE,
} from "./wire/frame.ts";
import { HeaderEncoder } from "./wire/header_codec.ts";

/** A message whose data are a stream, once what comes before them is on its way. */
interface StreamedMessage {
  readonly message: Message;
  readonly header: MessageHeader;
  /** With the crcs of front and middle. */
  readonly footer: MessageFooter;
  /** Whether it may have to be sent again. */
  readonly keep: boolean;
}

/** Bytes around a message's segments: tag and header before them, and the footer. */
const FRAME_SIZE = TAGGED_HEADER_SIZE + footerSize(false);
/** What a message that waits is taken for in bytes, when a batch is begun. */
const TYPICAL_MESSAGE = 256;

/** From how many messages on it is worth while to complete those that are alike together. */
const MANY = 4;

/** For all Writers: the messages of one program are much alike, and none is encoded in the middle of another. */
const headers = new HeaderEncoder();
const footer = emptyMessageFooter();

const CLOSE_RECORD = Uint8Array.of(Tag.CLOSE);

/**
 * Sends what is queued, and dials where that is needed. Ceph's `Pipe::writer`.
 *
 * All that waits leaves in one write; what comes while that is on its way makes the next one.
 */
export class Writer {
  readonly #pipe: Pipe;
  /** Whether it has begun, and has not ended. */
  isRunning = false;

  /** A step that takes time is under way, or about to begin. */
  #isWorking = false;
  /** Something has changed since it looked last what there is to do. */
  #awake = false;
  #deferred = false;
  /** Ends the pause before an attempt to dial. */
  #endPause: (() => void) | undefined;
  /** The write that is on its way: by which socket, what, and up to which number. */
  #writing: { readonly link: Link; readonly batch: Batch; readonly seq: number } | undefined;
  /** The message whose data follow that write. Until they are through nothing else is sent. */
  #streamed: StreamedMessage | undefined;
  /** Who waits for the end of that write. */
  #written: (() => void) | undefined;

  /** @param pipe The Pipe that it lives in. */
  constructor(pipe: Pipe) {
    this.#pipe = pipe;
  }

  /** Begins to work. */
  start(): void {
    this.isRunning = true;
    this.#workSoon();
  }

  /**
   * Says that there is something to do.
   *
   * @param now The state has changed, so there is nothing to gain from waiting for more messages.
   */
  wake(now = false): void {
    this.#awake = true;
    if (now) return this.#workSoon();
    if (this.#isWorking || this.#deferred || !this.isRunning) return;
    this.#deferred = true;
    this.#pipe.host.defer(this);
  }

  /** Its turn to send, which {@linkcode wake} has asked for. */
  flush(): void {
    this.#deferred = false;
    const { state, closeRequested } = this.#pipe;
    if (state === "open") this.#flush();
    if (state !== "open" || closeRequested) this.#workSoon();
  }

  /** Not at once: whoever has changed the state may not be done with that. */
  #workSoon(): void {
    this.#endPause?.();
    if (this.#isWorking || !this.isRunning) return;
    this.#isWorking = true;
    queueMicrotask(() => void this.#work());
  }

  /** Does what takes more than one step, dialling and closing, until there is nothing to do. An open session's messages leave by {@linkcode #flush}. */
  async #work(): Promise<void> {
    const pipe = this.#pipe;
    do {
      this.#awake = false;
      if (pipe.state === "standby" && pipe.isQueued && pipe.canDial) pipe.state = "connecting";
      if (pipe.state === "open") this.#flush();
      if (pipe.state === "connecting") await this.#connect();
      else if (pipe.state === "closing" && !pipe.closeRequested) await this.#answerClose();
      else if (pipe.closeRequested && this.#isDone()) await this.#sendClose();
      else if (!this.#awake) break;
    } while (pipe.state !== "closed");
    this.#isWorking = false;
    if (pipe.state !== "closed") return;
    this.isRunning = false;
    pipe.reapIfDone();
  }

  #hasWork(): boolean {
    return this.#pipe.isQueued || this.#pipe.ackUrgent;
  }

  /** Whether an orderly close has nothing left to wait for. */
  #isDone(): boolean {
    const { session, state } = this.#pipe;
    if (session.out.unsent > 0 || session.out.unacknowledged > 0 || this.#streamed !== undefined) return false;
    return state === "open" || state === "standby" || state === "wait";
  }

  /** One attempt to connect, after the pause that its number asks for. */
  async #connect(): Promise<void> {
    const pipe = this.#pipe, { environment, backoff } = pipe.host.options;
    const pause = backoff(pipe.attempts++, environment.random());
    if (pause > 0) {
      pipe.tell({ type: "backoff", attempt: pipe.attempts, pause });
      await this.#pause(pause);
    }
    if (pipe.state !== "connecting") return;
    try {
      await connect(pipe);
    } catch (error) {
      if (pipe.state !== "connecting") return;
      if (error instanceof NetworkError && error.code === "refused") {
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
      this.#endPause?.();
    }, ms);
    this.#pipe.hurry = false;
    while (!over && this.#pipe.state === state && !this.#pipe.hurry) {
      await new Promise<void>((resolve) => this.#endPause = resolve);
    }
    this.#endPause = undefined;
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
    if (this.#writing !== undefined) await new Promise<void>((resolve) => this.#written = resolve);
    const { session, ackDue } = this.#pipe;
    if (!ackDue) return sendAll(link.sink, [CLOSE_RECORD]);
    const ack = new Uint8Array(CONTROL_SIZE);
    encodeAck(session.inSeq, ack, 0);
    session.inSeqAcked = session.inSeq;
    return sendAll(link.sink, [ack, CLOSE_RECORD]);
  }

  /** Sends one batch, if there is something to send and no write is on its way; what comes meanwhile makes the next batch. */
  #flush(): void {
    const { link } = this.#pipe;
    if (link === undefined || this.#writing !== undefined || !this.#hasWork()) return;
    const batch = this.#fill(link.sink.gathers), seq = this.#pipe.session.out.outSeq;
    this.#writing = { link, batch, seq };
    if (!link.sink.doSendmsg(batch.slices, batch.length, false, this.#settled)) return;
    if (this.#streamed !== undefined) return void this.#sendData(link, this.#streamed);
    this.#writing = undefined;
    this.#pipe.session.handedOver(seq);
    batch.recycle();
    // The next batch has to wait for its turn, since others have work to do, too.
    if (this.#hasWork()) this.wake();
  }

  /** The network has taken the write that was on its way, or has failed to. */
  readonly #settled = (error?: unknown): void => {
    const { link, batch, seq } = this.#writing!, isCurrent = this.#pipe.link === link;
    if (this.#streamed !== undefined) {
      if (error === undefined && isCurrent) return void this.#sendData(link, this.#streamed);
      this.#streamed = undefined;
    }
    this.#writing = undefined;
    this.#written?.();
    this.#written = undefined;
    if (error === undefined) {
      if (isCurrent) this.#pipe.session.handedOver(seq);
      batch.recycle();
    } else if (isCurrent) {
      return this.#pipe.fault(error);
    }
    this.flush();
  };

  /** Sends the data of a message and what comes behind them, as the source gives them. */
  async #sendData(link: Link, { message, header, footer, keep }: StreamedMessage): Promise<void> {
    const { session, host, oldFooter, security } = this.#pipe, data = outgoingData(message);
    let error: unknown;
    try {
      for (let next = 0; next < data.chunks.length || !data.isWhole;) {
        const chunk = data.chunks[next];
        if (chunk === undefined) {
          if (data.error === undefined) await link.whileInUse(data.read());
          if (data.error !== undefined) throw data.error;
          continue;
        }
        footer.dataCrc = crc32c(chunk, footer.dataCrc);
        await sendAll(link.sink, [chunk]);
        if (keep) next++;
        else data.chunks.length = 0;
      }
      if (security !== undefined) security.sign(header, footer);
      const end = new Uint8Array(footerSize(oldFooter));
      encodeMessageFooter(footer, end, 0, oldFooter);
      await sendAll(link.sink, [end]);
      host.counters.sendMessages++;
      host.counters.sendBytes += message.byteLength;
    } catch (broken) {
      error = broken;
    }
    this.#streamed = undefined;
    if (data.error !== undefined && error === data.error && this.#pipe.link === link) {
      host.counters.dropped++;
      this.#pipe.tell({ type: "not_sent", messageType: message.type, error: data.error });
      session.abandon(message, data.error);
    }
    this.#settled(error);
  }

  /** Puts what waits into a batch: keepalives, an ack for everything that has arrived, messages by priority. */
  #fill(gathers: boolean): Batch {
    const pipe = this.#pipe, { session, host } = pipe;
    const batch = Batch.begin(session.out.unsent * TYPICAL_MESSAGE, gathers);
    if (pipe.keepaliveQueued) {
      pipe.keepaliveQueued = false;
      if ((session.features & Feature.MSGR_KEEPALIVE2) === 0n) {
        batch.buffer[batch.at++] = Tag.KEEPALIVE;
      } else {
        encodeKeepalive2(host.options.environment.now(), batch.buffer, batch.at);
        batch.at += CONTROL_SIZE;
      }
    }
    if (pipe.keepaliveStamp !== undefined) {
      encodeKeepalive2Ack(pipe.keepaliveStamp, batch.buffer, batch.at);
      pipe.keepaliveStamp = undefined;
      batch.at += CONTROL_SIZE;
    }
    if (pipe.ackDue) {
      pipe.ackUrgent = false;
      pipe.acksRidden = session.out.unsent > 0 ? pipe.acksRidden + 1 : 0;
      pipe.reader.bytesSinceAck = 0;
      session.inSeqAcked = session.inSeq;
      encodeAck(session.inSeq, batch.buffer, batch.at);
      batch.at += CONTROL_SIZE;
    }
    if (session.hasAbandoned) {
      session.hasAbandoned = false;
      this.#encodeNone(session.out.outSeq + 1, batch);
    }
    const keep = !pipe.policy.lossy;
    const run = session.out.unsent >= MANY && pipe.security === undefined
      ? new FrameRun(headers, pipe.oldFooter)
      : undefined;
    while (!batch.isFull) {
      const message = session.out.next(keep);
      if (message === undefined) break;
      const { outSeq } = session.out, priority = message.priority || host.options.defaultSendPriority;
      if (headers.use(headOf(message), priority, host.name) && run?.add(message, outSeq)) {
        host.counters.sendMessages++;
        host.counters.sendBytes += message.byteLength;
        if (run.isFull) run.end(batch);
        continue;
      }
      run?.end(batch);
      if (!isWhole(message)) {
        this.#encodeNone(outSeq, batch);
        this.#lose(message, outSeq);
        continue;
      }
      this.#encodeHead(message, outSeq, batch);
      if (message.isStreamed) {
        this.#streamed = { message, header: this.#header(message), footer: { ...footer, dataCrc: 0 }, keep };
        break;
      }
      this.#encodeData(message, batch);
    }
    run?.end(batch);
    batch.end();
    if (!keep || session.isHeld) session.drained();
    return batch;
  }

  /**
   * Adds an empty message that calls itself incomplete, which every receiver drops: it stands for one that cannot be sent, and ends what began to arrive
   * under its number.
   */
  #encodeNone(seq: number, batch: Batch): void {
    const { host: { name }, oldFooter } = this.#pipe;
    batch.reserve(FRAME_SIZE);
    batch.buffer[batch.at] = Tag.MSG;
    encodeMessageHeader(
      { ...emptyMessageHeader(), seq, sourceType: name.type, sourceNum: name.num },
      batch.buffer,
      batch.at + 1,
    );
    batch.at += TAGGED_HEADER_SIZE;
    encodeMessageFooter(emptyMessageFooter(), batch.buffer, batch.at, oldFooter);
    batch.at += footerSize(oldFooter);
  }

  /** The bytes of a message are gone. It keeps its number: under an earlier connection they may have arrived. */
  #lose(message: Message, seq: number): void {
    const { session, host } = this.#pipe;
    const error = new MessengerError(
      "invalid",
      `Cannot send message ${seq} of type ${message.type}: its bytes were given back, or their buffer was transferred, or resized`,
    );
    host.counters.dropped++;
    this.#pipe.tell({ type: "not_sent", messageType: message.type, error });
    session.lose(message, seq, error);
  }

  /** The whole header of the message at hand, for those who look at more than its numbers. */
  #header(message: Message): MessageHeader {
    const { name, options } = this.#pipe.host, priority = message.priority || options.defaultSendPriority;
    const { outSeq: seq } = this.#pipe.session.out, { tid } = message;
    return { ...headOf(message), priority, sourceType: name.type, sourceNum: name.num, seq, tid };
  }

  /** Adds a message whose header is known to the batch, up to its data. Ceph's `write_message`. */
  #encodeHead(message: Message, seq: number, batch: Batch): void {
    const { security } = this.#pipe, { frontLength, middleLength, dataLength } = message;
    if (batch.at + FRAME_SIZE + message.byteLength > batch.buffer.length) {
      batch.reserve(FRAME_SIZE, frontLength, middleLength, dataLength);
    }
    batch.buffer[batch.at] = Tag.MSG;
    headers.encode(seq, message.tid, batch.buffer, batch.at + 1);
    batch.at += TAGGED_HEADER_SIZE;
    footer.frontCrc = frontLength === 0 ? 0 : batch.put(message.front);
    footer.middleCrc = middleLength === 0 ? 0 : batch.put(message.middle);
    footer.signatureLow = footer.signatureHigh = 0;
    footer.flags = security === undefined ? FooterFlag.COMPLETE : FooterFlag.COMPLETE | FooterFlag.SIGNED;
  }

  /** Adds the rest of it. */
  #encodeData(message: Message, batch: Batch): void {
    const { host, oldFooter, security } = this.#pipe;
    footer.dataCrc = message.dataLength === 0 ? 0 : batch.put(message.data);
    if (security !== undefined) security.sign(this.#header(message), footer);
    encodeMessageFooter(footer, batch.buffer, batch.at, oldFooter);
    batch.at += footerSize(oldFooter);
    host.counters.sendMessages++;
    host.counters.sendBytes += message.byteLength;
  }
}

function nothing(): void {}
