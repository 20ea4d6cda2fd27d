/**
 * The objects of a pool.
 *
 * @module
 */

import { MessengerError } from "../errors.ts";
import { bad } from "./decoder.ts";
import { FIRST_POSITION } from "./object_position.ts";
import type { OsdClient } from "./osd_client.ts";
import type { OsdPool } from "./osd_map.ts";
import type { OsdReply } from "./osd_messages.ts";
import * as osd from "./osd_operations.ts";
import type { OsdTarget } from "./osd_placement.ts";
import { RadosError } from "./rados_error.ts";
import type { ResolvedRadosOptions } from "./rados_options.ts";
import { Abort, chunksOf, type ObjectData, severalAtOnce } from "./rados_transfer.ts";

/** How many names, or keys, are asked for at once. */
const PAGE = 1000;

/** What gives a call up. */
export interface ObjectOptions {
  /** Gives it up: it then rejects with the signal's reason. What was sent already may be carried out nevertheless. */
  readonly signal?: AbortSignal;
}

/** Options of a transfer. */
export interface TransferOptions extends ObjectOptions {
  /** Told whenever more has been written, or read, with the number of bytes so far. */
  readonly onProgress?: (bytes: number) => void;
}

/** Options of reading. */
export interface ReadOptions extends TransferOptions {
  /**
   * The first byte that is wanted.
   *
   * @default {0}
   */
  readonly offset?: number;
  /**
   * How many bytes are wanted; fewer come where the object ends before.
   *
   * @default {all to the end}
   */
  readonly length?: number;
}

/** What is known of an object without reading it. */
export interface ObjectStat {
  /** How many bytes it has. */
  readonly size: number;
  /** When it was written last. */
  readonly mtime: Date;
}

/**
 * A pool of objects. Ceph's `IoCtx`. Pools come from `RadosClient.pool()`.
 *
 * Every method rejects with a {@linkcode RadosError} if an OSD refuses: with code `not_found` if there is no such object, else with code `operation` and the
 * OSD's `status`. It rejects with code `timed_out` if an operation takes longer than `operationTimeout`, `closed` after `RadosClient.close()`, and
 * `not_found` once the pool is removed.
 *
 * What is longer than a chunk takes several operations: a reader may see some of them done and others not, and a transfer that fails leaves an object of
 * which a part is written.
 */
export class RadosPool {
  /** Its number. */
  readonly id: number;
  /** Its name. */
  readonly name: string;
  readonly #client: OsdClient;
  readonly #options: ResolvedRadosOptions;
  readonly #chunkSize: number;

  /** Pools come from `RadosClient.pool()`. */
  constructor({ id, name, stripeWidth }: OsdPool, client: OsdClient, options: ResolvedRadosOptions) {
    this.id = id;
    this.name = name;
    this.#client = client;
    this.#options = options;
    // Erasure-coded objects are written in whole stripes.
    const stripes = stripeWidth === 0 ? 0 : Math.max(1, Math.floor(options.chunkSize / stripeWidth));
    this.#chunkSize = stripes === 0 ? options.chunkSize : stripes * stripeWidth;
  }

