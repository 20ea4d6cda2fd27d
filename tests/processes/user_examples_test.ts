/** The examples, started by the very lines that they begin with. Only the ports are others, so that two runs can stand beside each other. */

import { assertEquals, assertMatch } from "@std/assert";
import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import process from "node:process";
import { test } from "node:test";
import { Messenger } from "../../mod.ts";
import { root, type Runtime, runtimes } from "../../tools/runtimes.ts";
import { Script } from "./script.ts";

/** How the lines begin that start a program. */
const WORDS: Readonly<Record<Runtime, string>> = { deno: "deno run ", bun: "bun run ", node: "node " };

for (const runtime of runtimes) {
  test(`work_queue: jobs go to a worker, and to another where one dies, on ${runtime}`, async () => {
    const [queueLine, workerLine, submitLine] = await linesOf("work_queue", runtime);
    await using queue = start(runtime, queueLine!);
    await queue.prints(/^Listening at .+\n/);
    await using doomed = start(runtime, workerLine!);
    await using first = start(runtime, submitLine!);
    const { code, output } = await first.ended;
    assertEquals(code, 0, output);
    assertEquals(output.trimEnd().split("\n").sort(), ["one: ONE", "three: THREE", "two: TWO"]);

    // The queue takes the dead worker for free, and finds out.
    await doomed[Symbol.asyncDispose]();
    await using second = start(runtime, submitLine!.replace(/one two three/, "four"));
    await using worker = start(runtime, workerLine!);
    await worker.prints(/Doing four\n/);
    assertEquals(await second.ended, { code: 0, output: "four: FOUR\n" });
    assertEquals((await worker.interrupt()).code, 0);
    assertEquals((await queue.interrupt()).code, 0);
  });

  test(`chat: who is in the room hears what is said, on ${runtime}`, async () => {
    const [roomLine, joinLine] = await linesOf("chat", runtime);
    await using room = start(runtime, roomLine!);
    await room.prints(/^Listening at .+\n/);
    await using ada = start(runtime, joinLine!);
    await ada.prints(/Ada: is here\n/);
    await using bob = start(runtime, joinLine!.replace("Ada", "Bob hello"));
    await ada.prints(/Bob: is here\nBob: hello\n/);
    await bob.prints(/Bob: is here\nBob: hello\n/);
    assertEquals((await bob.leave()).code, 0);
    await ada.prints(/Bob: has left\n/);
    assertEquals((await ada.leave()).code, 0);
    assertEquals((await room.interrupt()).code, 0);
  });

  test(`file_transfer: a file arrives whole, and goes on from the part that is there, on ${runtime}`, async () => {
    const folder = await mkdtemp(`${tmpdir()}/msgr-inbox-`);
    try {
      const [receiveLine, sendLine] = await linesOf("file_transfer", runtime);
      await using receiver = start(runtime, receiveLine!.replaceAll("/tmp/inbox", folder));
      await receiver.prints(/^Listening at .+\n/);
      const readme = await readFile(`${root}/README.md`);
      const { size, mtimeMs } = await stat(`${root}/README.md`);
      await writeFile(`${folder}/README.md.${size}-${Math.trunc(mtimeMs)}.part`, readme.subarray(0, 1000));

      await using sender = start(runtime, sendLine!);
      assertEquals(await sender.ended, { code: 0, output: `Sending ${size - 1000} of ${size} bytes\nDone\n` });
      assertEquals(await readFile(`${folder}/README.md`), readme);
      assertEquals((await receiver.interrupt()).code, 0);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test(`heartbeat: the next one leads when the leader dies, and follows when it is back, on ${runtime}`, async () => {
    const [firstLine, secondLine] = await linesOf("heartbeat", runtime);
    await using first = start(runtime, firstLine!);
    await using second = start(runtime, secondLine!);
    await first.prints(/^Leading\n/m);
    await second.prints(/^Following .+\n/m);
    await first[Symbol.asyncDispose]();
    await second.prints(/Following .+\nLeading\n/);
    await using again = start(runtime, firstLine!);
    await second.prints(/Leading\nFollowing .+\n/);
    assertEquals((await again.interrupt()).code, 0);
    assertEquals((await second.interrupt()).code, 0);
  });

  test(`logging: says what happens to connections, on ${runtime}`, async () => {
    const [line] = await linesOf("logging", runtime);
    await using script = start(runtime, line!);
    const { code, output } = await script.ended;
    assertEquals(code, 0, output);
    assertMatch(output, /\[INF\] msgr·server: Listening at ["']127\.0\.0\.1:/);
    assertMatch(output, /\[DBG\] msgr·client: ["']127\.0\.0\.1:.+ is connected\n/);
  });

  test(`metrics: exports the messenger's counters, on ${runtime}`, async () => {
    const [line] = await linesOf("metrics", runtime);
    await using script = start(runtime, line!);
    const { code, output } = await script.ended;
    assertEquals(code, 0, output);
    assertMatch(output, /^msgr_recv_messages 3 1 {"messenger":"osd\.7"}\n/m);
    assertMatch(output, /^msgr_recv_bytes 3000 By /m);
    assertMatch(output, /^msgr_status_events 1 1 {"type":"open"}\n/m);
  });
}

test("fan_out: an HTTP server on Bun asks its workers on Deno and Node, and says so when one is gone", async () => {
  const ports = await freePorts();
  const [workerOnDeno] = await linesOf("fan_out_server", "deno", ports);
  const [workerOnNode] = await linesOf("fan_out_server", "node", ports);
  const [serverOnBun] = await linesOf("fan_out_server", "bun", ports);
  await using one = start("deno", workerOnDeno!);
  await using two = start("node", workerOnNode!);
  await using server = start("bun", serverOnBun!);
  const [, url] = await server.prints(/^Serving (.+)\n/);
  const response = await fetch(url!, { method: "POST", body: "a b c\nd e\nf\n" });
  assertEquals(await response.json(), { words: 6, workers: 2 });

  assertEquals((await two.interrupt()).code, 0);
  const refusal = await fetch(url!, { method: "POST", body: "a b c\n" });
  assertEquals(refusal.status, 503);
  await refusal.body?.cancel();
  assertEquals((await server.interrupt()).code, 0);
  assertEquals((await one.interrupt()).code, 0);
});

/** The lines at the head of an example that start it on one runtime, with ports that are free. */
async function linesOf(example: string, runtime: Runtime, ports?: readonly number[]): Promise<string[]> {
  const text = readFileSync(`${root}/examples/${example}.ts`, "utf8");
  const lines = text.slice(0, text.indexOf("*/")).split("\n").map((line) => line.replace(/^ \* {5}/, ""));
  const free = ports ?? await freePorts();
  return lines.filter((line) => line.startsWith(WORDS[runtime]))
    .map((line) => line.replace(/\b68\d\d\b/g, (port) => String(free[Number(port) % free.length])));
}

function start(runtime: Runtime, line: string): Script {
  const words = line.slice(WORDS[runtime].length).split(" ");
  const at = words.findIndex((word) => word.endsWith(".ts"));
  return new Script(runtime, words[at]!, words.slice(at + 1), { permissions: words.slice(0, at) });
}

/** Ports where nobody listens, below those that systems give to whoever dials. */
async function freePorts(): Promise<number[]> {
  const messengers = [new Messenger(), new Messenger(), new Messenger()];
  const first = 20_000 + process.pid % 10_000;
  const ports: number[] = [];
  for (const messenger of messengers) {
    const { endpoint } = await messenger.bind("127.0.0.1:0", { ports: [(ports.at(-1) ?? first) + 1, 32_000] });
    ports.push(Number(endpoint.split(":")[1]));
  }
  await Promise.all(messengers.map((messenger) => messenger.shutdown()));
  return ports;
}
