/**
 * What can be set on a messenger, with its defaults, and what can be told of it.
 *
 * @module
 */

import { type Environment, systemEnvironment } from "./environment.ts";
import { MessengerError } from "./errors.ts";
import type { Message } from "./message.ts";
import type { Connection } from "./connection.ts";
import type { Network, TlsOptions } from "./net/network.ts";
import type { MessengerStatus } from "./status.ts";
import { Priority } from "./wire/constants.ts";
import type { SegmentLimits } from "./wire/frame.ts";

const MIB = 1024 * 1024;
/** Above this, runtimes fire a timer at once. */
const MAX_TIMER = 0x7fffffff;

/**
 * How long to wait before attempt number `attempt` to reconnect, in ms: 0 is the first after a fault.
 *
 * @param attempt Attempts since the session was last open.
 * @param random A random number from 0 up to 1, for jitter.
 */
export type Backoff = (attempt: number, random: number) => number;

/**
 * Ceph's back-off: at once, then after 0.2 s, 0.4 s, 0.8 s and so on up to 15 s.
 *
 * @param options `initial` and `max` in ms (`ms_initial_backoff`, `ms_max_backoff`); `jitter` from 0 to 1 is the share of each wait
 * that is left to chance.
 * @throws {MessengerError} With code `invalid`, naming the option and its range.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { exponentialBackoff } from "@msgr/pipe";
 *
 * const backoff = exponentialBackoff({ max: 1000 });
 * assertEquals([0, 1, 2, 3, 4, 5].map((attempt) => backoff(attempt, 0)), [0, 200, 400, 800, 1000, 1000]);
 * ```
 */
export function exponentialBackoff(options: { initial?: number; max?: number; jitter?: number } = {}): Backoff {
  const { initial = 200, max = 15_000, jitter = 0 } = options;
  checkRange("initial", initial, [0, MAX_TIMER]);
  checkRange("max", max, [0, MAX_TIMER]);
  checkRange("jitter", jitter, [0, 1]);
  return (attempt, random) => {
    const wait = attempt === 0 ? 0 : Math.min(max, initial * 2 ** Math.min(attempt - 1, 52));
    return wait * (1 - jitter * random);
  };
}

/** Options of a Messenger. All may be left out. */
export interface MessengerOptions {
  /**
   * Who this is: `"osd.3"`, `"client.?"`.
   *
   * @default {"client.?"}
   */
  readonly name?: string;
  /**
   * Tells this process from the one that had its address before, 32 bits.
   *
   * @default {a random number}
   */
  readonly nonce?: number;
  /**
   * How to open sockets.
   *
   * @default {that of the runtime}
   */
  readonly network?: Network | undefined;
  /**
   * Wraps every connection in TLS, those that are made and those that are accepted. Both ends have to do it.
   *
   * @default {no TLS}
   */
  readonly tls?: TlsOptions | undefined;
  /**
   * Time and chance.
   *
   * @default {the system's}
   */
  readonly environment?: Environment;
  /**
   * The longest front to accept or send, in bytes.
   *
   * @default {67108864}
   */
  readonly maxFrontBytes?: number;
  /**
   * The longest middle to accept or send, in bytes.
   *
   * @default {67108864}
   */
  readonly maxMiddleBytes?: number;
  /**
   * The longest data to accept or send, in bytes.
   *
   * @default {67108864}
   */
  readonly maxDataBytes?: number;
  /**
   * Types of messages whose data are received as streams, whatever their length: see `Message.dataStream`. Those that have a handler or a request with
   * a codec like `streamCodec` need not be named here.
   *
   * @default {none}
   */
  readonly streamedTypes?: Iterable<number>;
  /**
   * The longest data to accept or send as a stream, in bytes.
   *
   * @default {4294967295}
   */
  readonly maxStreamedDataBytes?: number;
  /**
   * How many bytes of received messages may wait for their dispatchers, over all connections; above that reading stops. A connection that has more
   * waiting than is left for the others is not read either, so that one slow dispatcher cannot use it up. 0 for no limit. Ceph's
   * `ms_dispatch_throttle_bytes`.
   *
   * @default {104857600}
   */
  readonly dispatchThrottleBytes?: number;
  /**
   * Above how many queued bytes a connection's `ready` waits. Each message counts 256 bytes more than it holds.
   *
   * @default {4194304}
   */
  readonly sendHighWaterMark?: number;
  /**
   * How long a handshake may take, in ms. Ceph's `ms_connection_ready_timeout`.
   *
   * @default {10000}
   */
  readonly handshakeTimeout?: number;
  /**
   * After how many ms without a byte from the peer its connection counts as broken; 0 for never. Ceph's `ms_tcp_read_timeout`.
   *
   * @default {900000}
   */
  readonly readTimeout?: number;
  /**
   * How long a lossless session is kept, in ms, whose peer has lost its connection and cannot be dialled, because it listens nowhere or the policy
   * never dials; 0 for ever. `handleReset` tells of its end.
   *
   * @default {900000}
   */
  readonly absenceTimeout?: number;
  /**
   * How long to wait between attempts to reconnect.
   *
   * @default {exponentialBackoff()}
   */
  readonly backoff?: Backoff;
  /**
   * The priority of messages that have none of their own.
   *
   * @default {127}
   */
  readonly defaultSendPriority?: number;
  /**
   * The protocol version to speak with entities of the own kind. Ceph's `set_cluster_protocol`.
   *
   * @default {0}
   */
  readonly clusterProtocol?: number;
  /** Told of everything that happens to connections, as it happens: the events that `status()` gives. Silent by default. */
  readonly log?: (status: MessengerStatus) => void;
  /**
   * Told when a dispatcher throws or rejects, with the message or connection that it was about.
   *
   * @default {prints it with `console.error`}
   */
  readonly onDispatchError?: (error: unknown, subject: Message | Connection) => void;
}

