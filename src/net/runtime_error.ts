/**
 * The one place that knows what the runtimes call their errors.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";
import type { NetworkErrorCode } from "../errors.ts";
import { describe } from "./address.ts";
import type { SocketAddress } from "./network.ts";

/** By POSIX name (`error.code` on Node, Bun and, for most, Deno) and by class name (`error.name` on Deno). */
const CODES: Readonly<Record<string, NetworkErrorCode>> = {
  ECONNREFUSED: "refused",
  ConnectionRefused: "refused",

  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  ENETDOWN: "unreachable",
  EHOSTDOWN: "unreachable",
  ENOENT: "unreachable",
  ENOTDIR: "unreachable",
  ENOTSOCK: "unreachable",
  EAFNOSUPPORT: "unreachable",
  ENOTFOUND: "unreachable",
  NotFound: "unreachable",
  HostUnreachable: "unreachable",
  NetworkUnreachable: "unreachable",

  ETIMEDOUT: "timed_out",
  ERR_TLS_HANDSHAKE_TIMEOUT: "timed_out",
  TimedOut: "timed_out",
  // What connecting to a Unix-domain socket says when its backlog is full.
  EAGAIN: "timed_out",
  WouldBlock: "timed_out",

  ECONNRESET: "connection_lost",
  ECONNABORTED: "connection_lost",
  EPIPE: "connection_lost",
  ENOTCONN: "connection_lost",
  ESHUTDOWN: "connection_lost",
  // Writing to what the runtime closed a moment ago, before it said so.
  EBADF: "connection_lost",
  ERR_SOCKET_CLOSED: "connection_lost",
  ERR_STREAM_DESTROYED: "connection_lost",
  ConnectionReset: "connection_lost",
  ConnectionAborted: "connection_lost",
  BrokenPipe: "connection_lost",
  NotConnected: "connection_lost",
  UnexpectedEof: "connection_lost",

  EADDRINUSE: "address_in_use",
  AddrInUse: "address_in_use",

  EADDRNOTAVAIL: "address_not_available",
  ENAMETOOLONG: "address_not_available",
  EINVAL: "address_not_available",
  AddrNotAvailable: "address_not_available",

  EACCES: "permission_denied",
  EPERM: "permission_denied",
  EROFS: "permission_denied",
  PermissionDenied: "permission_denied",
  NotCapable: "permission_denied",

  EOPNOTSUPP: "not_supported",
  EPROTONOSUPPORT: "not_supported",
  NotSupported: "not_supported",
};

/**
 * What libraries of TLS say, by the `code` of OpenSSL (Node) and BoringSSL (Bun) or, on Deno, by rustls' words. The first that fits counts:
 * what we hold against the other end's certificate comes before what it holds against ours.
 */
const TLS_CODES: readonly (readonly [RegExp, NetworkErrorCode])[] = [
  [/CERT_HAS_EXPIRED|CERT_NOT_YET_VALID|peer certificate: certificate (?:expired|not valid yet)/, "tls_expired"],
  [/ALTNAME_INVALID|HOSTNAME_MISMATCH|peer certificate: certificate not valid for name/, "tls_wrong_name"],
  [/CERTIFICATE_REQUIRED|CertificateRequired|DID_NOT_RETURN_A_CERTIFICATE/, "tls_client_certificate"],
  [/ALERT_(?:UNKNOWN_CA|[A-Z_]*CERTIFICATE)|alert: (?:UnknownCA|AccessDenied|[A-Za-z]*Certificate)/, "tls_refused"],
  [/UNABLE_TO_(?:GET_ISSUER|VERIFY)|SELF_SIGNED|CERT_|INVALID_CA|INVALID_PURPOSE|peer certificate:/, "tls_untrusted"],
  [/ERR_(?:SSL|TLS|OSSL|BORINGSSL)|InvalidData|fatal alert|keys may not be consistent/, "tls_failed"],
];

/**
 * A runtime's error as one of ours.
 *
 * @param error What the runtime threw.
 * @param action What failed, to begin the message with, such as `"Cannot connect to 127.0.0.1:6789"`.
 */
export function networkError(error: unknown, action: string): NetworkError {
  return new NetworkError(codeOf(error), `${action}: ${wordsOf(error)}`, { cause: error });
}

/** What {@linkcode networkError} says of an attempt to connect. */
export function connectError(error: unknown, address: SocketAddress): NetworkError {
  return networkError(error, `Cannot connect to ${describe(address)}`);
}

/** What {@linkcode networkError} says of an attempt to listen, where a path that leads nowhere is no address to have. */
export function listenError(error: unknown, address: SocketAddress): NetworkError {
  const code = codeOf(error);
  return new NetworkError(
    code === "unreachable" ? "address_not_available" : code,
    `Cannot listen on ${describe(address)}: ${wordsOf(error)}`,
    { cause: error },
  );
}

/** What an adapter says of TLS that it cannot do. */
export function tlsNotSupported(
  action: string,
  address: SocketAddress,
  why = "there is no TLS in memory",
): NetworkError {
  return new NetworkError("not_supported", `Cannot ${action} ${describe(address)}: ${why}`);
}

function codeOf(error: unknown): NetworkErrorCode {
  const { code, name, message } = (error ?? {}) as { code?: unknown; name?: unknown; message?: unknown };
  return CODES[String(code)] ?? CODES[String(name)] ?? tlsCodeOf(`${code} ${name} ${message}`) ?? "network";
}

function tlsCodeOf(words: string): NetworkErrorCode | undefined {
  return TLS_CODES.find(([pattern]) => pattern.test(words))?.[1];
}

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { code?: unknown };
  return typeof code === "string" && !error.message.includes(code) ? `${error.message} (${code})` : error.message;
}
