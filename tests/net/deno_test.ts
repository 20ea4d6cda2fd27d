import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import test from "node:test";
import { denoNetwork } from "../../src/net/deno.ts";
import { testNetwork } from "./conformance.ts";
import { onStage, pair, roundTrips } from "./support.ts";

const limits = { noReset: "Deno has no way to send a reset" };
const skip = "Deno" in globalThis ? false : "Deno's own sockets exist only on Deno";

if (skip === false) await testNetwork("deno", denoNetwork, limits);

test(
  "deno: what arrives in pieces lies side by side in memory, and a quiet connection holds little",
  { skip },
  () =>
    onStage(denoNetwork(), "tcp4", limits, async (stage) => {
      await using ends = await pair(stage);
      const writer = ends.client.writable.getWriter();
      const reader = ends.server.readable.getReader();
      const next = async (): Promise<Uint8Array> => {
        const { value } = await reader.read();
        assert(value !== undefined);
        return value;
      };
      let before: Uint8Array | undefined;
      for (let i = 0; i < 10; i++) {
        await writer.write(new Uint8Array(50));
        const chunk = await next();
        if (before !== undefined) {
          assertStrictEquals(chunk.buffer, before.buffer);
          assertEquals(chunk.byteOffset, before.byteOffset + before.byteLength);
        }
        before = chunk;
      }
      assertEquals(before?.buffer.byteLength, 1024);

      const large = 4 * 1024 * 1024;
      const writing = writer.write(new Uint8Array(large));
      // Until then the kernel's buffers are full, and so is every read.
      await roundTrips(stage, 20);
      let widest = 0;
      for (let got = 0; got < large;) {
        const chunk = await next();
        got += chunk.byteLength;
        widest = Math.max(widest, chunk.buffer.byteLength);
      }
      await writing;
      assertEquals(widest, 256 * 1024);

      for (let i = 0; i < 200; i++) {
        await writer.write(new Uint8Array(10));
        before = await next();
      }
      assertEquals(before?.buffer.byteLength, 1024);
    }),
);
