/**
 * `msgr listen`
 *
 * @module
 */

import { MPing } from "../ceph/mon_messages.ts";
import type { Connection } from "../connection.ts";
import { MessengerError } from "../errors.ts";
import { Message } from "../message.ts";
import { Messenger } from "../messenger.ts";
import { StatsRequest, statsService } from "../stats_service.ts";
import { EntityAddress } from "../wire/address.ts";
import { entityTypeLabel } from "../wire/entity.ts";
import { aborted } from "./clock.ts";
import { type Command, type Context, jsonOption, UsageError } from "./command.ts";
import { segmentsInWords, textOf, typeInWords } from "./message_words.ts";
import type { Output } from "./output.ts";
import { counted } from "./units.ts";

/** Accepts connections, and says what comes. */
export const listen: Command = {
  name: "listen",
  operands: "[ADDRESS]",
  summary: "accept connections and print every message",
  details:
    `ADDRESS is 127.0.0.1:0 unless given: any free port. It accepts everybody, keeps lossless sessions over broken
connections, answers messages of the type PING, and questions of "msgr top". Ctrl-C ends it.

A slow reader of what it prints slows its peers: no message is left out. With --json, text is given as text, and
other bytes in base64.`,
  options: {
    name: { takes: "NAME", help: "who it is, such as osd.3 (default client.?)" },
    echo: { help: "send every message back" },
    ...jsonOption,
  },
  run,
};

async function run({ args, out, signal }: Context): Promise<void> {
  const place = args.optional(0) ?? "127.0.0.1:0", name = args.text("name"), echo = args.has("echo");
  const report = args.has("json") ? new JsonReport(out) : new WordReport(out);
  await using messenger = makeMessenger(name, report);
  statsService(messenger);
  messenger.addDispatcherTail({
    dispatch: async (message) => {
      if (StatsRequest.matches(message)) return false;
      await report.message(message);
      if (echo) message.connection.send(copyOf(message));
      else if (MPing.matches(message)) message.connection.send(MPing.message("", { tid: message.tid }));
      return true;
    },
    handleAccept: (connection) => report.event("connected", connection),
    handleReset: (connection, { dropped, error }) => report.event("ended", connection, dropped, error),
    handleRemoteReset: (connection, { dropped }) => report.event("began anew", connection, dropped),
  });
  const address = await messenger.bind(parsePlace(place));
  await report.listening(address, messenger.name.toString());
  await aborted(signal);
}

/** What is told of, in one of two languages. */
interface Report {
  listening(address: EntityAddress, name: string): Promise<void>;
  event(what: string, connection: Connection, dropped?: number, error?: MessengerError): Promise<void>;
  message(message: Message): Promise<void>;
  trouble(error: MessengerError, peer: string): void;
}

class WordReport implements Report {
  readonly #out: Output;

  constructor(out: Output) {
    this.#out = out;
  }

  listening(address: EntityAddress, name: string): Promise<void> {
    return this.#out.line(`Listening at ${address.endpoint} as ${name}`);
  }

  event(what: string, connection: Connection, dropped = 0, error?: MessengerError): Promise<void> {
    const why = error === undefined ? "" : `: ${error.message}`;
    const cost = dropped === 0 ? "" : `, ${counted(dropped, "message")} to it dropped`;
    const peer = `${connection.peerAddress} (${entityTypeLabel(connection.peerType)})`;
    return this.#out.line(`${peer} ${what}${cost}${why}`);
  }

  message(message: Message): Promise<void> {
    const { seq, type, source, tid, priority } = message;
    return this.#out.line(
      `${message.connection.peerAddress} message ${seq} of ${source}: ${
        typeInWords(type)
      }, tid ${tid}, priority ${priority}, ${segmentsInWords(message)}`,
    );
  }

  trouble(error: MessengerError, peer: string): void {
    void this.#out.line(`${peer} failed: ${error.message}`);
  }
}

class JsonReport implements Report {
  readonly #out: Output;

  constructor(out: Output) {
    this.#out = out;
  }

  listening(address: EntityAddress, name: string): Promise<void> {
    return this.#out.json({ event: "listening", address: address.toString(), name });
  }

  event(what: string, connection: Connection, dropped?: number, error?: MessengerError): Promise<void> {
    const peer = connection.peerAddress.toString(), type = entityTypeLabel(connection.peerType);
    return this.#out.json({ event: what.replace(" ", "_"), peer, type, dropped, error: error?.message });
  }

  message(message: Message): Promise<void> {
    const { seq, type, source, tid, priority, version } = message;
    const [front, middle, data] = [message.front, message.middle, message.data].map(bytesAsJson);
    const peer = message.connection.peerAddress.toString();
    return this.#out.json({
      ...{ event: "message", peer, source: source.toString(), seq, type, tid, priority, version },
      ...{ front, middle, data },
    });
  }

  trouble(error: MessengerError, peer: string): void {
    void this.#out.json({ event: "failed", peer, code: error.code, message: error.message });
  }
}

function makeMessenger(name: string | undefined, report: Report): Messenger {
  try {
    return new Messenger({
      ...(name === undefined ? {} : { name }),
      log: (status) => {
        if (status.type === "fault" && status.error.code !== "connection_lost") {
          report.trouble(status.error, status.peer);
        }
      },
    });
  } catch (error) {
    if (error instanceof MessengerError) throw new UsageError(error.message);
    throw error;
  }
}

function parsePlace(text: string): EntityAddress {
  try {
    return EntityAddress.parse(text);
  } catch (error) {
    if (error instanceof MessengerError) throw new UsageError(error.message);
    throw error;
  }
}

function copyOf({ type, front, middle, data, tid, priority, version, compatVersion }: Message): Message {
  return new Message(type, { front, middle, data, tid, priority, version, compatVersion });
}

/** Text as it is, other bytes in base64; nothing for none. */
function bytesAsJson(bytes: Uint8Array): string | { readonly base64: string } | undefined {
  if (bytes.length === 0) return undefined;
  return textOf(bytes) ?? { base64: base64(bytes) };
}

function base64(bytes: Uint8Array): string {
  let binary = "";
  // In parts: as many arguments as a big segment has bytes are more than a call takes.
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return btoa(binary);
}
