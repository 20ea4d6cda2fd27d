/**
 * What the adapters share: a {@linkcode Socket} and the rules of its life, over the few verbs that a runtime's own
 * socket offers. It is here that the directions end independently, that an abort reaches whatever is pending, and that reading ahead is
 * bounded; an adapter only moves bytes. The two Web Streams are made when somebody asks for them.
 *
 * @module
 */

import type { NetworkError } from "../errors.ts";
import type { DirectSocket, Socket, SocketAddress } from "./network.ts";

/** A runtime's socket, as {@linkcode StreamSocket} uses it. None of these throws. */
export interface Driver {
  /**
   * Whether {@linkcode StreamSocket.received}, `ended`, `broken`, `written` and `writeFailed` are called from the event loop only, with nobody else's work
   * under way. What they cause is put off otherwise.
   */
  readonly isEventDriven: boolean;
  /** This end, where it takes the operating system to know: it is asked when somebody wants to know, which few do. */
  readonly localAddress?: SocketAddress | undefined;
  /**
   * More bytes are wanted. The driver answers with {@linkcode StreamSocket.received}, `ended` or `broken`, now or later, and may go on
   * for as long as `received` returns true.
   */
  pull(): void;
  /** Whether it asks {@linkcode StreamSocket.takeDestination} where to read to. */
  readonly readsInPlace?: boolean;
  /** Of chunks up to this length parts are better copied. */
  readonly copiesUpTo?: number;
  /** Memory for bytes that are about to be read, where the runtime has some that need not be cleared first. */
  allocate?(length: number): Uint8Array;
  /**
   * Sends all of a chunk, which is never empty. Returns true when the operating system took it at once; otherwise the driver calls
   * {@linkcode StreamSocket.written} later. One write is under way at a time.
   */
  write(chunk: Uint8Array): boolean;
  /** The same for several chunks at once, where the runtime can gather them into one system call. */
  writev?(chunks: readonly Uint8Array[]): boolean;
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

/** A socket's two directions and its life. */
export class StreamSocket implements Socket, DirectSocket {
  readonly remoteAddress: SocketAddress;

  readonly #driver: Driver;
  readonly #local: SocketAddress;
  #readable: ReadableStream<Uint8Array> | undefined;
  #reads: ReadableStreamDefaultController<Uint8Array> | undefined;
  #writable: WritableStream<Uint8Array> | undefined;
  #writes: WritableStreamDefaultController | undefined;
  #closed: PromiseWithResolvers<void> | undefined;

  /** The oldest chunk that arrived before anybody asked for it, and those behind it, which are seldom there. */
  #first: Uint8Array | undefined;
  #others: Uint8Array[] | undefined;
  /** What they weigh. */
  #queued = 0;
  /** The stream waits for bytes. */
  #wanted = false;
  /** Whom to tell when the direct read has more to say. */
  #arrived: (() => void) | undefined;
  /** Where the direct read would have them. */
  #destination: Uint8Array | undefined;
  /** Nobody will read: what still arrives is dropped. */
  #cancelled = false;
  /** How reading ends once the queue is empty: undefined while it goes on, null after the peer's end, and otherwise what is thrown. */
  #end: { readonly error: unknown } | null | undefined = undefined;
  /** The receiving direction is over for the operating system's socket, though bytes may wait in the queue. */
  #readOver = false;
  #writeOver = false;
  /** Why writes fail. What looks like a clean end of the other direction after that is none: the kernel reports a reset only once. */
  #failure: { readonly error: unknown } | undefined;
  /** The driver was told to let go, or has. */
  #over = false;
  #isReleased = false;
  /** Whom to tell when the write that is under way has settled. */
  #settled: ((error?: unknown) => void) | undefined;

  /**
   * @param driver The runtime's socket, connected.
   * @param localAddress This end, as long as the driver does not know better.
   * @param remoteAddress The other end.
   */
  constructor(driver: Driver, localAddress: SocketAddress, remoteAddress: SocketAddress) {
    this.#driver = driver;
    this.#local = localAddress;
    this.remoteAddress = remoteAddress;
  }

