/**
 * The errors of this module: one class a caller can catch, two that carry more, and a `code` on each to switch on.
 *
 * @module
 */

/** What went wrong with a socket, below the protocol. */
export type NetworkErrorCode =
  /** Nobody listens at that address (`ECONNREFUSED`). */
  | "refused"
  /** There is no route to that address, or the name of its family or path does not exist. */
  | "unreachable"
  /** The operating system, or a limit of ours, gave up waiting. */
  | "timed_out"
  /** The other end tore the connection down (`ECONNRESET`, `EPIPE`), or it ended in the middle of something. */
  | "connection_lost"
  /** Another process listens there already (`EADDRINUSE`). */
  | "address_in_use"
  /** The address is none of this machine's (`EADDRNOTAVAIL`), or it cannot be written down as one. */
  | "address_not_available"
  /** The operating system or the runtime's permissions forbid it. */
  | "permission_denied"
  /** The runtime or this adapter cannot do that. */
  | "not_supported"
  /** The other end's certificate was not signed by an authority that we trust. */
  | "tls_untrusted"
  /** The server's certificate is for another name or address. */
  | "tls_wrong_name"
  /** The other end's certificate is no longer valid, or not yet. */
  | "tls_expired"
  /** The server requires a certificate of its clients, and this one showed none. Both ends say so. */
  | "tls_client_certificate"
  /** The other end does not accept our certificate. */
  | "tls_refused"
  /** TLS failed otherwise: our certificate or key cannot be read, or the other end speaks no TLS that we do. */
  | "tls_failed"
  /** A runtime's error that fits none of the others: see `cause`. */
  | "network";

/** Every `code` that an error of this module can have. */
export type ErrorCode =
  | NetworkErrorCode
  /** The peer sent bytes that the protocol does not allow, or more of them than a limit allows. */
  | "protocol"
  /** The peer and this side share no protocol version or lack a feature that one of them requires. */
  | "incompatible"
  /** The peer refused, or failed to prove, an identity. */
  | "auth"
  /** A message's contents do not fit its type. */
  | "bad_message"
  /** The sender of a message gave it up before all of its data were sent. */
  | "aborted"
  /** The peer has lost the session, or a lossy one broke: what was under way in it may have happened or not. */
  | "session_reset"
  /** The peer's handler did not answer a request: see `reason`. */
  | "request_failed"
  /** A Ceph daemon refused or failed a command: see `status`. */
  | "command"
  /** Ceph knows no object or pool of that name. */
  | "not_found"
  /** A Ceph OSD refused or failed an operation on an object: see `status`. */
  | "operation"
  /** The messenger or the connection was closed on this side. */
  | "closed"
  /** A caller's argument is out of its range. */
  | "invalid";

/**
 * An error of this module.
 *
 * @example Telling errors apart
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { MessengerError } from "@msgr/pipe";
 *
 * const error: unknown = new MessengerError("closed", "Cannot bind: the messenger was shut down");
 * if (error instanceof MessengerError) assertEquals(error.code, "closed");
 * ```
 */
export class MessengerError extends Error {
  /** The class's name, `"MessengerError"` or that of a child. */
  override readonly name: string = "MessengerError";
  /** What kind of error this is, for a program to switch on. */
  readonly code: ErrorCode;

  /**
   * Makes an error.
   *
   * @param code What kind of error this is.
   * @param message The action that failed, and the state it failed in.
   * @param options `cause`: the error below this one.
   */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A socket could not be opened, or broke. `cause` is the runtime's own error. */
export class NetworkError extends MessengerError {
  /** The class's name. */
  override readonly name = "NetworkError";
  /** What kind of error this is, for a program to switch on. */
  declare readonly code: NetworkErrorCode;

  /**
   * Makes an error about a socket.
   *
   * @param code What kind of error this is.
   * @param message The action that failed, and the state it failed in.
   * @param options `cause`: the runtime's own error.
   */
  constructor(code: NetworkErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, options);
  }
}

/**
 * A peer broke the protocol. It ends that one connection, and says which field was wrong, what it held and what was allowed.
 */
export class ProtocolError extends MessengerError {
  /** The class's name. */
  override readonly name = "ProtocolError";
  /** The field, by its name on the wire, such as `"banner"` or `"front_len"`. */
  readonly field: string;
  /** What the field held, in words. */
  readonly value: string;
  /** What it may hold, in words. */
  readonly limit: string;

  /**
   * Makes an error about one field.
   *
   * @param field The field, by its name on the wire.
   * @param value What it held.
   * @param limit What it may hold.
   */
  constructor(field: string, value: string | number | bigint, limit: string | number | bigint) {
    super("protocol", `Bad ${field}: got ${value}, expected ${limit}`);
    this.field = field;
    this.value = String(value);
    this.limit = String(limit);
  }
}
