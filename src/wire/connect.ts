/**
 * What the connecting side asks and the accepting side answers before a session is open.
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";
import { CONNECT_REPLY_SIZE, CONNECT_SIZE } from "./constants.ts";
import { getU32, getU64Big, putU32, putU64Big } from "./integers.ts";

/** The connecting side's request. Ceph's `ceph_msg_connect`. */
export interface ConnectRequest {
  /** Every feature that the sender supports. */
  readonly features: bigint;
  /** What kind of entity the sender is. */
  readonly hostType: number;
  /** The sender's count of connection attempts. */
  readonly globalSeq: number;
  /** How often this session has been connected; 0 asks for a new one. */
  readonly connectSeq: number;
  /** The protocol version that the sender speaks. */
  readonly protocolVersion: number;
  /** How to read the authorizer: one of {@linkcode AuthProtocol}. */
  readonly authorizerProtocol: number;
  /** Bytes of authorizer that follow. */
  readonly authorizerLength: number;
  /** {@linkcode CONNECT_LOSSY} or 0. */
  readonly flags: number;
}

/** The accepting side's answer. Ceph's `ceph_msg_connect_reply`. */
export interface ConnectReply {
  /** What to do now: one of {@linkcode Tag}. */
  readonly tag: number;
  /** The sender's features; in a refusal, those in common and those required. */
  readonly features: bigint;
  /** With RETRY_GLOBAL the number to exceed, otherwise the sender's own count. */
  readonly globalSeq: number;
  /** With RETRY_SESSION the number to ask again with, otherwise that of the open session. */
  readonly connectSeq: number;
  /** The protocol version that the sender speaks. */
  readonly protocolVersion: number;
  /** Bytes of authorizer reply that follow. */
  readonly authorizerLength: number;
  /** {@linkcode CONNECT_LOSSY} or 0; the connecting side has to adopt it. */
  readonly flags: number;
}

/** The 33 bytes of a connect request. */
export function encodeConnect(request: ConnectRequest): Uint8Array {
  const out = new Uint8Array(CONNECT_SIZE);
  putU64Big(out, 0, request.features);
  putU32(out, 8, request.hostType);
  putU32(out, 12, request.globalSeq);
  putU32(out, 16, request.connectSeq);
  putU32(out, 20, request.protocolVersion);
  putU32(out, 24, request.authorizerProtocol);
  putU32(out, 28, request.authorizerLength);
  out[32] = request.flags;
  return out;
}

/**
 * Reads a connect request.
 *
 * @param bytes At least 33 bytes.
 * @param maxAuthorizer The longest authorizer to allow, in bytes.
 * @throws {ProtocolError} If the authorizer is longer.
 */
export function decodeConnect(bytes: Uint8Array, maxAuthorizer: number): ConnectRequest {
  return {
    features: getU64Big(bytes, 0),
    hostType: getU32(bytes, 8),
    globalSeq: getU32(bytes, 12),
    connectSeq: getU32(bytes, 16),
    protocolVersion: getU32(bytes, 20),
    authorizerProtocol: getU32(bytes, 24),
    authorizerLength: checkLength(getU32(bytes, 28), maxAuthorizer),
    flags: bytes[32]!,
  };
}

/** The 26 bytes of a connect reply. */
export function encodeConnectReply(reply: ConnectReply): Uint8Array {
  const out = new Uint8Array(CONNECT_REPLY_SIZE);
  out[0] = reply.tag;
  putU64Big(out, 1, reply.features);
  putU32(out, 9, reply.globalSeq);
  putU32(out, 13, reply.connectSeq);
  putU32(out, 17, reply.protocolVersion);
  putU32(out, 21, reply.authorizerLength);
  out[25] = reply.flags;
  return out;
}

/**
 * Reads a connect reply.
 *
 * @param bytes At least 26 bytes.
 * @param maxAuthorizer The longest authorizer reply to allow, in bytes.
 * @throws {ProtocolError} If the authorizer reply is longer.
 */
export function decodeConnectReply(bytes: Uint8Array, maxAuthorizer: number): ConnectReply {
  return {
    tag: bytes[0]!,
    features: getU64Big(bytes, 1),
    globalSeq: getU32(bytes, 9),
    connectSeq: getU32(bytes, 13),
    protocolVersion: getU32(bytes, 17),
    authorizerLength: checkLength(getU32(bytes, 21), maxAuthorizer),
    flags: bytes[25]!,
  };
}

function checkLength(length: number, most: number): number {
  if (length > most) throw new ProtocolError("authorizer_len", length, `at most ${most}`);
  return length;
}
