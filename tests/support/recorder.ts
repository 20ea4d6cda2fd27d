/**
 * A dispatcher that remembers what it was told.
 *
 * @module
 */

import { type Connection, type Dispatcher, Message, type ResetInfo } from "../../mod.ts";

/** The type of a message that is answered. Ceph's `MSG_PING`. */
export const PING = 2;

/** What the tests keep with a connection, as Ceph's tests do: how many messages it brought. */
export interface Counted {
  count: number;
}

/** Remembers messages and events, and answers pings if it is a server's. Ceph's `FakeDispatcher`. */
export class Recorder implements Dispatcher {
  readonly messages: Message[] = [];
  readonly events: string[] = [];
  readonly resets: ResetInfo[] = [];
  readonly #answers: boolean;
  readonly #waiting = new Set<{ readonly condition: () => boolean; readonly resolve: () => void }>();

  constructor(options: { answers?: boolean } = {}) {
    this.#answers = options.answers ?? false;
  }

  /** How often an event was told. */
  count(event: string): number {
    return this.events.filter((e) => e === event).length;
  }

  /** Forgets all. */
  clear(): void {
    this.messages.length = this.events.length = this.resets.length = 0;
  }

  /** Fulfils when the condition holds; it is looked at whenever something is told. */
  until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.add({ condition, resolve }));
  }

  dispatch(message: Message): void {
    this.messages.push(message);
    session(message.connection).count++;
    if (this.#answers) message.connection.send(new Message(PING, { data: message.data, tid: message.tid }));
    this.#told();
  }

  handleConnect(): void {
    this.#note("connect");
  }

  handleAccept(): void {
    this.#note("accept");
  }

  handleReset(connection: Connection, info: ResetInfo): void {
    connection.context = undefined;
    this.resets.push(info);
    this.#note("reset");
  }

  handleRemoteReset(connection: Connection, info: ResetInfo): void {
    connection.context = undefined;
    this.resets.push(info);
    this.#note("remote_reset");
  }

  handleRefused(): void {
    this.#note("refused");
  }

  #note(event: string): void {
    this.events.push(event);
    this.#told();
  }

  #told(): void {
    for (const waiting of this.#waiting) {
      if (!waiting.condition()) continue;
      this.#waiting.delete(waiting);
      waiting.resolve();
    }
  }
}

/** What a test keeps with a connection; begun anew after a reset. */
export function session(connection: Connection): Counted {
  return (connection.context ??= { count: 0 }) as Counted;
}

/** Sends a ping and waits for its answer. */
export async function roundTrip(connection: Connection, recorder: Recorder, data = new Uint8Array(0)): Promise<void> {
  const before = recorder.messages.length;
  connection.send(new Message(PING, { data }));
  await recorder.until(() => recorder.messages.length > before);
}
