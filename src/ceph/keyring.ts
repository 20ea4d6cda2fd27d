/**
 * Keyrings: names and their keys.
 *
 * @module
 */

import { CryptoKey } from "./crypto_key.ts";
import { parseIni } from "./ini.ts";

/**
 * Reads the text of a keyring. Ceph's `KeyRing`; what the names may do (`caps`) is for the monitors and is left out.
 *
 * @returns The keys by name.
 * @throws {MessengerError} With code `invalid`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseKeyring } from "@msgr/pipe/ceph";
 *
 * const keys = parseKeyring("[client.admin]\n\tkey = AQAAEF5fFc1bBxAAAAECAwQFBgcICQoLDA0ODw==\n");
 * assertEquals([...keys.keys()], ["client.admin"]);
 * ```
 */
export function parseKeyring(text: string): Map<string, CryptoKey> {
  const keys = new Map<string, CryptoKey>();
  for (const [name, section] of parseIni(text)) {
    const key = section.get("key");
    if (key !== undefined) keys.set(name, CryptoKey.parse(key));
  }
  return keys;
}
