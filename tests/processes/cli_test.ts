/** The command line, started as a user does. On Deno it has the permissions that its help and the documentation name, and no others. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { Message, Messenger, statelessServer } from "../../mod.ts";
import { readBoth } from "../../src/cli/conversation.ts";
import { statsService } from "../../src/stats_service.ts";
import { AuthProtocol } from "../../src/wire/constants.ts";
import { root, runtimeCommand } from "../../tools/runtimes.ts";
import { ACK, pcap, SYN } from "../cli/pcap_file.ts";
import { capture } from "../wire/golden.ts";
import { type End, Script, thisRuntime } from "./script.ts";

const NET = ["--allow-net"], READ = [...NET, "--allow-read"];

function msgr(words: readonly string[], permissions: readonly string[] = NET): Script {
  return new Script(thisRuntime, "src/cli.ts", words, { permissions });
}

/** How a command ends that needs no looking after. */
async function run(words: readonly string[], permissions?: readonly string[]): Promise<End> {
  await using script = msgr(words, permissions);
  return await script.ended;
}

/** An address where nobody listens, below the ports that systems give to whoever dials. Test files run side by side, each with ten ports. */
async function freeAddress(): Promise<string> {
  await using messenger = new Messenger();
  const first = 10_000 + 10 * (process.pid % 900);
  return (await messenger.bind("127.0.0.1:0", { ports: [first, first + 9] })).endpoint;
}

/** Somebody to talk to. */
async function server(name = "client.9"): Promise<Messenger & { readonly endpoint: string }> {
  const messenger = new Messenger({ name });
  statsService(messenger);
  messenger.addDispatcherTail({ dispatch: () => true });
  const { endpoint } = await messenger.bind("127.0.0.1:0");
  return Object.assign(messenger, { endpoint });
}

test("help is there for the program, a group and every command, and each command is in it", async () => {
  const { code, output } = await run(["--help"]);
  assertEquals(code, 0, output);
  const names = [...output.matchAll(/^ {2}((?:ceph )?[a-z-]+) .* {2}/gm)].map((match) => match[1]!);
  assertEquals(names, [
    ...["ping", "listen", "top", "describe"],
    ...["ceph status", "ceph mon-dump", "ceph ls", "ceph stat", "ceph put", "ceph get", "ceph rm"],
  ]);
  const pages = await Promise.all(["ping", "ceph put"].map((name) => run([...name.split(" "), "--help"])));
  assertEquals(pages.map((page) => page.code), [0, 0]);
  assertStringIncludes(pages[0]!.output, "Usage: msgr ping [OPTION]... ADDRESS\n");
  assertStringIncludes(pages[1]!.output, "Usage: msgr ceph put [OPTION]... POOL OBJECT [FILE]\n");
  assertStringIncludes((await run(["ceph", "-h"])).output, "ceph get POOL OBJECT [FILE]");
});

test("what there is not ends with 2, and says where help is", async () => {
  const ends = await Promise.all([
    ...[[], ["ceph"], ["frobnicate"], ["ceph", "frobnicate"], ["ping"], ["ping", "--frob", "127.0.0.1:1"]],
    ...[["ping", "nowhere"], ["ping", "127.0.0.1:0"], ["listen", "--name", "you", "127.0.0.1:0"]],
  ].map((words) => run(words)));
  assertEquals(ends.map(({ code }) => code), ends.map(() => 2));
  assertStringIncludes(ends[2]!.output, 'There is no command "frobnicate"; "msgr --help" lists them\n');
  assertEquals(ends[5]!.output, 'msgr ping: There is no option --frob\n"msgr ping --help" says more\n');
});

test("ping says who is there, how long each answer takes, and the sum of it", async () => {
  await using peer = await server("osd.3");
  const { code, output } = await run(["ping", "-c", "3", "-i", "0.01", peer.endpoint]);
  assertEquals(code, 0, output);
  assertStringIncludes(output, `${peer.endpoint} is ${peer.address}: connected in `);
  assertMatch(output, /protocol 24 \(osd\), lossless, features 0x/);
  assertEquals(output.match(/^answer \d: \d+\.\d{3} ms$/gm)?.length, 3, output);
  assertMatch(output, /: 3 asked, 3 answered, 0 lost \(0%\), in \d+ ms\nmin \/ average \/ max \/ deviation: /);
  assertEquals(peer.connections, [], "it has said goodbye");
});

test("ping prints JSON for programs", async () => {
  await using peer = await server();
  peer.setPolicy(statelessServer());
  const { code, output } = await run(["ping", "--json", "-c2", "-i0", peer.endpoint]);
  assertEquals(code, 0, output);
  const [connected, first, second, summary, ...others] = output.trimEnd().split("\n").map((line) => JSON.parse(line));
  assertEquals(others, []);
  assertEquals([connected.event, connected.address, connected.lossy], ["connected", String(peer.address), true]);
  assertEquals([first.event, first.number, second.number], ["answer", 1, 2]);
  assertEquals([summary.event, summary.sent, summary.answered, summary.lost], ["summary", 2, 2, 0]);
  assert(summary.min <= summary.avg && summary.avg <= summary.max, output);
});

