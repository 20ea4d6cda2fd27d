import { assert, assertEquals, assertGreater, assertLessOrEqual } from "@std/assert";
import test from "node:test";
import { nodeNetwork } from "../../src/net/node.ts";
import { testNetwork } from "./conformance.ts";
import { type Limits, onStage, pair, roundTrips } from "./support.ts";

const limits: Limits = "Deno" in globalThis
  ? { noWriteAcrossEnd: "node:net on Deno 2.9 closes a socket whose peer ends while a write is under way" }
  : {};
/** Others' `node:net` reads into what it likes. */
const skip = "Deno" in globalThis || "Bun" in globalThis ? "this is no Node" : false;

await testNetwork("node", nodeNetwork, limits);

for (const side of ["accepted", "dialled"] as const) {
  test(`node: what comes to a quiet ${side} socket holds on to little memory, and a busy one reads more at once`, {
    skip,
  }, () =>
    onStage(nodeNetwork(), "tcp4", limits, async (stage) => {
      await using ends = await pair(stage);
      const [from, to] = side === "accepted" ? [ends.client, ends.server] : [ends.server, ends.client];
      const writer = from.writable.getWriter(), reader = to.readable.getReader();
      const next = async (): Promise<Uint8Array> => {
        const { value } = await reader.read();
        assert(value !== undefined);
        return value;
      };
      const quiet = async (times: number): Promise<Uint8Array[]> => {
        const chunks: Uint8Array[] = [];
        for (let i = 0; i < times; i++) {
          await writer.write(new Uint8Array(50).fill(i));
          chunks.push(await next());
        }
        return chunks;
      };
      const first = await quiet(3);
      for (const { buffer } of first) assertLessOrEqual(buffer.byteLength, 8 * 1024);
      await writer.write(new Uint8Array(5000).fill(3));
      const longer = await next();
      assertEquals(longer.buffer.byteLength, longer.byteLength);

      const large = 8 * 1024 * 1024, writing = writer.write(new Uint8Array(large));
      // Until then the kernel's buffers are full.
      await roundTrips(stage, 20);
      let longest = 0;
      for (let got = 0; got < large;) {
        const { byteLength } = await next();
        got += byteLength;
        longest = Math.max(longest, byteLength);
      }
      await writing;
      assertGreater(longest, 64 * 1024);

      const last = await quiet(200);
      assertLessOrEqual(last.at(-1)!.buffer.byteLength, 8 * 1024);
      // What was read first is still there.
      assertEquals(first.map((chunk) => [...chunk]), [0, 1, 2].map((byte) => Array(50).fill(byte)));
      assertEquals(last.map((chunk) => [...chunk]), last.map((_, i) => Array(50).fill(i)));
    }));
}
