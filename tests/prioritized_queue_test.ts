import { assertEquals } from "@std/assert";
import * as fc from "fast-check";
import { test } from "node:test";
import { PrioritizedQueue } from "../src/prioritized_queue.ts";

const SEED = { seed: 27 };
/** Ceph's `ms_pq_min_cost` and `ms_pq_max_tokens_per_priority`. */
const MIN_COST = 65536, MAX_TOKENS = 16777216;

interface Item {
  readonly name: string;
}

function item(name: string): Item {
  return { name };
}

/** Takes everything that can be taken. */
function drain(queue: PrioritizedQueue<Item>): string[] {
  const taken: string[] = [];
  for (let next = queue.dequeue(); next !== undefined; next = queue.dequeue()) taken.push(next.name);
  return taken;
}

/** Adds items of strict priority: the class is the letter, as 1 for a, and so on. */
function addStrict(queue: PrioritizedQueue<Item>, priority: number, ...names: string[]): void {
  for (const name of names) queue.enqueueStrict(name.charCodeAt(0) - 96, priority, item(name));
}

test("PrioritizedQueue.dequeue() of an empty queue gives nothing", () => {
  const queue = new PrioritizedQueue<Item>();
  assertEquals([queue.dequeue(), queue.length, queue.isIdle], [undefined, 0, true]);
});

test("PrioritizedQueue.dequeue() takes strict priorities from high to low, whenever they were added", () => {
  const queue = new PrioritizedQueue<Item>();
  addStrict(queue, 127, "a1");
  addStrict(queue, 64, "a2");
  addStrict(queue, 255, "a3");
  assertEquals(queue.dequeue()?.name, "a3");
  addStrict(queue, 196, "a4");
  assertEquals(drain(queue), ["a4", "a1", "a2"]);
});

test("PrioritizedQueue.dequeue() takes weighted items only when no strict one is left", () => {
  const queue = new PrioritizedQueue<Item>();
  queue.enqueue(1, 63, 0, item("weighted"));
  addStrict(queue, 64, "a1", "a2");
  assertEquals(drain(queue), ["a1", "a2", "weighted"]);
});

test("PrioritizedQueue.dequeue() lets classes of one priority take turns, one item each, each in its order", () => {
  const queue = new PrioritizedQueue<Item>();
  addStrict(queue, 127, "a1", "a2", "a3", "a4", "b1", "c1", "c2");
  assertEquals(drain(queue), ["a1", "b1", "c1", "a2", "c2", "a3", "a4"]);
});

test("PrioritizedQueue.dequeue() gives a class that comes later its turn within one round", () => {
  const queue = new PrioritizedQueue<Item>();
  addStrict(queue, 127, "a1", "a2", "a3", "b1", "b2", "b3");
  assertEquals(queue.dequeue()?.name, "a1");
  addStrict(queue, 127, "c1");
  assertEquals(drain(queue), ["b1", "a2", "c1", "b2", "a3", "b3"]);
});

test("PrioritizedQueue.owner is the class of what was taken last", () => {
  const queue = new PrioritizedQueue<Item>();
  addStrict(queue, 127, "a1", "b1");
  const owners = [queue.dequeue(), queue.dequeue()].map(() => queue.owner);
  queue.enqueue(7, 1, 0, item("x"));
  queue.dequeue();
  assertEquals([owners[1], queue.owner], [2, 7]);
});

test("PrioritizedQueue.hold() passes a class over, at every priority, and keeps its items and their order", () => {
  const queue = new PrioritizedQueue<Item>();
  addStrict(queue, 255, "a1");
  addStrict(queue, 127, "a2", "b1", "b2");
  queue.enqueue(1, 63, 0, item("a4"));
  queue.hold(1);
  addStrict(queue, 127, "a3");
  assertEquals([drain(queue), queue.length], [["b1", "b2"], 4]);
  queue.resume(1);
  assertEquals([drain(queue), queue.length], [["a1", "a2", "a3", "a4"], 0]);
});

test("PrioritizedQueue.resume() of a class that is not held changes nobody's turn", () => {
  const queue = new PrioritizedQueue<Item>();
  addStrict(queue, 127, "a1", "a2", "b1", "b2");
  queue.resume(1);
  queue.resume(9);
  assertEquals(drain(queue), ["a1", "b1", "a2", "b2"]);
});

test("PrioritizedQueue.hold() and resume() again and again give nobody two turns in one round", () => {
  const queue = new PrioritizedQueue<Item>();
  addStrict(queue, 127, "a1", "a2", "a3", "b1", "b2", "b3");
  const taken: (string | undefined)[] = [];
  for (let i = 0; i < 6; i++) {
    queue.hold(1);
    queue.resume(1);
    taken.push(queue.dequeue()?.name);
  }
  assertEquals(taken, ["a1", "b1", "a2", "b2", "a3", "b3"]);
});

