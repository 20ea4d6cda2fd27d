/**
 * What the demo's main program and its peers say to each other: lines of JSON on a peer's standard input and output. The end of its input
 * tells a peer to leave, which it therefore also does when the main program is gone.
 *
 * @module
 */

import type { MessengerStats, PipeState } from "../../mod.ts";
import type { Sum } from "./traffic.ts";

/** From the main program to a peer. */
export type Order =
  /** Connect to the peer that listens there, and exchange messages. */
  | { readonly do: "connect"; readonly address: string }
  /** Measure round trips. */
  | { readonly do: "ping" }
  /** Say how things are. */
  | { readonly do: "report" };

/** From a peer to the main program. */
export type Reply =
  | { readonly is: "listening"; readonly address: string }
  | { readonly is: "progress"; readonly sent: number; readonly received: number }
  /** All messages were sent and as many have arrived. Times are in ms since 1970. */
  | { readonly is: "done"; readonly begun: number; readonly ended: number }
  /** The median, in µs. */
  | { readonly is: "pinged"; readonly roundTrip: number }
  | Report;

/** How a peer is, after its work or in the middle of it. */
export interface Report {
  readonly is: "report";
  readonly sent: Sum;
  readonly received: Sum;
  /** What must not have happened, in words. */
  readonly complaints: readonly string[];
  /** How often it broke the connection. */
  readonly cuts: number;
  /** The number of the first message that arrived, where it need not be 1. */
  readonly first?: number | undefined;
  /** How many messages it was told were dropped with a session, where that may happen. */
  readonly told?: number | undefined;
  /** What the connection is doing; nothing if there is none. */
  readonly state?: PipeState | undefined;
  /** Messages that the connection has not got rid of. */
  readonly queued?: number | undefined;
  readonly stats: MessengerStats;
}
