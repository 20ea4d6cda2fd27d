/**
 * A queue that hands jobs to whichever worker is free. A job whose worker dies is given to another; an answer arrives once. Start the queue, as
 * many workers as you like, and submit something:
 *
 *     deno run --allow-net=127.0.0.1:6811 examples/work_queue.ts queue 127.0.0.1:6811
 *     deno run --allow-net=127.0.0.1:6811 examples/work_queue.ts worker 127.0.0.1:6811
 *     deno run --allow-net=127.0.0.1:6811 examples/work_queue.ts submit 127.0.0.1:6811 one two three
 *
 *     bun run examples/work_queue.ts queue 127.0.0.1:6811
 *     bun run examples/work_queue.ts worker 127.0.0.1:6811
 *     bun run examples/work_queue.ts submit 127.0.0.1:6811 one two three
 *
 *     node examples/work_queue.ts queue 127.0.0.1:6811
 *     node examples/work_queue.ts worker 127.0.0.1:6811
 *     node examples/work_queue.ts submit 127.0.0.1:6811 one two three
 *
 * Where Deno cannot reach JSR, add --import-map=tools/std/import_map.json after deno run; Bun and Node need npm ci once.
 */

import process from "node:process";
import { type Connection, MessageType, Messenger, MessengerError, RequestType, textCodec } from "@msgr/pipe";

const Ready = new MessageType(0x8001, textCodec);
const Work = new RequestType(new MessageType(0x8002, textCodec), new MessageType(0x8003, textCodec));
const Submit = new RequestType(new MessageType(0x8004, textCodec), new MessageType(0x8005, textCodec));

const [role, address = "127.0.0.1:6811", ...jobs] = process.argv.slice(2);
if (role === "queue") await queue();
else if (role === "worker") work();
else if (role === "submit") await submit();
else throw new Error("Say what to be: queue, worker or submit");

async function queue(): Promise<void> {
  // A short break is repaired. A worker that is away for two seconds is taken for dead, and gives its job back.
  const messenger = new Messenger({ absenceTimeout: 2000 });
  const free: Connection[] = [];
  const waiting: ((worker: Connection) => void)[] = [];

  const release = (worker: Connection): void => {
    const next = waiting.shift();
    if (next === undefined) free.push(worker);
    else next(worker);
  };
  const acquire = (): Connection | Promise<Connection> =>
    free.shift() ?? new Promise<Connection>((resolve) => waiting.push(resolve));

  messenger.on(Ready, (_, message) => release(message.connection));
  messenger.onRequest(Submit, async (job) => {
    for (;;) {
      const worker = await acquire();
      try {
        const result = await worker.request(Work.message(job), { timeout: 20_000 });
        release(worker);
        return result;
      } catch (error) {
        // What a worker says about its job goes to who asked. Else the worker is gone, and may have done it or not.
        const isAnswer = error instanceof MessengerError && error.code === "request_failed";
        if (isAnswer) release(worker);
        if (isAnswer) throw error;
      }
    }
  });

  console.log(`Listening at ${(await messenger.bind(address)).endpoint}`);
  process.once("SIGINT", () => void messenger.shutdown());
}

function work(): void {
  const messenger = new Messenger();
  messenger.onRequest(Work, (job) => {
    console.log(`Doing ${job}`);
    return job.toUpperCase();
  });
  const connection = messenger.connectTo(address);
  connection.send(Ready.message(""));
  // A queue that has restarted knows nothing of us.
  messenger.addDispatcherTail({ handleRemoteReset: (connection) => void connection.send(Ready.message("")) });
  process.once("SIGINT", () => void connection.close().then(() => messenger.shutdown()));
}

async function submit(): Promise<void> {
  await using messenger = new Messenger();
  const connection = messenger.connectTo(address);
  await Promise.all(jobs.map(async (job) => console.log(`${job}: ${await connection.request(Submit.message(job))}`)));
  await connection.close();
}
