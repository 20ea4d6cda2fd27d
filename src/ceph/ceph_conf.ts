/**
 * `ceph.conf`: the little of it that a client needs.
 *
 * @module
 */

import { MessengerError } from "../errors.ts";
import { EntityAddress } from "../wire/address.ts";
import { parseIni, type Sections } from "./ini.ts";

/** Where monitors listen for msgr v1 unless something else is said. `CEPH_MON_PORT_LEGACY`. */
const DEFAULT_PORT = 6789;

/** What a `ceph.conf` says. */
export class CephConf {
  readonly #sections: Sections;

  private constructor(sections: Sections) {
    this.#sections = sections;
  }

  /**
   * Reads the text of a `ceph.conf`.
   *
   * @throws {MessengerError} With code `invalid`.
   */
  static parse(text: string): CephConf {
    return new CephConf(parseIni(text));
  }

  /**
   * What an option is set to for somebody: in the section of that name, else in that of its kind, else in `[global]`.
   *
   * @param option The option: `"mon_host"`.
   * @param name For whom: `"client.admin"`.
   */
  get(option: string, name = "client.admin"): string | undefined {
    for (const section of [name, name.slice(0, name.indexOf(".")), "global"]) {
      const value = this.#sections.get(section)?.get(option);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  /**
   * Where the monitors are: `mon_host`.
   *
   * @throws {MessengerError} With code `invalid`.
   */
  monitors(name?: string): EntityAddress[] {
    return parseMonHost(this.get("mon_host", name) ?? "");
  }
}

/**
 * Reads a list of monitors as `mon_host` has it: `"10.0.0.1,10.0.0.2:6789"`, `"[v2:10.0.0.1:3300/0,v1:10.0.0.1:6789/0] v1:10.0.0.2:6789"`.
 * Addresses of msgr v2 are left out. Host names are not looked up.
 *
 * @throws {MessengerError} With code `invalid`, also if no address is left.
 */
export function parseMonHost(text: string): EntityAddress[] {
  const words = text.replace(/\[(?=v[12]:)/g, " ").split(/[\s,;]+/).filter((word) => word !== "");
  const addresses = words.filter((word) => !word.startsWith("v2:")).map(parseMonitor);
  if (addresses.length > 0) return addresses;
  throw new MessengerError("invalid", `Bad monitors: got "${text}", expected at least one address of msgr v1`);
}

function parseMonitor(word: string): EntityAddress {
  const said = word.replace(/^v1:/, "");
  // One bracket too many is that which ends a group.
  const isLast = said.endsWith("]") && said.split("]").length > said.split("[").length;
  const address = isLast ? said.slice(0, -1) : said;
  const hasPort = /^(\[[^\]]*\]|[^:]*):\d+(\/\d+)?$/.test(address);
  // A lone IPv6 address may stand without its brackets.
  const host = !hasPort && /:.*:/.test(address) && !address.startsWith("[") ? `[${address}]` : address;
  return EntityAddress.parse(hasPort ? address : `${host}:${DEFAULT_PORT}`);
}
