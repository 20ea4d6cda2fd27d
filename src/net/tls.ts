/**
 * What the adapters share of TLS.
 *
 * @module
 */

import { MessengerError, type NetworkError } from "../errors.ts";
import { describe } from "./address.ts";
import type { Socket, SocketAddress, TlsOptions } from "./network.ts";
import { type Driver, StreamSocket } from "./stream_socket.ts";

/**
 * Throws if a server could not prove with these who it is, or could not verify its clients.
 *
 * @throws {MessengerError} With code `invalid`.
 */
export function checkServerTls(tls: TlsOptions, address: SocketAddress): { cert: string; key: string } {
  const { cert, key, ca, requireClientCertificate } = tls;
  const action = `Cannot listen on ${describe(address)} with TLS`;
  if (cert === undefined || key === undefined) throw new MessengerError("invalid", `${action}: cert or key is missing`);
  if (requireClientCertificate && ca === undefined) {
    throw new MessengerError("invalid", `${action}: without ca, any authority in the world could vouch for a client`);
  }
  return { cert, key };
}

/**
 * The name or address that the server's certificate must carry.
 *
 * @throws {MessengerError} With code `invalid` if there is none, or a certificate without its key.
 */
export function expectedName(tls: TlsOptions, address: SocketAddress): string {
  const action = `Cannot connect to ${describe(address)} with TLS`;
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    throw new MessengerError("invalid", `${action}: cert and key belong together`);
  }
  if (tls.serverName !== undefined) return tls.serverName;
  if (address.transport === "tcp") return address.hostname;
  throw new MessengerError("invalid", `${action}: a path is no name that a certificate could carry; give serverName`);
}

/** A connection that failed before there was anything to read: it says why to whoever accepts it. */
export function stillbornSocket(error: NetworkError, local: SocketAddress, remote: SocketAddress): Socket {
  const driver: Driver = {
    isEventDriven: false,
    pull: () => {},
    write: () => true,
    shutdown: () => true,
    close: () => socket.released(),
    terminate: () => socket.released(),
  };
  const socket = new StreamSocket(driver, local, remote);
  socket.broken(error);
  return socket;
}
