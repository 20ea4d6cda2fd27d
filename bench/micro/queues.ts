/**
 * What a message costs in each queue it goes through, by how many wait there already: that must make no difference. The baseline is an array
 * that is pushed to and shifted from.
 *
 * @module
 */

import { compare } from "./compare.ts";
import { Message } from "../../src/message.ts";
import { OutQueue } from "../../src/out_queue.ts";
import { PrioritizedQueue } from "../../src/prioritized_queue.ts";
import { Ring } from "../../src/ring.ts";

const COUNT = 1000, WAITING = [0, 1000, 100_000, 1_000_000], OWNERS = 1000, PRIORITY = 127;
const message = new Message(0x8001, { data: new Uint8Array(64) });

for (const waiting of WAITING) {
  const array: Message[] = [], ring = new Ring<Message>();
  const out = new OutQueue(), unacknowledged = new OutQueue();
  const one = new PrioritizedQueue<Message>(), many = new PrioritizedQueue<Message>();
  for (let i = 0; i < waiting; i++) {
    array.push(message);
    ring.push(message);
    out.push(message, PRIORITY);
    unacknowledged.push(message, PRIORITY);
    unacknowledged.next(true);
    one.enqueueStrict(0, PRIORITY, message);
    many.enqueueStrict(i % OWNERS, PRIORITY, message);
  }
  compare(`${waiting.toLocaleString("en")} wait`, COUNT, {
    "array: push, shift": () =>
      repeat(() => {
        array.push(message);
        return array.shift()!.type;
      }),
    "ring": () =>
      repeat(() => {
        ring.push(message);
        return ring.shift()!.type;
      }),
    "to be sent, acknowledged at once": () =>
      repeat(() => {
        out.push(message, PRIORITY);
        const { type } = out.next(true)!;
        out.handleAck(out.outSeq);
        return type;
      }),
    "sent, acknowledged much later": () =>
      repeat(() => {
        unacknowledged.push(message, PRIORITY);
        const { type } = unacknowledged.next(true)!;
        unacknowledged.handleAck(unacknowledged.outSeq - waiting);
        return type;
      }),
    "to be dispatched, 1 connection": () =>
      repeat(() => {
        one.enqueueStrict(0, PRIORITY, message);
        return one.dequeue()!.type;
      }),
    "to be dispatched, 1,000": () =>
      repeat((i) => {
        many.enqueueStrict(i % OWNERS, PRIORITY, message);
        return many.dequeue()!.type;
      }),
  });
}

function repeat(run: (i: number) => number): number {
  let sum = 0;
  for (let i = 0; i < COUNT; i++) sum += run(i);
  return sum;
}
