/**
 * What the benches ask of everything that they measure: who answers, and who asks.
 *
 * @module
 */

import type { Usage } from "./usage.ts";

/** What the first byte of a message asks the server to do with it. */
export const Ask = {
  /** Count it. */
  SINK: 0,
  /** Say how many came since the last time: see {@linkcode readVerdict}. */
  LAST: 1,
  /** Send it back. */
  ECHO: 2,
  /** Count it, and look at every byte. */
  CHECK: 3,
} as const;

/** How many bytes of a message are not its pattern: what it asks for, and its number. */
const HEAD = 8;

/** What the messenger puts on the wire for a message of `size` bytes: tag, header and footer are 75 more. */
export function wireBytes(size: number): number {
  return size + 75;
}

/** One way to exchange messages between two processes. */
export interface Peer {
  /** Starts a server on loopback that gives every message to the service and sends back what that returns. Returns its port. */
  serve(service: Service): Promise<number>;
  /** Connects to such a server in another process. */
  connect(port: number): Promise<Client>;
  /** Whether answers may come in another order than their questions. */
  readonly unordered?: boolean;
  /** What processes have used that the server needs beside its own. */
  helpers?(): Usage;
}

/** The client's side of one connection. */
export interface Client {
  /** Sends a message; a promise if the sender had better wait. */
  send(message: Uint8Array): void | Promise<void>;
  /** Called with every answer. */
  onAnswer: (answer: Uint8Array) => void;
  /** Ends the connection. */
  close(): void | Promise<void>;
}

/** What a server does with what it receives: the same for whatever carries it. */
export class Service {
  #messages = 0;
  #wrong = 0;

  /** Takes one message; returns what has to be sent back, if anything. */
  take(message: Uint8Array): Uint8Array | undefined {
    const ask = message[0]!;
    this.#messages++;
    if (ask === Ask.SINK) return undefined;
    if (ask === Ask.ECHO) return message;
    if (ask === Ask.CHECK) {
      if (!isPattern(message, Ask.CHECK, this.#messages - 1)) this.#wrong++;
      return undefined;
    }
    const verdict = new Uint8Array(16), view = new DataView(verdict.buffer);
    verdict[0] = Ask.LAST;
    view.setUint32(8, this.#messages, true);
    view.setUint32(12, this.#wrong, true);
    this.#messages = this.#wrong = 0;
    return verdict;
  }
}

/** What a server says it has received since it was asked before, the question included. */
export function readVerdict(answer: Uint8Array): { readonly messages: number; readonly wrong: number } {
  if (answer.length !== 16 || answer[0] !== Ask.LAST) throw new Error(`Not a verdict: ${answer.length} bytes`);
  const view = new DataView(answer.buffer, answer.byteOffset);
  return { messages: view.getUint32(8, true), wrong: view.getUint32(12, true) };
}

/** A message of `size` bytes, at least 8, whose every byte follows from its number. */
export function pattern(size: number, ask: number, number = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let i = HEAD; i < size; i++) bytes[i] = i * 31 + number;
  new DataView(bytes.buffer).setUint32(4, number, true);
  bytes[0] = ask;
  return bytes;
}

/** The number of a {@linkcode pattern}. */
export function numberOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true);
}

/** Whether a message is the {@linkcode pattern} of that number. */
export function isPattern(bytes: Uint8Array, ask: number, number: number): boolean {
  const wanted = pattern(bytes.length, ask, number);
  return bytes.every((byte, i) => byte === wanted[i]);
}
