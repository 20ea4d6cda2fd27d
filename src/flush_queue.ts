/**
 * When Writers send: not with every message, but once for all that are sent together.
 *
 * @module
 */

/** After how many messages what a loop over a stream has sent so far leaves, while it goes on with the rest. */
const MANY_TAKEN = 32;
/** How many microtasks such a loop may take for one message. Who waits for longer waits for something else, too. */
const PATIENCE = 8;

/** Somebody who has something to send. */
export interface Flushable {
  /** Sends it. */
  flush(): void;
}

/**
 * The Writers of a messenger that have something new to send. They get their turn when the dispatchers have been called for all that has arrived, so that
 * the answers to one chunk of messages leave in one write; and else in the runtime's own time.
 */
export class FlushQueue {
  readonly #schedule: (run: () => void) => void;
  #waiting: Flushable[] = [];
  #isScheduled = false;
  #isHeld = false;
  /** Something has arrived, and nothing has been sent since on anybody's own account. */
  #isPrompt = false;
  /** Messages that loops over streams have taken since the last turn, how many that were when it was looked last, and how often they were as many. */
  #taken = 0;
  #seen = 0;
  #looks = 0;

  /** @param schedule Calls `run` soon: in a microtask, or where writes are synchronous, in a turn of its own. */
  constructor(schedule: (run: () => void) => void) {
    this.#schedule = schedule;
  }

  /** Lets `writer` have its turn soon. */
  add(writer: Flushable): void {
    this.#waiting.push(writer);
    if (this.#isHeld || this.#isScheduled) return;
    this.#isScheduled = true;
    // Who awaits an answer before the next question has only one thing to send, and no use for a later turn.
    if (this.#isPrompt) queueMicrotask(this.#run);
    else this.#schedule(this.#run);
    this.#isPrompt = false;
  }

  /** A loop over a stream has taken a message. It runs in microtasks, and if each of its answers left at once, it would leave alone. */
  taken(): void {
    this.#taken++;
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
    if (this.#taken > 0 && this.#taken < MANY_TAKEN) {
      this.#looks = this.#taken === this.#seen ? this.#looks + 1 : 0;
      this.#seen = this.#taken;
      if (this.#looks < PATIENCE) return queueMicrotask(this.#run);
    }
    this.#taken = this.#seen = this.#looks = 0;
    this.#isScheduled = false;
    this.#flushAll();
  };

  /** Gives all that wait their turn, though what they send now is not all there will be. */
  flush(): void {
    this.#flushAll();
  }

  #flushAll(): void {
    if (this.#waiting.length === 0) return;
    const writers = this.#waiting;
    this.#waiting = [];
    for (const writer of writers) writer.flush();
  }
}
