/**
 * What clients and OSDs say to each other.
 *
 * @module
 */

import type { Message } from "../message.ts";
import { EntityType } from "../wire/constants.ts";
import { Decoder } from "./decoder.ts";
import { Encoder } from "./encoder.ts";
import { CEPH_FEATURES } from "./features.ts";
import { CephMessageType } from "./message_types.ts";
import { decodePosition, encodePosition, type ObjectPosition } from "./object_position.ts";
import { type OsdOperation, PARAMETERS_SIZE } from "./osd_operations.ts";

/** Bytes of an operation in a message's front. `ceph_osd_op`. */
const OPERATION_SIZE = 38;
/** The object itself rather than a snapshot of it. `CEPH_NOSNAP`. */
export const HEAD = 0xfffffffffffffffen;
const TRACE_SIZE = 24;

/** How a request wants to be treated. `CEPH_OSD_FLAG_*`. */
export const OsdFlag = {
  /** Answer once it is on disk. */
  ONDISK: 0x4,
  /** It was sent before. */
  RETRY: 0x8,
  /** It reads. */
  READ: 0x10,
  /** It writes. */
  WRITE: 0x20,
  /** It is about a placement group and no object. */
  PGOP: 0x400,
  /** The client knows what to do when it is sent to another pool. */
  KNOWN_REDIR: 0x400000,
  /** Say so if the pool is full, instead of nothing until it is not. */
  FULL_TRY: 0x800000,
} as const;

/** A placement group: one of the parts into which a pool's objects are divided. Ceph's `spg_t`. */
export interface PlacementGroup {
  /** The pool's number. */
  readonly pool: number;
  /** Which part of the pool. */
  readonly seed: number;
  /** Which share of an erasure-coded object; -1 where there are none. */
  readonly shard: number;
}

/** What tells a request from all others, so that an OSD knows one that it has carried out already. Ceph's `osd_reqid_t`. */
export interface RequestId {
  /** The client's number when it made the request. */
  readonly client: number;
  /** The request's number. */
  readonly tid: number;
}

/** A request to an OSD. */
export interface OsdRequest {
  /** Where the object belongs. */
  readonly group: PlacementGroup;
  /** The hash of its name. */
  readonly hash: number;
  /** The epoch of the map by which it was placed. */
  readonly epoch: number;
  /** Bits of {@linkcode OsdFlag}. */
  readonly flags: number;
  /** Without one it goes by the message's source and number. */
  readonly id?: RequestId | undefined;
  /** When it was made, in ms since 1970: the time that a changed object gets. */
  readonly mtime: number;
  /** The object's name; empty where it is about a placement group. */
  readonly object: string;
  /** The namespace that the object is in. */
  readonly namespace: string;
  /** What to do. */
  readonly operations: readonly OsdOperation[];
  /** How often it was sent before. */
  readonly attempt: number;
}

/** Operations on one object. */
export const MOSDOp: CephMessageType<OsdRequest> = new CephMessageType<OsdRequest>(42, {
  version: 8,
  compat: 3,
  encode: (request) => {
    const { group, hash, epoch, flags, id, mtime, object, namespace, operations, attempt } = request;
    const front = encodeGroup(new Encoder(), group).u32(hash).u32(epoch).u32(flags);
    encodeId(front, id).raw(new Uint8Array(TRACE_SIZE)).u32(0).time(mtime);
    front.struct(6, 3, (e) => e.u64(group.pool).u32(-1).string("").string(namespace).u64(-1)).string(object);
    front.u16(operations.length);
    for (const { code, parameters, input } of operations) {
      front.u16(code).u32(0).raw(parameters).u32(input?.length ?? 0);
    }
    front.u64Big(HEAD).u64(0).u32(0).u32(attempt).u64Big(CEPH_FEATURES);
    return { front: front.finish(), data: joined(operations.map(({ input }) => input)) };
  },
  decode: (message) => {
    const decoder = new Decoder(message.front);
    const group = decodeGroup(decoder), hash = decoder.u32(), epoch = decoder.u32(), flags = decoder.u32();
    const id = decodeId(decoder);
    decoder.raw(TRACE_SIZE + 4);
    const mtime = decoder.time(), namespace = decodeNamespace(decoder), object = decoder.string();
    const heads = Array.from({ length: decoder.u16() }, () => decodeOperation(decoder));
    const data = new Decoder(message.data);
    const operations = heads.map(({ code, parameters, length }) => ({ code, parameters, input: data.raw(length) }));
    decoder.raw(16);
    decoder.list(() => decoder.raw(8), 8);
    return { group, hash, epoch, flags, id, mtime, object, namespace, operations, attempt: decoder.u32() };
  },
});

/** What became of one operation. */
export interface OsdOutcome {
  /** One of `OsdOperationCode`. */
  readonly code: number;
  /** 0 or more, or what is wrong as a negative number of Linux. */
  readonly status: number;
  /** What it gave. */
  readonly output: Uint8Array;
}

/** The answer to a request. */
export interface OsdReply {
  /** The object's name. */
  readonly object: string;
  /** The request's flags. */
  readonly flags: number;
  /** 0 or more, or what is wrong as a negative number of Linux. */
  readonly status: number;
  /** The epoch of the OSD's map. */
  readonly epoch: number;
  /** What became of each operation. */
  readonly outcomes: readonly OsdOutcome[];
  /** Which attempt it answers. */
  readonly attempt: number;
  /** The object's version. */
  readonly version: number;
  /** Whether the request has to be sent to another pool. */
  readonly isRedirect: boolean;
}

