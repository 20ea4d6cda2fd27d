/**
 * Mistakes that the simulation must find: each takes one of the rules out of the sources that keep sessions exact.
 *
 * A mutation is a change of exact text in a copy of the sources, so the product needs no hooks for it, and a rule that moves makes its
 * mutation fail loudly instead of testing nothing.
 *
 * `deno task sim:mutations [NAME …]` plants each and says after how many schedules it was found.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { root, type Runtime, runtimeCommand } from "../runtimes.ts";

/** One mistake. */
export interface Mutation {
  /** The rule that is taken out. */
  readonly name: string;
  /** The file that it stands in. */
  readonly file: string;
  /** Its text, which must be there once. */
  readonly from: string;
  /** What stands there instead. */
  readonly to: string;
}

/** The rules without which messages are lost, repeated or reordered, or sessions hang. */
export const mutations: readonly Mutation[] = [
  {
    name: "the in_seq check",
    file: "src/reader.ts",
    from: "return this.#seq <= this.#pipe.session.inSeq;",
    to: "return false;",
  },
  {
    name: "the order of requeueSent",
    file: "src/out_queue.ts",
    from: "    this.#cursor = 0;\n    return this.#sent.length;",
    to:
      "    this.#cursor = 0;\n    if (this.#sent.length > 1) this.#sent.push(this.#sent.shift()!);\n    return this.#sent.length;",
  },
  {
    name: "discardRequeuedUpTo",
    file: "src/out_queue.ts",
    from: "    while (this.outSeq < seq && this.#cursor < this.#sent.length) {",
    to: "    while (this.outSeq < 0 && this.#cursor < this.#sent.length) {",
  },
  {
    name: "the number that discardRequeuedUpTo goes on from",
    file: "src/out_queue.ts",
    from: "if (this.#sent.length === 0) this.outSeq = seq;",
    to: "",
  },
  {
    name: "connect_seq goes up at a fault",
    file: "src/pipe.ts",
    from: "        this.connectSeq++;\n",
    to: "",
  },
  {
    name: "the comparison of global_seq",
    file: "src/race.ts",
    from: "when: (s) => s.globalSeq < s.existing.peerGlobalSeq,",
    to: "when: () => false,",
  },
  {
    name: "the race rule",
    file: "src/race.ts",
    from: "sameSeq(s) && (s.peerIsSmaller || s.existing.server ||",
    to: "sameSeq(s) && (s.existing.server ||",
  },
  {
    name: "RESETSESSION drops the old session",
    file: "src/connect.ts",
    from: "        pipe.wasSessionReset();\n",
    to: "",
  },
  {
    name: "RESETSESSION to a peer that speaks of a session we do not know",
    file: "src/accept.ts",
    from: "return request.connectSeq > 0 ? { tag: Tag.RESETSESSION } : this.#openingTag(request, false);",
    to: "return this.#openingTag(request, false);",
  },
  {
    name: "the ack of a replayed message",
    file: "src/reader.ts",
    from: "    session.inSeqAcked = Math.min(session.inSeqAcked, this.#seq - 1);\n",
    to: "",
  },
];

/** What became of a mutation. */
export interface Finding {
  /** The first seed that failed, of those that were played at the same time; `undefined` if none did. */
  readonly seed: number | undefined;
  /** What it violated. */
  readonly violation: string;
}

/**
 * Plants a mutation in a copy of the sources and plays schedules on it until one fails.
 *
 * @throws {Error} If the text is not in its file exactly once, or the worker ends badly.
 */
export async function plant(mutation: Mutation, runtime: Runtime, seeds: number): Promise<Finding> {
  const folder = mkdtempSync(`${tmpdir()}/mutation-`);
  try {
    for (const part of ["src", "tools", "deno.json", "package.json"]) {
      cpSync(`${root}/${part}`, `${folder}/${part}`, { recursive: true });
    }
    for (const file of readdirSync(`${folder}/src`, { recursive: true, encoding: "utf8" })) {
      if (!file.endsWith(".ts")) continue;
      // The copy has no node_modules, where Bun and Node look for these.
      const path = `${folder}/src/${file}`;
      writeFileSync(path, readFileSync(path, "utf8").replace(/"@std\/(\w+)"/g, `"${root}/tools/std/$1/mod.ts"`));
    }
    const path = `${folder}/${mutation.file}`, text = readFileSync(path, "utf8");
    if (text.split(mutation.from).length !== 2) {
      throw new Error(
        `${mutation.file} does not hold what the mutation "${mutation.name}" takes out, or holds it twice`,
      );
    }
    writeFileSync(path, text.replace(mutation.from, () => mutation.to));
    return await play(folder, runtime, seeds);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function play(folder: string, runtime: Runtime, seeds: number): Promise<Finding> {
  const { command, args } = runtimeCommand(runtime, `${folder}/tools/sim/worker.ts`, ["1", "1", String(seeds)], {
    permissions: ["--allow-all"],
  });
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  const { promise, resolve, reject } = Promise.withResolvers<Finding>();
  let output = "";
  const decoder = new TextDecoder();
  child.stdout.on("data", (chunk: Uint8Array) => {
    output += decoder.decode(chunk, { stream: true });
    const failed = output.split("\n").slice(0, -1).find((line) => line.startsWith('{"kind":"failed"'));
    if (failed === undefined) return;
    const { seed, violations } = JSON.parse(failed) as { seed: number; violations: string[] };
    resolve({ seed, violation: violations[0]!.slice(0, 200) });
    child.kill("SIGKILL");
  });
  child.on("error", reject);
  child.on("close", (code) => {
    if (code === 0 || code === null) resolve({ seed: undefined, violation: "" });
    else reject(new Error(`The worker ended with code ${code}`));
  });
  return promise;
}

if (import.meta.main) {
  const wanted = process.argv.slice(2);
  for (const mutation of mutations.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
    const { seed, violation } = await plant(mutation, "node", 1000);
    if (seed === undefined) process.exitCode = 1;
    console.log(`${mutation.name}: ${seed === undefined ? "NOT FOUND" : `found by seed ${seed}: ${violation}`}`);
  }
}
