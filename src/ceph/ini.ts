/**
 * The form of text that both `ceph.conf` and keyrings have.
 *
 * @module
 */

import { MessengerError } from "../errors.ts";

/** What the sections of a file say, by section and by name. Names have underscores where people may write spaces or hyphens. */
export type Sections = Map<string, Map<string, string>>;

/**
 * Reads sections of `name = value` lines. `#` and `;` begin comments, a backslash at a line's end continues it, quotes around a value are
 * taken off. What stands before any section belongs to `"global"`.
 *
 * @throws {MessengerError} With code `invalid`, naming the line by its number only: it may hold a secret.
 */
export function parseIni(text: string): Sections {
  const sections: Sections = new Map();
  let section = "global";
  for (const [i, line] of text.replace(/\\\r?\n/g, " ").split(/\r?\n/).entries()) {
    const said = withoutComment(line).trim();
    if (said === "") continue;
    const header = /^\[([^\]]+)\]$/.exec(said), equals = said.indexOf("=");
    if (header !== null) {
      section = header[1]!.trim();
      if (!sections.has(section)) sections.set(section, new Map());
      continue;
    }
    if (equals < 1) throw new MessengerError("invalid", `Bad line ${i + 1}: expected "[section]" or "name = value"`);
    const name = said.slice(0, equals).trim().replace(/[\s-]+/g, "_");
    if (!sections.has(section)) sections.set(section, new Map());
    sections.get(section)!.set(name, said.slice(equals + 1).trim().replace(/^(["'])(.*)\1$/, "$2"));
  }
  return sections;
}

/** A comment begins where `#` or `;` stands outside of quotes, at the line's beginning or after a space. */
function withoutComment(line: string): string {
  let quote = "";
  for (let i = 0; i < line.length; i++) {
    const character = line[i]!;
    if (quote !== "") {
      if (character === quote) quote = "";
    } else if (character === '"' || character === "'") {
      quote = character;
    } else if ((character === "#" || character === ";") && (i === 0 || /\s/.test(line[i - 1]!))) {
      return line.slice(0, i);
    }
  }
  return line;
}
