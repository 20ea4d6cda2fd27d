/**
 * One picture of `msgr top`.
 *
 * @module
 */

import type { ConnectionStats, StatsSnapshot } from "../stats_service.ts";
import { plain } from "./message_words.ts";
import { bytes, counted, duration } from "./units.ts";

const HEADINGS = ["PEER", "KIND", "STATE", "QUEUE", "IN/S", "BYTES/S", "IN", "BACK"] as const;
/** The columns that hold words, at the left. */
const WORDS = 3;

/**
 * Draws it: the process, its messenger's numbers, and a row for each connection, the busiest first.
 *
 * @param now What the process says.
 * @param before What it said last, for the rates. After a restart it counts from 0 again: then there are none.
 */
export function topFrame(now: StatsSnapshot, before: StatsSnapshot | undefined): string[] {
  const earlier = before?.since === now.since ? before : undefined;
  const seconds = (now.time - (earlier?.time ?? now.time)) / 1000;
  const rate = (count: number, last: number | undefined): number | undefined =>
    last === undefined || seconds <= 0 ? undefined : (count - last) / seconds;
  const stats = now.stats, last = earlier?.stats;
  const flow = (direction: "recv" | "send"): string => {
    const messages = `msgr_${direction}_messages` as const, size = `msgr_${direction}_bytes` as const;
    const messageRate = rate(stats[messages], last?.[messages]), byteRate = rate(stats[size], last?.[size]);
    const speed = `${eachMessage(messageRate)}, ${eachByte(byteRate)}`;
    return `${speed}; in all ${counted(stats[messages], "message")}, ${bytes(stats[size])}`;
  };
  const lastOf = new Map(earlier?.connections.map((connection) => [connection.peer, connection]));
  const rows = now.connections.map((connection) => ({
    connection,
    rate: rate(connection.received, lastOf.get(connection.peer)?.received),
    bytesRate: rate(connection.receivedBytes, lastOf.get(connection.peer)?.receivedBytes),
  })).sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0) || b.connection.queued - a.connection.queued);

  return [
    `${plain(now.name)} at ${plain(now.address)}, watched for ${duration((now.time - now.since) / 1000)}`,
    `in   ${flow("recv")}`,
    `out  ${flow("send")}`,
    `${counted(now.connections.length, "connection")}, ${counted(stats.connect_attempts, "attempt")} to dial, ${
      counted(stats.reconnects, "reconnect")
    }, ${counted(stats.protocol_errors, "protocol error")}`,
    `${stats.replayed_messages} sent again, ${stats.duplicate_messages} came twice, ${stats.dropped_messages} dropped; ${
      counted(stats.dispatch_queue_len, "message")
    } waiting, ${bytes(stats.dispatch_throttle_bytes)}`,
    "",
    ...table([
      HEADINGS,
      ...rows.map(({ connection, rate, bytesRate }) => [
        `${plain(connection.peer)}${connection.isAsking ? " (you)" : ""}`,
        plain(connection.type),
        connection.isHeld ? `${plain(connection.state)}, held` : plain(connection.state),
        ...numbers(connection, rate, bytesRate),
      ]),
    ]),
  ];
}

function numbers(
  { queued, received, reconnects }: ConnectionStats,
  rate: number | undefined,
  bytesRate: number | undefined,
): string[] {
  return [
    String(queued),
    rate === undefined ? "–" : Math.round(rate).toLocaleString("en"),
    bytesRate === undefined ? "–" : bytes(bytesRate),
    received.toLocaleString("en"),
    String(reconnects),
  ];
}

function eachMessage(rate: number | undefined): string {
  return rate === undefined ? "– messages/s" : `${Math.round(rate).toLocaleString("en")} messages/s`;
}

function eachByte(rate: number | undefined): string {
  return rate === undefined ? "– B/s" : `${bytes(rate)}/s`;
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = HEADINGS.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  return rows.map((row) =>
    row.map((cell, i) => i < WORDS ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  ").trimEnd()
  );
}
