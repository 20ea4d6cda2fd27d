import { assertEquals } from "@std/assert";
import * as fc from "fast-check";
import { test } from "node:test";
import { Message } from "../src/message.ts";
import { OutQueue } from "../src/out_queue.ts";

const SEED = { seed: 27 };

/** Messages that can be told apart by their tid. */
function messages(count: number, init: { data?: Uint8Array } = {}): Message[] {
  return Array.from({ length: count }, (_, tid) => new Message(1, { tid: tid + 1, ...init }));
}

/** A lossless queue that has sent `sent` messages and still holds `waiting` more. */
function queueOf(sent: number, waiting = 0): OutQueue {
  const queue = new OutQueue();
  for (const message of messages(sent + waiting)) queue.push(message, 127);
  for (let i = 0; i < sent; i++) queue.next(true);
  return queue;
}

/** Sends all that waits: what goes out, as its sequence number and tid. */
function sendAll(queue: OutQueue, keep = true): [seq: number, tid: number][] {
  const sent: [number, number][] = [];
  for (let message = queue.next(keep); message !== undefined; message = queue.next(keep)) {
    sent.push([queue.outSeq, message.tid]);
  }
  return sent;
}

test("OutQueue.next() takes the highest priority first, and in each the oldest", () => {
  const queue = new OutQueue();
  for (const [i, priority] of [127, 64, 255, 127, 196, 64, 1].entries()) {
    queue.push(new Message(1, { tid: i }), priority);
  }
  assertEquals(sendAll(queue).map(([, tid]) => tid), [2, 4, 0, 3, 1, 5, 6]);
});

test("OutQueue.next() of an empty queue gives nothing and no number", () => {
  const queue = new OutQueue();
  assertEquals([queue.next(true), queue.next(false), queue.outSeq], [undefined, undefined, 0]);
});

test("OutQueue.next() numbers from outSeq on, wherever that begins", () => {
  const queue = new OutQueue();
  queue.outSeq = 0x7ffffffe;
  for (const message of messages(2)) queue.push(message, 127);
  assertEquals(sendAll(queue), [[0x7fffffff, 1], [0x80000000, 2]]);
  assertEquals([queue.handleAck(0x7fffffff), queue.unacknowledged], [1, 1]);
});

test("OutQueue.next(false) remembers nothing: a lossy session sends nothing twice", () => {
  const queue = new OutQueue();
  for (const message of messages(3)) queue.push(message, 127);
  assertEquals(sendAll(queue, false), [[1, 1], [2, 2], [3, 3]]);
  assertEquals([queue.unacknowledged, queue.bytes, queue.requeueSent(), queue.outSeq], [0, 0, 0, 3]);
});

test("OutQueue.handleAck() forgets all messages up to a number", () => {
  const queue = queueOf(5, 1);
  assertEquals([queue.handleAck(2), queue.unacknowledged, queue.unsent], [2, 3, 1]);
  assertEquals([queue.handleAck(2), queue.handleAck(1), queue.handleAck(0)], [0, 0, 0]);
  assertEquals([queue.handleAck(Number.MAX_SAFE_INTEGER), queue.unacknowledged, queue.unsent], [3, 0, 1]);
});

test("OutQueue.requeueSent() has all unacknowledged messages sent again, under their numbers, before any other", () => {
  const queue = queueOf(4, 2);
  queue.handleAck(1);
  queue.push(new Message(1, { tid: 99 }), 255);
  assertEquals([queue.requeueSent(), queue.unacknowledged, queue.unsent], [3, 0, 6]);
  assertEquals(sendAll(queue), [[2, 2], [3, 3], [4, 4], [5, 99], [6, 5], [7, 6]]);
});

test("OutQueue.requeueSent() in the middle of a replay begins it again", () => {
  const queue = queueOf(3, 1);
  queue.requeueSent();
  queue.next(true);
  assertEquals([queue.outSeq, queue.requeueSent(), queue.outSeq], [1, 3, 0]);
  assertEquals(sendAll(queue), [[1, 1], [2, 2], [3, 3], [4, 4]]);
});

test("OutQueue.requeueSent() of nothing changes nothing", () => {
  const queue = queueOf(2);
  queue.handleAck(2);
  assertEquals([queue.requeueSent(), queue.outSeq], [0, 2]);
});

test("OutQueue.abandon() takes back the message that was handed out last, for the next one to have its number", () => {
  const queue = queueOf(3, 1), sent = messages(2);
  assertEquals(queue.abandon(sent[0]!), false, "it is another one");
  for (const message of sent) queue.push(message, 127);
  assertEquals([queue.next(true)?.tid, queue.next(true), queue.outSeq], [4, sent[0], 5]);
  const before = queue.bytes;
  assertEquals(queue.abandon(sent[1]!), false, "it was not handed out");
  assertEquals([queue.abandon(sent[0]!), queue.outSeq, queue.unacknowledged, queue.unsent], [true, 4, 4, 1]);
  assertEquals(queue.bytes, before - 256);
  assertEquals([queue.next(true), queue.outSeq], [sent[1], 5]);
  queue.requeueSent();
  queue.next(true);
  assertEquals(queue.abandon(sent[1]!), false, "others wait for their replay before it");
});

