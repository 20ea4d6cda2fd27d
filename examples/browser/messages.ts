/**
 * What the page and the server say to each other.
 *
 * @module
 */

import { jsonCodec, MessageType } from "@msgr/pipe";

/** The name of the server, for both ends: an address is no more than that where sockets are made of something else. */
export const SERVER = "10.0.0.1:1";

/** From the page: the numbers from 1 on. */
export const Tick: MessageType<{ number: number }> = new MessageType(0x8001, jsonCodec());

/** From the server: the same number, and how many ticks this session has brought. */
export const Tock: MessageType<{ number: number; received: number }> = new MessageType(0x8002, jsonCodec());
