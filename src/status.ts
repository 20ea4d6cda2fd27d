/**
 * What happens to connections and to their messenger, as events: the option `log` is told of them, and so is everyone who reads a `status()`.
 *
 * @module
 */

import type { Connection } from "./connection.ts";
import type { MessengerError } from "./errors.ts";
import type { PipeState } from "./session.ts";

/** What all events have, where it applies. */
export interface StatusBase<Type extends string> {
  /** What happened. */
  readonly type: Type;
  /** The connection that it concerns. */
  readonly connection?: Connection | undefined;
  /** Who is at the other end: its address, or that of its socket while it has not said who it is. */
  readonly peer?: string | undefined;
  /** What the connection was doing when it happened. */
  readonly state?: PipeState | undefined;
  /** What broke. */
  readonly error?: MessengerError | undefined;
}

/** What all events of a connection have. */
export interface ConnectionStatusBase<Type extends string> extends StatusBase<Type> {
  /** The connection. */
  readonly connection: Connection;
  /** Who is at the other end: its address, or that of its socket while it has not said who it is. */
  readonly peer: string;
  /** What the connection was doing when it happened. */
  readonly state: PipeState;
}

/** It will be dialled after a pause, or at once when there is a reason to hurry. Where there is no pause, this event is left out. */
export interface BackoffStatus extends ConnectionStatusBase<"backoff"> {
  /** Which attempt it will be since the connection was last open: 1 for the first. */
  readonly attempt: number;
  /** How long the pause is, in ms. */
  readonly pause: number;
}

/** An attempt to dial begins. */
export interface ConnectingStatus extends ConnectionStatusBase<"connecting"> {
  /** Which attempt it is since the connection was last open: 1 for the first. */
  readonly attempt: number;
}

/** Messages flow. */
export interface OpenStatus extends ConnectionStatusBase<"open"> {
  /** Whether this side dialled. */
  readonly dialled: boolean;
  /** Whether the session goes on that was open before. */
  readonly again: boolean;
}

/** The peer dialled while there was a session with it: what is done then is for a table to say. Ceph's connection race. */
export interface RaceStatus extends ConnectionStatusBase<"race"> {
  /** The row of the table. */
  readonly row: string;
}

/** The peer's new socket has taken the place of the one before. */
export type ReplacedStatus = ConnectionStatusBase<"replaced">;

/**
 * The socket broke, or an attempt to dial failed: where nobody listens `error.code` is `refused`. What comes of it is told next: `backoff`,
 * `connecting` or `standby` where the session is repaired, `closed` where it is not. Ceph's `fault`.
 */
export interface FaultStatus extends ConnectionStatusBase<"fault"> {
  /** What broke. */
  readonly error: MessengerError;
}

/** The session goes on without a socket. */
export interface StandbyStatus extends ConnectionStatusBase<"standby"> {
  /** Whether this side dials as soon as there is something to send; otherwise it waits for the peer, as long as `absenceTimeout` allows. */
  readonly canDial: boolean;
}

/** The peer has lost the session (it restarted, or ended it); the connection goes on with a new one. */
export interface SessionResetStatus extends ConnectionStatusBase<"session_reset"> {
  /** Messages of ours that were dropped with it. Those among them that had been sent may have arrived. */
  readonly dropped: number;
}

/**
 * Which budget a connection waits for: that of the messenger (`dispatchThrottleBytes`), one of its kind's policy, or `share`: it holds more than
 * is left for all others, and waits for its own messages to be handled. With `stream` it waits for a reader of a message's `dataStream`.
 */
export type HeldBy = "share" | "stream" | "throttlerMessages" | "throttlerBytes" | "dispatchThrottleBytes";

/** For a second now a throttle, or a stream that is not read, has kept the connection from being read: its messages, or those of others, are handled too slowly. */
export interface HeldStatus extends ConnectionStatusBase<"held"> {
  /** What it waits for. */
  readonly by: HeldBy;
  /** How many of its messages have arrived and are not handled yet. */
  readonly messages: number;
  /** Their bytes. */
  readonly bytes: number;
}

/** What was `held` is read again. */
export interface ReleasedStatus extends ConnectionStatusBase<"released"> {
  /** How long it was held, in ms. */
  readonly heldFor: number;
}

/** No dispatcher wanted a message; it was dropped. */
export interface UnhandledMessageStatus extends ConnectionStatusBase<"unhandled_message"> {
  /** The message's type. */
  readonly messageType: number;
}

/** A message of ours could not be sent, and nobody will get it: its data's stream has failed, or its bytes were given back or transferred. */
export interface NotSentStatus extends ConnectionStatusBase<"not_sent"> {
  /** The message's type. */
  readonly messageType: number;
  /** Why. */
  readonly error: MessengerError;
}

/** The session is over for good. With the `error` that ended it, unless this side closed it, or marked the connection down. It is the last event. */
export interface ClosedStatus extends ConnectionStatusBase<"closed"> {
  /** Messages of ours that were dropped with it. Those among them that had been sent may have arrived. */
  readonly dropped: number;
}

/** The messenger listens: `bind` or `rebind` has succeeded. */
export interface ListeningStatus extends StatusBase<"listening"> {
  /** Where. */
  readonly address: string;
}

/** Listening failed. It is tried again. */
export interface ListenErrorStatus extends StatusBase<"listen_error"> {
  /** What broke. */
  readonly error: MessengerError;
}

/**
 * A peer has dialled and is kept waiting, or a message has come and was dropped, because the messenger has neither a dispatcher nor a handler.
 * Told once.
 */
export interface NoDispatcherStatus extends StatusBase<"no_dispatcher"> {
  /** Whom it concerns. */
  readonly peer: string;
}

/** Something that happened to a connection. `switch (status.type)` tells what else it has to say. */
export type ConnectionStatus =
  | BackoffStatus
  | ConnectingStatus
  | OpenStatus
  | RaceStatus
  | ReplacedStatus
  | FaultStatus
  | StandbyStatus
  | SessionResetStatus
  | HeldStatus
  | ReleasedStatus
  | UnhandledMessageStatus
  | NotSentStatus
  | ClosedStatus;

/** Something that happened to a messenger, or to one of its connections. */
export type MessengerStatus = ConnectionStatus | ListeningStatus | ListenErrorStatus | NoDispatcherStatus;
