/**
 * What Wireshark makes of our conversations. `tools/interop/main.ts` starts the cluster and runs this file; `deno task test` does not.
 */

import { assertArrayIncludes, assertEquals } from "@std/assert";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { RadosClient } from "../../src/ceph/mod.ts";
import { cluster, dissect } from "./cluster.ts";
import { Line } from "./line.ts";
import { Pcap } from "./pcap.ts";

const { auth, conf, keyring } = cluster, pool = cluster.pool!;

/** Recordings of Ceph's own clients, with a monitor and with an OSD. */
const recordings = { none: ["mon-none.2", "rados-none.4", "rados-none.10"], cephx: ["mon-cephx.2"] }[auth];

/** What we say, as Wireshark names it. */
const ours = [
  "Auth",
  "Connect",
  "KEEPALIVE2",
  "Mon Command",
  "Mon Subscribe",
  "Monitor Get Version",
  // With cephx an OSD asks for a proof of who we are that came after Wireshark's dissector: it is lost from there on.
  ...(auth === "none" ? ["OSD Operation"] : []),
  "Sequence Number",
  "Stat FS",
];

test(`Wireshark knows all that we say, and stumbles over nothing that Ceph's own clients do not say (${auth})`, async () => {
  const capture = new Pcap();
  {
    await using line = await Line.make(capture.tap);
    await using client = await RadosClient.connect({ conf, keyring, network: line });
    await client.mon.command({ prefix: "status" });
    await client.mon.statfs();
    await client.mon.mapVersions("osdmap");
    if (auth === "none") {
      const objects = await client.pool(pool);
      await objects.put("captured", "begin");
      await objects.append("captured", "end");
      await objects.get("captured");
      await objects.remove("captured");
    }
  }
  const said = await readings(capture);
  const names = said.filter(({ from }) => from === "client").flatMap(({ names }) => names);
  assertEquals([...new Set(names)].sort(), ours);
  const usual = (await readings(recorded())).filter(({ isMalformed }) => isMalformed).map(({ names }) => names.at(-1));
  const unusual = said.filter(({ isMalformed, names }) => isMalformed && !usual.includes(names.at(-1)));
  // Else the line above would have compared with nothing.
  assertArrayIncludes(usual, auth === "none" ? ["Mon Map", "OSD Operation", "OSD Operation Reply"] : ["Mon Map"]);
  assertEquals(unusual, []);
});

/** What Wireshark makes of one packet. */
interface Reading {
  readonly from: "client" | "server";
  /** The names of the messages that end in it. */
  readonly names: string[];
  /** Whether the last of them is not what Wireshark thinks it should be. */
  readonly isMalformed: boolean;
}

async function readings(capture: Pcap): Promise<Reading[]> {
  const fields = ["_ws.col.Info", "tcp.srcport", "_ws.malformed"].flatMap((field) => ["-e", field]);
  const text = await dissect(await capture.file(), "-Y", "ceph", "-T", "fields", ...fields);
  return text.trimEnd().split("\n").map((line) => {
    const [info = "", port = "", malformed = ""] = line.split("\t");
    return {
      from: capture.isServer(Number(port)) ? "server" : "client",
      names: info.replace(/\[.*/, "").split(" | "),
      isMalformed: malformed !== "",
    };
  });
}

function recorded(): Pcap {
  const capture = new Pcap();
  recordings.forEach((name, i) => {
    for (const [from, file] of [["client", "c2s"], ["server", "s2c"]] as const) {
      const hex = readFileSync(`tests/golden/${name}.${file}.hex`, "utf8").replace(/#.*|\s/g, "");
      capture.tap(40_000 + i, 6789 + i, from, Uint8Array.from(hex.match(/../g)!, (byte) => parseInt(byte, 16)));
    }
  });
  return capture;
}