test("ping where nobody listens fails, and finds a peer that comes", async () => {
  const address = await freeAddress();
  const nobody = await run(["ping", "-c", "2", "-i", "0", address]);
  assertEquals(nobody.code, 1, nobody.output);
  assertStringIncludes(nobody.output, "2 asked, 0 answered, 2 lost (100%)");

  await using script = msgr(["ping", "-i", "0.05", address]);
  await script.prints(/^lost 1: .+\n/m);
  await using peer = new Messenger();
  peer.addDispatcherTail({});
  await peer.bind(address);
  await script.prints(/^answer \d+: .+\n/m);
  await peer.shutdown();
  await script.prints(/^answer [^]*^lost \d+: .+\n/m);
  const { code, output } = await script.interrupt();
  assertEquals(code, 0, output);
  assertMatch(output, /\d+ asked, [1-9]\d* answered, [1-9]\d* lost/);
});

test("ping tells a peer that says nothing, and one that speaks something else", async () => {
  const address = await freeAddress();
  const { createServer } = await import("node:net");
  let greeting = "";
  const stranger = createServer((socket) => socket.on("error", () => {}).write(greeting));
  await new Promise<void>((resolve) => stranger.listen(Number(address.split(":")[1]), "127.0.0.1", resolve));
  try {
    const silent = await run(["ping", "-c1", "-W", "0.2", address]);
    assertEquals(silent.code, 1);
    assertStringIncludes(silent.output, "lost 1: No answer within 200 ms");
    greeting = "ceph v2\n";
    const v2 = await run(["ping", address]);
    assertEquals(v2.code, 1);
    assertStringIncludes(v2.output, "a msgr v2 port: dial the v1 port");
  } finally {
    stranger.close();
  }
});

test("ping has no key: it says a name where that is enough, and is refused elsewhere", async () => {
  let names = 0;
  await using peer = await server("osd.1");
  peer.addDispatcherHead({
    verifyAuthorizer: ({ protocol }) => ({ valid: protocol === AuthProtocol.NONE && names++ === 0 }),
  });
  const named = await run(["ping", "-c1", peer.endpoint]);
  assertEquals([named.code, names], [0, 1], named.output);
  const refused = await run(["ping", "-c1", peer.endpoint]);
  assertEquals(refused, {
    code: 1,
    output: `msgr ping: Cannot ask ${peer.endpoint}: it wants a key, which ping has not\n`,
  });
});

test("listen prints who comes and goes and what they say, and answers", async () => {
  await using script = msgr(["listen", "--name", "osd.7", "--echo"]);
  const [, address] = await script.prints(/^Listening at (.+) as osd\.7\n/);
  const messenger = new Messenger({ name: "client.5", nonce: 77 });
  const echoed = Promise.withResolvers<Message>();
  messenger.addDispatcherTail({ dispatch: (message) => echoed.resolve(message) });
  const connection = messenger.connectTo(address!, { type: "osd" });
  const [front, data] = [new TextEncoder().encode("hello\x1b"), Uint8Array.of(1, 2, 255)];
  connection.send(new Message(0x8001, { front, data, tid: 3, priority: 63 }));
  const { type, tid, front: back } = await script.whileRunning(echoed.promise);
  assertEquals([type, tid, back], [0x8001, 3, front]);
  await connection.close();
  await messenger.shutdown();
  await script.prints(/ ended.*\n/);
  const { code, output } = await script.interrupt();
  assertEquals(code, 0);
  const [, connected, message] = output.split("\n");
  assertEquals(connected, "127.0.0.1:0/77 (client) connected");
  assertEquals(
    message,
    "127.0.0.1:0/77 message 1 of client.5: type 0x8001, tid 3, priority 63, front 6 B 68656c6c6f1b, data 3 B 0102ff",
  );
});

test("listen prints a line of JSON for everything, and ping and top find it", async () => {
  await using script = msgr(["listen", "--json", "127.0.0.1:0"]);
  const [line] = await script.prints(/^.+\n/), address = JSON.parse(line).address.replace(/\/\d+$/, "");
  const ping = await run(["ping", "--message", "-c1", address]);
  assertEquals(ping.code, 0, ping.output);
  const top = await run(["top", "--json", "-c1", address]);
  assertEquals(top.code, 0, top.output);
  assertEquals(JSON.parse(top.output).stats.msgr_recv_messages, 2);
  await script.prints(/^(?:.*\n)*.*"event":"ended".*\n(?:.*\n)*.*"event":"ended".*\n/);
  const { code, output } = await script.interrupt();
  assertEquals(code, 0, output);
  const events = output.trimEnd().split("\n").map((text) => JSON.parse(text));
  const kinds = events.map(({ event, type }) => event === "message" ? `message ${type}` : event);
  assertEquals(kinds, ["listening", "connected", "message 2", "ended", "connected", "ended"]);
});

