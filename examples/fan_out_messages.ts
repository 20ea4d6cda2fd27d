/**
 * What the HTTP server and the workers of the fan-out say to each other.
 *
 * @module
 */

import { jsonCodec, MessageType, RequestType, textCodec } from "@msgr/pipe";

/** How many words are there in this? */
export const Count: RequestType<string, { words: number }> = new RequestType(
  new MessageType(0x8001, textCodec),
  new MessageType(0x8002, jsonCodec<{ words: number }>()),
);