  get closed(): Promise<void> {
    this.#closed ??= Promise.withResolvers();
    if (this.#isReleased) this.#closed.resolve();
    return this.#closed.promise;
  }

  get localAddress(): SocketAddress {
    return this.#driver.localAddress ?? this.#local;
  }

  get direct(): DirectSocket {
    return this;
  }

  get readable(): ReadableStream<Uint8Array> {
    return this.#readable ??= new ReadableStream<Uint8Array>({
      start: (controller): void => {
        this.#reads = controller;
        this.#settleReads();
      },
      pull: (): void => {
        const chunk = this.#take();
        if (chunk === undefined) this.#want();
        else this.#reads!.enqueue(chunk);
        this.#settleReads();
      },
      cancel: (): void => this.#cancel(),
    }, { highWaterMark: 0 });
  }

  get writable(): WritableStream<Uint8Array> {
    return this.#writable ??= new WritableStream<Uint8Array>({
      start: (controller): void => {
        this.#writes = controller;
        if (this.#failure !== undefined) controller.error(this.#failure.error);
        // The stream calls `abort` below only after a write that is under way has settled, which is what an abort must not wait for.
        controller.signal.addEventListener("abort", () => this.#abort(controller.signal.reason), { once: true });
      },
      write: (chunk): Promise<void> | undefined => {
        if (chunk.byteLength === 0) return;
        return this.#whenDone((settled) => this.write([chunk], settled));
      },
      close: async (): Promise<void> => {
        await this.#whenDone((settled) => this.#driver.shutdown() || this.#settleLater(settled));
        this.#endWrites();
      },
      abort: (reason): void => this.#abort(reason),
    });
  }

