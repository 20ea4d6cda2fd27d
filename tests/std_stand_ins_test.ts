// The stand-ins of tools/std promise to be what JSR's @std is for the calls made here. Run without the import map (deno task
// test:online), the same tests hold the real @std to the same behaviour.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import {
  assert,
  assertArrayIncludes,
  assertEquals,
  assertExists,
  assertFalse,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  AssertionError,
  assertLess,
  assertLessOrEqual,
  assertMatch,
  assertNotEquals,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
  fail,
} from "@std/assert";
import { abortable, deadline, delay } from "@std/async";
import { concat, equals } from "@std/bytes";

const root = new URL("..", import.meta.url);

function read(path: string): string {
  return readFileSync(new URL(path, root), "utf8");
}

/** Every source and page of this repository that may import something. */
function sources(folder: string): string[] {
  if (!existsSync(new URL(folder, root))) return [];
  return readdirSync(new URL(folder, root), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return sources(path);
    return /\.(ts|md)$/.test(entry.name) ? [path] : [];
  });
}

/** What `run` throws, and `undefined` if it does not. */
function thrownBy(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

function isFailure(run: () => unknown): boolean {
  return thrownBy(run) instanceof AssertionError;
}

/** A promise that never settles, and a timer that keeps the process waiting for it. */
function forever(): { promise: Promise<never>; forget: () => void } {
  const timer = setTimeout(() => {}, 60_000);
  return { promise: new Promise<never>(() => {}), forget: () => clearTimeout(timer) };
}

test("every name that is imported from @std exists in its stand-in", () => {
  const imported = /(?:import|export)\s+(?:type\s+)?([^"';]*?)\s+from\s+["'](@std\/[^"']+)["']/g;
  const missing: string[] = [];
  let found = 0;
  for (
    const path of ["mod.ts", "README.md", ...["src", "tests", "bench", "examples", "docs", "tools"].flatMap(sources)]
  ) {
    if (!existsSync(new URL(path, root))) continue;
    const text = read(path).replace(/^ *\* ?/gm, "");
    for (const [, clause = "", specifier = ""] of text.matchAll(imported)) {
      const standIn = `tools/std/${specifier.slice("@std/".length)}/mod.ts`;
      const braces = clause.match(/^\{([^}]*)\}$/)?.[1];
      if (braces === undefined || !existsSync(new URL(standIn, root))) {
        missing.push(`${path}: ${clause} from "${specifier}"`);
        continue;
      }
      for (const name of braces.split(",").map((part) => part.trim().replace(/^type /, "").split(" as ")[0] ?? "")) {
        found++;
        const declared = new RegExp(`^export (?:async )?(?:function\\*?|class|interface|type|const) ${name}\\b`, "m");
        if (name !== "" && !declared.test(read(standIn))) missing.push(`${path}: ${name} from "${specifier}"`);
      }
    }
  }
  assertEquals(missing, []);
  assertGreater(found, 20, "the imports of this very file were not found");
});

test("users, Deno here, and Bun and Node here get the same packages", () => {
  const users = JSON.parse(read("deno.json")).imports as Record<string, string>;
  const here = JSON.parse(read("tools/std/import_map.json")).imports as Record<string, string>;
  const npm = JSON.parse(read("package.json")).devDependencies as Record<string, string>;
  assertEquals(Object.keys(here).sort(), Object.keys(users).sort());
  assertArrayIncludes(Object.keys(npm), Object.keys(users));
  for (const [name, specifier] of Object.entries(users)) {
    if (!name.startsWith("@std/")) {
      assertEquals(here[name], specifier);
      assertEquals(specifier, `npm:${name}@${npm[name]}`);
      continue;
    }
    const { version } = JSON.parse(read(`tools/std/${name.slice("@std/".length)}/package.json`)) as { version: string };
    assertEquals(specifier, `jsr:${name}@^${version.replace("-stand-in", "")}`, "the stand-in is for another version");
  }
});

test("package.json and deno.json offer the same entry points", () => {
  assertEquals(JSON.parse(read("package.json")).exports, JSON.parse(read("deno.json")).exports);
});

test("the lock file names no server to download from", () => {
  assertEquals(read("package-lock.json").match(/"resolved": "https?:[^"]*"/g), null);
});

test("concat: one new array with the bytes of all in order", () => {
  assertEquals(concat([Uint8Array.of(1, 2), new Uint8Array(), Uint8Array.of(3)]), Uint8Array.of(1, 2, 3));
  assertEquals(concat([]), new Uint8Array());
  const only = Uint8Array.of(1);
  const copy = concat([only]);
  only[0] = 9;
  assertEquals(copy, Uint8Array.of(1));
});

test("equals: the same length and the same bytes", () => {
  const bytes = Uint8Array.from({ length: 100 }, (_, i) => i);
  assert(equals(bytes, bytes.slice()));
  assert(equals(bytes.subarray(10, 20), bytes.slice(10, 20)));
  assert(equals(new Uint8Array(), new Uint8Array()));
  assertFalse(equals(bytes, bytes.subarray(1)));
  assertFalse(equals(bytes, bytes.with(99, 0)));
});

test("delay: a shorter one fulfils first", async () => {
  const order: number[] = [];
  await Promise.all([delay(20).then(() => order.push(20)), delay(1).then(() => order.push(1))]);
  assertEquals(order, [1, 20]);
});

test("delay: rejects with the signal's reason, before or while it waits", async () => {
  const reason = new Error("enough");
  assertStrictEquals(await assertRejects(() => delay(60_000, { signal: AbortSignal.abort(reason) })), reason);
  const controller = new AbortController();
  const waiting = delay(60_000, { signal: controller.signal });
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => waiting), reason);
});