/** The answer to that. */
export const MOSDOpReply: CephMessageType<OsdReply> = new CephMessageType<OsdReply>(43, {
  version: 8,
  compat: 2,
  encode: ({ object, flags, status, epoch, outcomes, attempt, version, isRedirect }) => {
    const front = new Encoder().string(object).u8(1).u64(0).u32(0).u32(-1).u64(flags).u32(status);
    front.raw(new Uint8Array(12)).u32(epoch).u32(outcomes.length);
    for (const { code, output } of outcomes) {
      front.u16(code).u32(0).raw(new Uint8Array(PARAMETERS_SIZE)).u32(output.length);
    }
    front.u32(attempt);
    for (const outcome of outcomes) front.u32(outcome.status);
    front.raw(new Uint8Array(12)).u64(version).u8(isRedirect ? 1 : 0).raw(new Uint8Array(TRACE_SIZE));
    return { front: front.finish(), data: joined(outcomes.map(({ output }) => output)) };
  },
  decode: (message) => {
    const decoder = new Decoder(message.front), object = decoder.string();
    decoder.raw(17);
    const flags = decoder.s64(), status = decoder.s32();
    decoder.raw(12);
    const epoch = decoder.u32(), heads = decoder.list(() => decodeOperation(decoder), OPERATION_SIZE);
    const attempt = decoder.s32(), statuses = heads.map(() => decoder.s32());
    decoder.raw(12);
    const version = decoder.u64(), isRedirect = decoder.bool(), data = new Decoder(message.data);
    const outcomes = heads.map(({ code, length }, i) => ({ code, status: statuses[i]!, output: data.raw(length) }));
    return { object, flags, status, epoch, outcomes, attempt, version, isRedirect };
  },
});

/** What is asked or said about a range of objects that an OSD does not serve for now. `CEPH_OSD_BACKOFF_OP_*`. */
export const BackoffOp = {
  /** The OSD: send nothing about these. */
  BLOCK: 1,
  /** The client: so be it. */
  ACK_BLOCK: 2,
  /** The OSD: go on. */
  UNBLOCK: 3,
} as const;

/** A range of objects that an OSD does not serve for now, because their placement group is on the move. */
export interface OsdBackoff {
  /** The placement group that they belong to. */
  readonly group: PlacementGroup;
  /** The epoch of the sender's map. */
  readonly epoch: number;
  /** One of {@linkcode BackoffOp}. */
  readonly op: number;
  /** The range's number. */
  readonly id: number;
  /** Its first object. */
  readonly begin: ObjectPosition;
  /** The first object behind it. */
  readonly end: ObjectPosition;
}

/** Has a client hold requests back for some time. */
export const MOSDBackoff: CephMessageType<OsdBackoff> = new CephMessageType<OsdBackoff>(61, {
  version: 1,
  encode: ({ group, epoch, op, id, begin, end }) => {
    const front = encodeGroup(new Encoder(), group).u32(epoch).u8(op).u64(id);
    return { front: encodePosition(encodePosition(front, begin), end).finish() };
  },
  decode: (message) => {
    const decoder = new Decoder(message.front);
    return {
      group: decodeGroup(decoder),
      epoch: decoder.u32(),
      op: decoder.u8(),
      id: decoder.u64(),
      begin: decodePosition(decoder),
      end: decodePosition(decoder),
    };
  },
});

/** Makes a request's message: its priority and alignment are those of Ceph's own client. */
export function requestMessage(request: OsdRequest, tid: number): Message {
  const offset = request.operations.find(({ input }) => input !== undefined)?.parameters;
  const dataOffset = offset === undefined ? 0 : new Decoder(offset).u16();
  return MOSDOp.message(request, { tid, priority: 63, dataOffset });
}

function encodeGroup(encoder: Encoder, { pool, seed, shard }: PlacementGroup): Encoder {
  return encoder.struct(1, 1, (e) => e.u8(1).u64(pool).u32(seed).u32(-1).u8(shard));
}

function decodeGroup(decoder: Decoder): PlacementGroup {
  return decoder.struct("placement group", 1, () => {
    decoder.u8();
    const pool = decoder.s64(), seed = decoder.u32();
    decoder.u32();
    return { pool, seed, shard: (decoder.u8() << 24) >> 24 };
  });
}

function encodeId(encoder: Encoder, id: RequestId | undefined): Encoder {
  return encoder.struct(2, 2, (e) => {
    if (id === undefined) e.u8(0).u64(0).u64(0).u32(0);
    else e.u8(EntityType.CLIENT).u64(id.client).u64(id.tid).u32(0);
  });
}

function decodeId(decoder: Decoder): RequestId | undefined {
  return decoder.struct("request id", 2, () => {
    const type = decoder.u8(), client = decoder.s64(), tid = decoder.u64();
    return type === 0 ? undefined : { client, tid };
  });
}

function decodeNamespace(decoder: Decoder): string {
  return decoder.struct("object locator", 6, () => {
    decoder.raw(12);
    decoder.string();
    return decoder.string();
  });
}

function decodeOperation(decoder: Decoder): { code: number; parameters: Uint8Array; length: number } {
  const code = decoder.u16();
  decoder.u32();
  return { code, parameters: decoder.raw(PARAMETERS_SIZE), length: decoder.u32() };
}

/** Segments one after the other; a single one is not copied. */
function joined(segments: readonly (Uint8Array | undefined)[]): Uint8Array {
  const present = segments.filter((segment) => segment !== undefined && segment.length > 0) as Uint8Array[];
  if (present.length === 1) return present[0]!;
  const all = new Uint8Array(present.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const segment of present) {
    all.set(segment, at);
    at += segment.length;
  }
  return all;
}
