/**
 * What happened in a simulation, line by line.
 *
 * @module
 */

import type { Environment } from "../environment.ts";

/**
 * A list of lines with their virtual times. The same seed gives the same lines, byte for byte, on one runtime.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Trace, VirtualEnvironment } from "@msgr/pipe/testing";
 *
 * const environment = new VirtualEnvironment();
 * const trace = new Trace(environment);
 * environment.setTimer(() => trace.add("tea is ready"), 180_000);
 * await environment.run();
 * assertEquals(trace.text, "  180000.000  tea is ready\n");
 * ```
 */
export class Trace {
  /** The lines. */
  readonly lines: string[] = [];
  readonly #environment: Environment;
  readonly #start: number;

  /** Begins a trace; its times count from now. */
  constructor(environment: Environment) {
    this.#environment = environment;
    this.#start = environment.now();
  }

  /** All lines, each with its end. */
  get text(): string {
    return this.lines.map((line) => `${line}\n`).join("");
  }

  /** Adds a line. */
  add(what: string): void {
    const ms = (this.#environment.now() - this.#start).toFixed(3).padStart(12);
    this.lines.push(`${ms}  ${what}`);
  }
}
