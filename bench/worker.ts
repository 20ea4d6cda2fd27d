/**
 * One of the two processes of a measurement. `worker.ts serve PEER` prints its port and then, for every line on its input, how it is.
 * `worker.ts run PEER PORT WORKLOAD SIZE WARM_UP SECONDS SLICES` prints a result; what else it prints is a question to the server, whose answer it expects on its
 * input, or that it waits for its turn, which it expects to be told of there. Both speak JSON, a line each, and end with their input.
 *
 * @module
 */

import process from "node:process";
import { createInterface } from "node:readline";
import type { Bench, Figures } from "./bench.ts";
import { type Peer, Service } from "./peer.ts";
import { type Question, usage } from "./usage.ts";

const [role, name, ...rest] = process.argv.slice(2);
const { peer } = await import(`./peers/${name}.ts`) as { peer: Peer };

const lines = createInterface({ input: process.stdin });
// The parent's end is this process' end.
lines.on("close", () => process.exit(0));

if (role === "serve") {
  const port = await peer.serve(new Service());
  lines.on("line", (line) => say(usage(JSON.parse(line) as Question, peer.helpers?.())));
  say({ port });
} else {
  const workload = rest[1]!,
    [port, , size, warmUp, seconds, slices] = rest.map(Number) as [number, number, number, number, number, number];
  const times = { warmUp, measure: seconds, slices };
  const bench: Bench = {
    name: name!,
    peer,
    port,
    times,
    connect: () => peer.connect(port),
    server: (question) => ask({ question }),
    turn: () => ask({ waits: true }),
  };
  const { measure } = await import(`./loads/${workload}.ts`) as {
    measure(bench: Bench, size: number): Promise<Figures>;
  };
  say({ figures: await measure(bench, size) });
}

function ask<Answer>(what: { question: Question } | { waits: true }): Promise<Answer> {
  const answer = new Promise<string>((resolve) => lines.once("line", resolve));
  say(what);
  return answer.then((line) => JSON.parse(line));
}

function say(what: unknown): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}
