/**
 * What the adapters share: a {@linkcode Socket} made of two Web Streams and the rules of its life, over the few verbs that a runtime's own
 * socket offers. It is here that the directions end independently, that an abort reaches whatever is pending, and that reading ahead is
 * bounded; an adapter only moves bytes.
 *
 * @module
 */

import type { NetworkError } from "../errors.ts";
import type { Socket, SocketAddress } from "./network.ts";

/** A runtime's socket, as {@linkcode StreamSocket} uses it. None of these throws. */
export interface Driver {
  /**
   * More bytes are wanted. The driver answers with {@linkcode StreamSocket.received}, `ended` or `broken`, now or later, and may go on
   * for as long as `received` returns true.
   */
  pull(): void;
  /**
   * Sends all of a chunk, which is never empty. Returns true when the operating system took it at once; otherwise the driver calls
   * {@linkcode StreamSocket.written} later. One write is under way at a time.
   */
  write(chunk: Uint8Array): boolean;
  /** Ends the sending direction. Answers like `write`. */
  shutdown(): boolean;
  /** Both directions have ended: free the socket, then call {@linkcode StreamSocket.released}. */
  close(): void;
  /** Drop everything and free the socket, with a reset if there is a way to send one; then call `released`. */
  terminate(): void;
}

/** Unread bytes at which a socket stops asking for more. With one read of a runtime (512 KiB at most, on Bun) on top, it is what a peer can make us hold. */
const READ_AHEAD = 64 * 1024;
/** What a waiting chunk is counted as on top of its bytes, so that a peer that sends single bytes cannot make us hold a quarter of a million objects. */
const CHUNK_COST = 512;

/** A socket's two streams and its life. */
export class StreamSocket implements Socket {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly localAddress: SocketAddress;
  readonly remoteAddress: SocketAddress;
  readonly closed: Promise<void>;

  readonly #driver: Driver;
  readonly #release: () => void;
  #reads!: ReadableStreamDefaultController<Uint8Array>;
  #writes!: WritableStreamDefaultController;

  /** Bytes that arrived before anybody asked for them. */
  readonly #queue: Uint8Array[] = [];
  #queued = 0;
  /** A read is waiting in the stream. */
  #wanted = false;
  /** Nobody will read: what still arrives is dropped. */
  #cancelled = false;
  /** How the stream ends once the queue is empty: undefined while it goes on, null after the peer's end. */
  #end: NetworkError | null | undefined = undefined;
  /** The receiving direction is over for the operating system's socket, though bytes may wait in the queue. */
  #readOver = false;
  #writeOver = false;
  /** Why writes fail. What looks like a clean end of the other direction after that is none: the kernel reports a reset only once. */
  #failure: NetworkError | undefined;
  /** The driver was told to let go, or has. */
  #over = false;
  #pending: PromiseWithResolvers<void> | undefined;