test("OutQueue.handleAck() does not touch what waits for its replay: on this connection it was not sent yet", () => {
  const queue = queueOf(3);
  queue.requeueSent();
  assertEquals([queue.handleAck(3), queue.unsent], [0, 3]);
  queue.next(true);
  assertEquals([queue.handleAck(3), queue.unsent], [1, 2]);
});

test("OutQueue.discardRequeuedUpTo() forgets what the peer has: after a reconnect nothing is sent twice", () => {
  const queue = queueOf(5, 1);
  queue.requeueSent();
  assertEquals([queue.discardRequeuedUpTo(3), queue.outSeq, queue.unsent], [3, 3, 3]);
  assertEquals(sendAll(queue), [[4, 4], [5, 5], [6, 6]]);
});

test("OutQueue.discardRequeuedUpTo() keeps all when the peer has none", () => {
  const queue = queueOf(3);
  queue.handleAck(1);
  queue.requeueSent();
  assertEquals([queue.discardRequeuedUpTo(1), sendAll(queue)], [0, [[2, 2], [3, 3]]]);
});

test("OutQueue.discardRequeuedUpTo() keeps messages that were never sent, even of the highest priority", () => {
  const queue = queueOf(2);
  queue.requeueSent();
  queue.push(new Message(1, { tid: 99 }), 255);
  assertEquals([queue.discardRequeuedUpTo(7), queue.unsent], [2, 1]);
  assertEquals(sendAll(queue), [[8, 99]]);
});

// A Pipe that took the place of one that had sent more would otherwise send numbers that the peer drops as old.
test("OutQueue.discardRequeuedUpTo() goes on numbering where the peer is when nothing is left to replay", () => {
  const fresh = queueOf(0, 1), ahead = queueOf(2, 1), behind = queueOf(2, 1);
  assertEquals([fresh.discardRequeuedUpTo(23807), sendAll(fresh)], [0, [[23808, 1]]]);
  ahead.requeueSent();
  assertEquals([ahead.discardRequeuedUpTo(9), sendAll(ahead)], [2, [[10, 3]]]);
  behind.handleAck(2);
  assertEquals([behind.discardRequeuedUpTo(0), sendAll(behind)], [0, [[1, 3]]]);
});

test("OutQueue.discardRequeuedUpTo() forgets what is on its way too, oldest first, if the peer says that it has it", () => {
  const queue = queueOf(4, 1);
  queue.requeueSent();
  queue.next(true);
  queue.next(true);
  assertEquals([queue.discardRequeuedUpTo(1), queue.unacknowledged, queue.outSeq], [1, 1, 2]);
  assertEquals([queue.discardRequeuedUpTo(3), queue.unacknowledged, queue.outSeq], [2, 0, 3]);
  assertEquals(sendAll(queue), [[4, 4], [5, 5]]);
});

test("OutQueue.clear() forgets everything and says how much it was; numbering is left to the session", () => {
  const queue = queueOf(3, 2);
  assertEquals([queue.clear(), queue.unsent, queue.unacknowledged, queue.bytes, queue.outSeq], [5, 0, 0, 0, 3]);
  assertEquals([queue.next(true), queue.handleAck(3), queue.requeueSent()], [undefined, 0, 0]);
  queue.push(new Message(1, { tid: 7 }), 127);
  assertEquals(sendAll(queue), [[4, 7]]);
});

test("OutQueue.bytes counts segments and 256 bytes a message, until each is acknowledged", () => {
  const queue = new OutQueue(), [a, b] = messages(2, { data: new Uint8Array(1000) });
  queue.push(a!, 127);
  queue.push(b!, 64);
  assertEquals(queue.bytes, 2512);
  queue.next(true);
  assertEquals(queue.bytes, 2512);
  queue.handleAck(1);
  assertEquals(queue.bytes, 1256);
  queue.next(false);
  assertEquals(queue.bytes, 0);
});

/**
 * The same after Ceph: queues by priority, `sent`, and a number in each message. What is replayed goes to the front of the highest priority; those
 * that the program put there have no number yet.
 */
class CephModel {
  outSeq = 0;
  readonly #outQ = new Map<number, { message: Message; seq: number }[]>();
  #sent: { message: Message; seq: number }[] = [];

  #list(priority: number): { message: Message; seq: number }[] {
    if (!this.#outQ.has(priority)) this.#outQ.set(priority, []);
    return this.#outQ.get(priority)!;
  }

