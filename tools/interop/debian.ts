/**
 * What has to be on the machine: Ceph's own programs, from Debian.
 *
 * @module
 */

import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { run } from "../run.ts";

/** The programs that a monitor needs, and the package that has them all. */
const programs: readonly string[] = ["ceph-mon", "ceph", "ceph-authtool", "monmaptool"];
const debianPackage = "ceph-mon";

/** Installs what is missing. Gives the reason why it cannot be there, or nothing if all is. */
export async function ensureCeph(): Promise<string | undefined> {
  const missing = programs.filter((program) => !isInstalled(program));
  if (missing.length === 0) return undefined;
  const lacks = `${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} not installed`;
  if (process.platform !== "linux" || !isDebian()) return `${lacks}, and this is no Debian`;
  if (process.getuid?.() !== 0) return `${lacks}, and only root can install ${debianPackage}`;
  console.log(`Installing ${debianPackage} from Debian …`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  for (const args of [["update"], ["install", "-y", "--no-install-recommends", debianPackage]]) {
    const { code } = await run("apt-get", ["-q", ...args], { env });
    if (code !== 0) return `${lacks}, and apt-get ${args[0]} failed with code ${code}`;
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
