/**
 * Stand-in for `@std/bytes` 1.0.6 where JSR cannot be reached: the functions this repository calls, with the same names and
 * signatures. Users of the package get the real one.
 *
 * @module
 */

/** One new array that holds the bytes of all of them in order, even if there is only one. */
export function concat(buffers: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const buffer of buffers) length += buffer.byteLength;
  const all = new Uint8Array(length);
  let at = 0;
  for (const buffer of buffers) {
    all.set(buffer, at);
    at += buffer.byteLength;
  }
  return all;
}

/** Whether both hold the same bytes. */
export function equals(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && a.every((byte, i) => byte === b[i]);
}
