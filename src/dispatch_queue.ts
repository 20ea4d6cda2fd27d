/**
 * Between the Readers and the program: messages and events, in the order in which they are to be told.
 *
 * @module
 */

import type { Connection } from "./connection.ts";
import type { Dispatcher, ResetInfo } from "./dispatcher.ts";
import type { FlushQueue } from "./flush_queue.ts";
import { Message, releaseThrottles } from "./message.ts";
import { PrioritizedQueue } from "./prioritized_queue.ts";
import { Priority } from "./wire/constants.ts";

/** Something that happened to a connection. */
interface DispatchEvent {
  readonly kind: "handleConnect" | "handleAccept" | "handleReset" | "handleRemoteReset" | "handleRefused";
  readonly connection: Connection;
  readonly info?: ResetInfo | undefined;
}

/** What waits: a message with its session, or an event. */
type Item = Message | DispatchEvent;

/** Under which class events wait. Sessions count from 1. */
const EVENTS = 0;
/** Above that of every message: a reset must not wait behind the messages of other connections. */
const EVENT_PRIORITY = Priority.HIGHEST + 1;

/**
 * What the dispatchers have sent leaves after half of all the messages that a connection has on its way in either direction, and the rest goes on: one half is then at either
 * end. If answers left only when all that has arrived is done, the two ends would fall into step, each waiting while the other one works; in smaller parts
 * they would take more writes, reads and wakings. A window of 64 requests is served 1.1 to 1.3 times as fast as with quarters, and with all at once 0.9 times.
 *
 * But not after fewer messages than the least, as more writes would cost more than the waiting, nor after more than the most, as the first ones would wait too long.
 */
const LEAST_FLUSHED = 8, MOST_FLUSHED = 256;
/** Nor after messages of more bytes than this: the larger they are, the longer it takes to be done with half of them, and the less a write adds to that. */
const FLUSHED_BYTES = 16 * 1024;

/** How a dispatcher's failure is told. `subject` is the message or connection that it was about. */
export type DispatchErrorHandler = (error: unknown, subject: Message | Connection) => void;

/**
 * Received messages and events on their way to the dispatchers. Ceph's `DispatchQueue`, without its threads. What a Reader brings goes to the dispatchers at once,
 * unless something else waits for its turn: to queue it only to take it out again would cost a small message a twentieth of its time. What waits is told
 * when the Reader is done, or in a microtask, so that no dispatcher runs in the middle of another one's work.
 *
 * Events go before messages. Messages go by priority; connections of one priority take turns; a connection whose dispatcher
 * returned a promise is passed over until that settles.
 */
export class DispatchQueue {
  /** Replaced, never changed: a dispatcher may take itself out while it is asked, and the next one must not be skipped. */
  #dispatchers: readonly Dispatcher[] = [];
  #fast: Dispatcher[] = [];
  #preprocess: Dispatcher[] = [];
  readonly #queue = new PrioritizedQueue<Item>();
  readonly #onError: DispatchErrorHandler;
  #scheduled = false;
  #isCollecting = false;
  /** A dispatcher is at work. */
  #isRunning = false;
  /** After how many messages what the dispatchers have sent leaves, and how many, and how many bytes, have been told since it last did. */
  #together = LEAST_FLUSHED;
  #told = 0;
  #toldBytes = 0;
  #stopped = false;
  #stopping: PromiseWithResolvers<void> | undefined;
  #nextId = EVENTS + 1;
  readonly #unhandled: (message: Message) => void;
  readonly #flushQueue: FlushQueue;

  /**
   * @param onError Told of what dispatchers throw.
   * @param onUnhandled Told of messages that no dispatcher wanted.
   * @param flushQueue Held while dispatchers are called, so that what they send leaves together.
   */
  constructor(onError: DispatchErrorHandler, onUnhandled: (message: Message) => void, flushQueue: FlushQueue) {
    this.#onError = onError;
    this.#unhandled = onUnhandled;
    this.#flushQueue = flushQueue;
  }

  /** Messages and events that wait. */
  get length(): number {
    return this.#queue.length;
  }

  /** Whether the messenger is shutting down: messages are dropped from now on. */
  get isStopped(): boolean {
    return this.#stopped;
  }

  /** The dispatchers in the order in which they are asked. */
  get dispatchers(): readonly Dispatcher[] {
    return this.#dispatchers;
  }

