/**
 * Any two byte streams that belong together as a {@linkcode Socket}: a WebSocket, a child process' input and output, a MessagePort in
 * streams, a tunnel of your own.
 *
 * @module
 */

import { MessengerError, NetworkError } from "../errors.ts";
import { abortable } from "./abortable.ts";
import { AcceptQueue } from "./accept_queue.ts";
import { checkAddress, describe } from "./address.ts";
import type { ConnectOptions, Listener, ListenOptions, Network, Socket, SocketAddress } from "./network.ts";
import { connectError, tlsNotSupported } from "./runtime_error.ts";
import { type Driver, StreamSocket } from "./stream_socket.ts";

/** Two byte streams that belong together. What is written at one end is read at the other, in order and whole, until one of them fails. */
export interface Duplex {
  /** The bytes that arrive. */
  readonly readable: ReadableStream<Uint8Array>;
  /** The bytes to send. A write that waits makes the sender wait: that is all there is of backpressure. */
  readonly writable: WritableStream<Uint8Array>;
}

/** Options of {@linkcode duplexNetwork}. */
export interface DuplexNetworkOptions {
  /**
   * Opens streams to an address, new ones for each attempt: a session that reconnects dials again. What it rejects with fails the attempt.
   *
   * @default {nothing can be dialled}
   */
  readonly dial?: (address: SocketAddress, signal: AbortSignal | undefined) => Duplex | Promise<Duplex>;
}

/** A network of streams that a program opens and accepts itself. */
export interface DuplexNetwork extends Network {
  /**
   * Hands streams that somebody else opened to whoever listens. Where nobody does, they are cancelled and aborted.
   *
   * @param duplex The streams; they belong to the network from now on.
   */
  accept(duplex: Duplex): void;
}

/** What streams have for an address. */
const NAMELESS: SocketAddress = Object.freeze({ transport: "unix", path: "" });

/**
 * Streams as a socket, to be given out by a {@linkcode Network} of one's own. A failure of theirs becomes a `NetworkError` with code
 * `connection_lost`.
 *
 * @param duplex The streams; they belong to the socket from now on.
 * @param localAddress This end; nameless unless given.
 * @param remoteAddress The other end; nameless unless given.
 */
export function socketFromDuplex(
  duplex: Duplex,
  localAddress: SocketAddress = NAMELESS,
  remoteAddress: SocketAddress = NAMELESS,
): Socket {
  return new DuplexDriver(duplex, localAddress, remoteAddress).socket;
}

/**
 * A network of streams that a program opens and accepts itself, for the `network` of a Messenger. An address is only a name here, on which both
 * ends have to agree: where one binds and the other connects to.
 *
 * @example Two messengers that are joined by nothing but streams
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { duplexNetwork, MessageType, Messenger, textCodec } from "@msgr/pipe";
 *
 * const Line = new MessageType(0x8001, textCodec);
 * const there = duplexNetwork();
 * const here = duplexNetwork({
 *   dial: () => {
 *     const [up, down] = [new TransformStream<Uint8Array>(), new TransformStream<Uint8Array>()];
 *     there.accept({ readable: up.readable, writable: down.writable });
 *     return { readable: down.readable, writable: up.writable };
 *   },
 * });
 *
 * await using server = new Messenger({ network: there });
 * const { promise, resolve } = Promise.withResolvers<string>();
 * server.on(Line, resolve);
 * await server.bind("10.0.0.1:1");
 *
 * await using client = new Messenger({ network: here });
 * client.connectTo("10.0.0.1:1").send(Line.message("hello"));
 * assertEquals(await promise, "hello");
 * ```
 */
export function duplexNetwork(options: DuplexNetworkOptions = {}): DuplexNetwork {
  return new Streams(options.dial);
}

class Streams implements DuplexNetwork {
  readonly name = "duplex";
  readonly flush = "microtask";
  readonly #dial: DuplexNetworkOptions["dial"];
  #listening: { readonly address: SocketAddress; readonly queue: AcceptQueue } | undefined;

  constructor(dial: DuplexNetworkOptions["dial"]) {
    this.#dial = dial;
  }