  read(arrived: () => void, destination?: Uint8Array): Uint8Array | null | undefined {
    let chunk = this.#take();
    if (chunk === undefined && this.#end === undefined) {
      this.#destination = destination;
      this.#driver.pull();
      chunk = this.#take();
    }
    if (chunk !== undefined) return chunk;
    if (this.#end === null) return null;
    if (this.#end !== undefined) throw this.#end.error;
    this.#arrived = arrived;
    return undefined;
  }

  get readsInPlace(): boolean {
    return this.#driver.readsInPlace === true;
  }

  get copiesUpTo(): number {
    return this.#driver.copiesUpTo ?? 0;
  }

  get gathers(): boolean {
    return this.#driver.writev !== undefined;
  }

  allocate(length: number): Uint8Array {
    return this.#driver.allocate?.(length) ?? new Uint8Array(length);
  }

  write(chunks: readonly Uint8Array[], settled: (error?: unknown) => void): boolean {
    if (this.#writeOver) return this.#settleLater(settled);
    if (chunks.length === 1) return this.#driver.write(chunks[0]!) || this.#settleLater(settled);
    if (this.#driver.writev !== undefined) return this.#driver.writev(chunks) || this.#settleLater(settled);
    return this.#writeFrom(chunks, 0, settled);
  }

  abort(reason: unknown = new DOMException("The socket was aborted", "AbortError")): void {
    if (this.#over) return;
    this.#writes?.error(reason);
    this.#abort(reason);
  }

  /**
   * For the driver: where the bytes are to be put that it reads next, if whoever reads has said so and the driver can. That holds for one read:
   * once bytes have arrived otherwise, the place may be taken.
   */
  takeDestination(): Uint8Array | undefined {
    const destination = this.#destination;
    this.#destination = undefined;
    return destination;
  }

  /**
   * For the driver: bytes arrived. The chunk is not empty and the driver gives it away.
   *
   * @returns Whether more may come before the next `pull`.
   */
  received(chunk: Uint8Array): boolean {
    this.#destination = undefined;
    if (this.#readOver) return false;
    if (this.#cancelled) return true;
    if (this.#wanted) {
      this.#wanted = false;
      this.#reads!.enqueue(chunk);
      return true;
    }
    if (this.#first === undefined) this.#first = chunk;
    else (this.#others ??= []).push(chunk);
    this.#queued += chunk.byteLength + CHUNK_COST;
    if (this.#arrived !== undefined) this.#tellArrived();
    return this.#queued < READ_AHEAD && !this.#readOver;
  }

  /** For the driver: the peer ended its side. */
  ended(): void {
    this.#endReads(this.#failure ?? null);
  }

  /** For the driver: the chunk that `write` left over, or the end that `shutdown` did, is out. */
  written(): void {
    this.#settle(undefined);
  }

  /** For the driver: nothing can be sent any more. What has arrived can still be read. */
  writeFailed(error: NetworkError): void {
    if (this.#writeOver) return;
    this.#failure = { error };
    this.#writeOver = true;
    this.#writes?.error(error);
    this.#settle(error);
    this.#closeIfDone();
  }

  /** For the driver: the connection is gone in both directions. What has arrived can still be read. */
  broken(error: NetworkError): void {
    this.writeFailed(error);
    this.#endReads({ error });
  }

  /** For the driver: the operating system's socket is free. */
  released(): void {
    this.#over = this.#isReleased = true;
    this.#closed?.resolve();
  }

  /** An abort as far as the writable stream does not do it itself: one that is aborting must not be told of an error on top. */
  #abort(reason: unknown): void {
    if (this.#over) return;
    this.#over = this.#readOver = this.#writeOver = true;
    this.#first = this.#others = undefined;
    this.#end = this.#failure = { error: reason };
    this.#settleReads();
    this.#settle(reason);
    this.#driver.terminate();
  }

  /** The oldest chunk that waits. */
  #take(): Uint8Array | undefined {
    const chunk = this.#first;
    if (chunk === undefined) return undefined;
    this.#first = this.#others?.shift();
    this.#queued -= chunk.byteLength + CHUNK_COST;
    if (this.#end === undefined && this.#queued < READ_AHEAD / 2) this.#driver.pull();
    return chunk;
  }

  #want(): void {
    this.#wanted = true;
    this.#driver.pull();
  }

  /**
   * A cancelled socket goes on reading up to the peer's end. If it did not, a peer that goes on sending would be stuck; and if it were freed
   * with bytes unread, the kernel would answer them with a reset, which can overtake what `writable` sent last.
   */
  #cancel(): void {
    this.#cancelled = true;
    this.#first = this.#others = undefined;
    if (!this.#readOver) this.#driver.pull();
  }

  #endReads(end: { readonly error: unknown } | null): void {
    if (this.#readOver) return;
    this.#readOver = true;
    this.#end = end;
    this.#settleReads();
    this.#closeIfDone();
  }

  /** Tells whoever reads of the end, once there is nothing before it. */
  #settleReads(): void {
    const end = this.#end;
    if (end === undefined || this.#first !== undefined || this.#cancelled) return;
    if (end === null) this.#reads?.close();
    else this.#reads?.error(end.error);
    this.#reads = undefined;
    this.#tellArrived();
  }

  #tellArrived(): void {
    const arrived = this.#arrived;
    if (arrived === undefined) return;
    this.#arrived = undefined;
    if (this.#driver.isEventDriven && !this.#over) arrived();
    else queueMicrotask(arrived);
  }

  /** Writes the chunks from the one numbered `first` on. */
  #writeFrom(chunks: readonly Uint8Array[], first: number, settled: (error?: unknown) => void): boolean {
    for (let i = first; i < chunks.length; i++) {
      if (this.#driver.write(chunks[i]!)) continue;
      return this.#settleLater((error) => {
        if (error !== undefined || this.#writeFrom(chunks, i + 1, settled)) settled(error);
      });
    }
    return true;
  }

  #endWrites(): void {
    this.#writeOver = true;
    this.#closeIfDone();
  }

  /** The write that is under way has settled. */
  #settle(error: unknown): void {
    const settled = this.#settled;
    if (settled === undefined) return;
    this.#settled = undefined;
    if (this.#driver.isEventDriven && !this.#over) settled(error);
    else queueMicrotask(() => settled(error));
  }

  /** Tells of the rest of a write or of the end, in time; it may have failed while the driver was trying. Returns that it is not done at once. */
  #settleLater(settled: (error?: unknown) => void): false {
    if (this.#writeOver) queueMicrotask(() => settled(this.#failure?.error));
    else this.#settled = settled;
    return false;
  }

  /** A promise for an operation that tells when it is done, or undefined if it was done at once. */
  #whenDone(operation: (settled: (error?: unknown) => void) => boolean): Promise<void> | undefined {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const done = operation((error) => error === undefined ? resolve() : reject(error));
    return done ? undefined : promise;
  }

  #closeIfDone(): void {
    if (this.#over || !this.#readOver || !this.#writeOver) return;
    this.#over = true;
    this.#driver.close();
  }
}
