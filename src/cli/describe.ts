/**
 * `msgr describe`
 *
 * @module
 */

import { type ConversationRecord, describeRecord } from "../wire/describe.ts";
import { TAGGED_HEADER_SIZE } from "../wire/frame.ts";
import { type Capture, readCapture } from "./capture.ts";
import { type Command, type Context, ExitCode, jsonOption } from "./command.ts";
import { readBoth, type Reading, readOne } from "./conversation.ts";
import { segmentsInWords, typeInWords, typeName } from "./message_words.ts";
import type { Output } from "./output.ts";

/** Takes a captured conversation apart. */
export const describe: Command = {
  name: "describe",
  operands: "FILE",
  summary: "a captured conversation in words",
  details:
    `FILE may hold packets, as "tcpdump -w FILE port 6789" writes them (pcap); or what one side sent, from the handshake on
or from any record on; as bytes or in hexadecimal digits. Beside NAME.c2s.hex it looks for NAME.s2c.hex, the other
side, and NAME stands for both.

→ is what the connecting side says (and who cannot be told apart without a handshake), ← what the accepting side
says, and the number is where that begins among its bytes. All crcs are checked. It fails at the first byte that means nothing, when it has printed all before that.
Without the times of packets, the order between the sides is one that can have been.`,
  options: {
    contents: { help: "print how the messages' segments begin" },
    ...jsonOption,
  },
  run,
};

async function run({ args, out, err, signal }: Context): Promise<number> {
  const asJson = args.has("json"), withContents = args.has("contents");
  let code: number = ExitCode.OK;
  for (const capture of await readCapture(args.operand(0))) {
    const reading = capture.kind === "both"
      ? inTime(readBoth(capture.connector, capture.acceptor), capture)
      : readOne(capture.bytes);
    if (!asJson) await out.line(`${capture.title}: ${reading.records.length} records`);
    for (const record of reading.records) {
      if (signal.aborted) return ExitCode.INTERRUPTED;
      const time = timeOf(capture, record);
      if (asJson) await out.json({ conversation: capture.title, seen: time, ...asObject(record) });
      else await out.line(inWords(record, time, withContents));
    }
    await out.flushed;
    if (await complain(err, reading)) code = ExitCode.FAILED;
  }
  return code;
}

/** Says what could not be read; true if that is an error. */
async function complain(err: Output, { rest, error, records }: Reading): Promise<boolean> {
  if (error !== undefined) await err.line(`msgr describe: ${error.message}; ${rest} bytes were not read`);
  else if (records.length === 0) await err.line("msgr describe: there is nothing in it that msgr v1 would have");
  else if (rest > 0) await err.line(`msgr describe: ${rest} bytes at the end are no whole record`);
  return error !== undefined || records.length === 0;
}

function timeOf(capture: Capture, { from, offset, bytes }: ConversationRecord): number | undefined {
  return capture.kind === "both" ? capture.timeOf?.(from, offset + bytes.length - 1) : undefined;
}

/** In the order in which the packets with the records' ends came, where that is known. */
function inTime(reading: Reading, capture: Capture): Reading {
  const timed = reading.records.map((record) => ({ record, time: timeOf(capture, record) }));
  if (timed.some(({ time }) => time === undefined)) return reading;
  return { ...reading, records: timed.toSorted((a, b) => a.time! - b.time!).map(({ record }) => record) };
}

function inWords(record: ConversationRecord, time: number | undefined, withContents: boolean): string {
  const { from, offset, content } = record;
  const when = time === undefined ? "" : `${new Date(time).toISOString().slice(11, -1)} `;
  const start = `${when}${from === "connector" ? "→" : "←"} ${String(offset).padStart(7)}  `;
  const words = describeRecord(record);
  if (content.kind !== "message") return start + words;
  const line = start + words.replace(`type ${content.header.type},`, `${typeInWords(content.header.type)},`);
  return withContents ? `${line}\n${" ".repeat(start.length)}${segmentsInWords(segmentsOf(record))}` : line;
}

function segmentsOf({ bytes, content }: ConversationRecord): Record<"front" | "middle" | "data", Uint8Array> {
  if (content.kind !== "message") throw new TypeError(`A record of kind ${content.kind} has no segments`);
  const { frontLength, middleLength, dataLength } = content.header;
  const middle = TAGGED_HEADER_SIZE + frontLength, data = middle + middleLength;
  return {
    front: bytes.subarray(TAGGED_HEADER_SIZE, middle),
    middle: bytes.subarray(middle, data),
    data: bytes.subarray(data, data + dataLength),
  };
}

/** A record for programs to read. */
function asObject({ from, offset, bytes, content }: ConversationRecord): Record<string, unknown> {
  const record = { from, offset, length: bytes.length, kind: content.kind };
  switch (content.kind) {
    case "address":
      return { ...record, of: content.of, address: content.address.toString() };
    case "connect":
      return { ...record, ...content.request };
    case "connect_reply":
      return { ...record, ...content.reply };
    case "message":
      return { ...record, name: typeName(content.header.type), ...content.header, footer: content.footer };
    default:
      return { ...record, ...content };
  }
}
