/**
 * When Writers send: not with every message, but once for all that are sent together.
 *
 * @module
 */

/**
 * The Writers of a messenger that have something new to send. They get their turn when the dispatchers have been called for all that has arrived, so that
 * the answers to one chunk of messages leave in one write; and else in the runtime's own time.
 */
export class FlushQueue {
  readonly #schedule: (run: () => void) => void;
  #flushes: (() => void)[] = [];
  #isScheduled = false;
  #isHeld = false;
  /** Something has arrived, and nothing has been sent since on anybody's own account. */
  #isPrompt = false;

  /** @param schedule Calls `run` soon: in a microtask, or where writes are synchronous, in a turn of its own. */
  constructor(schedule: (run: () => void) => void) {
    this.#schedule = schedule;
  }

  /** Lets `flush` have its turn soon. */
  add(flush: () => void): void {
    this.#flushes.push(flush);
    if (this.#isHeld || this.#isScheduled) return;
    this.#isScheduled = true;
    // Who awaits an answer before the next question has only one thing to send, and no use for a later turn.
    if (this.#isPrompt) queueMicrotask(this.#run);
    else this.#schedule(this.#run);
    this.#isPrompt = false;
  }

  /** Keeps everything back until {@linkcode release}, which is sure to come before anything else can happen. */
  hold(): void {
    this.#isHeld = true;
  }

  /** Gives all that wait their turn now. */
  release(): void {
    this.#isHeld = false;
    this.#isPrompt = true;
    this.#flushAll();
  }

  readonly #run = (): void => {
    this.#isScheduled = false;
    this.#flushAll();
  };

  /** Gives all that wait their turn, though what they send now is not all there will be. */
  flush(): void {
    this.#flushAll();
  }

  #flushAll(): void {
    if (this.#flushes.length === 0) return;
    const flushes = this.#flushes;
    this.#flushes = [];
    for (const flush of flushes) flush();
  }
}
