/**
 * Messages whose bytes are gone before they are sent: their buffer was transferred to a worker, say.
 */

import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { test } from "node:test";
import { bytesCodec, Message, MessageType, MessengerError, type MessengerStatus, RequestType } from "../mod.ts";
import { Duo, range } from "./support/duo.ts";
import { Step } from "./support/interceptor.ts";
import { networks } from "./support/networks.ts";

const COUNT = 300, GONE = [5, 6, 200, 300];
const Ask = new RequestType(new MessageType(2000, bytesCodec), new MessageType(2001, bytesCodec));

/** Messages of which every third is too large to be framed together with others, and their buffers. */
function messages(): { readonly buffers: ArrayBuffer[]; readonly all: Message[] } {
  const segments = range(1, COUNT).map((tid) => new Uint8Array(tid % 3 === 0 ? 5000 : 40).fill(tid));
  return {
    buffers: segments.map(({ buffer }) => buffer),
    all: segments.map((bytes, i) =>
      new Message(1000, i % 2 === 0 ? { tid: i + 1, data: bytes } : { tid: i + 1, front: bytes })
    ),
  };
}

function transfer(buffer: ArrayBuffer): void {
  structuredClone(buffer, { transfer: [buffer] });
}

async function rejectsAsInvalid(promise: Promise<unknown>): Promise<void> {
  const { code, message } = await assertRejects(() => promise, MessengerError);
  assertEquals(code, "invalid");
  assertMatch(
    message,
    /^Cannot send message \d+ of type \d+: its bytes were given back, or their buffer was transferred/,
  );
}

for (const { name, open } of networks) {
  for (const [when, isSent] of [["before they are sent", false], ["before they are sent again", true]] as const) {
    test(`messages whose buffers are transferred ${when} are told as not sent, and all others arrive (${name})`, async () => {
      const told: MessengerStatus[] = [];
      const log = (status: MessengerStatus) => {
        if (status.type === "not_sent") told.push(status);
      };
      await using duo = await Duo.open(await open(), { log });
      const held = isSent ? duo.a.network.breakAt(1, { sent: Step.afterRequest.sent }) : undefined;
      const { buffers, all } = messages(), connection = duo.a.to(duo.b);
      for (const message of all) connection.send(message);
      const asked = new Uint8Array(30), reply = connection.request(Ask.message(asked));
      const flushed = connection.flush();
      await held?.reached;
      for (const tid of GONE) transfer(buffers[tid - 1]!);
      transfer(asked.buffer);
      await held?.cut();
      await Promise.all([rejectsAsInvalid(flushed), rejectsAsInvalid(reply)]);
      connection.send(new Message(1000, { tid: COUNT + 1 }));
      await connection.flush();
      assertEquals(duo.b.tids, range(1, COUNT + 1).filter((tid) => !GONE.includes(tid)));
      assertEquals(
        duo.b.told.messages.map(({ front, data }) => front.length + data.length).slice(0, 6),
        [40, 40, 5000, 40, 40, 40],
      );
      assertEquals(told.map((status) => status.type === "not_sent" && status.messageType), [
        ...GONE.map(() => 1000),
        2000,
      ]);
      assertEquals(duo.a.messenger.stats().dropped_messages, GONE.length + 1);
    });
  }
}
