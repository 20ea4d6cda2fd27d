import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import * as fc from "fast-check";
import { test } from "node:test";
import { MessengerError } from "../src/errors.ts";
import { Throttle } from "../src/throttle.ts";

const SEED = { seed: 27 };

/** Lets every promise that can settle do so. */
async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await undefined;
}

/** Takes in turn, and notes who has got through. */
function takers(throttle: Throttle, ...counts: number[]): number[] {
  const passed: number[] = [];
  for (const count of counts) void throttle.get(count).then(() => passed.push(count));
  return passed;
}

test("Throttle.get() takes at once while the budget lasts", async () => {
  const throttle = new Throttle(10);
  await throttle.get(4);
  await throttle.get(6);
  assertEquals([throttle.current, throttle.waiting, throttle.max], [10, 0, 10]);
});

test("Throttle.get() waits until enough has been put back", async () => {
  const throttle = new Throttle(10);
  await throttle.get(10);
  const passed = takers(throttle, 3);
  throttle.put(2);
  await settle();
  assertEquals([passed, throttle.current, throttle.waiting], [[], 8, 1]);
  throttle.put(1);
  await settle();
  assertEquals([passed, throttle.current, throttle.waiting], [[3], 10, 0]);
});

test("Throttle.get() serves those who wait in the order in which they came, a small one behind a large one", async () => {
  const throttle = new Throttle(10);
  await throttle.get(10);
  const passed = takers(throttle, 8, 1, 2);
  throttle.put(5);
  await settle();
  assertEquals(passed, []);
  throttle.put(3);
  await settle();
  assertEquals(passed, [8]);
  throttle.put(3);
  await settle();
  assertEquals([passed, throttle.current], [[8, 1, 2], 10]);
});

test("Throttle.get() lets several pass when one large share comes back", async () => {
  const throttle = new Throttle(10);
  await throttle.get(10);
  const passed = takers(throttle, 4, 4, 4);
  throttle.put(10);
  await settle();
  assertEquals([passed, throttle.current, throttle.waiting], [[4, 4], 8, 1]);
});

test("Throttle.get() of more than the budget passes as soon as no more than the budget is taken, so it never waits forever", async () => {
  const throttle = new Throttle(10);
  await throttle.get(25);
  assertEquals(throttle.current, 25);
  const passed = takers(throttle, 30, 1);
  await settle();
  assertEquals(passed, []);
  throttle.put(25);
  await settle();
  assertEquals([passed, throttle.current], [[30], 30]);
  throttle.put(30);
  await settle();
  assertEquals([passed, throttle.current], [[30, 1], 1]);
});

test("Throttle.get() of exactly the budget waits until nothing is taken", async () => {
  const throttle = new Throttle(10);
  await throttle.get(1);
  const passed = takers(throttle, 10);
  await settle();
  assertEquals(passed, []);
  throttle.put(1);
  await settle();
  assertEquals(passed, [10]);
});

test("Throttle.get() with a signal leaves the line when it aborts, takes nothing, and lets the next one pass", async () => {
  const throttle = new Throttle(10), controller = new AbortController(), reason = new Error("gone");
  await throttle.get(8);
  const large = throttle.get(9, controller.signal), passed = takers(throttle, 2);
  controller.abort(reason);
  assertEquals(await assertRejects(() => large), reason);
  await settle();
  assertEquals([passed, throttle.current, throttle.waiting], [[2], 10, 0]);
});

test("Throttle.get() with a signal leaves the line from its middle, and the order of the others stays", async () => {
  const throttle = new Throttle(1), controller = new AbortController(), passed: string[] = [];
  await throttle.get(1);
  for (const name of ["a", "b", "c"]) {
    const signal = name === "b" ? controller.signal : undefined;
    throttle.get(1, signal).then(() => passed.push(name), () => passed.push(`${name} left`));
  }
  controller.abort();
  for (let i = 0; i < 2; i++) {
    throttle.put(1);
    await settle();
  }
  assertEquals([passed, throttle.current, throttle.waiting], [["b left", "a", "c"], 1, 0]);
});

test("Throttle.get() rejects at once on a signal that has aborted, even while the budget lasts", async () => {
  const throttle = new Throttle(10);
  await assertRejects(() => throttle.get(1, AbortSignal.abort(new Error("too late"))), Error, "too late");
  assertEquals([throttle.current, throttle.waiting], [0, 0]);
});

test("Throttle.get() keeps what it got when its signal aborts afterwards", async () => {
  const throttle = new Throttle(1), controller = new AbortController();
  await throttle.get(1);
  const second = throttle.get(1, controller.signal);
  throttle.put(1);
  controller.abort();
  await second;
  assertEquals([throttle.current, throttle.waiting], [1, 0]);
});

test("Throttle.getOrFail() takes what is there and says so", () => {
  const throttle = new Throttle(10);
  assertEquals([throttle.getOrFail(6), throttle.getOrFail(5), throttle.getOrFail(4)], [true, false, true]);
  assertEquals(throttle.current, 10);
});

test("Throttle.getOrFail() overtakes nobody who waits, even where there is room for it", async () => {
  const throttle = new Throttle(10);
  await throttle.get(8);
  const passed = takers(throttle, 5);
  assertEquals(throttle.getOrFail(1), false);
  throttle.put(8);
  await settle();
  assertEquals([passed, throttle.getOrFail(1), throttle.current], [[5], true, 6]);
});

