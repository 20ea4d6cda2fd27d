/**
 * `msgr ceph put` and `get`
 *
 * @module
 */

import { type Command, type Context, jsonOption } from "../command.ts";
import { readSource, writeTarget } from "../files.ts";
import { Progress } from "../progress.ts";
import { bytes, exact } from "../units.ts";
import { clusterDetails, clusterOptions, connectToCluster } from "./cluster.ts";

/** Writes an object. */
export const put: Command = {
  name: "ceph put",
  operands: "POOL OBJECT [FILE]",
  summary: "write an object",
  details:
    `The object holds what FILE holds, or without FILE (or with -) what comes on the standard input; what it held before is
gone. A transfer that is interrupted leaves a part of it.

${clusterDetails}`,
  options: { ...clusterOptions, ...jsonOption },
  run: async (context) => {
    const { args, err, signal } = context, [name, object] = [args.operand(0), args.operand(1)];
    await using source = await readSource(args.optional(2));
    await using client = await connectToCluster(context);
    const pool = await client.pool(name);
    await using progress = new Progress(err, source.size);
    await pool.put(object, source.stream, { signal, onProgress: (done) => progress.update(done) });
    await report(context, progress, { pool: name, object }, "written");
  },
};

/** Reads an object. */
export const get: Command = {
  name: "ceph get",
  operands: "POOL OBJECT [FILE]",
  summary: "read an object",
  details:
    `It goes to FILE, or without FILE (or with -) to the standard output. FILE is there when all of it is: until then it is
FILE.part.

${clusterDetails}`,
  options: { ...clusterOptions, ...jsonOption },
  run: async (context) => {
    const { args, out, err, signal } = context, [name, object] = [args.operand(0), args.operand(1)];
    await using client = await connectToCluster(context);
    const pool = await client.pool(name), { size } = await pool.stat(object, { signal });
    const path = args.optional(2), target = await writeTarget(path, out);
    await using progress = new Progress(err, size);
    try {
      for await (const chunk of pool.stream(object, { signal })) {
        await target.write(chunk);
        progress.update(progress.done + chunk.length);
        // There is no use in reading for nobody.
        signal.throwIfAborted();
      }
    } catch (error) {
      await target.discard();
      throw error;
    }
    await target.finish();
    if (target.isFile) await report(context, progress, { pool: name, object }, "read");
  },
};

/** Says what was done, where the answer itself does not go there. */
async function report(
  { args, out }: Context,
  progress: Progress,
  what: { readonly pool: string; readonly object: string },
  verb: string,
): Promise<void> {
  const { done, elapsed } = progress;
  if (args.has("json")) return await out.json({ ...what, bytes: done, ms: exact(elapsed) });
  const speed = `${bytes(done / Math.max(elapsed, 1) * 1000)}/s`;
  await out.line(`${what.pool}/${what.object}: ${bytes(done)} ${verb} in ${(elapsed / 1000).toFixed(1)} s (${speed})`);
}
