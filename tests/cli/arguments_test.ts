import { assertEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { Arguments } from "../../src/cli/arguments.ts";
import { UsageError } from "../../src/cli/command.ts";

const command = {
  operands: "ADDRESS [FILE]",
  options: { count: { short: "c", takes: "N", help: "" }, json: { help: "" } },
};

const parse = (...words: string[]): Arguments => Arguments.parse(command, words);

test("options may stand before, between and behind operands, in long and in short", () => {
  for (const words of [["-c", "3", "a", "b"], ["a", "--count=3", "b"], ["a", "b", "-c3"], ["a", "--count", "3", "b"]]) {
    const args = parse(...words, "--json");
    assertEquals([args.operand(0), args.optional(1), args.integer("count", 1, 9)], ["a", "b", 3], words.join(" "));
    assertEquals([args.has("json"), parse("a").has("json")], [true, false]);
  }
});

test("behind -- everything is an operand", () => {
  assertEquals(parse("--", "--json", "-").operand(0), "--json");
  assertEquals(parse("-").operand(0), "-");
});

test("what is missing, too much or unknown is named", () => {
  assertThrows(() => parse(), UsageError, "ADDRESS is missing");
  assertThrows(() => parse("a", "b", "c"), UsageError, '"c" is one argument too many');
  assertThrows(() => parse("a", "--jsno"), UsageError, "There is no option --jsno");
  assertThrows(() => parse("a", "-x"), UsageError, "There is no option -x");
  assertThrows(() => parse("a", "--json=yes"), UsageError, "--json takes no value");
  assertThrows(() => parse("a", "--count"), UsageError, "--count needs a value: N");
});

test("numbers are held to their range", () => {
  assertEquals(parse("a").number("count", 0, 1), undefined);
  assertEquals(parse("a", "-c", "0.5").number("count", 0, 1), 0.5);
  for (const word of ["2", "x", "", "NaN"]) {
    assertThrows(() => parse("a", `--count=${word}`).number("count", 0, 1), UsageError, "expected 0 to 1");
  }
  assertThrows(() => parse("a", "-c", "0.5").integer("count", 0, 1), UsageError, "a whole number");
});
