/**
 * What can be set on a RADOS client, with its defaults.
 *
 * @module
 */

import { MessengerError } from "../errors.ts";

const MIB = 1024 * 1024;

/** Options of a RADOS client beside those of its monitor client. */
export interface RadosOptions {
  /**
   * How many bytes one operation reads or writes at most: 1 to 33554432.
   *
   * @default {4194304}
   */
  readonly chunkSize?: number;
  /**
   * How many operations a transfer has under way at once. With `chunkSize` it limits the memory that a transfer takes.
   *
   * @default {4}
   */
  readonly operationsInFlight?: number;
  /**
   * How many ms an operation may take, with all waiting for OSDs and monitors; 0 for ever.
   *
   * @default {60000}
   */
  readonly operationTimeout?: number;
}

/** The options with every default filled in. */
export type ResolvedRadosOptions = Required<RadosOptions>;

const ranges: readonly (readonly [keyof RadosOptions, standard: number, least: number, most: number])[] = [
  ["chunkSize", 4 * MIB, 1, 32 * MIB],
  ["operationsInFlight", 4, 1, 1024],
  ["operationTimeout", 60_000, 0, 0x7fffffff],
];

/**
 * Fills in the defaults.
 *
 * @throws {MessengerError} With code `invalid`, naming the option and its range.
 */
export function resolveRadosOptions(options: RadosOptions): ResolvedRadosOptions {
  const resolved = ranges.map(([key, standard, least, most]) => {
    const { [key]: value = standard } = options;
    if (Number.isInteger(value) && value >= least && value <= most) return [key, value];
    throw new MessengerError("invalid", `Bad option ${key}: got ${value}, expected ${least} to ${most}`);
  });
  return Object.fromEntries(resolved) as ResolvedRadosOptions;
}
