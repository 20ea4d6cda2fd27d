import { assert, assertEquals } from "@std/assert";
import * as fc from "fast-check";
import { test } from "node:test";
import { IdleWatch, type Watched } from "../src/idle_watch.ts";
import { VirtualEnvironment } from "../src/testing/virtual_environment.ts";

const TIMEOUT = 1000;
/** In steps that do not divide the time-out, so that nothing happens just when it is over. */
const time = fc.integer({ min: 0, max: 300 }).map((steps) => 16 * steps);

/** Somebody who hears of its peer at given times. */
class Listener implements Watched {
  isOnWatch = false;
  toldAt: number | undefined;

  readonly #watch: IdleWatch;
  readonly #environment: VirtualEnvironment;
  readonly #began: number;
  readonly #hears: readonly number[];
  /** When it is taken off the watch. */
  readonly leavesAt: number;

  constructor(watch: IdleWatch, environment: VirtualEnvironment, hears: readonly number[] = [], leaves = Infinity) {
    this.#watch = watch;
    this.#environment = environment;
    this.#began = environment.now();
    this.#hears = hears.map((after) => this.#began + after);
    this.leavesAt = this.#began + leaves;
  }

  heardAt(now: number): number {
    return Math.max(this.#began, ...this.#hears.filter((time) => time <= now));
  }

  silent(): void {
    this.toldAt = this.#environment.now();
    this.#watch.delete(this);
  }

  /** When it has heard nothing for the time-out, if nobody takes it off the watch. */
  get deadline(): number {
    const times = [this.#began, ...this.#hears.toSorted((a, b) => a - b)];
    return times.find((time, i) => (times[i + 1] ?? Infinity) >= time + TIMEOUT)! + TIMEOUT;
  }
}

test("IdleWatch tells each when it has heard nothing for the time-out, and at most a thousandth of it later", async () => {
  const one = fc.record({
    delay: time,
    hears: fc.array(time, { maxLength: 8 }),
    leaves: fc.option(time),
  });
  await fc.assert(fc.asyncProperty(fc.array(one, { minLength: 1, maxLength: 12 }), async (plan) => {
    const environment = new VirtualEnvironment(), everybody = new Set<Listener>();
    const watch = new IdleWatch(environment, TIMEOUT, everybody);
    for (const { delay, hears, leaves } of plan) {
      environment.setTimer(() => {
        const listener = new Listener(watch, environment, hears, leaves ?? Infinity);
        everybody.add(listener);
        watch.add(listener);
        if (leaves !== null) environment.setTimer(() => watch.delete(listener), leaves);
      }, delay);
    }
    await environment.run({ ms: 20_000 });
    for (const { toldAt, deadline, leavesAt } of everybody) {
      if (leavesAt < deadline) assertEquals(toldAt, undefined);
      else assert(toldAt! >= deadline && toldAt! <= deadline + 1, `${toldAt} for ${deadline}`);
    }
    assertEquals(environment.timers, 0);
  }));
});

test("IdleWatch keeps no timer when nobody is watched, and needs none without a time-out", () => {
  const environment = new VirtualEnvironment(), everybody = new Set<Listener>();
  const watch = new IdleWatch(environment, TIMEOUT, everybody), never = new IdleWatch(environment, 0, everybody);
  const [a, b] = [1, 2].map(() => new Listener(watch, environment));
  for (const listener of [a!, b!]) {
    everybody.add(listener);
    watch.add(listener);
  }
  assertEquals(environment.timers, 1);
  watch.delete(a!);
  watch.delete(a!);
  assertEquals(environment.timers, 1);
  watch.delete(b!);
  assertEquals(environment.timers, 0);
  never.add(a!);
  assertEquals(environment.timers, 0);
});