  #numbered(): number {
    return this.#list(255).filter(({ seq }) => seq !== 0).length;
  }

  get state(): number[] {
    const waiting = [...this.#outQ.values()].flat(), all = [...waiting, ...this.#sent];
    const bytes = all.reduce((sum, { message }) => sum + message.byteLength + 256, 0);
    return [this.outSeq, waiting.length, this.#sent.length, bytes];
  }

  push(message: Message, priority: number): void {
    this.#list(priority).push({ message, seq: 0 });
  }

  next(keep: boolean): Message | undefined {
    const priority = Math.max(
      0,
      ...[...this.#outQ].filter(([, list]) => list.length > 0).map(([priority]) => priority),
    );
    const item = this.#list(priority).shift();
    if (item === undefined) return undefined;
    item.seq = ++this.outSeq;
    if (keep) this.#sent.push(item);
    return item.message;
  }

  requeueSent(): number {
    this.outSeq -= this.#sent.length;
    this.#list(255).unshift(...this.#sent);
    this.#sent = [];
    return this.#numbered();
  }

  discardRequeuedUpTo(seq: number): number {
    const list = this.#list(255);
    let count = 0;
    for (; list[0] !== undefined && list[0].seq !== 0 && list[0].seq <= seq; count++) {
      list.shift();
      this.outSeq++;
    }
    if (this.#numbered() === 0) this.outSeq = seq;
    return count;
  }

  handleAck(seq: number): number {
    const before = this.#sent.length;
    this.#sent = this.#sent.filter((item) => item.seq > seq);
    return before - this.#sent.length;
  }

  clear(): number {
    const count = [...this.#outQ.values()].flat().length + this.#sent.length;
    this.#outQ.clear();
    this.#sent = [];
    return count;
  }
}

test("OutQueue does what Ceph's out_q, sent and out_seq do, in any order of events", () => {
  const seq = fc.integer({ min: 0, max: 40 });
  const operation = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant("push" as const),
        priority: fc.constantFrom(1, 63, 64, 127, 127, 196, 254, 255),
        size: fc.nat(3),
      }),
    },
    { weight: 8, arbitrary: fc.record({ kind: fc.constant("next" as const) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("ack" as const), seq }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("reconnect" as const), seq }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("requeue" as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("clear" as const) }) },
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 80, size: "max" }), fc.boolean(), (operations, keep) => {
      const queue = new OutQueue(), model = new CephModel();
      for (const [tid, operation] of operations.entries()) {
        switch (operation.kind) {
          case "push": {
            const message = new Message(1, { tid, data: new Uint8Array(operation.size) });
            queue.push(message, operation.priority);
            model.push(message, operation.priority);
            break;
          }
          case "next":
            assertEquals(queue.next(keep)?.tid, model.next(keep)?.tid);
            break;
          case "ack":
            assertEquals(queue.handleAck(operation.seq), model.handleAck(operation.seq));
            break;
          case "reconnect":
            // The peer tells what it received last while nothing is on its way.
            assertEquals(queue.requeueSent(), model.requeueSent());
            assertEquals(queue.discardRequeuedUpTo(operation.seq), model.discardRequeuedUpTo(operation.seq));
            break;
          case "requeue":
            assertEquals(queue.requeueSent(), model.requeueSent());
            break;
          case "clear":
            assertEquals(queue.clear(), model.clear());
        }
        assertEquals([queue.outSeq, queue.unsent, queue.unacknowledged, queue.bytes], model.state);
      }
    }),
    { ...SEED, numRuns: 1000 },
  );
});

test("OutQueue loses, repeats and reorders nothing across any number of reconnects", () => {
  const step = fc.record({ push: fc.nat(4), send: fc.nat(6), arrive: fc.nat(6), ack: fc.boolean(), cut: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), (steps) => {
      const queue = new OutQueue(), inbox: number[] = [];
      let pushed = 0, inSeq = 0, wire: [number, number][] = [];
      const receive = ([seq, tid]: [number, number]) => {
        if (seq <= inSeq) return;
        assertEquals(seq, inSeq + 1);
        inSeq = seq;
        inbox.push(tid);
      };
      for (const { push, send, arrive, ack, cut } of steps) {
        for (let i = 0; i < push; i++) queue.push(new Message(1, { tid: pushed++ }), 127);
        for (let i = 0; i < send; i++) {
          const message = queue.next(true);
          if (message !== undefined) wire.push([queue.outSeq, message.tid]);
        }
        wire.splice(0, arrive).forEach(receive);
        if (ack) queue.handleAck(inSeq);
        if (!cut) continue;
        wire = [];
        queue.requeueSent();
        queue.discardRequeuedUpTo(inSeq);
      }
      [...wire, ...sendAll(queue)].forEach(receive);
      assertEquals(inbox, Array.from({ length: pushed }, (_, i) => i));
    }),
    { ...SEED, numRuns: 500 },
  );
});
