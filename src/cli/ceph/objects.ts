/**
 * `msgr ceph ls`, `stat` and `rm`
 *
 * @module
 */

import { type Command, jsonOption } from "../command.ts";
import { plain } from "../message_words.ts";
import { bytes } from "../units.ts";
import { clusterDetails, clusterOptions, connectToCluster } from "./cluster.ts";

/** Lists pools, or the objects of one. */
export const ls: Command = {
  name: "ceph ls",
  operands: "[POOL]",
  summary: "list the objects of a pool, or the pools",
  details: clusterDetails,
  options: { ...clusterOptions, ...jsonOption },
  run: async (context) => {
    const { args, out, signal } = context, name = args.optional(0), asJson = args.has("json");
    await using client = await connectToCluster(context);
    if (name === undefined) {
      for (const pool of await client.pools()) await (asJson ? out.json(pool) : out.line(pool.name));
      return;
    }
    const pool = await client.pool(name);
    for await (const object of pool.list({ signal })) {
      await (asJson ? out.json({ object }) : out.line(out.isTerminal ? plain(object) : object));
    }
  },
};

/** Tells an object's size and time. */
export const stat: Command = {
  name: "ceph stat",
  operands: "POOL OBJECT",
  summary: "the size of an object, and when it was written",
  details: clusterDetails,
  options: { ...clusterOptions, ...jsonOption },
  run: async (context) => {
    const { args, out, signal } = context, [name, object] = [args.operand(0), args.operand(1)];
    await using client = await connectToCluster(context);
    const pool = await client.pool(name), { size, mtime } = await pool.stat(object, { signal });
    if (args.has("json")) await out.json({ pool: name, object, size, mtime });
    else await out.line(`${name}/${object}: ${size} bytes (${bytes(size)}), written ${mtime.toISOString()}`);
  },
};

/** Removes an object. */
export const rm: Command = {
  name: "ceph rm",
  operands: "POOL OBJECT",
  summary: "remove an object",
  details: clusterDetails,
  options: { ...clusterOptions, ...jsonOption },
  run: async (context) => {
    const { args, out, signal } = context, [name, object] = [args.operand(0), args.operand(1)];
    await using client = await connectToCluster(context);
    await (await client.pool(name)).remove(object, { signal });
    if (args.has("json")) await out.json({ pool: name, object, removed: true });
  },
};
