/**
 * An HTTP server on Bun that splits what is posted into lines and lets workers count their words, all at once. The workers may be on any runtime:
 *
 *     deno run --allow-net=127.0.0.1:6817 examples/fan_out_worker.ts 127.0.0.1:6817
 *     node examples/fan_out_worker.ts 127.0.0.1:6818
 *     bun run examples/fan_out_server.ts 6816 127.0.0.1:6817 127.0.0.1:6818
 *     curl --data-binary @README.md http://127.0.0.1:6816/
 *
 * Bun and Node need npm ci once.
 */

import process from "node:process";
import { Messenger, MessengerError } from "@msgr/pipe";
import { Count } from "./fan_out_messages.ts";

declare const Bun: {
  serve(options: {
    readonly hostname: string;
    readonly port: number;
    readonly fetch: (request: Request) => Promise<Response>;
  }): { readonly url: URL; stop(closeAll: boolean): Promise<void> };
};

const [port = "6816", ...addresses] = process.argv.slice(2);
const messenger = new Messenger();
const workers = addresses.map((address) => messenger.connectTo(address));

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: Number(port),
  fetch: async (request) => {
    const lines = (await request.text()).split("\n");
    try {
      // Whoever hangs up before that needs no answer, and a worker that is away may be back within the time.
      const signal = AbortSignal.any([request.signal, AbortSignal.timeout(5000)]);
      const counts = await Promise.all(workers.map((worker, i) => {
        const share = lines.filter((_, line) => line % workers.length === i).join("\n");
        return worker.request(Count.message(share), { signal });
      }));
      return Response.json({ words: counts.reduce((sum, { words }) => sum + words, 0), workers: workers.length });
    } catch (error) {
      const code = error instanceof MessengerError ? error.code : "timed_out";
      return Response.json({ error: code }, { status: 503 });
    }
  },
});
console.log(`Serving ${server.url}`);
process.once("SIGINT", () => void server.stop(true).then(() => messenger.shutdown()));
