/**
 * Somebody who may be asked to leave.
 *
 * @module
 */

import { MonClient, type MonClientOptions } from "../../src/ceph/mod.ts";
import { cluster } from "./cluster.ts";

/** A client with a name and a key of its own, which may read and nothing else. */
export async function inviteGuest(admin: MonClient, name: string, options: MonClientOptions = {}): Promise<MonClient> {
  const add = { prefix: "auth get-or-create", entity: name, caps: ["mon", "allow r"] };
  const [{ key }] = await admin.json<[{ key: string }]>(add);
  return await MonClient.connect({ conf: cluster.conf, key, name, ...options });
}
