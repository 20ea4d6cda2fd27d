/**
 * Which cluster, and as whom: what all commands of `msgr ceph` share.
 *
 * @module
 */

import { readFile } from "node:fs/promises";
import { CephConf } from "../../ceph/ceph_conf.ts";
import { MonClient, type MonClientOptions } from "../../ceph/mon_client.ts";
import { RadosClient } from "../../ceph/rados_client.ts";
import type { Arguments } from "../arguments.ts";
import { type Context, type Option, UsageError } from "../command.ts";

const CONF = "/etc/ceph/ceph.conf";
/** Where keys lie if nobody says otherwise. Ceph's default of the option `keyring`. */
const KEYRINGS = "/etc/ceph/$cluster.$name.keyring,/etc/ceph/$cluster.keyring,/etc/ceph/keyring";
const CLUSTER = "ceph";
/** The longest time that a timer can wait, in s. */
const LONGEST = 2_000_000;

/** The options that say which cluster, and as whom. */
export const clusterOptions: Readonly<Record<string, Option>> = {
  conf: { short: "c", takes: "FILE", help: `the cluster's ceph.conf (default ${CONF})` },
  mon: { short: "m", takes: "ADDRESSES", help: "where the monitors are; then no ceph.conf is needed" },
  name: { short: "n", takes: "NAME", help: "who to be (default client.admin)" },
  keyring: { short: "k", takes: "FILE", help: "a keyring that has the key of NAME" },
  "key-file": { takes: "FILE", help: "a file that holds nothing but the key" },
  timeout: { takes: "SECONDS", help: "how long to look for a monitor (default 30; 0 for ever)" },
};

/** What the help says of them. */
export const clusterDetails =
  `Without --keyring and --key-file the key is looked for where ceph.conf or else Ceph's default says. Monitors and OSDs
have to listen for msgr v1.`;

/** Opens a session with the monitors. */
export async function connectToMonitors(context: Context): Promise<MonClient> {
  return await MonClient.connect(await clientOptions(context));
}

/** Opens a session with the monitors, through which the OSDs are found. */
export async function connectToCluster(context: Context): Promise<RadosClient> {
  return await RadosClient.connect(await clientOptions(context));
}

/** What the options mean to a client. */
async function clientOptions({ args, signal }: Context): Promise<MonClientOptions> {
  const seconds = args.number("timeout", 0, LONGEST), name = args.text("name") ?? "client.admin";
  const conf = await readConf(args);
  const keyring = await readKeyring(args, conf, name), keyFile = args.text("key-file");
  const monitors = args.text("mon");
  return {
    name,
    signal,
    ...(conf === undefined ? {} : { conf }),
    ...(monitors === undefined ? {} : { monitors }),
    ...(keyring === undefined ? {} : { keyring }),
    ...(keyFile === undefined ? {} : { key: (await readFile(keyFile, "utf8")).trim() }),
    ...(seconds === undefined ? {} : { timeout: Math.ceil(1000 * seconds) }),
  };
}

async function readConf(args: Arguments): Promise<string | undefined> {
  const path = args.text("conf");
  if (path !== undefined) return await readFile(path, "utf8");
  if (args.text("mon") !== undefined) return undefined;
  const conf = await readIfThere(CONF);
  if (conf === undefined) throw new UsageError(`Which cluster? There is no ${CONF}: --conf or --mon is needed`);
  return conf;
}

async function readKeyring(args: Arguments, conf: string | undefined, name: string): Promise<string | undefined> {
  const path = args.text("keyring");
  if (path !== undefined) return await readFile(path, "utf8");
  if (conf === undefined || args.text("key-file") !== undefined) return undefined;
  const places = CephConf.parse(conf).get("keyring", name) ?? KEYRINGS, [type = "", id = ""] = name.split(/\.(.*)/s);
  const variables: Readonly<Record<string, string>> = { cluster: CLUSTER, name, type, id };
  for (const place of places.split(/[\s,;]+/)) {
    const keyring = await readIfThere(place.replace(/\$\{?([a-z]+)\}?/g, (word, key) => variables[key] ?? word));
    if (keyring !== undefined) return keyring;
  }
  return undefined;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT") return undefined;
    throw error;
  }
}
