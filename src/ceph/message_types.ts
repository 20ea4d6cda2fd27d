/**
 * Messages that have a version.
 *
 * @module
 */

import type { Message, MessageInit } from "../message.ts";
import { type MessageCodec, MessageType, type Segments } from "../message_type.ts";
import { bad } from "./decoder.ts";

/** How a type of message is encoded, with the versions that its header says. */
export interface CephCodec<T> extends MessageCodec<T> {
  /** The version that `encode` writes, and the newest that `decode` knows in full. */
  readonly version: number;
  /** The oldest decoder that can read what `encode` writes. */
  readonly compat?: number;
}

/** A type of Ceph's messages. */
export class CephMessageType<T> extends MessageType<T> {
  readonly #version: number;
  readonly #compat: number;

  /** Defines a type of message: its number and its codec. */
  constructor(type: number, codec: CephCodec<T>) {
    super(type, {
      encode: codec.encode,
      decode: (message) => {
        // A newer version that we can read has its additions at the end.
        if (message.compatVersion > codec.version) {
          throw bad("version", `${message.version}, for decoders from ${message.compatVersion} on`, codec.version);
        }
        return codec.decode(message);
      },
    });
    this.#version = codec.version;
    this.#compat = codec.compat ?? codec.version;
  }

  /** Makes a message of a value, with the version that it is encoded in. */
  override message(value: T, init: Omit<MessageInit, keyof Segments> = {}): Message {
    return super.message(value, { version: this.#version, compatVersion: this.#compat, ...init });
  }
}
