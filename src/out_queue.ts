/**
 * What a session still has to send, and what it has sent without hearing that it arrived.
 *
 * @module
 */

import { keepBytes, type Message } from "./message.ts";
import { Ring } from "./ring.ts";

/** What a queued message costs beside its contents, in bytes: without it a million empty messages would weigh nothing. */
const OVERHEAD = 256;

/** The messages of one priority. */
interface Lane {
  readonly priority: number;
  readonly messages: Ring<Message>;
  /** How many were ever taken out. */
  taken: number;
  /** Marks, and at how many each is, if there ever was one. */
  marks: { readonly taken: number; readonly mark: QueueMark }[] | undefined;
  /** At how many the first of them is; -1 for none. */
  nextMark: number;
}

/** The end of what was queued at one moment. Each priority has its own end, since messages that come later may overtake. */
export interface QueueMark {
  /** How many priorities have not come to it. */
  open: number;
  /** The number of the last message before it, once none is open. */
  seq: number;
}

/**
 * Per-priority queues and the list of unacknowledged messages. Ceph's `out_q` and `sent`.
 *
 * Sequence numbers are not kept with the messages, since one message may be sent on many connections: the unacknowledged ones are numbered without gaps
 * up to `outSeq`. For the same reason a replay moves nothing: it turns a cursor back to the start of `sent`.
 *
 * ```text
 *   sent:   [ written in this connection ... | waiting for their replay ... ]
 *             outSeq - cursor + 1 ... outSeq   outSeq + 1 ...
 * ```
 */
export class OutQueue {
  /** The number of the message that was handed to the socket last. Ceph's `out_seq`. */
  outSeq = 0;

  readonly #lanes: Lane[] = [];
  #lastLane: Lane | undefined;
  #unsent = 0;
  readonly #sent = new Ring<Message>();
  #cursor = 0;
  #bytes = 0;

  /** Messages that wait to be sent, those to be replayed included. */
  get unsent(): number {
    return this.#unsent + this.#sent.length - this.#cursor;
  }

  /** Messages that were sent and not acknowledged. */
  get unacknowledged(): number {
    return this.#cursor;
  }

  /**
   * The number of the last message that was sent in any connection. A peer that had it in an earlier one may acknowledge it before it comes again; nothing
   * beyond it can be acknowledged.
   */
  get lastSeq(): number {
    return this.outSeq + this.#sent.length - this.#cursor;
  }

  /** The number up to which everything was acknowledged. */
  get acknowledged(): number {
    return this.outSeq - this.#cursor;
  }

  /** What all of them weigh, in bytes, with a fixed cost for each message. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a message behind the others of its priority. */
  push(message: Message, priority: number): void {
    let lane = this.#lastLane;
    if (lane === undefined || lane.priority !== priority) this.#lastLane = lane = this.#lane(priority);
    // The program may be done with a message that it passes on: we are not.
    keepBytes(message);
    lane.messages.push(message);
    this.#unsent++;
    this.#bytes += message.byteLength + OVERHEAD;
  }

  /**
   * Takes the next message to send and gives it the number `outSeq`: first those to be replayed, then the highest priority, in each
   * the oldest. Ceph's `_get_next_outgoing`.
   *
   * @param keep Whether to remember it until it is acknowledged, as a lossless session must.
   */
  next(keep: boolean): Message | undefined {
    if (this.#cursor < this.#sent.length) {
      this.outSeq++;
      return this.#sent.at(this.#cursor++);
    }
    if (this.#unsent === 0) return undefined;
    for (const lane of this.#lanes) {
      const message = lane.messages.shift();
      if (message === undefined) continue;
      this.#unsent--;
      this.outSeq++;
      if (++lane.taken === lane.nextMark) this.#passMarks(lane);
      if (keep) {
        this.#sent.push(message);
        this.#cursor++;
      } else {
        this.#bytes -= message.byteLength + OVERHEAD;
      }
      return message;
    }
    return undefined;
  }

  /**
   * Makes every unacknowledged message wait for its replay, under the number it had, ahead of all others. Ceph's `requeue_sent`.
   *
   * @returns How many there are.
   */
  requeueSent(): number {
    this.outSeq -= this.#cursor;
    this.#cursor = 0;
    return this.#sent.length;
  }

  /**
   * Forgets those waiting for their replay that the peer says it has: `seq` is the last number it received. Ceph's
   * `discard_requeued_up_to`.
   *
   * Where nothing is left to replay, numbering goes on behind `seq`: the peer would drop lower numbers as old.
   *
   * @returns How many were forgotten.
   */
  discardRequeuedUpTo(seq: number): number {
    // What is on its way already comes before what is not, and must go first.
    let count = this.handleAck(seq);
    while (this.outSeq < seq && this.#cursor < this.#sent.length) {
      this.#forgetFirst();
      this.outSeq++;
      count++;
    }
    if (this.#sent.length === 0) this.outSeq = seq;
    return count;
  }

  /**
   * Forgets what the peer has acknowledged: all messages up to `seq`. Ceph's `handle_ack`.
   *
   * @returns How many were forgotten.
   */
  handleAck(seq: number): number {
    let count = 0;
    for (let first = this.outSeq - this.#cursor + 1; first <= seq && this.#cursor > 0; first++) {
      this.#forgetFirst();
      this.#cursor--;
      count++;
    }
    return count;
  }

  /**
   * Takes the message back that was handed out last, and its number with it, if it is this one. Whatever had the number is not sent.
   *
   * @returns Whether it was still there: a lossy session remembers nothing.
   */
  abandon(message: Message): boolean {
    if (this.#cursor === 0 || this.#cursor < this.#sent.length || this.#sent.at(this.#cursor - 1) !== message) {
      return false;
    }
    this.#sent.pop();
    this.#cursor--;
    this.outSeq--;
    this.#bytes -= message.byteLength + OVERHEAD;
    return true;
  }

  /** Marks the end of what is queued now. It means nothing any more after {@linkcode clear}. */
  mark(): QueueMark {
    const mark = { open: 0, seq: this.acknowledged + this.#sent.length };
    for (const lane of this.#lanes) {
      if (lane.messages.length === 0) continue;
      mark.open++;
      const marks = lane.marks ??= [];
      marks.push({ taken: lane.taken + lane.messages.length, mark });
      lane.nextMark = marks[0]!.taken;
    }
    return mark;
  }

  /** Forgets every message, sent or not. Ceph's `discard_out_queue`. @returns How many there were. */
  clear(): number {
    const count = this.#unsent + this.#sent.length;
    for (const lane of this.#lanes) {
      lane.messages.clear();
      lane.marks = undefined;
      lane.nextMark = -1;
    }
    this.#sent.clear();
    this.#unsent = this.#cursor = this.#bytes = 0;
    return count;
  }

  #passMarks(lane: Lane): void {
    const marks = lane.marks!;
    while (marks[0]?.taken === lane.taken) {
      const { mark } = marks.shift()!;
      mark.open--;
      mark.seq = this.outSeq;
    }
    lane.nextMark = marks[0]?.taken ?? -1;
  }

  #forgetFirst(): void {
    this.#bytes -= this.#sent.shift()!.byteLength + OVERHEAD;
  }

  #lane(priority: number): Lane {
    let index = 0;
    while (index < this.#lanes.length && this.#lanes[index]!.priority > priority) index++;
    let lane = this.#lanes[index];
    if (lane?.priority !== priority) {
      lane = { priority, messages: new Ring(), taken: 0, marks: undefined, nextMark: -1 };
      this.#lanes.splice(index, 0, lane);
    }
    return lane;
  }
}
