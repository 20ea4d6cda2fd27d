/**
 * A client of Ceph: it talks to unmodified monitors and OSDs over msgr v1, with cephx or without authentication.
 *
 * @example Writing and reading an object
 * ```ts
 * import { RadosClient } from "@msgr/pipe/ceph";
 *
 * export async function greet(conf: string, keyring: string): Promise<string> {
 *   await using client = await RadosClient.connect({ conf, keyring });
 *   const pool = await client.pool("rbd");
 *   await pool.put("greeting", "hello");
 *   return new TextDecoder().decode(await pool.get("greeting"));
 * }
 * ```
 *
 * @example What `ceph status` says
 * ```ts
 * import { MonClient } from "@msgr/pipe/ceph";
 *
 * export async function status(conf: string, keyring: string): Promise<unknown> {
 *   await using client = await MonClient.connect({ conf, keyring });
 *   return await client.json({ prefix: "status" });
 * }
 * ```
 *
 * It takes texts and not paths, so that on Deno it needs `--allow-net` and nothing more.
 *
 * @module
 */

export * from "./auth_name.ts";
export * from "./authorizers.ts";
export * from "./ceph_conf.ts";
export * from "./cephx_service.ts";
export * from "./command_error.ts";
export * from "./crypto_key.ts";
export * from "./decoder.ts";
export * from "./encoder.ts";
export * from "./features.ts";
export * from "./keyring.ts";
export * from "./message_types.ts";
export * from "./mon_client.ts";
export { type Monitor, type MonMap } from "./mon_map.ts";
export * from "./mon_messages.ts";
export * from "./rados_client.ts";
export * from "./rados_error.ts";
export type { RadosOptions } from "./rados_options.ts";
export * from "./rados_pool.ts";
export type { ObjectData } from "./rados_transfer.ts";
export * from "./signature.ts";
export type { TicketBlob } from "./cephx_structures.ts";
export type { SubscriptionHandler } from "./subscriptions.ts";
