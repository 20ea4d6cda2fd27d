/**
 * Where an entity is: an IP address or path, a port, and a nonce. In the handshake it takes 136 bytes.
 *
 * @module
 */

import { MessengerError, ProtocolError } from "../errors.ts";
import { ADDRESS_SIZE } from "./constants.ts";
import { getU32, putU32 } from "./integers.ts";
import { formatIp4, formatIp6, parseIp4, parseIp6 } from "./ip.ts";

/** Address families with Linux's numbers, as they stand on the wire. */
const Family = { NONE: 0, UNIX: 1, IP4: 2, IP6: 10 } as const;

/** Where the `sockaddr_storage` begins in the 136 bytes, and where its fields are. */
const FAMILY_AT = 8, PORT_AT = 10, IP4_AT = 12, FLOW_AT = 12, IP6_AT = 16, SCOPE_AT = 32, PATH_AT = 10;
/** The bytes that Ceph compares: type, nonce and the 28 bytes of a `sockaddr_in6`. Only a path's address has any behind them that are not 0. */
const COMPARED_SIZE = 36;
/** Room for a path, with the NUL at its end. */
const PATH_SIZE = 108;
/** What people write for hosts that have another name here; `?` is what {@linkcode EntityAddress.toString} says for an unknown one. */
const SPOKEN_HOSTS: ReadonlyMap<string, string> = new Map([["localhost", "127.0.0.1"], ["?", ""]]);

/**
 * The address of an entity. Ceph's `entity_addr_t`.
 *
 * Two addresses with the same host and port and different nonces belong to different entities: the nonce tells a process from
 * the one that had its port before.
 *
 * @example
 * ```ts
 * import { assert, assertEquals } from "@std/assert";
 * import { EntityAddress } from "@msgr/pipe";
 *
 * const monitor = EntityAddress.parse("127.0.0.1:6789/0");
 * assertEquals([monitor.host, monitor.port, monitor.nonce], ["127.0.0.1", 6789, 0]);
 * assert(!monitor.equals(EntityAddress.parse("127.0.0.1:6789/1")));
 * assertEquals(EntityAddress.parse("[::1]:6800/7").toString(), "[::1]:6800/7");
 * ```
 */
export class EntityAddress {
  /** The kind of host: `"none"` is an address that is not known yet. */
  readonly kind: "none" | "ip4" | "ip6" | "unix";
  /** The IP address in text without brackets, the path of a Unix-domain socket, or `""`. */
  readonly host: string;
  /** The TCP port; 0 for an entity that accepts no connections. */
  readonly port: number;
  /** Tells apart the processes that used one host and port, 32 bits. */
  readonly nonce: number;
  /** Those of the handshake, where the fields do not say all. A server keeps an address for each of its clients. */
  readonly #kept: Uint8Array | undefined;

  private constructor(bytes: Uint8Array) {
    this.nonce = getU32(bytes, 4);
    const family = (bytes[FAMILY_AT]! << 8) | bytes[FAMILY_AT + 1]!;
    this.port = family === Family.UNIX ? 0 : (bytes[PORT_AT]! << 8) | bytes[PORT_AT + 1]!;
    switch (family) {
      case Family.IP4:
        this.kind = "ip4";
        this.host = shared(formatIp4(bytes.subarray(IP4_AT, IP4_AT + 4)));
        break;
      case Family.IP6:
        this.kind = "ip6";
        this.host = formatIp6(bytes.subarray(IP6_AT, IP6_AT + 16));
        break;
      case Family.UNIX:
        this.kind = "unix";
        this.host = readPath(bytes);
        break;
      default:
        this.kind = "none";
        this.host = "";
    }
    this.#kept = this.kind === "ip6" || this.kind === "unix" ? bytes : undefined;
  }

  /** The address as a string that is equal exactly for equal addresses. It is made when it is asked for: a server keeps many addresses and looks up few. */
  get key(): string {
    const scope = this.#kept === undefined ? "" : scopeSuffix(this.#kept);
    return `${this.endpoint}/${this.nonce}${scope}`;
  }

