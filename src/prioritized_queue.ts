/**
 * A queue with priorities that is fair to its users within each of them.
 *
 * @module
 */

import { Ring } from "./ring.ts";

/** The items of one class within one priority. */
interface Lane<T> {
  readonly owner: number;
  readonly items: Ring<T>;
  readonly level: Level<T>;
  /** Whether it stands in its level's line, waiting for its turn. */
  inLine: boolean;
}

/** One priority: its classes take turns. */
interface Level<T> {
  readonly priority: number;
  readonly lanes: Map<number, Lane<T>>;
  /** Lanes that have something to give, in the order of their turns. */
  readonly line: Ring<Lane<T>>;
  /** How many items there are, those of held classes included. */
  size: number;
  /** What a weighted priority has saved. */
  tokens: number;
}

/** How the weighted priorities share. Ceph's `ms_pq_min_cost` and `ms_pq_max_tokens_per_priority`. */
const MIN_COST = 65536, MAX_TOKENS = 16777216;

/**
 * Ceph's `PrioritizedQueue`: strict priorities first, always the highest; then weighted ones, which share by their numbers. Within a priority
 * the classes take turns, one item each; within a class the oldest goes first.
 *
 * A class can be held: its items stay and keep their order, and nobody waits for them. One that has no items leaves nothing behind.
 */
export class PrioritizedQueue<T extends object> {
  #length = 0;
  readonly #strict: Level<T>[] = [];
  readonly #weighted: Level<T>[] = [];
  readonly #held = new Set<number>();
  /** The lane of the item before: most items follow one of their own kind. */
  #lastLane: Lane<T> | undefined;
  /** The one lane without items that is kept, since its class most likely has the next one. */
  #emptyLane: Lane<T> | undefined;

  /** How many lanes stand in line. */
  #inLine = 0;

  /** The class of the item that was taken last. */
  owner = 0;

  /** How many items there are, those of held classes included. */
  get length(): number {
    return this.#length;
  }

  /** Whether nothing waits but items of held classes. Of one that was held just now it takes a {@linkcode dequeue} to find that out. */
  get isIdle(): boolean {
    return this.#inLine === 0;
  }

  /** Adds an item that goes before all of lower priority. */
  enqueueStrict(owner: number, priority: number, item: T): void {
    let lane = this.#lastLane;
    if (lane === undefined || lane.owner !== owner || lane.level.priority !== priority) {
      this.#lastLane = lane = laneOf(levelOf(this.#strict, priority), owner);
    }
    this.#add(lane, item);
  }

  /** Adds an item that takes its share. `cost` is in bytes. */
  enqueue(owner: number, priority: number, cost: number, item: T): void {
    this.#add(laneOf(levelOf(this.#weighted, priority), owner), item, cost);
  }

  /** Takes the next item; `undefined` if there is none, or all belong to held classes. */
  dequeue(): T | undefined {
    for (const level of this.#strict) {
      const lane = this.#turn(level);
      if (lane !== undefined) return this.#take(lane);
    }
    return this.#weighted.length === 0 ? undefined : this.#dequeueWeighted();
  }

  /** Whether a class is passed over. */
  isHeld(owner: number): boolean {
    return this.#held.size > 0 && this.#held.has(owner);
  }

  /** Passes a class over until {@linkcode resume}. */
  hold(owner: number): void {
    this.#held.add(owner);
  }

