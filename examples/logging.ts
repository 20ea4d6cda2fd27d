/**
 * A messenger's status events in a log, by LogTape: what is ordinary life there, and what an operator should see.
 *
 *     deno run --allow-net=127.0.0.1:6819 examples/logging.ts 127.0.0.1:6819
 *     bun run examples/logging.ts 127.0.0.1:6819
 *     node examples/logging.ts 127.0.0.1:6819
 *
 * Where Deno cannot reach JSR, add --import-map=tools/std/import_map.json after deno run; Bun and Node need npm ci once.
 */

import {
  configure,
  defaultTextFormatter,
  getConsoleSink,
  getLogger,
  type Logger,
  type LogLevel,
} from "@logtape/logtape";
import process from "node:process";
import { Messenger, type MessengerStatus } from "@msgr/pipe";

/** What is not ordinary life. */
const LEVELS: Partial<Record<MessengerStatus["type"], LogLevel>> = {
  listening: "info",
  fault: "warning",
  held: "warning",
  released: "warning",
  no_dispatcher: "warning",
  unhandled_message: "warning",
  not_sent: "error",
  session_reset: "error",
  listen_error: "error",
};

/** What is said of each event; the properties in braces are also the record's own, for whoever keeps records and no text. */
function wordsFor(status: MessengerStatus): string {
  switch (status.type) {
    case "listening":
      return "Listening at {address}";
    case "backoff":
      return "Dialling {peer} again in {pause} ms, attempt {attempt}";
    case "open":
      return status.again ? "The session with {peer} goes on" : "{peer} is connected";
    case "fault":
      return "{peer}: {code}, {reason}";
    case "held":
      return "{peer} is not read: {messages} messages of it wait for their handlers, and it for {by}";
    case "not_sent":
      return "{peer}: {reason}";
    case "session_reset":
      return "{peer} has lost the session: {dropped} messages dropped";
    default:
      return "{peer}: {type}";
  }
}

/** The option `log` for a logger. */
export function logTo(logger: Logger): (status: MessengerStatus) => void {
  return (status) => {
    // The connection itself is for programs: it cannot be written down.
    const { connection: _, error, ...properties } = status;
    const record = { ...properties, ...(error !== undefined && { code: error.code, reason: error.message, error }) };
    logger[LEVELS[status.type] ?? "debug"](wordsFor(status), record);
  };
}

await configure({
  sinks: { console: getConsoleSink({ formatter: defaultTextFormatter }) },
  loggers: [
    { category: "msgr", lowestLevel: "debug", sinks: ["console"] },
    { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["console"] },
  ],
});

await using server = new Messenger({ log: logTo(getLogger(["msgr", "server"])) });
server.addDispatcherTail({ dispatch: () => {} });
const address = await server.bind(process.argv[2] ?? "127.0.0.1:6819");
await using client = new Messenger({ log: logTo(getLogger(["msgr", "client"])) });
const connection = client.connectTo(address);
const events = connection.status();
connection.sendKeepalive();
for await (const { type } of events) {
  if (type === "open") break;
}
await connection.close();
