/**
 * Memory that what arrives is received in, and that is used again.
 *
 * @module
 */

/** Less than this is not worth the trouble. */
const LEAST = 64 * 1024;
/** Of what nobody needs so much is kept at most, in bytes, for the whole program. */
const MOST_FREE = 16 * 1024 * 1024;
/** Memory that is used again may be longer than what is wanted by a part of it, one in so many. */
const SPARE = 4;

/** What nobody needs: the latest last, which is most likely to lie in a cache of the processor. */
const free: ArrayBuffer[] = [];
let freeBytes = 0;

/** Where a buffer says whose it is: to look it up in a WeakMap would cost several times as much, most of that when garbage is collected. */
const RAW = Symbol("RawBuffer");

type Owned = ArrayBufferLike & { [RAW]?: RawBuffer };

/**
 * Memory that is received in, and how many need it. When the last of them says that it does not, views of it become empty, and it serves what arrives next.
 * Who never says so leaves it to the garbage collector, as all memory. Ceph's `buffer::raw`.
 *
 * New memory is what large messages cost most: it has to be cleared, or paged in, or both, and V8 goes through its whole heap for each 40 to 80 MB of it.
 */
export class RawBuffer {
  /** All of it. */
  readonly bytes: Uint8Array;
  #users = 1;

  private constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /**
   * Memory that is needed once: by whoever asks.
   *
   * @param length How many bytes.
   * @param make Makes new memory of that length. What is in it does not matter.
   */
  static allocate(length: number, make: (length: number) => Uint8Array): RawBuffer {
    const raw = new RawBuffer(length < LEAST ? make(length) : takeFree(length) ?? make(length));
    if (length >= LEAST) (raw.bytes.buffer as Owned)[RAW] = raw;
    return raw;
  }

  /** What the bytes lie in, if that is memory that may be used again. */
  static of(bytes: Uint8Array): RawBuffer | undefined {
    return (bytes.buffer as Owned)[RAW];
  }

  /** It is needed once more. */
  get(): void {
    this.#users++;
  }

  /** It is needed once less. */
  put(): void {
    if (--this.#users === 0 && this.bytes.length >= LEAST) recycle(this.bytes.buffer as ArrayBuffer);
  }
}

function takeFree(length: number): Uint8Array | undefined {
  for (let i = free.length - 1; i >= 0; i--) {
    const buffer = free[i]!;
    if (buffer.byteLength < length || buffer.byteLength > length + length / SPARE) continue;
    free.splice(i, 1);
    freeBytes -= buffer.byteLength;
    return new Uint8Array(buffer, 0, length);
  }
  return undefined;
}

function recycle(buffer: ArrayBuffer): void {
  // Older runtimes cannot move memory from one buffer to another, which is what makes views of it empty.
  if (buffer.byteLength > MOST_FREE || typeof buffer.transfer !== "function") return;
  while (freeBytes + buffer.byteLength > MOST_FREE) freeBytes -= free.shift()!.byteLength;
  free.push(buffer.transfer());
  freeBytes += free.at(-1)!.byteLength;
}
