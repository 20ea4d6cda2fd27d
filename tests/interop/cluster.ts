/**
 * The cluster that `tools/interop/main.ts` has started for the tests.
 *
 * @module
 */

import process from "node:process";
import type { DaemonName } from "../../tools/interop/cluster.ts";
import type { Order } from "../../tools/interop/control.ts";
import type { Setting } from "../../tools/interop/main.ts";

const setting = JSON.parse(process.env.MSGR_INTEROP!) as Setting;

/** What a client has to know of the cluster. */
export const cluster: Setting["cluster"] = setting.cluster;
/** How many seconds an idle session has to last. */
export const { idleSeconds } = setting;
/** How many seconds a daemon that goes away stays away. */
export const { awaySeconds } = setting;

/** Starts a daemon that was stopped, or stops one. Fulfils when that is done. */
export async function daemon(name: DaemonName, what: "start" | "stop" | "kill" | "pause" | "resume"): Promise<void> {
  await order({ do: what, daemon: name });
}

/** Runs `ceph` as `client.admin`, and gives what it prints. */
export async function ceph(...args: string[]): Promise<string> {
  return await (await order({ do: "ceph", args })).text();
}

/** Asks a daemon by its own socket: `ceph daemon`. */
export async function ask(name: DaemonName, ...args: string[]): Promise<string> {
  return await (await order({ do: "ask", daemon: name, args })).text();
}

/** Runs `rados` as `client.admin` with `input` on its standard input, and gives what it prints. */
export async function rados(args: readonly string[], input?: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await (await order({ do: "rados", args }, input)).arrayBuffer());
}

/** What tshark, Wireshark's program for terminals, says of a capture. */
export async function dissect(capture: Uint8Array<ArrayBuffer>, ...args: string[]): Promise<string> {
  return await (await order({ do: "dissect", args }, capture)).text();
}

async function order(order: Order, input?: Uint8Array<ArrayBuffer>): Promise<Response> {
  const url = `${setting.control}?order=${encodeURIComponent(JSON.stringify(order))}`;
  const response = await fetch(url, { method: "POST", ...(input !== undefined && { body: input }) });
  if (!response.ok) throw new Error(`${JSON.stringify(order)} failed: ${await response.text()}`);
  return response;
}
