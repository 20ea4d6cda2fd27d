/**
 * What has to be on the machine: Ceph's own programs, from Debian.
 *
 * @module
 */

import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { outcomeOf } from "./program.ts";

/** Which package has which programs. */
const packages: Readonly<Record<string, readonly string[]>> = {
  "ceph-mon": ["ceph-mon", "monmaptool"],
  "ceph-osd": ["ceph-osd"],
  "ceph-common": ["ceph", "ceph-authtool", "rados"],
  "tshark": ["tshark"],
};

/** Installs what is missing. Gives the reason why it cannot be there, or nothing if all is. */
export async function ensureCeph(): Promise<string | undefined> {
  const missing = Object.entries(packages).filter(([, programs]) => !programs.every(isInstalled)).map(([name]) => name);
  if (missing.length === 0) return undefined;
  const lacks = `${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} not installed`;
  if (process.platform !== "linux" || !isDebian()) return `${lacks}, and this is no Debian`;
  if (process.getuid?.() !== 0) return `${lacks}, and only root can do that`;
  console.log(`Installing ${missing.join(", ")} from Debian …`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  for (const args of [["update"], ["install", "-y", "--no-install-recommends", ...missing]]) {
    const { code, complaints } = await outcomeOf("apt-get", ["-q", "-o", "DPkg::Lock::Timeout=120", ...args], {
      env,
      limit: 10 * 60_000,
    });
    if (code !== 0) return `${lacks}, and apt-get ${args[0]} failed with code ${code}: ${complaints}`;
  }
  return undefined;
}

function isInstalled(program: string): boolean {
  return (process.env.PATH ?? "").split(":").some((folder) => existsSync(`${folder}/${program}`));
}

function isDebian(): boolean {
  const file = "/etc/os-release";
  return existsSync(file) && /^ID(_LIKE)?=.*debian/m.test(readFileSync(file, "utf8"));
}
