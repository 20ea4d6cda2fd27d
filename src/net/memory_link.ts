/**
 * One direction of a connection in memory: what a kernel does between a write at one end and a read at the other.
 *
 * @module
 */

const nothing = (): void => {};

/**
 * A bounded pipe of bytes. Everything happens in the call that causes it: there is no timer, no promise and no randomness here, so
 * what a link does to its bytes (delay, cut, split, stall) can be decided by a class that overrides these verbs.
 */
export class MemoryLink {
  /** Called when `read`, `ended` or `broken` have something new to say to the receiving end. */
  onReadable: () => void = nothing;
  /** Called when `write` or `broken` have something new to say to the sending end. */
  onWritable: () => void = nothing;

  readonly #capacity: number;
  readonly #chunks: Uint8Array[] = [];
  #size = 0;
  #ended = false;
  #broken = false;

  /** @param capacity Bytes under way at which the sender has to wait. */
  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** The sender is done, and everything it sent has been read. */
  get ended(): boolean {
    return this.#ended && this.#size === 0;
  }

  /** One of the ends, or something between them, tore the connection down. What is under way can still be read. */
  get broken(): boolean {
    return this.#broken;
  }

  /** Takes a copy of as much of `bytes` from `offset` on as there is room for, and returns how much that was. */
  write(bytes: Uint8Array, offset: number): number {
    const count = Math.min(bytes.byteLength - offset, this.#capacity - this.#size);
    if (count <= 0 || this.#broken) return 0;
    // Not bytes.slice(): a Node Buffer's would share the sender's memory.
    this.#chunks.push(new Uint8Array(bytes.subarray(offset, offset + count)));
    this.#size += count;
    this.onReadable();
    return count;
  }

  /** The oldest bytes under way, which now belong to the caller. */
  read(): Uint8Array | undefined {
    const chunk = this.#chunks.shift();
    if (chunk === undefined) return;
    this.#size -= chunk.byteLength;
    this.onWritable();
    return chunk;
  }

  /** The sender is done. */
  end(): void {
    this.#ended = true;
    this.onReadable();
  }

  /** Tears the link down; both ends notice. */
  break(): void {
    if (this.#broken) return;
    this.#broken = true;
    this.onReadable();
    this.onWritable();
  }
}
