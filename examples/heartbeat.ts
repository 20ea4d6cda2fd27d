/**
 * Processes that watch each other: the first in the list that is alive is the leader, and when it dies the next one leads. Nothing is sent but
 * keepalives, which messengers answer by themselves. It is no consensus: on two sides of a broken network there are two leaders. Give each process
 * its own address first, and then all of them in one order:
 *
 *     deno run --allow-net=127.0.0.1:6814,127.0.0.1:6815 examples/heartbeat.ts 127.0.0.1:6814 127.0.0.1:6814 127.0.0.1:6815
 *     deno run --allow-net=127.0.0.1:6814,127.0.0.1:6815 examples/heartbeat.ts 127.0.0.1:6815 127.0.0.1:6814 127.0.0.1:6815
 *
 *     bun run examples/heartbeat.ts 127.0.0.1:6814 127.0.0.1:6814 127.0.0.1:6815
 *     bun run examples/heartbeat.ts 127.0.0.1:6815 127.0.0.1:6814 127.0.0.1:6815
 *
 *     node examples/heartbeat.ts 127.0.0.1:6814 127.0.0.1:6814 127.0.0.1:6815
 *     node examples/heartbeat.ts 127.0.0.1:6815 127.0.0.1:6814 127.0.0.1:6815
 *
 * Where Deno cannot reach JSR, add --import-map=tools/std/import_map.json after deno run; Bun and Node need npm ci once.
 */

import process from "node:process";
import { exponentialBackoff, Messenger } from "@msgr/pipe";

/** How often to ask, in ms. */
const INTERVAL = 300;
/** How old the latest answered question may be, in ms. */
const PATIENCE = 1500;

const [self = "127.0.0.1:6814", ...members] = process.argv.slice(2);
// Who comes back is to be noticed soon, so attempts are never far apart.
const messenger = new Messenger({ backoff: exponentialBackoff({ max: INTERVAL }) });
// A messenger answers nobody before it has a dispatcher; keepalives need nothing of it.
messenger.addDispatcherTail({});
await messenger.bind(self);

let leader: string | undefined;
const started = Date.now();
const timer = setInterval(() => {
  const alive = members.filter((member) => {
    if (member === self) return true;
    const connection = messenger.connectTo(member);
    connection.sendKeepalive();
    return Date.now() - connection.lastKeepaliveAck < PATIENCE;
  });
  // Somebody with a better right to it may not have had the time to answer.
  if (Date.now() - started < PATIENCE || alive[0] === leader) return;
  leader = alive[0];
  console.log(leader === self ? "Leading" : `Following ${leader}`);
}, INTERVAL);

process.once("SIGINT", () => {
  clearInterval(timer);
  void messenger.shutdown();
});
