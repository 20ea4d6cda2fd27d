/**
 * A peer that is played byte by byte.
 *
 * @module
 */

import { ByteSource } from "../../src/byte_source.ts";
import { directSocket } from "../../src/direct_socket.ts";
import { systemEnvironment } from "../../src/environment.ts";
import type { Network, Socket, SocketAddress } from "../../src/net/network.ts";
import { EntityAddress } from "../../src/wire/address.ts";
import { type ConnectReply, type ConnectRequest, encodeConnect, encodeConnectReply } from "../../src/wire/connect.ts";
import { BANNER, MESSENGER_FEATURES, Tag } from "../../src/wire/constants.ts";
import {
  emptyMessageFooter,
  emptyMessageHeader,
  encodeMessageFooter,
  encodeMessageHeader,
  type MessageFooter,
  type MessageHeader,
} from "../../src/wire/frame.ts";
import { crc32c } from "../../src/wire/crc32c.ts";

/** A socket whose other end is a messenger. */
export class RawPeer {
  readonly socket: Socket;
  readonly #source: ByteSource;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  constructor(socket: Socket) {
    this.socket = socket;
    this.#source = new ByteSource(directSocket(socket), systemEnvironment);
    this.#writer = socket.writable.getWriter();
    this.#writer.closed.catch(() => {});
  }

  /** Dials a messenger. */
  static async dial(network: Network, address: SocketAddress): Promise<RawPeer> {
    return new RawPeer(await network.connect(address));
  }

  /** Reads exactly so many bytes. */
  read(length: number): Promise<Uint8Array> {
    return this.#source.tcpRead(length);
  }

  /** Sends bytes. */
  write(...parts: Uint8Array[]): Promise<void> {
    const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
    return this.#writer.write(bytes);
  }

  /** Ends its side of the socket. */
  end(): Promise<void> {
    return this.#writer.close();
  }

  /** Reads until the other end has closed. */
  async readToEnd(): Promise<void> {
    for (;;) {
      try {
        await this.#source.tcpRead(1);
      } catch {
        return;
      }
    }
  }

  /** Introduces itself to a messenger that was dialled, up to its first request. */
  async introduce(address = EntityAddress.from("", 0, 77)): Promise<void> {
    await this.write(banner(), addressBytes(address));
    await this.read(281);
  }

  /** Opens a session with a messenger that was dialled. */
  async open(request: Partial<ConnectRequest> = {}): Promise<void> {
    await this.introduce();
    await this.write(connectBytes(request));
    await this.read(26);
  }
}

export function banner(): Uint8Array {
  return new TextEncoder().encode(BANNER);
}

export function addressBytes(address: EntityAddress): Uint8Array {
  const bytes = new Uint8Array(136);
  address.encode(bytes);
  return bytes;
}

/** A request for a new session by a client; `changes` are what is different. */
export function connectBytes(changes: Partial<ConnectRequest> = {}): Uint8Array {
  return encodeConnect({
    features: MESSENGER_FEATURES,
    hostType: 8,
    globalSeq: 1,
    connectSeq: 0,
    protocolVersion: 0,
    authorizerProtocol: 0,
    authorizerLength: 0,
    flags: 0,
    ...changes,
  });
}

/** A reply that opens a new session; `changes` are what is different. */
export function replyBytes(changes: Partial<ConnectReply> = {}): Uint8Array {
  return encodeConnectReply({
    tag: Tag.READY,
    features: MESSENGER_FEATURES,
    globalSeq: 1,
    connectSeq: 1,
    protocolVersion: 0,
    authorizerLength: 0,
    flags: 0,
    ...changes,
  });
}

/** A message as a messenger sends it; `header` and `footer` are what is different, wherever that does not follow from the data. */
export function messageBytes(
  data: Uint8Array,
  header: Partial<MessageHeader> = {},
  footer: Partial<MessageFooter> = {},
): Uint8Array {
  const bytes = new Uint8Array(1 + 53 + data.length + 21);
  bytes[0] = Tag.MSG;
  encodeMessageHeader(
    { ...emptyMessageHeader(), seq: 1, type: 2, priority: 127, sourceType: 8, dataLength: data.length, ...header },
    bytes,
    1,
  );
  bytes.set(data, 54);
  encodeMessageFooter({ ...emptyMessageFooter(), dataCrc: crc32c(data), flags: 1, ...footer }, bytes, 54 + data.length);
  return bytes;
}
