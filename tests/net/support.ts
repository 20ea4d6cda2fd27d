import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NetworkError } from "../../src/errors.ts";
import type { NetworkErrorCode } from "../../src/errors.ts";
import type { Listener, Network, Socket, SocketAddress } from "../../src/net/network.ts";

/** What an adapter cannot do here, each with the reason; what is absent it can do. */
export interface Limits {
  /** Why an aborted TCP socket does not send a reset, so that its peer sees an end. */
  readonly noReset?: string;
  /** Why a write is lost that is under way when the peer's end arrives, though only the other direction has ended. */
  readonly noWriteAcrossEnd?: string;
  /** Why a peer that has ended its side, and then aborts, is not noticed. */
  readonly noAbortAfterEnd?: string;
  /** Why small writes wait until the one before is acknowledged. */
  readonly noNoDelay?: string;
  /** Why there are no Unix-domain paths. */
  readonly noUnix?: string;
  /** Why Unix-domain paths are no files. */
  readonly noFiles?: string;
  /** How many sockets and listeners the adapter has open, if it can tell. */
  readonly open?: (network: Network) => number;
}

/** The families of addresses that an adapter is tested with. */
export type Family = "tcp4" | "tcp6" | "unix";

/** The stage of one test: a network, an address to listen on, and a place for files. */
export interface Stage {
  readonly network: Network;
  /** Any free port, or an unused path. */
  readonly address: SocketAddress;
  /** An unused path in a folder that goes away with the test. */
  path(name: string): string;
}

/** Runs a test in a folder of its own. */
export async function onStage(
  network: Network,
  family: Family,
  limits: Limits,
  act: (stage: Stage) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "pipe-net-"));
  const path = (name: string): string => join(folder, name);
  const address: SocketAddress = family === "unix"
    ? { transport: "unix", path: path("socket") }
    : { transport: "tcp", hostname: family === "tcp4" ? "127.0.0.1" : "::1", port: 0 };
  try {
    await act({ network, address, path });
    assertEquals(limits.open?.(network) ?? 0, 0, "sockets or listeners are still open");
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A listener and a connection to it, both ends. */
export interface Pair extends AsyncDisposable {
  readonly listener: Listener;
  readonly client: Socket;
  readonly server: Socket;
}

/** Connects two sockets. Disposing of them closes everything and proves that both ends let go. */
export async function pair({ network, address }: Stage): Promise<Pair> {
  const listener = await network.listen(address);
  const [client, server] = await Promise.all([network.connect(listener.address), accept(listener)]);
  return {
    listener,
    client,
    server,
    async [Symbol.asyncDispose](): Promise<void> {
      client.abort();
      server.abort();
      await Promise.all([client.closed, server.closed, listener.close()]);
    },
  };
}

/** The next connection of a listener. */
export async function accept(listener: Listener): Promise<Socket> {
  const { done, value } = await listener[Symbol.asyncIterator]().next();
  assert(!done, "the listener was closed");
  return value;
}

/** Accepts up to the other end of `client`, closes both, and counts the connections before it, which must have ended without a byte. */
export async function passOver(listener: Listener, client: Socket): Promise<number> {
  await client.writable.getWriter().write(new Uint8Array(1));
  for (let count = 0;; count++) {
    const server = await accept(listener);
    const first = await server.readable.getReader().read().catch(() => undefined);
    server.abort();
    await server.closed;
    if (first?.value === undefined) continue;
    client.abort();
    await client.closed;
    return count;
  }
}

/** Reads to the end; every chunk must hold something. */
export async function readAll(readable: ReadableStream<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of readable) {
    assert(chunk.byteLength > 0, "an empty chunk");
    chunks.push(chunk);
    length += chunk.byteLength;
  }
  const all = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    all.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return all;
}

/** Reads exactly so many bytes. */
export async function readExactly(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const all = new Uint8Array(length);
  for (let offset = 0; offset < length;) {
    const { done, value } = await reader.read();
    assert(!done, `the stream ended after ${offset} of ${length} bytes`);
    assert(value.byteLength > 0, "an empty chunk");
    assert(offset + value.byteLength <= length, `more than ${length} bytes arrived`);
    all.set(value, offset);
    offset += value.byteLength;
  }
  return all;
}

/** Writes all of `bytes` and ends the direction. */
export async function writeAll(writable: WritableStream<Uint8Array>, bytes: Uint8Array): Promise<void> {
  const writer = writable.getWriter();
  await writer.write(bytes);
  await writer.close();
}

/** Reads until the peer's end or the connection's, and says which it was. */
export async function ending(readable: ReadableStream<Uint8Array>): Promise<"end" | NetworkErrorCode> {
  try {
    for await (const _ of readable) { /* Only the end counts. */ }
    return "end";
  } catch (error) {
    assertInstanceOf(error, NetworkError);
    return error.code;
  }
}

/** Asserts that something fails with a `NetworkError` of that code. */
export async function assertFails(promise: Promise<unknown>, code: NetworkErrorCode): Promise<NetworkError> {
  const error = await outcome(promise);
  assertInstanceOf(error, NetworkError, `expected a NetworkError with code ${code}`);
  assertEquals(error.code, code, error.message);
  return error;
}

/** What a promise rejects with. */
export async function outcome(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("expected a rejection");
}

/** Bytes that no shift, loss or repetition leaves unnoticed; the same for the same seed. */
export function randomBytes(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4));
  const next = randomNumbers(seed);
  for (let i = 0; i < words.length; i++) words[i] = next();
  return new Uint8Array(words.buffer, 0, length);
}

/** A generator of 32-bit numbers (xorshift32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** A digest to compare megabytes by. */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Lets what is under way happen: so many round trips on a connection of its own, each several turns of the event loop. */
export async function roundTrips(stage: Stage, count: number): Promise<void> {
  const address = stage.address.transport === "unix"
    ? { transport: "unix" as const, path: stage.path("side") }
    : stage.address;
  await using side = await pair({ ...stage, address });
  const clientWriter = side.client.writable.getWriter();
  const clientReader = side.client.readable.getReader();
  const serverWriter = side.server.writable.getWriter();
  const serverReader = side.server.readable.getReader();
  const byte = new Uint8Array(1);
  for (let i = 0; i < count; i++) {
    await clientWriter.write(byte);
    await serverReader.read();
    await serverWriter.write(byte);
    await clientReader.read();
  }
}