  /** Adds a dispatcher before or behind the others. */
  add(dispatcher: Dispatcher, where: "head" | "tail"): void {
    this.#dispatchers = where === "head" ? [dispatcher, ...this.#dispatchers] : [...this.#dispatchers, dispatcher];
    this.#fast = this.#dispatchers.filter((d) => d.canFastDispatch !== undefined && d.fastDispatch !== undefined);
    this.#preprocess = this.#dispatchers.filter((d) => d.fastPreprocess !== undefined);
  }

  /** Takes a dispatcher out. */
  remove(dispatcher: Dispatcher): void {
    this.#dispatchers = this.#dispatchers.filter((d) => d !== dispatcher);
    this.#fast = this.#fast.filter((d) => d !== dispatcher);
    this.#preprocess = this.#preprocess.filter((d) => d !== dispatcher);
  }

  /** A new class of messages. Ceph's `get_id`. */
  newId(): number {
    return this.#nextId++;
  }

  /** A message has arrived on the session `id`: tells those that want to know at once, and queues it for the others. */
  deliver(message: Message, id: number, priority: number): void {
    if (this.#stopped) return releaseThrottles(message);
    if ((this.#preprocess.length > 0 || this.#fast.length > 0) && this.#deliverFast(message)) return;
    if (this.#isCollecting && !this.#isRunning && this.#queue.isIdle && !this.#queue.isHeld(id)) {
      return this.#tellAtOnce(message, id);
    }
    if (priority >= Priority.LOW) this.#queue.enqueueStrict(id, Math.min(priority, Priority.HIGHEST), message);
    else this.#queue.enqueue(id, priority, message.dataLength, message);
    this.#schedule();
  }

  /** Tells the fast dispatchers of a message; whether one of them took it. */
  #deliverFast(message: Message): boolean {
    for (const dispatcher of this.#preprocess) this.#try(message, () => dispatcher.fastPreprocess!(message));
    const taker = this.#fast.find((dispatcher) => this.#canFastDispatch(dispatcher, message));
    if (taker === undefined) return false;
    this.#try(message, () => taker.fastDispatch!(message));
    releaseThrottles(message);
    return true;
  }

  #canFastDispatch(dispatcher: Dispatcher, message: Message): boolean {
    try {
      return dispatcher.canFastDispatch!(message);
    } catch (error) {
      this.#onError(error, message);
      return false;
    }
  }

  /** Queues an event, ahead of all messages. */
  event(kind: DispatchEvent["kind"], connection: Connection, info?: ResetInfo): void {
    if (this.#stopped) return;
    this.#queue.enqueueStrict(EVENTS, EVENT_PRIORITY, { kind, connection, info });
    this.#schedule();
  }

  /** Tells those that want to know at once that a connection is open, before any of its messages. */
  fastEvent(kind: "handleFastConnect" | "handleFastAccept", connection: Connection): void {
    for (const dispatcher of this.#dispatchers) this.#try(connection, () => dispatcher[kind]?.(connection));
  }

  /** Drops the messages of a session that have not been dispatched. Ceph's `discard_queue`. */
  discard(id: number): void {
    for (const message of this.withdraw(id)) releaseThrottles(message);
  }

  /** Takes back the messages of a session that have not been dispatched. */
  withdraw(id: number): Message[] {
    return this.#queue.removeByClass(id) as Message[];
  }

  /** Drops messages from now on, and fulfils when the events that wait have been told. It does not wait for dispatchers that are at work. */
  stop(): Promise<void> {
    this.#stopped = true;
    this.#stopping ??= Promise.withResolvers();
    if (!this.#scheduled) queueMicrotask(this.#runLater);
    this.#scheduled = true;
    return this.#stopping.promise;
  }

  /** Makes the queue usable again after {@linkcode stop}. */
  restart(): void {
    this.#stopped = false;
  }

  /** A Reader begins to bring what has arrived. It calls {@linkcode dispatch} before anything else can happen. */
  collect(): void {
    this.#isCollecting = true;
    this.#together = LEAST_FLUSHED;
  }

  /**
   * The Reader is about to bring many messages.
   *
   * @param count How many.
   * @param onTheWay How many messages their connection has sent that its peer has not told to have.
   */
  expect(count: number, onTheWay: number): void {
    const half = Math.ceil((count + onTheWay) / 2);
    this.#together = Math.min(Math.max(half, LEAST_FLUSHED), MOST_FLUSHED);
  }

  /** The Reader is done: tells what waits. */
  dispatch(): void {
    this.#isCollecting = false;
    if (this.#isRunning) return;
    if (this.#queue.length > 0) this.#run();
    else if (this.#told > 0) this.#release();
  }

  #schedule(): void {
    if (this.#scheduled || this.#isCollecting || this.#queue.length === 0) return;
    this.#scheduled = true;
    queueMicrotask(this.#runLater);
  }

  readonly #runLater = (): void => {
    this.#scheduled = false;
    this.expect(this.#queue.length, 0);
    this.#run();
  };

  #run(): void {
    this.#isRunning = true;
    try {
      for (let item = this.#queue.dequeue(); item !== undefined; item = this.#queue.dequeue()) {
        this.#next(item instanceof Message ? item.byteLength : 0);
        if (!(item instanceof Message)) this.#tell(item);
        else if (this.#stopped) releaseThrottles(item);
        else this.#dispatch(item, this.#queue.owner);
      }
    } finally {
      this.#isRunning = false;
      this.#release();
    }
    if (this.#stopping === undefined) return;
    for (const item of this.#queue.takeAll()) releaseThrottles(item as Message);
    this.#stopping.resolve();
    this.#stopping = undefined;
  }

  /** Tells a message that nothing waits before. */
  #tellAtOnce(message: Message, id: number): void {
    this.#isRunning = true;
    try {
      this.#next(message.byteLength);
      this.#dispatch(message, id);
    } finally {
      this.#isRunning = false;
    }
  }

  /** One more item is about to be told. What was sent for those before leaves, if they are enough. */
  #next(bytes: number): void {
    if (this.#told === 0) this.#flushQueue.hold();
    if (this.#told >= this.#together || this.#toldBytes >= FLUSHED_BYTES) {
      this.#flushQueue.flush();
      this.#told = this.#toldBytes = 0;
    }
    this.#told++;
    this.#toldBytes += bytes;
  }

  /** All that was to be told has been: what was sent for it leaves. */
  #release(): void {
    this.#told = this.#toldBytes = 0;
    this.#flushQueue.release();
  }

  /** Offers a message to the dispatchers, one after the other, until one does not decline. */
  #dispatch(message: Message, id: number): void {
    const dispatchers = this.#dispatchers;
    for (let i = 0; i < dispatchers.length; i++) {
      const verdict = this.#offer(message, dispatchers[i]!);
      if (verdict instanceof Promise) return void this.#finish(message, id, verdict, dispatchers.slice(i + 1));
      if (verdict) return releaseThrottles(message);
    }
    this.#unhandled(message);
    releaseThrottles(message);
  }

  /** The rest of {@linkcode #dispatch} once a dispatcher has returned a promise: the connection is passed over meanwhile. */
  async #finish(message: Message, id: number, first: Promise<boolean>, others: readonly Dispatcher[]): Promise<void> {
    this.#queue.hold(id);
    let handled = await first;
    for (const dispatcher of others) {
      if (handled || this.#stopped) break;
      handled = await this.#offer(message, dispatcher);
    }
    if (!handled && !this.#stopped) this.#unhandled(message);
    releaseThrottles(message);
    this.#queue.resume(id);
    this.#schedule();
  }

  /** Whether a dispatcher handled the message; having thrown counts as that. */
  #offer(message: Message, dispatcher: Dispatcher): boolean | Promise<boolean> {
    if (dispatcher.dispatch === undefined) return false;
    try {
      const verdict = dispatcher.dispatch(message);
      return verdict instanceof Promise
        ? verdict.then(isHandled, (error) => this.#failed(error, message))
        : isHandled(verdict);
    } catch (error) {
      return this.#failed(error, message);
    }
  }

  #failed(error: unknown, message: Message): true {
    this.#onError(error, message);
    return true;
  }

  #tell({ kind, connection, info }: DispatchEvent): void {
    for (const dispatcher of this.#dispatchers) {
      this.#try(connection, () => dispatcher[kind]?.(connection, info as ResetInfo));
    }
  }

  /** Calls a dispatcher and reports what it throws, or rejects with: TypeScript lets async functions pass for synchronous ones. */
  #try(subject: Message | Connection, call: () => unknown): void {
    try {
      const result = call();
      if (result instanceof Promise) result.catch((error) => this.#onError(error, subject));
    } catch (error) {
      this.#onError(error, subject);
    }
  }
}

function isHandled(verdict: boolean | void): boolean {
  return verdict !== false;
}
