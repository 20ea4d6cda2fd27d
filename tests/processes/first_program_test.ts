/** What a new user does with nothing but the README: its first programs, pasted into a folder that has the module, and started by its own lines. */

import { assertEquals } from "@std/assert";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import process from "node:process";
import { test } from "node:test";
import { promisify } from "node:util";
import { Messenger } from "../../mod.ts";
import { root, type Runtime, runtimes } from "../../tools/runtimes.ts";
import { Script } from "./script.ts";

const readme = await readFile(`${root}/README.md`, "utf8");
const chapter = readme.slice(readme.indexOf("## Your first program"), readme.indexOf("## What is in it"));
const [server, client] = [...chapter.matchAll(/```ts\n(.+?)```/gs)].map(([, code]) => code!);
const [link] = [...chapter.matchAll(/```sh\n(.+?)```/gs)].map(([, code]) => code!);
const [importMap] = [...chapter.matchAll(/```json\n(.+?)```/gs)].map(([, code]) => code!);

for (const runtime of runtimes) {
  test(`the README's first programs run as they are printed, on ${runtime}`, async () => {
    const folder = await mkdtemp(`${tmpdir()}/msgr-first-`);
    try {
      const port = await freePort(), paste = (code: string) => code.replaceAll("6800", port);
      await writeFile(`${folder}/server.ts`, paste(server!));
      await writeFile(`${folder}/client.ts`, paste(client!));
      await shell(folder, `ln -s "${root}" pipe`);
      if (runtime === "deno") {
        await writeFile(`${folder}/imports.json`, importMap!);
      } else {
        await shell(folder, link!);
        await writeFile(`${folder}/package.json`, `{ "type": "module" }`);
      }
      const [serverLine, clientLine] = linesFor(runtime).map(paste);
      await using serving = start(runtime, serverLine!, folder);
      await serving.prints(new RegExp(`^Listening on 127\\.0\\.0\\.1:${port}.*\n`));
      await using asking = start(runtime, clientLine!, folder);
      assertEquals(await asking.ended, { code: 0, output: "HELLO\n" });
      await serving.prints(/^client\.2: hello\n/m);
      await serving.interrupt();
    } finally {
      await rm(folder, { recursive: true });
    }
  });
}

async function shell(folder: string, line: string): Promise<void> {
  await promisify(execFile)("sh", ["-c", line], { cwd: folder });
}

/** The lines of the README's table that start the server and the client. */
function linesFor(runtime: Runtime): string[] {
  const row = chapter.split("\n").find((line) => line.toLowerCase().startsWith(`| ${runtime} `))!;
  return [...row.matchAll(/`([^`]+)`/g)].map(([, line]) => line!).slice(1);
}

function start(runtime: Runtime, line: string, folder: string): Script {
  const words = line.split(" ").filter((word) => word !== runtime && word !== "run");
  const settings = [`--import-map=${folder}/imports.json`, ...words.slice(0, -1)];
  return new Script(runtime, words.at(-1)!, [], { permissions: settings, folder });
}

/** A port where nobody listens, below those that systems give to whoever dials. */
async function freePort(): Promise<string> {
  await using messenger = new Messenger();
  const { endpoint } = await messenger.bind("127.0.0.1:0", { ports: [20_000 + process.pid % 10_000, 32_000] });
  return endpoint.split(":")[1]!;
}
