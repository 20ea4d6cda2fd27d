/** The certificates of the folder beside this file. */

import { readFileSync } from "node:fs";
import type { TlsOptions } from "../../src/net/network.ts";

/** A file of theirs, by its name without `.pem`. */
export function pem(name: string): string {
  return readFileSync(new URL(`certificates/${name}.pem`, import.meta.url), "utf8");
}

/** A certificate and its key. */
export function identity(name: string): Required<Pick<TlsOptions, "cert" | "key">> {
  return { cert: pem(name), key: pem(`${name}.key`) };
}
