/**
 * The objects of a pool.
 *
 * @module
 */

import type { OsdClient } from "./osd_client.ts";
import type { OsdReply } from "./osd_messages.ts";
import * as osd from "./osd_operations.ts";
import { RadosError } from "./rados_error.ts";
import type { ResolvedRadosOptions } from "./rados_options.ts";

/** What gives a call up. */
export interface ObjectOptions {
  /** Gives it up: it then rejects with the signal's reason. What was sent already may be carried out nevertheless. */
  readonly signal?: AbortSignal;
}

/** Options of a transfer. */
export interface TransferOptions extends ObjectOptions {
  /** Told whenever more has arrived, with the number of bytes so far. */
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

/** What to write. */
export type ObjectData = string | Uint8Array | ReadableStream<Uint8Array>;

/** A pool of objects. Ceph's `IoCtx`. */
export class RadosPool {
  /** Its number. */
  readonly id: number;
  /** Its name. */
  readonly name: string;
  readonly #client: OsdClient;
  readonly #options: ResolvedRadosOptions;

  /** Pools come from `RadosClient.pool()`. */
  constructor(id: number, name: string, client: OsdClient, options: ResolvedRadosOptions) {
    this.id = id;
    this.name = name;
    this.#client = client;
    this.#options = options;
  }

  /** Writes an object; what it held before is gone. */
  async put(object: string, data: ObjectData, options: TransferOptions = {}): Promise<void> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data as Uint8Array;
    await this.#execute("write", object, [osd.writeFull(bytes)], options);
  }

  /** Reads an object. */
  async get(object: string, options: ReadOptions = {}): Promise<Uint8Array> {
    const reply = await this.#execute("read", object, [osd.readExtent(0, this.#options.chunkSize)], options);
    return reply.outcomes[0]!.output;
  }

  async #execute(
    verb: string,
    object: string,
    operations: readonly osd.OsdOperation[],
    { signal }: ObjectOptions,
  ): Promise<OsdReply> {
    const what = `${verb} "${object}" in pool "${this.name}"`, target = { pool: this.id, object, namespace: "" };
    const limits = { signal, timeout: this.#options.operationTimeout };
    const reply = await this.#client.execute(target, operations, what, limits);
    if (reply.status < 0) throw new RadosError(what, reply.status);
    return reply;
  }
}