test("Throttle.resetMax() lets pass who now may, and makes wait who now must", async () => {
  const throttle = new Throttle(5);
  await throttle.get(5);
  const passed = takers(throttle, 3, 4);
  throttle.resetMax(8);
  await settle();
  assertEquals([passed, throttle.max], [[3], 8]);
  throttle.resetMax(2);
  throttle.put(5);
  await settle();
  assertEquals([passed, throttle.getOrFail(1)], [[3], false]);
});

test("Throttle.put() of more than was taken leaves a whole budget and no more", () => {
  const throttle = new Throttle(3);
  throttle.put(5);
  assertEquals([throttle.current, throttle.getOrFail(3), throttle.getOrFail(1)], [0, true, false]);
});

test("Throttle with a budget of 0 lets everything pass", async () => {
  const throttle = new Throttle(0);
  for (let i = 0; i < 10; i++) await throttle.get(2 ** 40);
  assertEquals([throttle.getOrFail(1), throttle.waiting, throttle.max], [true, 0, 0]);
});

test("Throttle keeps its rules whatever happens in whatever order", async () => {
  const operations = fc.array(
    fc.oneof(
      { weight: 40, arbitrary: fc.record({ kind: fc.constant("get" as const), count: fc.nat(15) }) },
      { weight: 20, arbitrary: fc.record({ kind: fc.constant("getOrFail" as const), count: fc.nat(15) }) },
      { weight: 40, arbitrary: fc.record({ kind: fc.constant("put" as const), which: fc.nat(20) }) },
      { weight: 10, arbitrary: fc.record({ kind: fc.constant("abort" as const), which: fc.nat(20) }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant("resetMax" as const), max: fc.nat(20) }) },
    ),
    { maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(operations, async (list) => {
      const throttle = new Throttle(10), model = new ThrottleModel(10);
      const controllers: AbortController[] = [], passed: number[] = [];
      let ticket = 0;
      for (const operation of list) {
        switch (operation.kind) {
          case "get": {
            const id = ticket++, controller = new AbortController();
            controllers.push(controller);
            throttle.get(operation.count, controller.signal).then(() => passed.push(id), () => {});
            model.get(id, operation.count);
            break;
          }
          case "getOrFail":
            assertEquals(throttle.getOrFail(operation.count), model.getOrFail(operation.count));
            break;
          case "put":
            if (model.held.length > 0) throttle.put(model.put(operation.which));
            break;
          case "abort":
            if (controllers.length === 0) break;
            controllers[operation.which % controllers.length]!.abort();
            model.abort(operation.which % controllers.length);
            break;
          case "resetMax":
            throttle.resetMax(operation.max);
            model.resetMax(operation.max);
        }
        await settle();
        assertEquals([throttle.current, throttle.waiting], [model.current, model.line.length]);
        assertEquals(passed, model.passed);
      }
    }),
    { ...SEED, numRuns: 300 },
  );
});

/** The rules, as Ceph's `Throttle` has them, in an array. */
class ThrottleModel {
  current = 0;
  max: number;
  readonly line: { id: number; count: number }[] = [];
  readonly passed: number[] = [];
  /** Shares that were taken and not put back. */
  readonly held: number[] = [];

  constructor(max: number) {
    this.max = max;
  }

  #mustWait(count: number): boolean {
    const { max, current } = this;
    return max !== 0 && ((count <= max && count + current > max) || (count >= max && current > max));
  }

  #take(count: number): void {
    this.current += count;
    this.held.push(count);
  }

  #admit(): void {
    for (let first = this.line[0]; first !== undefined && !this.#mustWait(first.count); first = this.line[0]) {
      this.line.shift();
      this.#take(first.count);
      this.passed.push(first.id);
    }
  }

  get(id: number, count: number): void {
    this.line.push({ id, count });
    if (this.line.length === 1) this.#admit();
  }

  getOrFail(count: number): boolean {
    if (this.line.length > 0 || this.#mustWait(count)) return false;
    this.#take(count);
    return true;
  }

  put(which: number): number {
    const [count] = this.held.splice(which % this.held.length, 1);
    this.current -= count!;
    this.#admit();
    return count!;
  }

  abort(id: number): void {
    const index = this.line.findIndex((waiter) => waiter.id === id);
    if (index >= 0) this.line.splice(index, 1);
    this.#admit();
  }

  resetMax(max: number): void {
    this.max = max;
    this.#admit();
  }
}

test("Throttle counts without a budget too, so that a budget set later begins with what is out", async () => {
  const throttle = new Throttle(10);
  await throttle.get(10);
  throttle.resetMax(0);
  await throttle.get(5);
  throttle.put(10);
  throttle.resetMax(6);
  assertEquals([throttle.current, throttle.getOrFail(2), throttle.getOrFail(1)], [5, false, true]);
});

test("Throttle refuses a budget that is none", () => {
  for (const max of [-1, NaN, 1.5, Infinity]) {
    for (const make of [() => new Throttle(max), () => new Throttle(1).resetMax(max)]) {
      const error = assertThrows(make, MessengerError);
      assertEquals([error.code, error.message], [
        "invalid",
        `Bad throttle max: got ${max}, expected 0 to 9007199254740991`,
      ]);
    }
  }
});
