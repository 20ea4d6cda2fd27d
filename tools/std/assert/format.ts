/**
 * How the assertions show values: one property a line, so that two values can be compared line by line.
 *
 * @module
 */

/** The value as text. */
export function format(value: unknown): string {
  return lines(value, "", []).join("\n");
}

/** The lines in which two values differ, marked `-` (actual) and `+` (expected), with what they share cut down to one line. */
export function difference(actual: unknown, expected: unknown): string {
  const a = format(actual).split("\n");
  const b = format(expected).split("\n");
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  return [
    "",
    "    [Diff] - Actual / + Expected",
    "",
    ...(start > 1 ? [`    … ${start - 1} equal lines`] : []),
    ...(start > 0 ? [`    ${a[start - 1]}`] : []),
    ...marked("-", a.slice(start, a.length - end)),
    ...marked("+", b.slice(start, b.length - end)),
    ...(end > 0 ? [`    ${a[a.length - end]}`] : []),
    ...(end > 1 ? [`    … ${end - 1} equal lines`] : []),
  ].join("\n");
}

/** A screenful: a megabyte of wrong bytes is no clearer than its beginning. */
function marked(sign: string, differing: readonly string[]): string[] {
  const shown = differing.slice(0, 40).map((line) => `${sign}   ${line}`);
  if (differing.length > shown.length) shown.push(`${sign}   … ${differing.length - shown.length} more lines`);
  return shown;
}

function lines(value: unknown, indent: string, parents: readonly object[]): string[] {
  if (typeof value === "string") return [JSON.stringify(value)];
  if (typeof value === "bigint") return [`${value}n`];
  if (Object.is(value, -0)) return ["-0"];
  if (typeof value === "function") return [`[Function ${value.name}]`];
  if (typeof value !== "object" || value === null) return [String(value)];
  if (parents.includes(value)) return ["[Circular]"];
  if (value instanceof Date) return [`Date ${Number.isNaN(value.getTime()) ? "invalid" : value.toISOString()}`];
  if (value instanceof RegExp || value instanceof URL) return [String(value)];

  const inner = [...parents, value];
  const name = value.constructor?.name ?? "";
  const item = (label: string, content: unknown): string => {
    const text = lines(content, indent + "  ", inner);
    return [`${indent}  ${label}${text[0]}`, ...text.slice(1)].join("\n") + ",";
  };
  const block = (title: string, items: string[], open: string, close: string): string[] => {
    if (items.length === 0) return [`${title}${open}${close}`];
    return [`${title}${open}`, ...items.flatMap((text) => text.split("\n")), `${indent}${close}`];
  };
  if (value instanceof Uint8Array) return block(`${name}(${value.length}) `, hexRows(value, indent), "[", "]");
  if (Array.isArray(value)) return block("", value.map((element) => item("", element)), "[", "]");
  if (value instanceof Set) return block("Set ", [...value].map((element) => item("", element)), "{", "}");
  if (value instanceof Map) {
    return block("Map ", [...value].map(([key, content]) => item(`${format(key)} => `, content)), "{", "}");
  }
  const properties = Reflect.ownKeys(value)
    .filter((key) => Object.prototype.propertyIsEnumerable.call(value, key))
    .sort((one, other) => String(one) < String(other) ? -1 : 1)
    .map((key) => item(`${String(key)}: `, Reflect.get(value, key)));
  if (value instanceof Error) properties.unshift(item("message: ", value.message));
  return block(name === "Object" || name === "" ? "" : `${name} `, properties, "{", "}");
}

/** Sixteen bytes a row. */
function hexRows(bytes: Uint8Array, indent: string): string[] {
  const rows: string[] = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = Array.from(bytes.subarray(at, at + 16), (byte) => byte.toString(16).padStart(2, "0"));
    rows.push(`${indent}  ${row.join(" ")}`);
  }
  return rows;
}
