/**
 * Stand-in for `@std/assert` 1.0.19 where JSR cannot be reached: the functions this repository calls, with the same names
 * and signatures. Users of the package never load it.
 *
 * @module
 */

import { equal } from "./equal.ts";
import { difference, format } from "./format.ts";

/** What a failed assertion throws. */
export class AssertionError extends Error {
  override name = "AssertionError";
}

/** Any class that can be instantiated. */
// deno-lint-ignore no-explicit-any -- a class whose constructor takes anything can be written in no other way
export type AnyConstructor = new (...args: any[]) => any;

/** What a class makes. */
export type GetConstructorType<T extends AnyConstructor> = InstanceType<T>;

/** Something with a length and elements, but no string. */
export type ArrayLikeArg<T> = ArrayLike<T> & object;

// deno-lint-ignore no-explicit-any -- as above
type ErrorConstructor<E extends Error> = new (...args: any[]) => E;

/** Fails unless the value is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** The values that count as false. */
export type Falsy = false | 0 | 0n | "" | null | undefined;

/** Fails unless the value is falsy. */
export function assertFalse(expr: unknown, msg = ""): asserts expr is Falsy {
  if (expr) throw new AssertionError(msg);
}

/** Fails, always. */
export function fail(msg?: string): never {
  throw new AssertionError(`Failed assertion${suffix(msg)}`);
}

/** Fails unless both have the same contents. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) return;
  throw new AssertionError(`Values are not equal${suffix(msg)}\n${difference(actual, expected)}`);
}

/** Fails if both have the same contents. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!equal(actual, expected)) return;
  throw new AssertionError(`Expected actual: ${format(actual)} not to be: ${format(expected)}${suffix(msg)}`);
}

/** Fails unless both are the same value, as `Object.is` has it. */
export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): asserts actual is T {
  if (Object.is(actual, expected)) return;
  if (format(actual) === format(expected)) {
    throw new AssertionError(
      `Values have the same structure but are not reference-equal${suffix(msg)}\n\n${format(actual)}`,
    );
  }
  throw new AssertionError(`Values are not strictly equal${suffix(msg)}\n${difference(actual, expected)}`);
}

/** Fails if both are the same value, as `Object.is` has it. */
export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!Object.is(actual, expected)) return;
  throw new AssertionError(`Expected "actual" not to be strictly equal to: ${format(actual)}${suffix(msg)}`);
}

/** Fails if the value is `null` or `undefined`. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual !== null && actual !== undefined) return;
  throw new AssertionError(`Expected actual: "${actual}" to not be null or undefined${suffix(msg)}`);
}

/** Fails unless the value is an instance of that class. */
export function assertInstanceOf<T extends AnyConstructor>(
  actual: unknown,
  expectedType: T,
  msg = "",
): asserts actual is GetConstructorType<T> {
  if (actual instanceof expectedType) return;
  const kind = typeof actual === "object" && actual !== null ? actual.constructor?.name ?? "Object" : typeof actual;
  throw new AssertionError(
    `Expected object to be an instance of "${expectedType.name}" but was "${kind}"${suffix(msg)}`,
  );
}

/** Fails unless `actual > expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (actual > expected) return;
  throw new AssertionError(msg ?? `Expect ${format(actual)} > ${format(expected)}`);
}

/** Fails unless `actual >= expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (actual >= expected) return;
  throw new AssertionError(msg ?? `Expect ${format(actual)} >= ${format(expected)}`);
}

/** Fails unless `actual < expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (actual < expected) return;
  throw new AssertionError(msg ?? `Expect ${format(actual)} < ${format(expected)}`);
}

/** Fails unless `actual <= expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (actual <= expected) return;
  throw new AssertionError(msg ?? `Expect ${format(actual)} <= ${format(expected)}`);
}

/** Fails unless the text matches. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (expected.test(actual)) return;
  throw new AssertionError(`Expected actual: "${actual}" to match: "${expected}"${suffix(msg)}`);
}

/** Fails unless the text contains the other. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (actual.includes(expected)) return;
  throw new AssertionError(`Expected actual: "${actual}" to contain: "${expected}"${suffix(msg)}`);
}

/** Fails unless each expected element equals one of the actual ones. */
export function assertArrayIncludes<T>(actual: ArrayLikeArg<T>, expected: ArrayLikeArg<T>, msg?: string): void {
  const missing = Array.from(expected).filter((wanted) =>
    !Array.from(actual).some((element) => equal(element, wanted))
  );
  if (missing.length === 0) return;
  throw new AssertionError(
    `Expected actual: ${format(actual)} to include: ${format(expected)}${suffix(msg)}\nmissing: ${format(missing)}`,
  );
}

/** Fails unless `fn` throws; gives what it threw. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Fails unless `fn` throws an error of that class whose message contains `msgIncludes`; gives that error. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: ErrorConstructor<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(
  fn: () => unknown,
  classOrMsg?: ErrorConstructor<Error> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  const wanted = typeof classOrMsg === "string" ? { msg: classOrMsg } : { ErrorClass: classOrMsg, msgIncludes, msg };
  try {
    fn();
  } catch (error) {
    return checkedError(error, "thrown", wanted);
  }
  throw new AssertionError(`Expected function to throw${suffix(wanted.msg)}`);
}

/** Fails unless `fn` gives a promise that rejects; gives the reason. A throw before the promise fails it as well. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/** Fails unless `fn` gives a promise that rejects with an error of that class whose message contains `msgIncludes`. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: ErrorConstructor<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(
  fn: () => PromiseLike<unknown>,
  classOrMsg?: ErrorConstructor<Error> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  const wanted = typeof classOrMsg === "string" ? { msg: classOrMsg } : { ErrorClass: classOrMsg, msgIncludes, msg };
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch (error) {
    throw new AssertionError(`Function throws when expected to reject${suffix(wanted.msg)}`, { cause: error });
  }
  try {
    await promise;
  } catch (error) {
    return checkedError(error, "rejected", wanted);
  }
  throw new AssertionError(`Expected function to reject${suffix(wanted.msg)}`);
}

interface WantedError {
  readonly ErrorClass?: ErrorConstructor<Error> | undefined;
  readonly msgIncludes?: string | undefined;
  readonly msg?: string | undefined;
}

/** The failures below carry the error that came instead as their cause, so that its stack is not lost. */
function checkedError(error: unknown, how: "thrown" | "rejected", wanted: WantedError): unknown {
  const { ErrorClass, msgIncludes, msg } = wanted;
  if (ErrorClass === undefined) return error;
  if (!(error instanceof Error)) throw new AssertionError(`A non-Error object was ${how}${suffix(msg)}`);
  if (!(error instanceof ErrorClass)) {
    const { name, message }: Error = error;
    throw new AssertionError(
      `Expected error to be instance of "${ErrorClass.name}", but was "${name}"${suffix(msg)}\n${message}`,
      { cause: error },
    );
  }
  if (msgIncludes !== undefined && !error.message.includes(msgIncludes)) {
    throw new AssertionError(
      `Expected error message to include ${JSON.stringify(msgIncludes)}, but got ${JSON.stringify(error.message)}${
        suffix(msg)
      }`,
      { cause: error },
    );
  }
  return error;
}

function suffix(msg: string | undefined): string {
  return msg ? `: ${msg}` : ".";
}
