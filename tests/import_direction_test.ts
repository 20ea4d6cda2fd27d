// Who may know whom. The sources are read as text, so that imports of types count as well.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { assertEquals, assertGreater } from "@std/assert";

/** A part of the house, and its doors. */
interface Room {
  /** Its files: a path, `folder/*` for all below a folder, or the name of a group. */
  readonly files: string;
  /** What they may import. */
  readonly mayImport: readonly string[];
  /** What they may import the types of, but no more. */
  readonly mayImportTypes?: readonly string[];
  /** What they may load with `await import()`, inside a function. */
  readonly mayLoad?: readonly string[];
}

/** Files that are together because they are none of the others of their folder. */
const groups: Readonly<Record<string, { readonly folder: string; readonly but: readonly string[] }>> = {
  // The pieces that a Pipe is made of, and what callers hold.
  "the parts": {
    folder: "src/",
    but: ["src/messenger.ts", "src/pipe.ts", "src/testing.ts", "src/stats_service.ts", "src/cli.ts"],
  },
  // What the adapters share.
  "the net": {
    folder: "src/net/",
    but: ["src/net/default.ts", "src/net/deno.ts", "src/net/bun.ts", "src/net/node.ts"],
  },
};

const library: readonly string[] = ["@std/async", "@std/bytes"];

/** The first room that a file fits into is the one it is in. Nothing may import what its room does not list. */
const house: readonly Room[] = [
  {
    files: "mod.ts",
    mayImport: ["src/messenger.ts", "the parts", "src/net/duplex.ts", "src/net/web_socket.ts", "src/wire/*"],
    mayImportTypes: ["src/net/network.ts"],
  },
  {
    files: "src/testing.ts",
    mayImport: ["src/testing/*", "src/messenger.ts", "src/pipe.ts", "the parts", "the net", "src/wire/*", ...library],
  },
  {
    files: "src/testing/*",
    mayImport: ["src/testing/*", "src/messenger.ts", "src/pipe.ts", "the parts", "the net", "src/wire/*", ...library],
  },
  { files: "src/stats_service.ts", mayImport: ["the parts", "src/wire/*"], mayImportTypes: ["src/messenger.ts"] },
  // Programs, not library: nothing else may import them, and they may print, read files and handle signals.
  { files: "src/cli.ts", mayImport: ["src/cli/*", "src/errors.ts", "node:process"], mayLoad: ["src/cli/*"] },
  {
    files: "src/cli/*",
    mayImport: [
      ...["src/cli/*", "src/stats_service.ts", "src/ceph/*", "src/messenger.ts", "the parts", "src/net/default.ts"],
      ...["src/wire/*", "node:process", "node:util", "node:fs/promises"],
    ],
    mayImportTypes: ["src/net/network.ts"],
  },
  // Signatures have to be made at once, and Web Crypto only makes promises; every runtime has this module, and asks no permission for it.
  { files: "src/ceph/aes.ts", mayImport: ["src/ceph/*", "src/wire/*", "node:crypto"] },
  {
    files: "src/ceph/*",
    mayImport: ["src/ceph/*", "src/messenger.ts", "the parts", "src/wire/*", ...library],
    mayImportTypes: ["src/net/network.ts"],
  },
  {
    files: "src/messenger.ts",
    mayImport: ["src/pipe.ts", "the parts", "src/net/default.ts", "src/wire/*", ...library],
    mayImportTypes: ["src/net/network.ts"],
  },
  {
    files: "src/pipe.ts",
    mayImport: ["the parts", "src/wire/*", ...library],
    mayImportTypes: ["src/net/network.ts"],
  },
  {
    files: "the parts",
    mayImport: ["the parts", "src/wire/*", ...library],
    mayImportTypes: ["src/pipe.ts", "src/net/network.ts"],
  },
  { files: "src/wire/*", mayImport: ["src/wire/*", "src/errors.ts", ...library] },
  { files: "src/net/deno.ts", mayImport: ["the net", "src/errors.ts", "node:*", ...library] },
  {
    files: "src/net/bun.ts",
    mayImport: ["the net", "src/errors.ts", "node:*", ...library],
    mayLoad: ["src/net/node.ts"],
  },
  { files: "src/net/node.ts", mayImport: ["the net", "src/errors.ts", "node:*", ...library] },
  {
    files: "src/net/default.ts",
    mayImport: ["the net"],
    mayLoad: ["src/net/deno.ts", "src/net/bun.ts", "src/net/node.ts"],
  },
  { files: "the net", mayImport: ["the net", "src/errors.ts", "src/raw_buffer.ts", ...library] },
];

