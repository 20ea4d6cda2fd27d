/** The example programs as a reader would run them: on Deno they may use the network and nothing else. */

import { assertEquals } from "@std/assert";
import process from "node:process";
import { test } from "node:test";
import { Messenger } from "../../mod.ts";
import { runtimes } from "../../tools/runtimes.ts";
import { Script, thisRuntime } from "./script.ts";

for (const runtime of runtimes) {
  test(`the echo client gets its texts back from the echo server on ${runtime}, and both end`, async () => {
    await using server = new Script(runtime, "examples/echo_server.ts", ["127.0.0.1:0"]);
    const [, address] = await server.prints(/^Listening at (.+)\n/);
    await using client = new Script(thisRuntime, "examples/echo_client.ts", [address!]);

    assertEquals(await client.ended, {
      code: 0,
      output: "Back came: one\nBack came: two\nBack came: three\n",
    });
    await server.prints(/ is gone\n/);
    const { code, output } = await server.interrupt();
    assertEquals({ code, output: output.replace(/^127\.0\.0\.1:0\/\d+/gm, "CLIENT") }, {
      code: 0,
      output: `Listening at ${address}\nCLIENT says: one\nCLIENT says: two\nCLIENT says: three\nCLIENT is gone\n`,
    });
  });

  test(`the echo client waits for an echo server on ${runtime} that comes later`, async () => {
    const address = await freeAddress();
    await using client = new Script(thisRuntime, "examples/echo_client.ts", [address]);
    await client.prints(/Nobody listens/);
    await using server = new Script(runtime, "examples/echo_server.ts", [address]);
    const { code, output } = await client.ended;
    assertEquals(code, 0, output);
    assertEquals(output.replace(/^Nobody .*\n/gm, ""), "Back came: one\nBack came: two\nBack came: three\n");
    assertEquals((await server.interrupt()).code, 0);
  });
}

/** An address where nobody listens, below the ports that systems give to whoever dials. */
async function freeAddress(): Promise<string> {
  await using messenger = new Messenger();
  const { endpoint } = await messenger.bind("127.0.0.1:0", { ports: [20_000 + process.pid % 10_000, 32_000] });
  return endpoint;
}
