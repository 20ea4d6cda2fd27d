/**
 * The page in a real browser, with servers on Deno, Bun and Node: `deno task test:browser`, which builds the page first. With `--picture` as an
 * argument it also renews the picture in `docs/`.
 */

import { assert, assertEquals } from "@std/assert";
import { existsSync, writeFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { runtimes } from "../../tools/runtimes.ts";
import { Script } from "../../tests/processes/script.ts";
import { Chromium, findChromium, type Page } from "../../tests/support/chromium.ts";

const program = findChromium();
const skip = program === undefined && "there is no Chromium; on Debian: apt-get install chromium";

/** Waits until an element says something. */
function says(page: Page, id: string, text: string): Promise<void> {
  return page.evaluate(`new Promise((resolve) => {
    const look = () => {
      if (document.getElementById("${id}")?.textContent !== "${text}") return;
      watcher.disconnect();
      resolve();
    };
    const watcher = new MutationObserver(look);
    watcher.observe(document, { subtree: true, childList: true, characterData: true });
    look();
  })`);
}

function numbers(page: Page): Promise<Record<string, string>> {
  return page.evaluate(
    `Object.fromEntries(["sent", "answered", "wrong", "connections"].map((id) => [id, document.getElementById(id).textContent]))`,
  );
}

test("the page was built", { skip }, () => {
  assert(existsSync(new URL("page.js", import.meta.url)), "run deno task browser:build first");
});

for (const runtime of runtimes) {
  test(`a page exchanges messages with a server on ${runtime}, each once and in order, while its connections are cut`, {
    skip,
    timeout: 60_000,
  }, async () => {
    await using server = new Script(runtime, "examples/browser/server.ts", ["127.0.0.1:0"], {
      permissions: ["--allow-net", "--allow-read"],
    });
    const [, url] = await server.prints(/^The page is at (.+)\n/);
    await using browser = await Chromium.start(program!);
    const page = await browser.open(`${url}?messages=600&cuts=3`, 800, 800);
    await server.whileRunning(says(page, "state", "done"));
    assertEquals(await numbers(page), { sent: "600", answered: "600", wrong: "0", connections: "4" });
    assertEquals(browser.errors, []);
    if (runtime === "deno" && process.argv.includes("--picture")) {
      writeFileSync(new URL("../../docs/browser.png", import.meta.url), await page.screenshot());
    }
  });

  test(`the button cuts the connection, and a server on ${runtime} that restarts loses the session, not the page`, {
    skip,
    timeout: 60_000,
  }, async () => {
    const options = { permissions: ["--allow-net", "--allow-read"] };
    await using server = new Script(runtime, "examples/browser/server.ts", ["127.0.0.1:0"], options);
    const [, url] = await server.prints(/^The page is at (.+)\n/);
    await using browser = await Chromium.start(program!);
    const page = await browser.open(`${url}?messages=100&cuts=0`, 800, 920);
    await server.whileRunning(says(page, "state", "done"));
    await page.evaluate(`document.getElementById("cut").click()`);
    await server.whileRunning(says(page, "connections", "2"));
    assertEquals(await numbers(page), { sent: "100", answered: "100", wrong: "0", connections: "2" });
    await server.interrupt();
    await says(page, "state", "reconnecting");
    await using again = new Script(runtime, "examples/browser/server.ts", [new URL(url!).host], options);
    await again.whileRunning(says(page, "connections", "3"));
    assertEquals(browser.errors, []);
  });
}