  /** Lets a held class take its turns again. */
  resume(owner: number): void {
    if (!this.#held.delete(owner)) return;
    for (const level of [...this.#strict, ...this.#weighted]) {
      const lane = level.lanes.get(owner);
      if (lane !== undefined) this.#join(lane);
    }
  }

  /** Takes out all items of a class, oldest first within each priority. */
  removeByClass(owner: number): T[] {
    const removed: T[] = [];
    for (const level of [...this.#strict, ...this.#weighted]) {
      const lane = level.lanes.get(owner);
      if (lane === undefined) continue;
      level.size -= lane.items.length;
      for (let item = lane.items.shift(); item !== undefined; item = lane.items.shift()) removed.push(item);
      this.#drop(lane);
      if (level.size === 0) level.tokens = 0;
    }
    this.#length -= removed.length;
    return removed;
  }

  /** Takes out everything, held classes included. */
  takeAll(): T[] {
    const owners = new Set([...this.#strict, ...this.#weighted].flatMap(({ lanes }) => [...lanes.keys()]));
    return [...owners].flatMap((owner) => this.removeByClass(owner));
  }

  #add(lane: Lane<T>, item: T, cost = 0): void {
    lane.items.push(item);
    if (cost > 0) costs.set(item, cost);
    lane.level.size++;
    this.#length++;
    if (!lane.inLine && !this.isHeld(lane.owner)) this.#join(lane);
  }

  /** The lane whose turn it is, put back at the end of the line. */
  #turn(level: Level<T>): Lane<T> | undefined {
    for (let lane = level.line.at(0); lane !== undefined; lane = level.line.at(0)) {
      if (lane.items.length > 0 && !this.isHeld(lane.owner)) return lane;
      this.#leave(lane);
    }
    return undefined;
  }

  #take(lane: Lane<T>): T {
    const item = lane.items.shift()!;
    lane.level.size--;
    this.#length--;
    this.owner = lane.owner;
    const { line } = lane.level;
    if (lane.items.length === 0) {
      this.#leave(lane);
      this.#emptied(lane);
    } else if (line.length > 1) {
      line.push(line.shift()!);
    }
    return item;
  }

  /** A lane that has something to give gets in line. */
  #join(lane: Lane<T>): void {
    if (lane.inLine || lane.items.length === 0) return;
    lane.inLine = true;
    this.#inLine++;
    lane.level.line.push(lane);
  }

  /** The first lane in its level's line leaves it. */
  #leave(lane: Lane<T>): void {
    lane.level.line.shift();
    lane.inLine = false;
    this.#inLine--;
  }

  /** A lane has nothing to give any more: a class that is quiet must cost nothing. */
  #emptied(lane: Lane<T>): void {
    const earlier = this.#emptyLane;
    if (earlier !== undefined && earlier !== lane && earlier.items.length === 0) this.#drop(earlier);
    this.#emptyLane = lane;
  }

  #drop(lane: Lane<T>): void {
    lane.level.lanes.delete(lane.owner);
    if (this.#lastLane === lane) this.#lastLane = undefined;
    if (this.#emptyLane === lane) this.#emptyLane = undefined;
  }

  #dequeueWeighted(): T | undefined {
    const ready = this.#readyWeighted();
    // From low to high: a low priority that has saved enough goes first, or it would never go at all.
    const affordable = ready.findLast((lane) => costOf(lane.items.at(0)!) < lane.level.tokens);
    const lane = affordable ?? ready[0];
    if (lane === undefined) return undefined;
    const { level } = lane, cost = costOf(lane.items.at(0)!), item = this.#take(lane);
    if (affordable !== undefined) level.tokens -= cost;
    // Who has nothing to send saves nothing, and begins anew.
    if (level.size === 0) level.tokens = 0;
    this.#distribute(cost);
    return item;
  }

  /** Shares out what was spent among the weighted priorities that wait. */
  #distribute(cost: number): void {
    const levels = this.#readyWeighted().map(({ level }) => level);
    const total = levels.reduce((sum, { priority }) => sum + priority, 0);
    if (total === 0) return;
    for (const level of levels) {
      level.tokens = Math.min(MAX_TOKENS, level.tokens + Math.floor(level.priority * cost / total) + 1);
    }
  }

  /** The lane whose turn it is, of every weighted priority that has one, from high to low. */
  #readyWeighted(): Lane<T>[] {
    return this.#weighted.map((level) => this.#turn(level)).filter((lane) => lane !== undefined);
  }
}

/** What weighted items cost. Only they have an entry, so that strict ones stay cheap. */
const costs = new WeakMap<object, number>();

function costOf(item: object): number {
  return Math.min(MAX_TOKENS, Math.max(MIN_COST, costs.get(item) ?? 0));
}

function laneOf<T>(level: Level<T>, owner: number): Lane<T> {
  let lane = level.lanes.get(owner);
  if (lane === undefined) level.lanes.set(owner, lane = { owner, items: new Ring(), level, inLine: false });
  return lane;
}

/** The level of a priority among `levels`, which are ordered from high to low. */
function levelOf<T>(levels: Level<T>[], priority: number): Level<T> {
  let index = 0;
  while (index < levels.length && levels[index]!.priority > priority) index++;
  let level = levels[index];
  if (level?.priority !== priority) {
    level = { priority, lanes: new Map(), line: new Ring(), size: 0, tokens: 0 };
    levels.splice(index, 0, level);
  }
  return level;
}
