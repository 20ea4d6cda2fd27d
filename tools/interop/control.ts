/**
 * Lets a test do to the cluster what it may not do itself: on Deno it has the permission for the network, and no other.
 *
 * @module
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import type { Cluster, DaemonName } from "./cluster.ts";
import { tool } from "./program.ts";

/** What a request says: the rest of it is the input of what is asked for. */
export type Order =
  /** Has a daemon come and go. */
  | { readonly do: "start" | "stop" | "kill" | "pause" | "resume"; readonly daemon: DaemonName }
  /** Runs `ceph`. */
  | { readonly do: "ceph"; readonly args: readonly string[] }
  /** Asks a daemon by its own socket. */
  | { readonly do: "ask"; readonly daemon: DaemonName; readonly args: readonly string[] }
  /** Runs `rados`. */
  | { readonly do: "rados"; readonly args: readonly string[] }
  /** Has tshark say what it makes of a capture. */
  | { readonly do: "dissect"; readonly args: readonly string[] };

/** What {@linkcode serveControl} gives. */
export interface Control extends AsyncDisposable {
  /** Where to send {@linkcode Order}s: `POST`, with the order in the query. */
  readonly url: string;
}

/** Takes orders by HTTP on loopback. What fails is answered with status 500 and the reason. */
export async function serveControl(cluster: Cluster): Promise<Control> {
  const server = createServer(async (request, response) => {
    try {
      const order = JSON.parse(new URL(request.url!, "http://localhost").searchParams.get("order")!) as Order;
      const chunks: Uint8Array<ArrayBuffer>[] = [];
      for await (const chunk of request) chunks.push(chunk);
      const output = await carryOut(cluster, order, new Uint8Array(await new Blob(chunks).arrayBuffer()));
      response.end(output);
    } catch (error) {
      response.statusCode = 500;
      response.end(error instanceof Error ? error.message : String(error));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function carryOut(cluster: Cluster, order: Order, input: Uint8Array): Promise<string | Uint8Array> {
  switch (order.do) {
    case "start":
      await cluster.startDaemon(order.daemon);
      return "";
    case "stop":
    case "kill":
    case "pause":
    case "resume":
      await cluster.daemon(order.daemon)[order.do]();
      return "";
    case "ceph":
      return await cluster.ceph(...order.args);
    case "ask":
      return await cluster.ask(order.daemon, ...order.args);
    case "rados": {
      const { code, output, complaints } = await cluster.rados(order.args, input);
      if (code !== 0) throw new Error(`rados ended with ${code}: ${complaints}`);
      return output;
    }
    case "dissect":
      return await dissect(input, order.args);
  }
}

async function dissect(capture: Uint8Array, args: readonly string[]): Promise<string> {
  const folder = mkdtempSync(`${tmpdir()}/msgr-capture-`), path = `${folder}/capture.pcap`;
  try {
    writeFileSync(path, capture);
    // The protocol is known by its banner, and not by a port, which may be known for another.
    return await tool("tshark", ["-r", path, "-o", "tcp.try_heuristic_first:TRUE", ...args]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
