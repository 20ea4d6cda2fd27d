/**
 * A messenger's log through LogTape, or any logger of that shape. Here a logger of five lines stands in for it, so that this runs without it:
 *
 *     deno run --allow-net=127.0.0.1:6819 examples/logging.ts 127.0.0.1:6819
 *     bun run examples/logging.ts 127.0.0.1:6819
 *     node examples/logging.ts 127.0.0.1:6819
 *
 * Where Deno cannot reach JSR, add --import-map=tools/std/import_map.json after deno run; Bun and Node need npm ci once. With LogTape:
 *
 *     import { getLogger } from "@logtape/logtape";
 *     const messenger = new Messenger({ log: logTo(getLogger(["msgr", "pipe"])) });
 */

import process from "node:process";
import { type LogEvent, Messenger } from "@msgr/pipe";

type Level = "debug" | "info" | "warn" | "error";
/** What is used of LogTape's `Logger`. */
type Logger = Record<Level, (message: string, properties: Record<string, unknown>) => void>;

/** Ordinary life is for debugging; what was lost is not. */
const LEVELS: Partial<Record<LogEvent["event"], Level>> = {
  listening: "info",
  refused: "warn",
  fault: "warn",
  unhandled_message: "warn",
  session_reset: "error",
  listen_error: "error",
};

/** The option `log` for that logger. */
export function logTo(logger: Logger): (event: LogEvent) => void {
  return ({ event, peer, state, error, detail }) => {
    const properties = { event, peer, state, code: error?.code, error, detail };
    logger[LEVELS[event] ?? "debug"](
      `${event} ${[peer, detail, error?.message].filter(Boolean).join(": ")}`,
      properties,
    );
  };
}

const write = (level: Level) => (message: string): void => console.log(`${level} ${message}`);
const logger: Logger = { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };

await using server = new Messenger({ log: logTo(logger) });
const { promise: accepted, resolve } = Promise.withResolvers<void>();
server.addDispatcherTail({ handleAccept: () => resolve() });
const address = await server.bind(process.argv[2] ?? "127.0.0.1:6819");
await using client = new Messenger();
client.connectTo(address).sendKeepalive();
await accepted;