test("PrioritizedQueue.removeByClass() takes out one class' items, held or not, and leaves the others their turns", () => {
  const queue = new PrioritizedQueue<Item>();
  addStrict(queue, 255, "b0");
  addStrict(queue, 127, "a1", "b1", "c1", "b2", "a2");
  queue.enqueue(2, 63, 100, item("b3"));
  queue.hold(2);
  assertEquals(queue.removeByClass(2).map(({ name }) => name), ["b0", "b1", "b2", "b3"]);
  assertEquals([queue.length, queue.removeByClass(2)], [3, []]);
  queue.resume(2);
  addStrict(queue, 127, "b4");
  assertEquals(drain(queue), ["a1", "c1", "b4", "a2"]);
});

test("PrioritizedQueue.takeAll() takes out everything, held classes too", () => {
  const queue = new PrioritizedQueue<Item>();
  addStrict(queue, 127, "a1", "b1", "a2");
  queue.enqueue(3, 1, 0, item("c1"));
  queue.hold(1);
  assertEquals(queue.takeAll().map(({ name }) => name).toSorted(), ["a1", "a2", "b1", "c1"]);
  assertEquals([queue.length, queue.dequeue(), queue.takeAll()], [0, undefined, []]);
  addStrict(queue, 127, "b2");
  assertEquals(drain(queue), ["b2"]);
});

test("PrioritizedQueue begins with the higher of two weighted priorities: the lower has saved nothing yet", () => {
  const queue = new PrioritizedQueue<Item>();
  queue.enqueue(1, 1, 0, item("low"));
  queue.enqueue(1, 63, 0, item("high"));
  assertEquals(drain(queue), ["high", "low"]);
});

test("PrioritizedQueue gives weighted priorities their shares: the lower waits, and is never forgotten", () => {
  const queue = new PrioritizedQueue<Item>();
  for (let i = 0; i < 400; i++) {
    queue.enqueue(1, 10, 0, item("low"));
    queue.enqueue(1, 30, 0, item("high"));
  }
  const first = Array.from({ length: 200 }, () => queue.dequeue()!.name), low = first.filter((name) => name === "low");
  // A quarter, less the one that it had to save for first.
  assertEquals(low.length, 49);
  assertEquals(first.slice(0, 8), ["high", "high", "high", "high", "low", "high", "high", "high"]);
});

test("PrioritizedQueue counts a small weighted item as 64 KiB and a large one as its size", () => {
  const queue = new PrioritizedQueue<Item>();
  for (let i = 0; i < 100; i++) {
    queue.enqueue(1, 20, 10 * MIN_COST, item("large"));
    queue.enqueue(1, 21, 1, item("small"));
  }
  const first = Array.from({ length: 60 }, () => queue.dequeue()!.name);
  const large = first.filter((name) => name === "large").length;
  // Of about equal shares the large ones take ten times as many bytes each.
  assertEquals(large >= 4 && large <= 6, true, `${large} of 60`);
});

test("PrioritizedQueue takes weighted items of priority 0 too, last of all", () => {
  const queue = new PrioritizedQueue<Item>();
  queue.enqueue(1, 0, 0, item("a"));
  queue.enqueue(1, 0, 0, item("b"));
  queue.enqueue(1, 1, 0, item("c"));
  assertEquals(drain(queue), ["c", "a", "b"]);
});

interface Waiting {
  readonly owner: number;
  readonly cost: number;
  readonly item: Item;
}

interface ModelLevel {
  readonly priority: number;
  /** In the order of their coming. */
  readonly items: Waiting[];
  /** Whose turn it is, and who is next. */
  readonly line: number[];
  tokens: number;
}

/** Ceph's rules in plain arrays. */
class Model {
  readonly #strict = new Map<number, ModelLevel>();
  readonly #weighted = new Map<number, ModelLevel>();
  readonly #held = new Set<number>();

  get #levels(): ModelLevel[] {
    return [...this.#strict.values(), ...this.#weighted.values()];
  }

  get length(): number {
    return this.#levels.reduce((sum, { items }) => sum + items.length, 0);
  }

  add(kind: "strict" | "weighted", waiting: Waiting, priority: number): void {
    const levels = kind === "strict" ? this.#strict : this.#weighted;
    if (!levels.has(priority)) levels.set(priority, { priority, items: [], line: [], tokens: 0 });
    levels.get(priority)!.items.push(waiting);
    this.#join(waiting.owner);
  }

  hold(owner: number): void {
    this.#held.add(owner);
  }

  resume(owner: number): void {
    this.#held.delete(owner);
    this.#join(owner);
  }

