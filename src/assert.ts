/**
 * States that cannot be.
 *
 * @module
 */

/** Throws unless `condition` holds: a bug in this module, not a caller's mistake. */
export function assert(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new Error(`Impossible state: ${otherwise}`);
}