  /**
   * Writes an object; what it held before is gone. `rados put`.
   *
   * @param object Its name.
   * @param data What it is to hold. Bytes must not change until they are written. A stream is read as fast as it can be written, a few chunks ahead.
   * @param options When to give it up, and whom to tell how far it is.
   */
  async put(object: string, data: ObjectData, options: TransferOptions = {}): Promise<void> {
    using abort = new Abort(options.signal);
    const { signal } = abort, chunks = chunksOf(data, this.#chunkSize, signal);
    let done = 0;
    const write = async (chunk: Uint8Array, operation: osd.OsdOperation) => {
      await this.#execute("write", object, [operation], signal);
      done += chunk.length;
      options.onProgress?.(done);
    };
    try {
      const first = await chunks.next(), chunk = first.done ? new Uint8Array(0) : first.value;
      // What the object held goes with the first chunk, so that has to be there before the others.
      await write(chunk, osd.writeFull(chunk));
      let offset = chunk.length;
      const work = async (chunk: Uint8Array) => {
        const at = offset;
        offset += chunk.length;
        await write(chunk, osd.writeExtent(at, chunk)).catch((error) => {
          abort.abort(error);
          throw error;
        });
      };
      for await (const _ of severalAtOnce(chunks, this.#options.operationsInFlight, work));
    } catch (error) {
      // The others are of no use any more, nor is the rest of a stream.
      abort.abort(error);
      await chunks.return(undefined);
      throw error;
    }
  }

  /**
   * Writes behind an object's last byte; an object that does not exist is made. It happens once, whatever breaks on the way. Data of more than one chunk
   * takes several operations, between which somebody else may append.
   *
   * @param object Its name.
   * @param data What is to be added.
   * @param options When to give it up, and whom to tell how far it is.
   */
  async append(object: string, data: ObjectData, options: TransferOptions = {}): Promise<void> {
    using abort = new Abort(options.signal);
    let done = 0;
    for await (const chunk of chunksOf(data, this.#chunkSize, abort.signal)) {
      await this.#execute("append to", object, [osd.append(chunk)], abort.signal);
      done += chunk.length;
      options.onProgress?.(done);
    }
  }

  /**
   * Reads an object, or a range of it, into memory.
   *
   * @param object Its name.
   * @param options Which range, when to give it up, and whom to tell how far it is.
   * @returns The bytes: fewer than `length` where the object ends before.
   * @throws {MessengerError} With code `invalid` for more bytes than memory takes: {@linkcode stream} reads those.
   */
  async get(object: string, options: ReadOptions = {}): Promise<Uint8Array> {
    using abort = new Abort(options.signal);
    let bytes = new Uint8Array(0), done = 0;
    try {
      for await (
        const chunk of this.#read(object, options, abort.signal, (length) => bytes = allocate(object, length))
      ) {
        bytes.set(chunk, done);
        done += chunk.length;
      }
    } catch (error) {
      abort.abort(error);
      throw error;
    }
    return bytes.subarray(0, done);
  }

  /**
   * Reads an object, or a range of it, as a stream. It reads a few chunks ahead once reading begins, and not before.
   *
   * @param object Its name.
   * @param options Which range, when to give it up, and whom to tell how far it is.
   * @returns The bytes. Errors are those of the stream.
   */
  stream(object: string, options: ReadOptions = {}): ReadableStream<Uint8Array> {
    const abort = new Abort(options.signal), chunks = this.#read(object, options, abort.signal);
    const end = () => abort[Symbol.dispose]();
    return new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        try {
          const { done, value } = await chunks.next();
          if (!done) return controller.enqueue(value);
        } catch (error) {
          abort.abort(error);
          end();
          throw error;
        }
        end();
        controller.close();
      },
      cancel: async (reason) => {
        abort.abort(reason);
        end();
        await chunks.return(undefined);
      },
    }, { highWaterMark: 0 });
  }

  /**
   * Asks for an object's size and time. `rados stat`.
   *
   * @param object Its name.
   * @param options When to give it up.
   */
  async stat(object: string, options: ObjectOptions = {}): Promise<ObjectStat> {
    const { outcomes } = await this.#execute("stat", object, [osd.stat], options.signal);
    const { size, mtime } = osd.decodeStat(outcomes[0]!.output);
    return { size, mtime: new Date(mtime) };
  }

  /**
   * Removes an object.
   *
   * @param object Its name.
   * @param options When to give it up.
   */
  async remove(object: string, options: ObjectOptions = {}): Promise<void> {
    await this.#execute("remove", object, [osd.remove], options.signal);
  }

  /**
   * Lists the pool's objects, in no order that means something. Objects that come or go meanwhile may be missed. While the number of placement groups is
   * changed, a name may come twice, or be missed where they become fewer. A name that is no UTF-8 ends the list with code `bad_message`.
   *
   * @param options When to give it up.
   */
  async *list(options: ObjectOptions = {}): AsyncGenerator<string> {
    for (let seed = 0; seed < await this.#pgNum(); seed++) {
      for (let from = FIRST_POSITION, isOver = false; !isOver;) {
        const target = { pool: this.id, object: "", namespace: "", seed };
        const reply = await this.#request(target, "list objects of", [osd.list(from, PAGE)], options.signal);
        const { names, next } = osd.decodeList(reply.outcomes[0]!.output);
        yield* names;
        from = next;
        isOver = reply.status === 1;
      }
    }
  }

  /**
   * Reads the keys and values that an object has beside its bytes: its omap.
   *
   * @param object Its name.
   * @param options `prefix`: only keys that begin with it. When to give it up.
   * @returns The values by their keys, in the order of the keys.
   */
  async omapGet(
    object: string,
    options: ObjectOptions & { readonly prefix?: string } = {},
  ): Promise<Map<string, Uint8Array>> {
    const { prefix = "", signal } = options, all = new Map<string, Uint8Array>();
    for (let after = "", hasMore = true; hasMore;) {
      const { outcomes } = await this.#execute("read keys of", object, [osd.getKeys(after, PAGE, prefix)], signal);
      const page = osd.decodeKeys(outcomes[0]!.output);
      for (const [key, value] of page.entries) all.set(after = key, value);
      hasMore = page.hasMore && page.entries.size > 0;
    }
    return all;
  }

  /**
   * Sets keys of an object to values, all of them together; its other keys stay as they are. An object that does not exist is made.
   *
   * @param object Its name.
   * @param entries The values by their keys.
   * @param options When to give it up.
   */
  async omapSet(
    object: string,
    entries: Iterable<readonly [string, string | Uint8Array]>,
    options: ObjectOptions = {},
  ): Promise<void> {
    const utf8 = new TextEncoder();
    const values = Array.from(entries, ([key, value]) => {
      return [key, typeof value === "string" ? utf8.encode(value) : value] as const;
    });
    await this.#execute("set keys of", object, [osd.setKeys(values)], options.signal);
  }

  /**
   * Removes keys of an object, all of them together. Keys that it does not have are no error.
   *
   * @param object Its name.
   * @param keys The keys.
   * @param options When to give it up.
   */
  async omapRemove(object: string, keys: Iterable<string>, options: ObjectOptions = {}): Promise<void> {
    await this.#execute("remove keys of", object, [osd.removeKeys(keys)], options.signal);
  }

  /** The chunks of an object in order, the next ones being under way; `begin` is told how many bytes there will be. */
  async *#read(
    object: string,
    { offset = 0, length = Infinity, onProgress }: ReadOptions,
    signal: AbortSignal,
    begin: (length: number) => void = () => {},
  ): AsyncGenerator<Uint8Array> {
    checkRange("offset", offset);
    if (length !== Infinity) checkRange("length", length);
    const chunkSize = this.#chunkSize, wanted = Math.min(length, chunkSize);
    let done = 0;
    const read = async (at: number) => {
      const asked = Math.min(chunkSize, end - at), operation = osd.readExtent(at, asked);
      const { outcomes } = await this.#execute("read", object, [operation], signal);
      return { chunk: atMost(asked, outcomes[0]!.output), asked };
    };
    const progress = (chunk: Uint8Array) => onProgress?.(done += chunk.length);
    // To read no bytes is to read them all, to an OSD.
    const first = wanted === 0 ? [osd.stat] : [osd.stat, osd.readExtent(offset, wanted)];
    const { outcomes } = await this.#execute("read", object, first, signal);
    const end = Math.min(osd.decodeStat(outcomes[0]!.output).size, offset + length);
    begin(Math.max(0, end - offset));
    const head = atMost(wanted, outcomes[1]?.output ?? new Uint8Array(0));
    if (head.length === 0) return;
    progress(head);
    yield head;
    if (head.length < Math.min(wanted, end - offset)) return;
    const rest = offsets(offset + wanted, end, chunkSize);
    for await (const { chunk, asked } of severalAtOnce(rest, this.#options.operationsInFlight, read)) {
      progress(chunk);
      if (chunk.length > 0) yield chunk;
      // Somebody has made it shorter meanwhile.
      if (chunk.length < asked) return;
    }
  }

  async #pgNum(): Promise<number> {
    const pool = (await this.#client.map()).pools.get(this.id);
    if (pool === undefined) throw new MessengerError("not_found", `Pool "${this.name}" does not exist any more`);
    return pool.pgNum;
  }

  async #execute(
    verb: string,
    object: string,
    operations: readonly osd.OsdOperation[],
    signal: AbortSignal | undefined,
  ): Promise<OsdReply> {
    if (object === "") {
      throw new MessengerError("invalid", "Bad object: got an empty name, expected one of 1 byte or more");
    }
    return await this.#request({ pool: this.id, object, namespace: "" }, `${verb} "${object}" in`, operations, signal);
  }

  async #request(
    target: OsdTarget,
    verb: string,
    operations: readonly osd.OsdOperation[],
    signal: AbortSignal | undefined,
  ): Promise<OsdReply> {
    const what = `${verb} pool "${this.name}"`, timeout = this.#options.operationTimeout;
    const reply = await this.#client.execute(target, operations, what, { signal, timeout });
    if (reply.status < 0) throw new RadosError(what, reply.status);
    const { length } = operations;
    if (reply.outcomes.length !== length) throw bad("number of outcomes", reply.outcomes.length, length);
    return reply;
  }
}

function allocate(object: string, length: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new MessengerError("invalid", `Cannot get "${object}": ${length} bytes are too many for memory`, { cause });
  }
}

/** Checks that an OSD gave no more than it was asked for. */
function atMost(asked: number, output: Uint8Array): Uint8Array {
  if (output.length > asked) throw bad("number of bytes read", output.length, `at most ${asked}`);
  return output;
}

function* offsets(from: number, to: number, step: number): Generator<number> {
  for (let at = from; at < to; at += step) yield at;
}

function checkRange(option: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw new MessengerError("invalid", `Bad ${option}: got ${value}, expected 0 to ${Number.MAX_SAFE_INTEGER}`);
}