  remove(owner: number): string[] {
    const removed: string[] = [];
    for (const level of this.#levels.toSorted((a, b) => b.priority - a.priority)) {
      const gone = level.items.filter((waiting) => waiting.owner === owner);
      removed.push(...gone.map(({ item }) => item.name));
      for (const waiting of gone) level.items.splice(level.items.indexOf(waiting), 1);
      if (gone.length > 0) level.line.splice(0, level.line.length, ...level.line.filter((other) => other !== owner));
    }
    this.#endEmptyLevels();
    return removed;
  }

  dequeue(): string | undefined {
    for (const level of sorted(this.#strict)) {
      if (this.#turn(level) !== undefined) return this.#take(level).item.name;
    }
    const ready = this.#ready();
    if (ready.length === 0) return undefined;
    const affordable = ready.toReversed().find((level) => this.#front(level).cost < level.tokens);
    const level = affordable ?? ready[0]!, { cost, item } = this.#take(level);
    if (affordable !== undefined) level.tokens -= cost;
    this.#endEmptyLevels();
    const earning = this.#ready(), total = earning.reduce((sum, { priority }) => sum + priority, 0);
    for (const each of total === 0 ? [] : earning) {
      each.tokens = Math.min(MAX_TOKENS, each.tokens + Math.floor((each.priority * cost) / total) + 1);
    }
    return item.name;
  }

  #ready(): ModelLevel[] {
    return sorted(this.#weighted).filter((level) => this.#turn(level) !== undefined);
  }

  #endEmptyLevels(): void {
    for (const [priority, { items }] of this.#weighted) if (items.length === 0) this.#weighted.delete(priority);
  }

  #join(owner: number): void {
    if (this.#held.has(owner)) return;
    for (const { items, line } of this.#levels) {
      if (!line.includes(owner) && items.some((waiting) => waiting.owner === owner)) line.push(owner);
    }
  }

  #turn({ line }: ModelLevel): number | undefined {
    while (line.length > 0 && this.#held.has(line[0]!)) line.shift();
    return line[0];
  }

  #front({ items, line }: ModelLevel): Waiting {
    return items.find(({ owner }) => owner === line[0])!;
  }

  #take(level: ModelLevel): Waiting {
    const waiting = this.#front(level);
    level.items.splice(level.items.indexOf(waiting), 1);
    level.line.shift();
    this.#join(waiting.owner);
    return waiting;
  }
}

function sorted(levels: Map<number, ModelLevel>): ModelLevel[] {
  return [...levels.values()].toSorted((a, b) => b.priority - a.priority);
}

test("PrioritizedQueue does what Ceph's rules say, in any order of events", () => {
  const owner = fc.integer({ min: 1, max: 4 });
  const cost = fc.constantFrom(0, 1, MIN_COST, 5 * MIN_COST + 1, 200 * MIN_COST, 2 * MAX_TOKENS);
  const operation = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant("weighted" as const),
        owner,
        priority: fc.constantFrom(0, 1, 10, 63),
        cost,
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ kind: fc.constant("strict" as const), owner, priority: fc.constantFrom(64, 127, 255) }),
    },
    { weight: 9, arbitrary: fc.record({ kind: fc.constant("dequeue" as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("hold" as const), owner }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("resume" as const), owner }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("remove" as const), owner }) },
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 120, size: "max" }), (operations) => {
      const queue = new PrioritizedQueue<Item>(), model = new Model();
      for (const [i, operation] of operations.entries()) {
        switch (operation.kind) {
          case "weighted": {
            const { owner, priority, cost } = operation, clamped = Math.min(MAX_TOKENS, Math.max(MIN_COST, cost));
            queue.enqueue(owner, priority, cost, item(`${i}`));
            model.add("weighted", { owner, cost: clamped, item: item(`${i}`) }, priority);
            break;
          }
          case "strict": {
            const { owner, priority } = operation;
            queue.enqueueStrict(owner, priority, item(`${i}`));
            model.add("strict", { owner, cost: 0, item: item(`${i}`) }, priority);
            break;
          }
          case "dequeue":
            assertEquals(queue.dequeue()?.name, model.dequeue());
            break;
          case "remove":
            assertEquals(queue.removeByClass(operation.owner).map(({ name }) => name), model.remove(operation.owner));
            break;
          default:
            queue[operation.kind](operation.owner);
            model[operation.kind](operation.owner);
        }
        assertEquals(queue.length, model.length);
      }
      for (let owner = 1; owner <= 4; owner++) {
        queue.resume(owner);
        model.resume(owner);
      }
      for (let next = model.dequeue(); next !== undefined; next = model.dequeue()) {
        assertEquals(queue.dequeue()?.name, next);
      }
      assertEquals([queue.dequeue(), queue.length], [undefined, 0]);
    }),
    { ...SEED, numRuns: 1000 },
  );
});