test("delay: a signal that comes too late changes nothing", async () => {
  const controller = new AbortController();
  await delay(1, { signal: controller.signal });
  controller.abort(new Error("late"));
});

test("deadline: gives the outcome that comes in time", async () => {
  assertEquals(await deadline(Promise.resolve("here"), 60_000), "here");
  const reason = new Error("broken");
  assertStrictEquals(await assertRejects(() => deadline(Promise.reject(reason), 60_000)), reason);
});

test("deadline: rejects with a DOMException named TimeoutError when the time is up", async () => {
  const { promise, forget } = forever();
  const error = await assertRejects(() => deadline(promise, 1));
  forget();
  assertInstanceOf(error, DOMException);
  assertEquals(error.name, "TimeoutError");
});

test("deadline: rejects with the signal's reason when that comes first", async () => {
  const { promise, forget } = forever();
  const controller = new AbortController();
  const reason = new Error("enough");
  const waiting = deadline(promise, 60_000, { signal: controller.signal });
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => waiting), reason);
  forget();
});

test("abortable: gives the promise's outcome, or the signal's reason if that comes first", async () => {
  const controller = new AbortController();
  assertEquals(await abortable(Promise.resolve(1), controller.signal), 1);
  const { promise, forget } = forever();
  const waiting = abortable(promise, controller.signal);
  const reason = new Error("enough");
  controller.abort(reason);
  assertStrictEquals(await assertRejects(() => waiting), reason);
  assertStrictEquals(await assertRejects(async () => await abortable(promise, controller.signal)), reason);
  forget();
});

test("abortable: gives the items until the signal's reason comes", async () => {
  const controller = new AbortController();
  const reason = new Error("enough");
  const { promise, forget } = forever();
  const items: string[] = [];
  async function* endless(): AsyncGenerator<string> {
    yield "first";
    controller.abort(reason);
    yield await promise;
  }
  const error = await assertRejects(async () => {
    for await (const item of abortable(endless(), controller.signal)) items.push(item);
  });
  forget();
  assertStrictEquals(error, reason);
  assertEquals(items, ["first"]);
});

const cycle: Record<string, unknown> = { name: "a" };
cycle.self = cycle;
const sameCycle: Record<string, unknown> = { name: "a" };
sameCycle.self = sameCycle;

const equalPairs: readonly (readonly [what: string, a: unknown, b: unknown])[] = [
  ["NaN and NaN", NaN, NaN],
  ["0 and -0", 0, -0],
  ["arrays", [1, [2, 3]], [1, [2, 3]]],
  ["objects in another order", { a: 1, b: { c: 2 } }, { b: { c: 2 }, a: 1 }],
  ["an object without a prototype", Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
  ["bytes", Uint8Array.of(1, 2, 3), Uint8Array.of(0, 1, 2, 3).subarray(1)],
  ["bigints", 2n ** 64n, 2n ** 64n],
  ["dates", new Date(5), new Date(5)],
  ["expressions", /a+/gi, /a+/gi],
  ["sets in another order", new Set([1, 2]), new Set([2, 1])],
  ["sets of objects", new Set([{ a: 1 }, { b: 2 }]), new Set([{ b: 2 }, { a: 1 }])],
  ["maps in another order", new Map([["a", [1]], ["b", [2]]]), new Map([["b", [2]], ["a", [1]]])],
  ["cycles", cycle, sameCycle],
];

const differentPairs: readonly (readonly [what: string, a: unknown, b: unknown])[] = [
  ["a number and its text", 1, "1"],
  ["a number and a bigint", 1, 1n],
  ["null and undefined", null, undefined],
  ["another length", [1, 2], [1, 2, 3]],
  ["another order", [1, 2], [2, 1]],
  ["another value", { a: { b: 1 } }, { a: { b: 2 } }],
  ["a property more", { a: 1 }, { a: 1, b: 2 }],
  ["undefined and nothing", { a: undefined }, {}],
  ["another byte", Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2, 4)],
  ["bytes and numbers", Uint8Array.of(1), [1]],
  ["another kind of bytes", Uint8Array.of(1), Int8Array.of(1)],
  ["another date", new Date(5), new Date(6)],
  ["other flags", /a/g, /a/i],
  ["another element", new Set([1, 2]), new Set([1, 3])],
  ["another entry", new Map([["a", 1]]), new Map([["a", 2]])],
  ["another class", new (class A {})(), new (class B {})()],
];

