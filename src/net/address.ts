/**
 * Addresses that every adapter takes, and no others: checked here, since runtimes disagree on what they do with a name, a port out of range
 * or a path that is too long.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";
import type { SocketAddress } from "./network.ts";

const OCTET = "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);
/** What a `sockaddr_un` holds on Linux, less the zero at its end; where it is less, the operating system says so itself. */
const LONGEST_PATH = 107;

/** An address in words, for messages to people: `127.0.0.1:6789`, `[::1]:6789`, `unix:/run/mon.sock`. */
export function describe(address: SocketAddress): string {
  if (address.transport === "unix") return `unix:${address.path}`;
  return address.hostname.includes(":")
    ? `[${address.hostname}]:${address.port}`
    : `${address.hostname}:${address.port}`;
}

/**
 * Throws if an address cannot be one.
 *
 * @param action What is being tried, such as `"connect to"`.
 * @param lowestPort 1 to connect, 0 to listen.
 * @throws {NetworkError} With code `address_not_available`.
 */
export function checkAddress(address: SocketAddress, action: string, lowestPort: number): void {
  const fault = address.transport === "tcp"
    ? tcpFault(address.hostname, address.port, lowestPort)
    : pathFault(address.path);
  if (fault !== undefined) {
    throw new NetworkError("address_not_available", `Cannot ${action} ${describe(address)}: ${fault}`);
  }
}

function tcpFault(hostname: string, port: number, lowestPort: number): string | undefined {
  if (!Number.isInteger(port) || port < lowestPort || port > 65535) return `the port must be ${lowestPort} to 65535`;
  if (IPV4.test(hostname)) return;
  // A zone ("%eth0") is the operating system's to judge; URL knows none.
  const [literal = ""] = hostname.split("%", 1);
  if (literal.includes(":") && URL.canParse(`http://[${literal}]/`)) return;
  return "the host must be an IPv4 or IPv6 address";
}

function pathFault(path: string): string | undefined {
  if (path === "") return "the path is empty";
  if (path.includes("\0")) return "the path holds a zero";
  if (new TextEncoder().encode(path).byteLength > LONGEST_PATH) return `the path is longer than ${LONGEST_PATH} bytes`;
  return;
}
