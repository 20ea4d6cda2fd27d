/**
 * `msgr ping`
 *
 * @module
 */

import { MessengerError, NetworkError } from "../errors.ts";
import { EntityAddress } from "../wire/address.ts";
import { now, pause, within } from "./clock.ts";
import { type Command, type Context, ExitCode, jsonOption, UsageError } from "./command.ts";
import { Probe, type ProbedPeer } from "./probe.ts";
import { RoundTrips, type RoundTripSummary } from "./round_trips.ts";
import { exact } from "./units.ts";

/** The longest time that a timer can wait, in s. */
const LONGEST = 2_000_000;

/** Asks for signs of life, and says how long they take. */
export const ping: Command = {
  name: "ping",
  operands: "ADDRESS",
  summary: "round-trip times of a peer",
  details:
    `Sends keepalives, which everything answers that speaks msgr v1: Ceph's monitors and programs with a Messenger.
With --message it sends messages of the type PING, which monitors answer, and "msgr listen".

It knows no key: a daemon that wants one, as OSDs do with cephx, refuses it. Ctrl-C ends it. It fails if no
answer came at all.`,
  options: {
    count: { short: "c", takes: "N", help: "end after N questions" },
    interval: { short: "i", takes: "SECONDS", help: "how long to wait between two (default 1)" },
    timeout: { short: "W", takes: "SECONDS", help: "how long to wait for an answer (default 5)" },
    message: { help: "send messages instead of keepalives" },
    ...jsonOption,
  },
  run,
};

async function run({ args, out, signal }: Context): Promise<number> {
  const address = parseAddress(args.operand(0));
  const count = args.integer("count", 1, Number.MAX_SAFE_INTEGER) ?? Infinity;
  const interval = 1000 * (args.number("interval", 0, LONGEST) ?? 1);
  const timeout = 1000 * (args.number("timeout", 0.001, LONGEST) ?? 5);
  const question = args.has("message") ? "message" : "keepalive", asJson = args.has("json");
  const roundTrips = new RoundTrips(), start = now();
  let probe: Probe | undefined;

  async function round(limited: AbortSignal): Promise<number> {
    if (probe === undefined) {
      probe = await Probe.dial(address, limited);
      await (asJson ? out.json({ event: "connected", ...probe.peer }) : out.line(describePeer(address, probe.peer)));
    }
    return await probe.ask(question);
  }

  for (let number = 1; number <= count && !signal.aborted; number++) {
    if (number > 1) await pause(interval, signal);
    if (signal.aborted) break;
    const late = () => new NetworkError("timed_out", `No answer within ${timeout} ms`);
    try {
      const ms = await within(timeout, late, signal, round);
      roundTrips.answered(ms);
      await (asJson
        ? out.json({ event: "answer", number, ms: exact(ms) })
        : out.line(`answer ${number}: ${ms.toFixed(3)} ms`));
    } catch (error) {
      // A round that is cut short by Ctrl-C was not lost.
      if (signal.aborted) break;
      // There is nobody now, or somebody who is silent: that may change. Somebody who cannot be talked to stays so.
      if (!(error instanceof NetworkError) || error.code === "permission_denied") throw error;
      roundTrips.lost();
      const { code, message } = error;
      await (asJson ? out.json({ event: "lost", number, code, message }) : out.line(`lost ${number}: ${message}`));
      // An answer that comes late must not pass for the next one.
      await probe?.close();
      probe = undefined;
    }
  }
  await probe?.close();
  const { summary } = roundTrips;
  if (asJson) await out.json({ event: "summary", ...summary });
  else await out.write(describeSummary(address, summary, now() - start));
  return summary.answered > 0 ? ExitCode.OK : ExitCode.FAILED;
}

/** An address that can be dialled, as the user has written it. */
export function parseAddress(text: string): EntityAddress {
  try {
    const address = EntityAddress.parse(text);
    if (address.isListening && !address.isBlank) return address;
  } catch (error) {
    if (error instanceof MessengerError) throw new UsageError(error.message);
    throw error;
  }
  throw new UsageError(`Bad address: got "${text}", where nobody can listen`);
}

function describePeer({ endpoint }: EntityAddress, peer: ProbedPeer): string {
  const { protocol, kind, lossy, features, connectMs, handshakeMs } = peer;
  return `${endpoint} is ${peer.address}: connected in ${connectMs.toFixed(1)} ms, session open ${
    handshakeMs.toFixed(1)
  } ms later; protocol ${protocol}${kind === undefined ? "" : ` (${kind})`}, ${
    lossy ? "lossy" : "lossless"
  }, features 0x${features.toString(16)}`;
}

function describeSummary({ endpoint }: EntityAddress, summary: RoundTripSummary, ms: number): string {
  const { sent, answered, lost, min, avg, max, stddev } = summary;
  const share = sent === 0 ? 0 : Math.round(100 * lost / sent);
  const counts = `\n${endpoint}: ${sent} asked, ${answered} answered, ${lost} lost (${share}%), in ${
    Math.round(ms)
  } ms\n`;
  if (min === undefined) return counts;
  const times = [min, avg!, max!, stddev!].map((time) => time.toFixed(3)).join(" / ");
  return `${counts}min / average / max / deviation: ${times} ms\n`;
}
