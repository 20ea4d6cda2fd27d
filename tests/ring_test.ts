import { assertEquals } from "@std/assert";
import * as fc from "fast-check";
import { test } from "node:test";
import { Ring } from "../src/ring.ts";

const SEED = { seed: 27 };

test("Ring gives items back in the order in which they came, as an array does", () => {
  const operations = fc.array(
    fc.oneof(
      { weight: 50, arbitrary: fc.record({ kind: fc.constant("push" as const), item: fc.nat() }) },
      { weight: 40, arbitrary: fc.constant({ kind: "shift" as const }) },
      { weight: 10, arbitrary: fc.constant({ kind: "pop" as const }) },
      { weight: 10, arbitrary: fc.record({ kind: fc.constant("at" as const), index: fc.nat(50) }) },
      { weight: 1, arbitrary: fc.constant({ kind: "clear" as const }) },
    ),
    { maxLength: 200, size: "max" },
  );
  fc.assert(
    fc.property(operations, (list) => {
      const ring = new Ring<number>(), model: number[] = [];
      for (const operation of list) {
        switch (operation.kind) {
          case "push":
            ring.push(operation.item);
            model.push(operation.item);
            break;
          case "shift":
            assertEquals(ring.shift(), model.shift());
            break;
          case "pop":
            assertEquals(ring.pop(), model.pop());
            break;
          case "at":
            assertEquals(ring.at(operation.index), model[operation.index]);
            break;
          case "clear":
            ring.clear();
            model.length = 0;
        }
        assertEquals(ring.length, model.length);
      }
    }),
    { ...SEED, numRuns: 300 },
  );
});

test("Ring.shift() and at() of an empty ring are undefined, before and after it was used", () => {
  const ring = new Ring<string>();
  assertEquals([ring.shift(), ring.at(0), ring.length], [undefined, undefined, 0]);
  ring.push("a");
  assertEquals([ring.shift(), ring.shift(), ring.at(0), ring.length], ["a", undefined, undefined, 0]);
});

test("Ring keeps its order while it grows with its beginning in the middle", () => {
  const ring = new Ring<number>();
  for (let i = 0; i < 10; i++) ring.push(i);
  for (let i = 0; i < 10; i++) ring.shift();
  for (let i = 0; i < 100; i++) ring.push(i);
  assertEquals(Array.from({ length: 100 }, () => ring.shift()), Array.from({ length: 100 }, (_, i) => i));
});
