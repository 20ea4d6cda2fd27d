/**
 * What `assertEquals` means by equal.
 *
 * @module
 */

/** Deep equality by contents and class: `NaN` equals itself, `0` equals `-0`, cycles are followed once. */
export function equal(actual: unknown, expected: unknown): boolean {
  return same(actual, expected, new Map());
}

function same(a: unknown, b: unknown, seen: Map<object, object>): boolean {
  if (a === b || Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (classOf(a) !== classOf(b)) return false;
  if (a instanceof Date && b instanceof Date) return Object.is(a.getTime(), b.getTime());
  if ((a instanceof RegExp && b instanceof RegExp) || (a instanceof URL && b instanceof URL)) {
    return String(a) === String(b);
  }
  const [aBytes, bBytes] = [bytesOf(a), bytesOf(b)];
  if (aBytes !== undefined && bBytes !== undefined) return sameBytes(aBytes, bBytes);
  // Assumed equal while its parts are compared, or a cycle would never end.
  if (seen.get(a) === b) return true;
  seen.set(a, b);
  if (a instanceof Set && b instanceof Set) return sameEntries([...a], [...b], seen);
  if (a instanceof Map && b instanceof Map) return sameEntries([...a], [...b], seen);
  if (a instanceof Error && b instanceof Error) {
    if (a.name !== b.name || a.message !== b.message || !same(a.cause, b.cause, seen)) return false;
  }
  if (Array.isArray(a) && Array.isArray(b) && a.length !== b.length) return false;
  const keys = ownKeys(a);
  return keys.length === ownKeys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && same(Reflect.get(a, key), Reflect.get(b, key), seen));
}

/** Sets and maps have no order that counts, so each entry looks for a partner that no other has taken. */
function sameEntries(a: readonly unknown[], b: unknown[], seen: Map<object, object>): boolean {
  if (a.length !== b.length) return false;
  return a.every((entry, i) => {
    const straight = same(entry, b[i], new Map(seen));
    const at = straight ? i : b.findIndex((other, j) => j >= i && same(entry, other, new Map(seen)));
    if (at < 0) return false;
    [b[i], b[at]] = [b[at], b[i]];
    return true;
  });
}

/** An object without a prototype counts as a plain one. */
function classOf(value: object): unknown {
  return Object.getPrototypeOf(value) === null ? Object : value.constructor ?? Object;
}

function ownKeys(value: object): (string | symbol)[] {
  return Reflect.ownKeys(value).filter((key) => Object.prototype.propertyIsEnumerable.call(value, key));
}

/** Raw bytes have no keys worth comparing one by one. */
function bytesOf(value: object): Uint8Array | undefined {
  if (value instanceof Uint8Array) return value;
  if (value instanceof DataView) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return value instanceof ArrayBuffer ? new Uint8Array(value) : undefined;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