/** Options with every default filled in. */
export interface ResolvedOptions extends SegmentLimits {
  readonly environment: Environment;
  readonly tls?: TlsOptions | undefined;
  readonly maxStreamedDataBytes: number;
  readonly dispatchThrottleBytes: number;
  readonly sendHighWaterMark: number;
  readonly handshakeTimeout: number;
  readonly readTimeout: number;
  readonly absenceTimeout: number;
  readonly backoff: Backoff;
  readonly defaultSendPriority: number;
  readonly clusterProtocol: number;
  readonly log: (status: MessengerStatus) => void;
  readonly onDispatchError: (error: unknown, subject: Message | Connection) => void;
}

/** The longest time that timers can wait, in ms. */
const LONGEST_WAIT = 0x7fffffff;

const DEFAULTS: ResolvedOptions = Object.freeze({
  environment: systemEnvironment,
  maxFrontBytes: 64 * MIB,
  maxMiddleBytes: 64 * MIB,
  maxDataBytes: 64 * MIB,
  maxStreamedDataBytes: 0xffffffff,
  dispatchThrottleBytes: 100 * MIB,
  sendHighWaterMark: 4 * MIB,
  handshakeTimeout: 10_000,
  readTimeout: 900_000,
  absenceTimeout: 900_000,
  backoff: exponentialBackoff(),
  defaultSendPriority: Priority.DEFAULT,
  clusterProtocol: 0,
  log: () => {},
  onDispatchError: (error: unknown) => complain("A dispatcher failed:", error),
});

/** The ranges of the numbers among the options. */
const RANGES: Partial<Record<keyof ResolvedOptions, readonly [number, number]>> = {
  maxFrontBytes: [0, 0xffffffff],
  maxMiddleBytes: [0, 0xffffffff],
  maxDataBytes: [0, 0xffffffff],
  maxStreamedDataBytes: [0, 0xffffffff],
  dispatchThrottleBytes: [0, Number.MAX_SAFE_INTEGER],
  sendHighWaterMark: [1, Number.MAX_SAFE_INTEGER],
  handshakeTimeout: [1, MAX_TIMER],
  readTimeout: [0, MAX_TIMER],
  absenceTimeout: [0, MAX_TIMER],
  defaultSendPriority: [1, 255],
  clusterProtocol: [0, 0xffffffff],
};

const FUNCTIONS = ["backoff", "log", "onDispatchError"] as const;

/**
 * Fills in the defaults.
 *
 * @throws {MessengerError} With code `invalid`, naming the option and its range.
 */
export function resolveOptions(options: MessengerOptions): ResolvedOptions {
  const given = Object.fromEntries(
    Object.keys(DEFAULTS).flatMap((key) => {
      const value = options[key as keyof MessengerOptions];
      return value === undefined ? [] : [[key, value]];
    }),
  );
  const resolved: ResolvedOptions = { ...DEFAULTS, ...given };
  for (const [key, range] of Object.entries(RANGES)) {
    const value = resolved[key as keyof ResolvedOptions];
    // A fraction of a byte or a priority is out of range too.
    checkRange(key, Number.isInteger(value) ? value : String(value), range);
  }
  for (const key of FUNCTIONS) {
    if (typeof resolved[key] === "function") continue;
    throw new MessengerError("invalid", `Bad option ${key}: got ${resolved[key]}, expected a function`);
  }
  return { ...resolved, ...guarded(resolved), ...(options.tls !== undefined && { tls: options.tls }) };
}

/** The option `streamedTypes`, as a set that may grow. @throws {MessengerError} With code `invalid` for what is no type of message. */
export function streamedTypes({ streamedTypes: types = [] }: MessengerOptions): Set<number> {
  const set = new Set(types);
  for (const type of set) checkRange("streamedTypes", Number.isInteger(type) ? type : String(type), [0, 0xffff]);
  return set;
}

/** A failure that nobody hears of is worse than a library that writes a line. */
function complain(what: string, error: unknown): void {
  // deno-lint-ignore no-console
  console.error(what, error);
}

/** The program's functions, so wrapped that nothing they do wrong can stop a connection half-way. */
function guarded({ log, onDispatchError, backoff }: ResolvedOptions): Partial<ResolvedOptions> {
  return {
    log: (status) => {
      try {
        log(status);
      } catch (error) {
        complain("The option log failed:", error);
      }
    },
    onDispatchError: (error, subject) => {
      try {
        onDispatchError(error, subject);
      } catch (another) {
        complain("A dispatcher failed:", error);
        complain("And the option onDispatchError failed:", another);
      }
    },
    // What is no time to wait would be dialling without end.
    backoff: (attempt, random) => {
      const wait = backoff(attempt, random);
      return wait >= 0 ? Math.min(wait, LONGEST_WAIT) : DEFAULTS.backoff(attempt, random);
    },
  };
}

function checkRange(option: string, value: unknown, [least, most]: readonly [number, number]): void {
  if (typeof value === "number" && value >= least && value <= most) return;
  throw new MessengerError("invalid", `Bad option ${option}: got ${value}, expected ${least} to ${most}`);
}