  async connect(address: SocketAddress, options: ConnectOptions = {}): Promise<Socket> {
    const { signal, tls } = options;
    signal?.throwIfAborted();
    if (tls !== undefined) throw tlsNotSupported("connect to", address, "streams bring their own encryption or none");
    checkAddress(address, "connect to", 1);
    const dial = this.#dial;
    if (dial === undefined) {
      throw new NetworkError("not_supported", `Cannot connect to ${describe(address)}: the network has no dial()`);
    }
    const dialling = (async () => await dial(address, signal))();
    try {
      return socketFromDuplex(await abortable(dialling, signal), NAMELESS, address);
    } catch (error) {
      dialling.then(discard, () => {});
      signal?.throwIfAborted();
      throw error instanceof MessengerError ? error : connectError(error, address);
    }
  }

  listen(address: SocketAddress, options: ListenOptions = {}): Promise<Listener> {
    return new Promise((resolve) => {
      const { backlog = 512, tls } = options;
      if (tls !== undefined) throw tlsNotSupported("listen on", address, "streams bring their own encryption or none");
      checkAddress(address, "listen on", 1);
      if (this.#listening !== undefined) {
        const taken = `the network listens on ${describe(this.#listening.address)} already`;
        throw new NetworkError("address_in_use", `Cannot listen on ${describe(address)}: ${taken}`);
      }
      const queue = new AcceptQueue(backlog);
      this.#listening = { address, queue };
      const close = (): Promise<void> => {
        if (this.#listening?.queue === queue) this.#listening = undefined;
        queue.close();
        return Promise.resolve();
      };
      resolve({
        address,
        close,
        [Symbol.asyncIterator]: () => queue[Symbol.asyncIterator](),
        [Symbol.asyncDispose]: close,
      });
    });
  }

  accept(duplex: Duplex): void {
    if (this.#listening === undefined) discard(duplex);
    else this.#listening.queue.push(socketFromDuplex(duplex, this.#listening.address));
  }
}

function discard(duplex: Duplex): void {
  socketFromDuplex(duplex).abort();
}

/** Moves bytes between the streams that a program gave us and those of a socket, which keep the seam's promises. */
class DuplexDriver implements Driver {
  readonly isEventDriven = true;
  readonly socket: StreamSocket;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #reading = false;

  constructor({ readable, writable }: Duplex, local: SocketAddress, remote: SocketAddress) {
    this.#reader = readable.getReader();
    this.#writer = writable.getWriter();
    this.socket = new StreamSocket(this, local, remote);
    // Who reads hears of it from the read; who writes may not be writing just now.
    this.#reader.closed.catch(() => {});
    this.#writer.ready.catch(() => {});
    this.#writer.closed.catch(this.#onWriteFailed);
  }

  pull(): void {
    if (this.#reading) return;
    this.#reading = true;
    this.#read();
  }

  write(chunk: Uint8Array): boolean {
    // A copy: a TransformStream settles the write and passes the chunk itself on, which its owner now fills with other bytes.
    this.#writer.write(chunk.slice()).then(this.#onWritten, this.#onWriteFailed);
    return false;
  }

  shutdown(): boolean {
    this.#writer.close().then(this.#onWritten, this.#onWriteFailed);
    return false;
  }

  close(): void {
    // One direction may have failed while the other ended; the program's stream is told, too.
    this.terminate();
  }

  terminate(): void {
    // In this order: to cancel alone may mean to some streams that the other direction goes on.
    const reason = new DOMException("The socket was aborted", "AbortError");
    this.#writer.abort(reason).catch(() => {});
    this.#reader.cancel(reason).catch(() => {});
    this.socket.released();
  }

  #read(): void {
    this.#reader.read().then(this.#onRead, this.#onReadFailed);
  }

  readonly #onRead = ({ done, value }: ReadableStreamReadResult<Uint8Array>): void => {
    this.#reading = false;
    if (done) return this.socket.ended();
    // Other people's streams may bring chunks of nothing; the socket's never do.
    if (value.byteLength === 0 || this.socket.received(value)) this.pull();
  };

  readonly #onReadFailed = (error: unknown): void => {
    this.#reading = false;
    this.socket.broken(this.#lost(error));
  };

  readonly #onWritten = (): void => this.socket.written();

  readonly #onWriteFailed = (error: unknown): void => this.socket.writeFailed(this.#lost(error));

  #lost(error: unknown): NetworkError {
    const words = error instanceof Error ? error.message : String(error);
    const message = `Lost the connection to ${describe(this.socket.remoteAddress)}: ${words}`;
    return new NetworkError("connection_lost", message, { cause: error });
  }
}
