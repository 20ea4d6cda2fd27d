/**
 * The receiving half of a socket, as the Reader and the handshakes see it.
 *
 * @module
 */

import type { Environment } from "./environment.ts";
import { NetworkError } from "./errors.ts";
import type { DirectSocket } from "./net/network.ts";
import { RawBuffer } from "./raw_buffer.ts";

const EMPTY = new Uint8Array(0);

/**
 * Reads a byte stream in three ways: exactly so many bytes, whatever is here already, or just until there is something. Ceph's
 * `tcp_read`, `tcp_read_nonblocking` and `tcp_read_wait`.
 *
 * One chunk of the stream is the prefetch buffer (`ms_tcp_prefetch_max_size` in Ceph): what is left of it is `chunk` from `at` on, and may be
 * taken straight from there.
 */
export class ByteSource {
  /** The chunk that is being taken apart. */
  chunk: Uint8Array = EMPTY;
  /** Where its unread part begins. */
  at = 0;
  /** What the chunk lies in, if that can be used again: not as long as this chunk is the one. */
  chunkMemory: RawBuffer | undefined;
  /** Whether bytes are read to their destination. */
  readonly readsInPlace: boolean;
  /** Of chunks up to this length parts are better copied. */
  readonly copiesUpTo: number;
  /** When the latest byte arrived, in the environment's time. */
  lastReadAt: number;

  /** The chunk may lie already where its bytes are to go. */
  #mayBeInPlace = false;
  readonly #socket: DirectSocket;
  readonly #environment: Environment;

  /**
   * @param socket Where the bytes come from.
   * @param environment Where the time comes from.
   */
  constructor(socket: DirectSocket, environment: Environment) {
    this.#socket = socket;
    this.readsInPlace = socket.readsInPlace === true;
    this.copiesUpTo = socket.copiesUpTo ?? 0;
    this.#environment = environment;
    this.lastReadAt = environment.now();
  }

  /** How many bytes can be read without waiting. */
  get available(): number {
    return this.chunk.length - this.at;
  }

  /**
   * Looks whether there is something to read. Ceph's `tcp_read_wait`, for those who do not wait.
   *
   * @param arrived Called once, if there is nothing now, when another look is worth while.
   * @param destination Where what comes next will be read to, if that is known: a socket that can puts it there itself. It may be longer than what will be
   * read to it.
   * @throws {NetworkError} When the connection has broken, or the peer has ended the stream: in this protocol that is a fault like any other.
   */
  tcpPoll(arrived: () => void, destination?: Uint8Array): boolean {
    if (this.available > 0) return true;
    // Whoever waits long must not hold on to what has been read.
    this.chunk = EMPTY;
    this.at = 0;
    this.chunkMemory?.put();
    this.chunkMemory = undefined;
    const chunk = this.#socket.read(arrived, destination);
    this.#mayBeInPlace = destination !== undefined;
    if (chunk === undefined) return false;
    if (chunk === null) throw new NetworkError("connection_lost", "The peer closed the connection");
    this.chunk = chunk;
    if (this.readsInPlace) {
      this.chunkMemory = RawBuffer.of(chunk);
      // A slab gives its bytes away with one need of them.
      if (chunk.buffer === destination?.buffer) this.chunkMemory?.get();
    }
    this.lastReadAt = this.#environment.now();
    return true;
  }

  /** Waits until there is something to read. Ceph's `tcp_read_wait`. It rejects where {@linkcode tcpPoll} throws. */
  async tcpReadWait(): Promise<void> {
    while (this.available === 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      if (this.tcpPoll(resolve)) return;
      await promise;
    }
  }

  /** Memory to read so many bytes to. */
  allocate(length: number): RawBuffer {
    return RawBuffer.allocate(length, (length) => this.#socket.allocate?.(length) ?? new Uint8Array(length));
  }

  /**
   * Copies what is already here, at most `length` bytes, without waiting. Ceph's `tcp_read_nonblocking`.
   *
   * @returns How many bytes that were; 0 if there are none.
   */
  tcpReadNonblocking(into: Uint8Array, offset: number, length: number): number {
    const count = Math.min(length, this.available);
    if (count === 0) return 0;
    const { chunk, at } = this;
    if (!this.#mayBeInPlace || chunk.buffer !== into.buffer) into.set(chunk.subarray(at, at + count), offset);
    this.at += count;
    return count;
  }

  /**
   * Reads exactly `length` bytes. Ceph's `tcp_read`.
   *
   * @throws {NetworkError} When the stream ends before that.
   */
  async tcpRead(length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let filled = this.tcpReadNonblocking(bytes, 0, length);
    while (filled < length) {
      await this.tcpReadWait();
      filled += this.tcpReadNonblocking(bytes, filled, length - filled);
    }
    return bytes;
  }
}