test("top shows connections again and again, through a restart of the process, until Ctrl-C", async () => {
  const address = await freeAddress();
  const first = new Messenger({ name: "client.1" });
  let questions = 0;
  const unanswered = Promise.withResolvers<void>();
  statsService(first);
  first.addDispatcherHead({
    dispatch: () => {
      if (++questions < 3) return false;
      unanswered.resolve();
      return true;
    },
  });
  await first.bind(address);
  await using script = msgr(["top", "-i", "0.05", address]);
  await script.prints(/^client\.1 at [^]*^PEER +KIND +STATE +QUEUE +IN\/S[^]*\(you\) +client +open +0 .*\n/m);
  await script.whileRunning(unanswered.promise);
  await first.shutdown();
  await using second = new Messenger({ name: "client.2" });
  statsService(second);
  await second.bind(address);
  await script.prints(/^client\.2 at .*\n/m);
  const { code, output } = await script.interrupt();
  assertEquals(code, 0, output);
  assert(!output.includes("\x1b"), "no orders to a terminal where there is none");
});

test("top says why it has nothing to show", async () => {
  await using peer = await server("osd.1");
  const wrong = await run(["top", "-c1", peer.endpoint]);
  assertEquals(wrong.code, 1);
  assertStringIncludes(wrong.output, "it speaks protocol 24, not 0");
  const right = await run(["top", "-c1", "--type", "osd", peer.endpoint]);
  assertEquals(right.code, 0, right.output);
  assertStringIncludes(right.output, "osd.1 at ");
});

test("describe reads what one side sent, both sides, and fails where it is damaged", async () => {
  const golden = `${root}/tests/golden/peer-lossy-echo`;
  const both = await run(["describe", golden], READ);
  assertEquals(both.code, 0, both.output);
  assertEquals(both.output.match(/^[→←] +\d+ {2}.+$/gm)?.length, 15);
  assertStringIncludes(both.output, "→     186  message 1: type 2 (PING), tid 0, ");
  const folder = mkdtempSync("/tmp/msgr-cli-");
  try {
    const bytes = Buffer.from(readFileSync(`${golden}.s2c.hex`, "utf8").replaceAll(/\s/g, ""), "hex");
    writeFileSync(`${folder}/one`, bytes);
    const one = await run(["describe", "--json", `${folder}/one`], READ);
    assertEquals(one.code, 0, one.output);
    const kinds = one.output.trimEnd().split("\n").map((line) => JSON.parse(line).kind);
    assertEquals(kinds.slice(0, 5), ["banner", "address", "address", "connect_reply", "in_seq"]);
    bytes[bytes.length - 30]! ^= 1;
    writeFileSync(`${folder}/one`, bytes);
    const bad = await run(["describe", `${folder}/one`], READ);
    assertEquals(bad.code, 1);
    assertEquals(bad.output.match(/^←.*message/gm)?.length, 2);
    assertMatch(bad.output, /^msgr describe: Bad data_crc: .*; 149 bytes were not read$/m);
    const missing = await run(["describe", `${folder}/none`], READ);
    assertEquals(missing.code, 1);
    assertMatch(missing.output, /^msgr describe: .*none.*\n$/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("describe finds every conversation in a capture of packets, and interleaves it by their times", async () => {
  const { connector, acceptor } = capture("ping-none"), folder = mkdtempSync("/tmp/msgr-cli-");
  try {
    const packets = [
      { from: 8, to: 9, seq: 1, text: "GET / HTTP/1.1" },
      { from: 1, to: 2, seq: 0, flags: SYN },
      { from: 2, to: 1, seq: 0, flags: SYN | ACK },
      { from: 2, to: 1, seq: 1, text: acceptor.subarray(0, 281) },
      { from: 1, to: 2, seq: 1, text: connector },
      { from: 2, to: 1, seq: 282, text: acceptor.subarray(281) },
    ].map((packet, i) => ({ ...packet, time: 1_700_000_000_000 + i }));
    writeFileSync(`${folder}/file`, pcap(packets));
    const { code, output } = await run(["describe", `${folder}/file`], READ);
    assertEquals(code, 0, output);
    const lines = output.trimEnd().split("\n"), both = readBoth(connector, acceptor).records;
    assertEquals(lines[0], `10.0.0.1:1 → 10.0.0.2:2: ${both.length} records`);
    assertEquals(lines.slice(1, 5).map((line) => line.replace(/ address of.*/, " address")), [
      ...['22:13:20.003 ←       0  banner "ceph v027"', "22:13:20.003 ←       9  address"],
      ...["22:13:20.003 ←     145  address", '22:13:20.004 →       0  banner "ceph v027"'],
    ]);
    assertEquals(lines.length, 1 + both.length);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a reader that goes away ends it quietly", async () => {
  await using peer = await server();
  const { command, args } = runtimeCommand(thisRuntime, "src/cli.ts", ["ping", "-i", "0", peer.endpoint]);
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => errors += text);
  child.stdout.once("data", () => child.stdout.destroy());
  const code = await new Promise((resolve) => child.on("close", resolve));
  assertEquals([code, errors], [0, ""]);
});
