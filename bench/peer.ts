/**
 * What the benches ask of everything that they measure.
 *
 * @module
 */

/** What the first byte of a message asks the server to do with it. */
export const Ask = {
  /** Count it. */
  SINK: 0,
  /** Count it, and answer: it is the last. */
  LAST: 1,
  /** Send it back. */
  ECHO: 2,
} as const;

/** One way to exchange messages between two processes. */
export interface Peer {
  /** Starts a server on loopback that does what {@linkcode Ask} says. Returns its port. */
  serve(): Promise<number>;
  /** Connects to such a server in another process. */
  connect(port: number): Promise<Client>;
}

/** The client's side. */
export interface Client {
  /** Sends a message; a promise if the sender had better wait. */
  send(payload: Uint8Array): void | Promise<void>;
  /** Called with every answer's length in bytes. */
  onAnswer: (length: number) => void;
  /** Ends the connection. */
  close(): void | Promise<void>;
}

/** A message of `size` bytes that asks for something. */
export function payload(size: number, ask: number): Uint8Array {
  const bytes = new Uint8Array(size);
  for (let i = 1; i < size; i++) bytes[i] = i;
  bytes[0] = ask;
  return bytes;
}

/** Counts what arrives at a server and says how many bytes to expect of a well-behaved client. */
export class Count {
  messages = 0;
  bytes = 0;

  /** Counts one message of a server; returns what it asks for. */
  add(message: Uint8Array): number {
    this.messages++;
    this.bytes += message.length;
    return message[0]!;
  }
}
