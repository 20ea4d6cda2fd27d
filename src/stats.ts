/**
 * What a messenger has done so far, in numbers.
 *
 * @module
 */

/** A snapshot of a messenger's counters; those that Ceph has too carry its names. All count from the messenger's start. */
export interface MessengerStats {
  /** Messages delivered to the dispatch queue. */
  readonly msgr_recv_messages: number;
  /** Messages handed to sockets, replays included. */
  readonly msgr_send_messages: number;
  /** Bytes of those messages' segments. */
  readonly msgr_recv_bytes: number;
  /** Bytes of those messages' segments. */
  readonly msgr_send_bytes: number;
  /** Pipes that were created, to dial or for a peer that dialled; a session that is replaced by its peer's new connection has had several. */
  readonly msgr_created_connections: number;
  /** Pipes that are alive now. */
  readonly msgr_active_connections: number;
  /** Attempts to dial. */
  readonly connect_attempts: number;
  /** Times that a session was opened on a new socket after it had been open before. */
  readonly reconnects: number;
  /** Messages that were sent again after a reconnect. */
  readonly replayed_messages: number;
  /** Messages that arrived a second time and were dropped. */
  readonly duplicate_messages: number;
  /** Messages of ours that were dropped with a session. */
  readonly dropped_messages: number;
  /** Connections that a peer's bad input ended. */
  readonly protocol_errors: number;
  /** Requests of ours that wait for their replies now. */
  readonly pending_requests: number;
  /** Replies that nobody waited for any more, and that were dropped. */
  readonly late_replies: number;
  /** Messages and events that wait for dispatch now. */
  readonly dispatch_queue_len: number;
  /** Bytes of received messages that are not handled yet. */
  readonly dispatch_throttle_bytes: number;
}

/** The counters while they count. */
export class Counters {
  recvMessages = 0;
  sendMessages = 0;
  recvBytes = 0;
  sendBytes = 0;
  createdConnections = 0;
  connectAttempts = 0;
  reconnects = 0;
  replayed = 0;
  duplicates = 0;
  dropped = 0;
  protocolErrors = 0;
  pendingRequests = 0;
  lateReplies = 0;
}