test("assertEquals and assertNotEquals agree on what is equal", () => {
  for (const [what, a, b] of equalPairs) {
    assertFalse(isFailure(() => assertEquals(a, b)), `assertEquals: ${what}`);
    assert(isFailure(() => assertNotEquals(a, b)), `assertNotEquals: ${what}`);
  }
});

test("assertEquals and assertNotEquals agree on what is different", () => {
  for (const [what, a, b] of differentPairs) {
    assert(isFailure(() => assertEquals(a, b)), `assertEquals: ${what}`);
    assertFalse(isFailure(() => assertNotEquals(a, b)), `assertNotEquals: ${what}`);
  }
});

test("assertEquals shows both values and says what the caller said", () => {
  const error = thrownBy(() => assertEquals({ port: 6789 }, { port: 3300 }, "the port"));
  assertInstanceOf(error, AssertionError);
  for (const part of ["6789", "3300", "the port"]) assertStringIncludes(error.message, part);
});

const comparisons: readonly (readonly [name: string, passes: () => void, fails: () => void])[] = [
  ["assert", () => assert("text"), () => assert("")],
  ["assertFalse", () => assertFalse(0), () => assertFalse(1)],
  ["assertStrictEquals", () => assertStrictEquals(NaN, NaN), () => assertStrictEquals<unknown>({}, {})],
  ["assertStrictEquals of zeros", () => assertStrictEquals(-0, -0), () => assertStrictEquals(0, -0)],
  ["assertNotStrictEquals", () => assertNotStrictEquals({}, {}), () => assertNotStrictEquals(1, 1)],
  ["assertExists", () => assertExists(0), () => assertExists(null)],
  ["assertInstanceOf", () => assertInstanceOf(new TypeError(), Error), () => assertInstanceOf(null, Error)],
  ["assertGreater", () => assertGreater(2, 1), () => assertGreater(1, 1)],
  ["assertGreaterOrEqual", () => assertGreaterOrEqual(1n, 1n), () => assertGreaterOrEqual(0, 1)],
  ["assertLess", () => assertLess(1, 2), () => assertLess(1, 1)],
  ["assertLessOrEqual", () => assertLessOrEqual(1, 1), () => assertLessOrEqual(2n, 1n)],
  ["assertMatch", () => assertMatch("ceph v027", /v\d+$/), () => assertMatch("ceph", /v\d+$/)],
  ["assertStringIncludes", () => assertStringIncludes("abc", "bc"), () => assertStringIncludes("abc", "cb")],
  [
    "assertArrayIncludes",
    () => assertArrayIncludes([{ a: 1 }, { b: 2 }], [{ b: 2 }]),
    () => assertArrayIncludes([1, 2], [2, 3]),
  ],
];

test("every other assertion passes what it should and fails what it should", () => {
  for (const [name, passes, fails] of comparisons) {
    assertEquals(thrownBy(passes), undefined, `${name} should pass`);
    assert(isFailure(fails), `${name} should fail`);
  }
});

test("fail always fails, with what the caller said", () => {
  const error = thrownBy(() => fail("not here"));
  assertInstanceOf(error, AssertionError);
  assertStringIncludes(error.message, "not here");
});

test("assertThrows gives the error, and wants its class and a part of its message", () => {
  const error = new RangeError("too long: 5");
  const thrower = (): never => {
    throw error;
  };
  assertStrictEquals(assertThrows(thrower), error);
  assertStrictEquals(assertThrows(thrower, RangeError, "too long"), error);
  assertStrictEquals(assertThrows(thrower, Error), error);
  assert(isFailure(() => assertThrows(thrower, TypeError)));
  assert(isFailure(() => assertThrows(thrower, RangeError, "too short")));
  assert(isFailure(() => assertThrows(() => {})));
});

test("assertThrows: what is no error has no class", () => {
  const thrower = (): never => {
    throw "text";
  };
  assertEquals(assertThrows(thrower), "text");
  assert(isFailure(() => assertThrows(thrower, Error)));
});

test("assertRejects gives the reason, and wants its class and a part of its message", async () => {
  const error = new RangeError("too long: 5");
  const rejecter = (): Promise<never> => Promise.reject(error);
  assertStrictEquals(await assertRejects(rejecter), error);
  assertStrictEquals(await assertRejects(rejecter, RangeError, "too long"), error);
  for (
    const failing of [
      () => assertRejects(rejecter, TypeError),
      () => assertRejects(rejecter, RangeError, "too short"),
      () => assertRejects(() => Promise.resolve()),
    ]
  ) {
    assertInstanceOf(await failing().catch((reason: unknown) => reason), AssertionError);
  }
});

test("assertRejects: an error thrown before there is a promise is no rejection", async () => {
  const thrower = (): Promise<never> => {
    throw new Error("at once");
  };
  assertInstanceOf(await assertRejects(thrower).catch((reason: unknown) => reason), AssertionError);
});
