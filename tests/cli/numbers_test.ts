import { assertEquals } from "@std/assert";
import { test } from "node:test";
import { segmentsInWords, textOf, typeInWords } from "../../src/cli/message_words.ts";
import { progressLine } from "../../src/cli/progress.ts";
import { RoundTrips } from "../../src/cli/round_trips.ts";
import { bytes, duration } from "../../src/cli/units.ts";

const MIB = 1024 * 1024;

test("round trips are summed up as ping does, lost ones included", () => {
  const roundTrips = new RoundTrips();
  assertEquals(roundTrips.summary, { sent: 0, answered: 0, lost: 0 });
  for (const ms of [2, 4, 4, 4, 5, 5, 7, 9]) roundTrips.answered(ms);
  roundTrips.lost();
  const { stddev = NaN, avg = NaN, ...others } = roundTrips.summary;
  assertEquals(others, { sent: 9, answered: 8, lost: 1, min: 2, max: 9 });
  assertEquals([avg.toFixed(9), stddev.toFixed(9)], ["5.000000000", "2.000000000"]);
});

test("a bar shows how far a transfer is, how fast, and when it will be over", () => {
  assertEquals(
    progressLine(16 * MIB, 64 * MIB, 2000, 79),
    "[#######.....................]   25%  16.0 MiB of 64.0 MiB  8.0 MiB/s  6 s left",
  );
  assertEquals(progressLine(64 * MIB, 64 * MIB, 2000, 79).slice(-6), "s left");
  assertEquals(progressLine(16 * MIB, undefined, 2000, 79), "16.0 MiB  8.0 MiB/s");
  assertEquals(progressLine(0, 0, 0, 79), "0 B  0 B/s");
});

test("the bar fits into the terminal, and goes where there is no room for it", () => {
  for (let width = 1; width < 120; width++) {
    const line = progressLine(16 * MIB, 64 * MIB, 2000, width);
    assertEquals(line.length <= width, true, `${line.length} characters in ${width}`);
    assertEquals(line.includes("#"), width >= 61, `width ${width}`);
  }
});

test("numbers are written as people read them", () => {
  assertEquals([0, 999, 1000, 1024, 1536, 512 * 1024, 5 * MIB].map(bytes), [
    ...["0 B", "999 B", "1.0 KiB", "1.0 KiB", "1.5 KiB", "512 KiB", "5.0 MiB"],
  ]);
  assertEquals([0.4, 59, 60, 125, 3725].map(duration), ["0 s", "59 s", "1:00", "2:05", "1:02:05"]);
});

test("messages are told in words, and never give orders to the terminal", () => {
  const utf8 = new TextEncoder(), none = new Uint8Array(0);
  assertEquals([typeInWords(2), typeInWords(999), typeInWords(0x8001)], ["type 2 (PING)", "type 999", "type 0x8001"]);
  assertEquals(segmentsInWords({ front: none, middle: none, data: none }), "empty");
  assertEquals(
    segmentsInWords({ front: utf8.encode('a "b"\n'), middle: none, data: Uint8Array.of(0, 255) }),
    'front 6 B "a \\"b\\"\\n", data 2 B 00ff',
  );
  assertEquals(segmentsInWords({ front: utf8.encode("\x1b[2J"), middle: none, data: none }), "front 4 B 1b5b324a");
  assertEquals(segmentsInWords({ front: utf8.encode("x".repeat(1000)), middle: none, data: none }).length < 100, true);
  assertEquals(textOf(utf8.encode("grüße\t\n")), "grüße\t\n");
  assertEquals(textOf(utf8.encode("\u009b2J")), undefined);
});
