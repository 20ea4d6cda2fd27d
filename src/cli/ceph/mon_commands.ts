/**
 * `msgr ceph status` and `msgr ceph mon-dump`
 *
 * @module
 */

import { CommandError } from "../../ceph/command_error.ts";
import { type Command, jsonOption } from "../command.ts";
import { clusterDetails, clusterOptions, connectToMonitors } from "./cluster.ts";

/** How the cluster is. */
export const status: Command = monCommand("status", "how the cluster is", "status");

/** Which monitors there are. */
export const monDump: Command = monCommand("mon-dump", "which monitors there are", "mon dump");

/** A command that the monitors carry out, and whose answer is printed as it is. */
function monCommand(name: string, summary: string, prefix: string): Command {
  return {
    name: `ceph ${name}`,
    operands: "",
    summary,
    details: `What "ceph ${prefix}" prints.\n\n${clusterDetails}`,
    options: { ...clusterOptions, ...jsonOption },
    run: async (context) => {
      const { args, out, signal } = context;
      await using client = await connectToMonitors(context);
      if (args.has("json")) return await out.json(await client.json({ prefix }, { signal }));
      const reply = await client.command({ prefix }, { signal });
      if (reply.status < 0) throw new CommandError(prefix, reply);
      await out.line(new TextDecoder().decode(reply.data).trimEnd());
    },
  };
}
