/**
 * Files, and the standard input and output in their place.
 *
 * @module
 */

import { open, rename, stat, unlink } from "node:fs/promises";
import process from "node:process";
import type { Output } from "./output.ts";

const CHUNK = 1024 * 1024;

/** Bytes to read. */
export interface Source extends AsyncDisposable {
  /** How many there are, where that is known. */
  readonly size: number | undefined;
  /** The bytes. */
  readonly stream: ReadableStream<Uint8Array>;
}

/** Where bytes go. */
export interface Target {
  /** Whether that is a file, rather than the standard output. */
  readonly isFile: boolean;
  /** Takes some. */
  write(bytes: Uint8Array): Promise<void>;
  /** There are no more. */
  finish(): Promise<void>;
  /** There should have been more: what came is of no use. */
  discard(): Promise<void>;
}

/** Opens a file, or without one the standard input. */
export async function readSource(path = "-"): Promise<Source> {
  if (path === "-") {
    const chunks = process.stdin[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    return {
      size: undefined,
      stream: pulled(async () => (await chunks.next()).value as Uint8Array | undefined),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }
  const file = await open(path), { size } = await file.stat();
  return {
    size,
    stream: pulled(async () => {
      // A new one each time: the last one may not have been sent yet.
      const { bytesRead, buffer } = await file.read(new Uint8Array(CHUNK));
      return bytesRead === 0 ? undefined : buffer.subarray(0, bytesRead);
    }),
    [Symbol.asyncDispose]: () => file.close(),
  };
}

/** Opens a file to write, or without one the standard output. A file that is there stays as it is until the new one is complete. */
export async function writeTarget(path: string | undefined, out: Output): Promise<Target> {
  if (path === undefined || path === "-") {
    const nothing = () => Promise.resolve();
    return { isFile: false, write: (bytes) => out.write(bytes), finish: nothing, discard: nothing };
  }
  // What is no file, such as a device or a pipe, is not to be replaced by one.
  const there = await stat(path).catch(() => undefined), isPlain = there === undefined || there.isFile();
  const part = isPlain ? `${path}.part` : path, file = await open(part, "w");
  return {
    isFile: true,
    write: async (bytes) => {
      for (let at = 0; at < bytes.length;) at += (await file.write(bytes, at)).bytesWritten;
    },
    finish: async () => {
      await file.close();
      if (isPlain) await rename(part, path);
    },
    discard: async () => {
      await file.close();
      if (isPlain) await unlink(part);
    },
  };
}

/** A stream of what `next` gives, until it gives nothing. */
function pulled(next: () => Promise<Uint8Array | undefined>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull: async (controller) => {
      const chunk = await next();
      if (chunk === undefined) controller.close();
      else controller.enqueue(chunk);
    },
  }, { highWaterMark: 0 });
}
