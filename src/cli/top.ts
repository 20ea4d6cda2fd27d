/**
 * `msgr top`
 *
 * @module
 */

import { MessengerError, NetworkError } from "../errors.ts";
import { Messenger } from "../messenger.ts";
import { StatsReply, StatsRequest, type StatsSnapshot } from "../stats_service.ts";
import { pause, within } from "./clock.ts";
import { type Command, type Context, jsonOption, UsageError } from "./command.ts";
import type { Output } from "./output.ts";
import { parseAddress } from "./ping.ts";
import { topFrame } from "./top_frame.ts";

/** How long the process may take to answer, in ms. */
const PATIENCE = 5_000;
/** How long saying goodbye may take, in ms. */
const CLOSE_PATIENCE = 500;
const LONGEST = 2_000_000;

/** To another screen, and back, so that the shell's is as it was. */
const ENTER = "\x1b[?1049h\x1b[?25l", LEAVE = "\x1b[?25h\x1b[?1049l";

/** Shows what a process' connections are doing, again and again. */
export const top: Command = {
  name: "top",
  operands: "ADDRESS",
  summary: "watch the connections of a process",
  details:
    `Shows each connection of a process with its state, its queue, its rates and how often it came back. The process
has to let itself be asked, with statsService(messenger) of "@msgr/pipe/stats"; "msgr listen" does.

On a terminal it draws over what it drew before; elsewhere it prints one picture after the other. Ctrl-C ends it.`,
  options: {
    count: { short: "c", takes: "N", help: "end after N pictures" },
    interval: { short: "i", takes: "SECONDS", help: "how long to wait between two (default 1)" },
    type: { takes: "KIND", help: "what kind of entity it is: osd, mon, … (default client)" },
    ...jsonOption,
  },
  run,
};

async function run({ args, out, signal }: Context): Promise<void> {
  const address = parseAddress(args.operand(0));
  const count = args.integer("count", 1, Number.MAX_SAFE_INTEGER) ?? Infinity;
  const interval = 1000 * (args.number("interval", 0.01, LONGEST) ?? 1);
  const asJson = args.has("json"), isScreen = out.isTerminal && !asJson;
  await using source = new StatsSource(address.endpoint, args.text("type") ?? "client");
  let before: StatsSnapshot | undefined;
  if (isScreen) await out.write(ENTER);
  try {
    for (let number = 1; number <= count && !signal.aborted; number++) {
      if (number > 1) await pause(interval, signal);
      if (signal.aborted) break;
      const snapshot = await source.ask(signal);
      if (asJson) await out.json(snapshot);
      else await show(out, topFrame(snapshot, before), isScreen);
      before = snapshot;
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    if (isScreen) await out.write(LEAVE);
  }
}

async function show(out: Output, lines: readonly string[], isScreen: boolean): Promise<void> {
  if (!isScreen) return await out.write(`${lines.join("\n")}\n\n`);
  const visible = lines.slice(0, out.rows - 1).map((line) => `${line.slice(0, out.columns)}\x1b[K\n`);
  await out.write(`\x1b[H${visible.join("")}\x1b[J`);
}

/** A process that is asked for its numbers. */
class StatsSource implements AsyncDisposable {
  readonly #endpoint: string;
  readonly #type: string;
  readonly #messenger: Messenger;
  #tid = 0;
  #waiting: PromiseWithResolvers<StatsSnapshot> | undefined;
  #lastError: MessengerError | undefined;

  constructor(endpoint: string, type: string) {
    this.#endpoint = endpoint;
    this.#type = type;
    this.#messenger = new Messenger({
      log: ({ error }) => {
        this.#lastError = error ?? this.#lastError;
        // The others may go away by themselves: a process is restarted, a cable is plugged in again.
        if (error !== undefined && !(error instanceof NetworkError)) this.#waiting?.reject(error);
      },
    });
    this.#messenger.on(StatsReply, (snapshot, { tid }) => {
      if (tid === this.#tid) this.#waiting?.resolve(snapshot);
    });
    // A process that was asked and is restarted has forgotten it.
    this.#messenger.addDispatcherTail({ handleReset: () => this.#send(), handleRemoteReset: () => this.#send() });
  }

  /** @throws {NetworkError} With code `timed_out` if it does not answer. */
  async ask(signal: AbortSignal): Promise<StatsSnapshot> {
    const late = (): NetworkError => {
      const why = this.#lastError?.message ?? "does it have a statsService?";
      return new NetworkError("timed_out", `No answer from ${this.#endpoint} within ${PATIENCE} ms: ${why}`);
    };
    this.#tid++;
    this.#lastError = undefined;
    const { promise } = this.#waiting = Promise.withResolvers<StatsSnapshot>();
    try {
      return await within(PATIENCE, late, signal, () => {
        this.#send();
        return promise;
      });
    } finally {
      this.#waiting = undefined;
    }
  }

  #send(): void {
    if (this.#waiting !== undefined) this.#connect().send(StatsRequest.message(null, { tid: this.#tid }));
  }

  #connect(): ReturnType<Messenger["connectTo"]> {
    try {
      return this.#messenger.connectTo(this.#endpoint, { type: this.#type });
    } catch (error) {
      if (error instanceof MessengerError && error.code === "invalid") throw new UsageError(error.message);
      throw error;
    }
  }

  /** Says goodbye, so that the process does not keep the session for us. */
  async [Symbol.asyncDispose](): Promise<void> {
    const goodbyes = this.#messenger.connections.map((connection) => connection.close());
    const patience = new AbortController();
    await Promise.race([Promise.all(goodbyes), pause(CLOSE_PATIENCE, patience.signal)]);
    patience.abort();
    await this.#messenger.shutdown();
  }
}