  /** Those of the handshake, up to {@linkcode COMPARED_SIZE} where the rest is 0. Not to be changed. */
  get #bytes(): Uint8Array {
    return this.#kept ?? ipBytes(parseIp4(this.host), this.port, this.nonce);
  }

  /**
   * Makes an address from its parts.
   *
   * @param host An IP address in text, `"unix:"` and a path, or `""` for one that is not known yet.
   * @param port The TCP port.
   * @param nonce The nonce, 32 bits.
   * @throws {MessengerError} With code `invalid`.
   */
  static from(host: string, port: number, nonce: number = 0): EntityAddress {
    checkRange("port", port, 0xffff);
    checkRange("nonce", nonce, 0xffffffff);
    if (host.startsWith("unix:")) {
      const path = new TextEncoder().encode(host.slice("unix:".length));
      if (path.length >= PATH_SIZE || path.includes(0)) {
        throw new MessengerError(
          "invalid",
          `Bad path: got ${path.length} bytes, expected at most ${PATH_SIZE - 1} and no NUL`,
        );
      }
      const bytes = new Uint8Array(ADDRESS_SIZE);
      putU32(bytes, 4, nonce);
      bytes[FAMILY_AT + 1] = Family.UNIX;
      bytes.set(path, PATH_AT);
      return new EntityAddress(bytes);
    }
    const ip = host === "" ? undefined : parseIp4(host) ?? parseIp6(host);
    if (host !== "" && ip === undefined) {
      throw new MessengerError(
        "invalid",
        `Bad host: got "${host}", expected an IPv4 or IPv6 address, or unix: and a path`,
      );
    }
    return new EntityAddress(ipBytes(ip, port, nonce));
  }

  /**
   * Reads an address as people write it: `"127.0.0.1:6789"`, `"[::1]:6789/42"`, `"v1:10.0.0.1:6800/7"`, `"unix:/run/a.sock"`,
   * `"localhost:6800"`. The nonce is 0 where none is written.
   *
   * @throws {MessengerError} With code `invalid`.
   */
  static parse(text: string): EntityAddress {
    const unix = /^unix:([^\0]*?)(?:#(\d+))?$/.exec(text);
    if (unix !== null) return EntityAddress.from(`unix:${unix[1]}`, 0, Number(unix[2] ?? 0));
    const match = /^(?:v1:)?(?:\[([^\]]*)\]|([^:[\]]*)):(\d+)(?:\/(\d+))?$/.exec(text);
    if (match === null) {
      throw new MessengerError("invalid", `Bad address: got "${text}", expected "host:port" or "host:port/nonce"`);
    }
    const host = match[1] ?? match[2]!;
    return EntityAddress.from(SPOKEN_HOSTS.get(host) ?? host, Number(match[3]), Number(match[4] ?? 0));
  }

  /**
   * Reads the 136 bytes of the handshake.
   *
   * @throws {ProtocolError} If they are too few, of the form that only messages may hold, of an unknown family, or hold a bad path.
   */
  static decode(bytes: Uint8Array, at = 0): EntityAddress {
    const { length } = bytes.subarray(at, at + ADDRESS_SIZE);
    if (length < ADDRESS_SIZE) throw new ProtocolError("address", `${length} bytes`, ADDRESS_SIZE);
    if (bytes[at] !== 0) throw new ProtocolError("address marker", bytes[at]!, "0 (a legacy address)");
    const family = (bytes[at + FAMILY_AT]! << 8) | bytes[at + FAMILY_AT + 1]!;
    const copy = new Uint8Array(family === Family.UNIX ? ADDRESS_SIZE : COMPARED_SIZE);
    copy.set(bytes.subarray(at, at + copy.length));
    copy.fill(0, 0, 4);
    if (family === Family.IP4) copy.fill(0, IP6_AT);
    else if (family === Family.UNIX) copy.fill(0, endOfPath(copy));
    else if (family === Family.NONE) copy.fill(0, IP4_AT);
    if (family !== Family.IP4 && family !== Family.IP6 && family !== Family.UNIX && family !== Family.NONE) {
      throw new ProtocolError("address family", family, "0 (none), 1 (unix), 2 (IPv4) or 10 (IPv6)");
    }
    return new EntityAddress(copy);
  }

  /** Writes the 136 bytes of the handshake. */
  encode(out: Uint8Array, at = 0): void {
    const bytes = this.#bytes;
    out.set(bytes, at);
    out.fill(0, at + bytes.length, at + ADDRESS_SIZE);
  }

  /** Where a socket has to be opened to reach it: `"127.0.0.1:6789"`, `"[::1]:6789"`, `"unix:/run/a.sock"`. */
  get endpoint(): string {
    if (this.kind === "unix") return `unix:${this.host}`;
    return this.kind === "ip6" ? `[${this.host}]:${this.port}` : `${this.host || "?"}:${this.port}`;
  }

  /** Whether the host is not known: none at all, `0.0.0.0`, `::`, or a Unix-domain socket without a path. Ceph's `is_blank_ip`. */
  get isBlank(): boolean {
    return this.host === "" || this.host === "0.0.0.0" || this.host === "::";
  }

  /** Whether somebody listens there: a port, or a path. */
  get isListening(): boolean {
    return this.kind === "unix" ? this.host !== "" : this.port !== 0;
  }

  /** The same address with another nonce. */
  withNonce(nonce: number): EntityAddress {
    const bytes = this.#bytes.slice();
    checkRange("nonce", nonce, 0xffffffff);
    putU32(bytes, 4, nonce);
    return new EntityAddress(bytes);
  }

  /** The host of `other` with this address' port and nonce: what is known of an entity that did not know its own host. */
  withHostOf(other: EntityAddress): EntityAddress {
    const bytes = other.#bytes.slice();
    putU32(bytes, 4, this.nonce);
    if (other.kind !== "unix") bytes.set(this.#bytes.subarray(PORT_AT, PORT_AT + 2), PORT_AT);
    return new EntityAddress(bytes);
  }

  /** Whether both name the same entity. */
  equals(other: EntityAddress): boolean {
    return this.key === other.key;
  }

  /**
   * The order that decides which of two simultaneous connections lives: negative if this address is the smaller one.
   *
   * Ceph compares its structure in memory byte for byte, so the order is that of no number: the nonce counts from its least
   * significant byte, and the family is little-endian there though it is big-endian on the wire.
   */
  compare(other: EntityAddress): number {
    const size = this.kind === "unix" || other.kind === "unix" ? ADDRESS_SIZE : COMPARED_SIZE;
    const mine = this.#bytes, theirs = other.#bytes;
    for (let i = 0; i < size; i++) {
      const at = i === FAMILY_AT ? FAMILY_AT + 1 : i === FAMILY_AT + 1 ? FAMILY_AT : i;
      const difference = mine[at]! - theirs[at]!;
      if (difference !== 0) return difference;
    }
    return 0;
  }

  /** The address as people write it, with its nonce. */
  toString(): string {
    return this.kind === "unix" ? `unix:${this.host}#${this.nonce}` : `${this.endpoint}/${this.nonce}`;
  }
}