/** The only files in which a runtime may be named, and where in them. Patterns as in the house. */
const runtimeNamers: Readonly<Record<string, "anywhere" | "in a function">> = {
  "src/net/default.ts": "in a function",
  "src/net/deno.ts": "anywhere",
  "src/net/bun.ts": "anywhere",
  "src/net/node.ts": "anywhere",
  // No runtime, but a module that all of them have under Node's name: see above.
  "src/ceph/aes.ts": "anywhere",
  // The same.
  "src/cli.ts": "anywhere",
  "src/cli/*": "anywhere",
};

const runtimeNames: readonly RegExp[] = [
  /(?<![.#$\w])(?:Deno|Bun)\b/,
  /(?<![.#$\w])(?:process|Buffer)\s*\??[.[(]/,
  /\bglobalThis\s*(?:\??\.|\[)/,
  /["'](?:Deno|Bun|process)["']/,
  /["']node:/,
];

/** Where time and chance come from, and the only files that may ask. A program may also want to know of less than a millisecond. */
const clockReaders: readonly string[] = ["src/environment.ts", "src/cli/clock.ts"];

const clocksAndDice: readonly RegExp[] = [
  /\bDate\s*\.\s*now\b/,
  /\bnew\s+Date\s*\(\s*\)/,
  /\bperformance\s*\.\s*now\b/,
  /\bMath\s*\.\s*random\b/,
  /\b(?:getRandomValues|randomUUID)\b/,
  /(?<![.#$\w])(?:setTimeout|setInterval|setImmediate)\b/,
  /\bAbortSignal\s*\.\s*timeout\b/,
  /\b(?:delay|deadline|retry)\b[^;]*from\s*["']@std\/async/,
];

interface Import {
  readonly from: string;
  readonly to: string;
  readonly kind: "import" | "import type" | "import()";
}

const root = new URL("..", import.meta.url);
const files = ["mod.ts", ...filesBelow("src")].filter((path) => existsSync(new URL(path, root)));
const imports = files.flatMap(importsOf);

function filesBelow(folder: string): string[] {
  return readdirSync(new URL(folder, root), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return filesBelow(path);
    return path.endsWith(".ts") ? [path] : [];
  });
}

/** The source without its comments. Texts stay, as the imports are among them. */
function uncommented(path: string): string {
  const commentOrText = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g;
  return readFileSync(new URL(path, root), "utf8")
    .replace(commentOrText, (match) => match.startsWith("/") ? match.replace(/[^\n]/g, " ") : match);
}

/** The same without what templates say, but with what they compute. */
function code(path: string): string {
  return uncommented(path).replace(/`(?:\\.|[^`\\])*`/g, (text) => `(${text.match(/\$\{[^}]*\}/g)?.join(" ") ?? ""})`);
}

function importsOf(from: string): Import[] {
  const text = uncommented(from);
  const found: Import[] = [];
  for (
    const [, type, to = ""] of text.matchAll(/^(?:import|export)(\s+type)?\s+(?:[^;"']*?\sfrom\s*)?["']([^"']+)["']/gm)
  ) {
    found.push({ from, to: resolve(from, to), kind: type === undefined ? "import" : "import type" });
  }
  for (const [, to = ""] of text.matchAll(/\bimport\s*\(\s*["'`]([^"'`]+)["'`]/g)) {
    found.push({ from, to: resolve(from, to), kind: "import()" });
  }
  return found;
}

function resolve(from: string, to: string): string {
  return /^\.{1,2}\//.test(to) ? new URL(to, new URL(from, "file:///")).pathname.slice(1) : to;
}

function fits(path: string, pattern: string): boolean {
  const group = groups[pattern];
  if (group !== undefined) {
    return path.startsWith(group.folder) && !path.slice(group.folder.length).includes("/") && !group.but.includes(path);
  }
  return pattern.endsWith("*") ? path.startsWith(pattern.slice(0, -1)) : path === pattern;
}

function isAllowed({ from, to, kind }: Import): boolean {
  const room = house.find((candidate) => fits(from, candidate.files));
  if (room === undefined) return false;
  if (kind === "import()") return (room.mayLoad ?? []).some((pattern) => fits(to, pattern));
  const patterns = kind === "import" ? room.mayImport : [...room.mayImport, ...(room.mayImportTypes ?? [])];
  return patterns.some((pattern) => fits(to, pattern));
}

/** What is outside of every pair of braces. */
function topLevel(text: string): string {
  let depth = 0;
  return text.split("").filter((character) => {
    if (character === "{") depth++;
    if (character === "}") depth--;
    return depth === 0;
  }).join("");
}

function firstLineWith(text: string, patterns: readonly RegExp[]): string | undefined {
  return text.split("\n").find((line) => patterns.some((pattern) => pattern.test(line)))?.trim();
}

test("no module imports what is above it or beside it", () => {
  const wrong = imports.filter((one) => !isAllowed(one)).map(({ from, to, kind }) => `${from}: ${kind} ${to}`);
  assertEquals(wrong, []);
  assertGreater(imports.length, 30, "the imports were not found");
});

test("every relative import is of a file that exists", () => {
  const missing = imports.filter(({ to }) => /^(?:src\/|mod\.ts)/.test(to) && !existsSync(new URL(to, root)));
  assertEquals(missing.map(({ from, to }) => `${from}: ${to}`), []);
});

test("no module needs itself to be loaded first", () => {
  const needs = (path: string): string[] =>
    imports.filter(({ from, kind }) => from === path && kind === "import").map(({ to }) => to);
  const circles = files.filter((start) => {
    const reached = new Set<string>();
    const waiting = needs(start);
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      if (reached.has(next)) continue;
      reached.add(next);
      waiting.push(...needs(next));
    }
    return reached.has(start);
  });
  assertEquals(circles, []);
});

test("only the adapters name a runtime", () => {
  const wrong = files.flatMap((path) => {
    const where = Object.entries(runtimeNamers).find(([pattern]) => fits(path, pattern))?.[1];
    if (where === "anywhere") return [];
    const line = firstLineWith(where === "in a function" ? topLevel(code(path)) : code(path), runtimeNames);
    return line === undefined ? [] : [`${path}: ${line}`];
  });
  assertEquals(wrong, []);
});

test("only the environment reads a clock or throws dice", () => {
  const wrong = files.filter((path) => !clockReaders.includes(path)).flatMap((path) => {
    const line = firstLineWith(code(path), clocksAndDice);
    return line === undefined ? [] : [`${path}: ${line}`];
  });
  assertEquals(wrong, []);
});

test("every entry point loads on every runtime, whichever it is for", async () => {
  const { exports } = JSON.parse(readFileSync(new URL("deno.json", root), "utf8")) as {
    exports: Record<string, string>;
  };
  for (const path of Object.values(exports)) {
    const loaded = await import(new URL(path, root).href) as Record<string, unknown>;
    assertGreater(Object.keys(loaded).length, 0, `${path} exports nothing`);
  }
});
