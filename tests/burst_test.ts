/**
 * Many messages at once, of which some are small and alike, and some are not.
 */

import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { test } from "node:test";
import { losslessPeerReuse, lossyClient, Message, type MessageInit, statelessServer, Throttle } from "../mod.ts";
import { SMALL_BYTES } from "../src/wire/frame_kernel.ts";
import { Duo } from "./support/duo.ts";
import { networks } from "./support/networks.ts";

/** Around what counts as small, and around what makes a batch full. */
const length = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 80 }) },
  {
    weight: 2,
    arbitrary: fc.oneof(fc.integer({ min: 500, max: 520 }), fc.integer({ min: SMALL_BYTES - 2, max: SMALL_BYTES + 2 })),
  },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 300_000 }) },
);
const u16 = fc.integer({ min: 0, max: 0xffff });
const kind = fc.record({
  type: fc.integer({ min: 1, max: 0xffff }),
  // One for all: otherwise they may overtake each other.
  priority: fc.constantFrom(0, 127),
  version: u16,
  compatVersion: u16,
  dataOffset: u16,
  lengths: fc.tuple(length, fc.oneof(fc.constant(0), length), length),
});
const burst = fc.array(kind, { minLength: 1, maxLength: 4 }).chain((kinds) =>
  fc.array(fc.record({ kind: fc.constantFrom(...kinds), times: fc.integer({ min: 1, max: 30 }) }), { maxLength: 20 })
);

type Kind = MessageInit & { readonly type: number; readonly lengths: readonly [number, number, number] };

function messages(runs: readonly { readonly kind: Kind; readonly times: number }[]): Message[] {
  const kinds = runs.flatMap(({ kind, times }) => Array<Kind>(times).fill(kind));
  return kinds.map(({ type, lengths: [front, middle, data], ...init }, i) =>
    new Message(type, {
      ...init,
      tid: i * 2 ** 30,
      front: new Uint8Array(front).fill(i),
      middle: new Uint8Array(middle).fill(i + 1),
      data: new Uint8Array(data).fill(i + 2),
    })
  );
}

/** What can be compared of a message. */
function facts({ type, tid, version, compatVersion, dataOffset, front, middle, data }: Message): unknown {
  return [type, tid, version, compatVersion, dataOffset, text(front), text(middle), text(data)];
}

/** A segment is full of one byte. */
function text(bytes: Uint8Array): string {
  const odd = bytes.findIndex((byte) => byte !== bytes[0]);
  return `${bytes.length} times ${bytes[0]}${odd < 0 ? "" : `, but ${bytes[odd]} at ${odd}`}`;
}

const POLICIES = [
  { name: "lossless", a: losslessPeerReuse(), b: losslessPeerReuse() },
  { name: "lossy", a: lossyClient(), b: statelessServer() },
  {
    name: "throttled",
    a: losslessPeerReuse(),
    b: {
      ...losslessPeerReuse(),
      throttlerMessages: new Throttle(7),
      throttlerBytes: new Throttle(5000),
    },
  },
];

for (const { name: networkName, open } of networks) {
  for (const { name, a, b } of POLICIES) {
    test(`a burst of messages of all sizes arrives as it was sent, ${name}, over ${networkName}`, async () => {
      await using duo = await Duo.open(await open(), { policy: a }, { policy: b, dispatchThrottleBytes: 1_000_000 });
      let count = 0, bytes = 0;
      await fc.assert(
        fc.asyncProperty(burst, async (runs) => {
          const sent = messages(runs), connection = duo.a.to(duo.b);
          for (const message of sent) connection.send(message);
          await duo.b.has(count + sent.length);
          const got = duo.b.told.messages.slice(count);
          assertEquals(got.map(facts), sent.map(facts));
          count += sent.length;
          bytes += sent.reduce((sum, { byteLength }) => sum + byteLength, 0);
        }),
        { numRuns: 12 },
      );
      const out = duo.a.messenger.stats(), into = duo.b.messenger.stats();
      assertEquals([out.msgr_send_messages, out.msgr_send_bytes], [count, bytes]);
      assertEquals([into.msgr_recv_messages, into.msgr_recv_bytes], [count, bytes]);
    });
  }
}

// They are read right to where they are kept, several to one piece of memory: none may be written over by those behind it.
for (const { name: networkName, open } of networks) {
  test(`large messages in a row keep their bytes while others come, over ${networkName}`, async () => {
    await using duo = await Duo.open(await open(), {}, {});
    const sent = [65_536, 65_514, 100_000, 262_144, 65_536].flatMap((data, i) =>
      Array.from({ length: 25 }, (_, j) => new Message(1, { data: new Uint8Array(data).fill(25 * i + j) }))
    );
    for (const message of sent) duo.a.to(duo.b).send(message);
    await duo.b.has(sent.length);
    assertEquals(duo.b.told.messages.map(facts), sent.map(facts));
  });
}
