/** The pages list what the sources have: no more, and no less. */

import { assertEquals } from "@std/assert";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Messenger } from "../mod.ts";

const read = (path: string): string => readFileSync(new URL(`../${path}`, import.meta.url), "utf8");
const listed = (text: string, pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, name]) => name!).sort();
/** What the tables of a page are about, without the heads, which name the column. */
const entries = (page: string): string[] =>
  listed(page, /^\| `(\w+)` /gm).filter((name) => name !== "code" && name !== "type");

test("docs/errors.md says what to do for every code", () => {
  const codes = listed(read("src/errors.ts"), /^ {2}\| "(\w+)"/gm);
  assertEquals(entries(read("docs/errors.md")), codes);
});

test("docs/operating.md has every counter and every event", () => {
  const page = read("docs/operating.md"),
    [numbers, happens] = [page.indexOf("## Numbers"), page.indexOf("## What happens")];
  const counters = Object.keys(new Messenger().stats()).sort();
  assertEquals(entries(page.slice(numbers, happens)), counters);
  const events = listed(read("src/status.ts"), /StatusBase<"(\w+)">/g);
  assertEquals(entries(page.slice(happens, page.indexOf("## Times"))), events);
});