/** The host of an address, which is often that of the one before: a server's clients are on few hosts, or come by way of few. */
let lastHost = "";

function shared(host: string): string {
  if (host !== lastHost) lastHost = host;
  return lastHost;
}

/** The handshake's bytes of an address with no more to it than that; `ip` has 4 bytes, or 16, or is not known. */
function ipBytes(ip: Uint8Array | undefined, port: number, nonce: number): Uint8Array {
  const bytes = new Uint8Array(COMPARED_SIZE);
  putU32(bytes, 4, nonce);
  bytes[PORT_AT] = port >>> 8;
  bytes[PORT_AT + 1] = port;
  if (ip === undefined) return bytes;
  const isIp4 = ip.length === 4;
  bytes[FAMILY_AT + 1] = isIp4 ? Family.IP4 : Family.IP6;
  bytes.set(ip, isIp4 ? IP4_AT : IP6_AT);
  return bytes;
}

function checkRange(field: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 0 && value <= most) return;
  throw new MessengerError("invalid", `Bad ${field}: got ${value}, expected 0 to ${most}`);
}

/** Where a path ends: at its NUL. */
function endOfPath(bytes: Uint8Array): number {
  const end = bytes.indexOf(0, PATH_AT);
  if (end >= 0 && end < PATH_AT + PATH_SIZE) return end;
  throw new ProtocolError("address path", "no NUL", `at most ${PATH_SIZE - 1} bytes and a NUL`);
}

function readPath(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.subarray(PATH_AT, endOfPath(bytes)));
  } catch (error) {
    // Replacement characters would make different paths look the same.
    if (error instanceof TypeError) throw new ProtocolError("address path", "bytes that are no UTF-8", "UTF-8");
    throw error;
  }
}

/** Flow label and scope make IPv6 addresses differ; they are seldom there, and people never write them. */
function scopeSuffix(bytes: Uint8Array): string {
  if (bytes[FAMILY_AT + 1] !== Family.IP6) return "";
  const flow = getU32(bytes, FLOW_AT), scope = getU32(bytes, SCOPE_AT);
  return flow === 0 && scope === 0 ? "" : `%${flow}%${scope}`;
}