  /**
   * @param driver The runtime's socket, connected.
   * @param localAddress This end.
   * @param remoteAddress The other end.
   */
  constructor(driver: Driver, localAddress: SocketAddress, remoteAddress: SocketAddress) {
    this.#driver = driver;
    this.localAddress = localAddress;
    this.remoteAddress = remoteAddress;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#release = resolve;
    this.readable = new ReadableStream<Uint8Array>({
      start: (controller): void => {
        this.#reads = controller;
      },
      pull: (): void => this.#pull(),
      cancel: (): void => this.#cancel(),
    }, { highWaterMark: 0 });
    this.writable = new WritableStream<Uint8Array>({
      start: (controller): void => {
        this.#writes = controller;
        // The stream calls `abort` below only after a write that is under way has settled, which is what an abort must not wait for.
        controller.signal.addEventListener("abort", () => this.#abort(controller.signal.reason), { once: true });
      },
      write: (chunk): Promise<void> | undefined => {
        if (chunk.byteLength === 0 || this.#driver.write(chunk)) return;
        return this.#pend();
      },
      close: (): Promise<void> | undefined => {
        if (!this.#driver.shutdown()) return this.#pend().then(() => this.#endWrites());
        this.#endWrites();
        return;
      },
      abort: (reason): void => this.#abort(reason),
    });
  }

  abort(reason: unknown = new DOMException("The socket was aborted", "AbortError")): void {
    if (this.#over) return;
    this.#writes.error(reason);
    this.#abort(reason);
  }

  /**
   * For the driver: bytes arrived. The chunk is not empty and the driver gives it away.
   *
   * @returns Whether more may come before the next `pull`.
   */
  received(chunk: Uint8Array): boolean {
    if (this.#readOver) return false;
    if (this.#cancelled) return true;
    if (this.#wanted) {
      this.#wanted = false;
      this.#reads.enqueue(chunk);
      return true;
    }
    this.#queue.push(chunk);
    this.#queued += chunk.byteLength + CHUNK_COST;
    return this.#queued < READ_AHEAD;
  }

  /** For the driver: the peer ended its side. */
  ended(): void {
    this.#endReads(this.#failure ?? null);
  }

  /** For the driver: the chunk that `write` left over, or the end that `shutdown` did, is out. */
  written(): void {
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.resolve();
  }

  /** For the driver: nothing can be sent any more. What has arrived can still be read. */
  writeFailed(error: NetworkError): void {
    if (this.#writeOver) return;
    this.#failure = error;
    this.#writeOver = true;
    this.#writes.error(error);
    this.#rejectPending(error);
    this.#closeIfDone();
  }

  /** For the driver: the connection is gone in both directions. What has arrived can still be read. */
  broken(error: NetworkError): void {
    this.writeFailed(error);
    this.#endReads(error);
  }

  /** For the driver: the operating system's socket is free. */
  released(): void {
    this.#over = true;
    this.#release();
  }

  /** An abort as far as the writable stream does not do it itself: one that is aborting must not be told of an error on top. */
  #abort(reason: unknown): void {
    if (this.#over) return;
    this.#over = this.#readOver = this.#writeOver = true;
    this.#queue.length = 0;
    this.#reads.error(reason);
    this.#rejectPending(reason);
    this.#driver.terminate();
  }

  #pull(): void {
    const chunk = this.#queue.shift();
    if (chunk === undefined) {
      this.#wanted = true;
      this.#driver.pull();
      return;
    }
    this.#queued -= chunk.byteLength + CHUNK_COST;
    this.#reads.enqueue(chunk);
    if (this.#end !== undefined) this.#settleReads();
    else if (this.#queued < READ_AHEAD / 2) this.#driver.pull();
  }

  /**
   * A cancelled socket goes on reading up to the peer's end. If it did not, a peer that goes on sending would be stuck; and if it were freed
   * with bytes unread, the kernel would answer them with a reset, which can overtake what `writable` sent last.
   */
  #cancel(): void {
    this.#cancelled = true;
    this.#queue.length = 0;
    if (!this.#readOver) this.#driver.pull();
  }

  #endReads(end: NetworkError | null): void {
    if (this.#readOver) return;
    this.#readOver = true;
    this.#end = end;
    this.#settleReads();
    this.#closeIfDone();
  }

  #settleReads(): void {
    if (this.#queue.length > 0 || this.#cancelled) return;
    if (this.#end === null) this.#reads.close();
    else this.#reads.error(this.#end);
  }

  #endWrites(): void {
    this.#writeOver = true;
    this.#closeIfDone();
  }

  #rejectPending(reason: unknown): void {
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.reject(reason);
  }

  /** The rest of a write or of the end; it may have failed while the driver was trying. */
  #pend(): Promise<void> {
    if (this.#writeOver) return Promise.reject(this.#failure);
    this.#pending = Promise.withResolvers<void>();
    return this.#pending.promise;
  }

  #closeIfDone(): void {
    if (this.#over || !this.#readOver || !this.#writeOver) return;
    this.#over = true;
    this.#driver.close();
  }
}
