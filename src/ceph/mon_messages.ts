/**
 * What clients and monitors say to each other.
 *
 * @module
 */

import type { Message } from "../message.ts";
import { Decoder } from "./decoder.ts";
import { Encoder } from "./encoder.ts";
import { CephMessageType } from "./message_types.ts";
import { decodeMonMap, decodeUuid, type MonMap, uuidBytes } from "./mon_map.ts";

const PAXOS_HEADER_SIZE = 18;

/** What every request to a service of the monitors begins with: no map is waited for, and two fields that are no longer used. */
function paxosHeader(): Encoder {
  return new Encoder().u64(0).u16(-1).u64(0);
}

/** A decoder behind that. */
function afterPaxosHeader(message: Message): Decoder {
  const decoder = new Decoder(message.front);
  decoder.raw(PAXOS_HEADER_SIZE);
  return decoder;
}

/** Asks who is there; a monitor answers before it knows who asks. */
export const MPing: CephMessageType<string> = new CephMessageType(2, {
  version: 1,
  encode: (text) => text === "" ? {} : { front: new Encoder().string(text).finish() },
  decode: ({ front }) => front.length === 0 ? "" : new Decoder(front).string(),
});

/** The map of the monitors. */
export const MMonMap: CephMessageType<MonMap> = new CephMessageType<MonMap>(4, {
  version: 1,
  encode: () => {
    throw new TypeError("Clients send no monitor maps");
  },
  decode: (message) => decodeMonMap(new Decoder(message.front).bytes()),
});

/** Asks for the map of the monitors. */
export const MMonGetMap: CephMessageType<null> = new CephMessageType<null>(5, {
  version: 1,
  encode: () => ({}),
  decode: () => null,
});

/** One subscription. */
export interface SubscriptionRequest {
  /** The first epoch that is wanted; 0 for the newest. */
  readonly start: number;
  /** Whether one answer is enough. */
  readonly onetime: boolean;
}

/** Asks for maps, now and whenever they change. */
export const MMonSubscribe: CephMessageType<ReadonlyMap<string, SubscriptionRequest>> = new CephMessageType<
  ReadonlyMap<string, SubscriptionRequest>
>(15, {
  version: 3,
  compat: 1,
  encode: (what) => {
    const encoder = new Encoder();
    // In the order of a std::map.
    encoder.list([...what].sort(([a], [b]) => a < b ? -1 : 1), ([name, { start, onetime }]) => {
      encoder.string(name).u64(start).u8(onetime ? 1 : 0);
    });
    // Where Ceph says which machine it runs on.
    return { front: encoder.string("").finish() };
  },
  decode: (message) => {
    const decoder = new Decoder(message.front);
    return decoder.map(() => decoder.string(), () => ({ start: decoder.u64(), onetime: (decoder.u8() & 1) !== 0 }), 13);
  },
});

/** A step of an authentication. */
export interface AuthRequest {
  /** One of `AuthProtocol`; 0 while it is not agreed on. */
  readonly protocol: number;
  /** What the protocol has to say. */
  readonly payload: Uint8Array;
}

/** A step of an authentication, to the monitor. */
export const MAuth: CephMessageType<AuthRequest> = new CephMessageType<AuthRequest>(17, {
  version: 1,
  // The epoch 0 of the monitor map at the end has the monitor send its own.
  encode: ({ protocol, payload }) => ({ front: paxosHeader().u32(protocol).bytes(payload).u32(0).finish() }),
  decode: (message) => {
    const decoder = afterPaxosHeader(message);
    return { protocol: decoder.u32(), payload: decoder.bytes() };
  },
});

/** What a monitor says to a step of an authentication. */
export interface AuthReply {
  /** The protocol that it has chosen, one of `AuthProtocol`. */
  readonly protocol: number;
  /** 0, or what is wrong as a negative number of Linux. */
  readonly result: number;
  /** The number by which the cluster knows the client. */
  readonly globalId: number;
  /** What the protocol has to say. */
  readonly payload: Uint8Array;
  /** What is wrong, in words. */
  readonly text: string;
}

/** The monitor's answer to a step of an authentication. */
export const MAuthReply: CephMessageType<AuthReply> = new CephMessageType<AuthReply>(18, {
  version: 1,
  encode: ({ protocol, result, globalId, payload, text }) => ({
    front: new Encoder().u32(protocol).u32(result).u64(globalId).bytes(payload).string(text).finish(),
  }),
  decode: (message) => {
    const decoder = new Decoder(message.front);
    return {
      protocol: decoder.u32(),
      result: decoder.s32(),
      globalId: decoder.u64(),
      payload: decoder.bytes(),
      text: decoder.string(),
    };
  },
});

/** Which versions of a map there are. */
export interface MapVersions {
  /** The request's number. */
  readonly handle: number;
  /** The newest. */
  readonly newest: number;
  /** The oldest that is kept. */
  readonly oldest: number;
}

/** Asks which versions of a map there are. */
export const MMonGetVersion: CephMessageType<{ handle: number; what: string }> = new CephMessageType(19, {
  version: 1,
  encode: ({ handle, what }) => ({ front: new Encoder().u64(handle).string(what).finish() }),
  decode: (message) => {
    const decoder = new Decoder(message.front);
    return { handle: decoder.u64(), what: decoder.string() };
  },
});

/** The answer to that. */
export const MMonGetVersionReply: CephMessageType<MapVersions> = new CephMessageType<MapVersions>(20, {
  version: 2,
  encode: ({ handle, newest, oldest }) => ({ front: new Encoder().u64(handle).u64(newest).u64(oldest).finish() }),
  decode: (message) => {
    const decoder = new Decoder(message.front);
    return { handle: decoder.u64(), newest: decoder.u64(), oldest: decoder.u64() };
  },
});

/** Changes of the map of the OSDs, and the map itself. */
export interface OsdMapUpdate {
  /** The cluster. */
  readonly fsid: string;
  /** Encoded changes, by the epoch that they lead to. */
  readonly incremental: ReadonlyMap<number, Uint8Array>;
  /** Encoded maps, by their epoch. */
  readonly full: ReadonlyMap<number, Uint8Array>;
  /** The oldest map that the monitors keep. */
  readonly oldest: number;
  /** The newest map that there is. */
  readonly newest: number;
}

/** Maps of the OSDs, as monitors and OSDs send them. The maps themselves are not taken apart. */
export const MOSDMap: CephMessageType<OsdMapUpdate> = new CephMessageType<OsdMapUpdate>(41, {
  version: 4,
  compat: 3,
  encode: () => {
    throw new TypeError("Clients send no OSD maps");
  },
  decode: (message) => {
    const decoder = new Decoder(message.front);
    const maps = () => decoder.map(() => decoder.u32(), () => decoder.bytes(), 8);
    return {
      fsid: decodeUuid(decoder),
      incremental: maps(),
      full: maps(),
      oldest: decoder.u32(),
      newest: decoder.u32(),
    };
  },
});

/** A command for the monitors. */
export interface CommandRequest {
  /** The cluster that it is meant for. */
  readonly fsid: string;
  /** The command as JSON. */
  readonly command: string;
}

/** A command for the monitors; what it is to read stands in the message's data. */
export const MMonCommand: CephMessageType<CommandRequest & { readonly input?: Uint8Array | undefined }> =
  new CephMessageType<CommandRequest & { readonly input?: Uint8Array | undefined }>(50, {
    version: 1,
    encode: ({ fsid, command, input }) => {
      const encoder = paxosHeader().raw(uuidBytes(fsid));
      encoder.list([command], (text) => encoder.string(text));
      return { front: encoder.finish(), ...(input === undefined ? {} : { data: input }) };
    },
    decode: (message) => {
      const decoder = afterPaxosHeader(message);
      return {
        fsid: decodeUuid(decoder),
        command: decoder.list(() => decoder.string(), 4).join(" "),
        input: message.data,
      };
    },
  });

/** What became of a command. */
export interface CommandReply {
  /** 0, or what is wrong as a negative number of Linux. */
  readonly status: number;
  /** What there is to say about it. */
  readonly text: string;
  /** What it has printed. */
  readonly data: Uint8Array;
}

/** The answer to a command. */
export const MMonCommandAck: CephMessageType<CommandReply> = new CephMessageType<CommandReply>(51, {
  version: 1,
  encode: ({ status, text, data }) => {
    const encoder = paxosHeader().u32(status).string(text);
    encoder.list([], () => {});
    return { front: encoder.finish(), data };
  },
  decode: (message) => {
    const decoder = afterPaxosHeader(message);
    return { status: decoder.s32(), text: decoder.string(), data: message.data };
  },
});

/** Options that the monitors have for a client, by their names. */
export const MConfig: CephMessageType<ReadonlyMap<string, string>> = new CephMessageType<ReadonlyMap<string, string>>(
  62,
  {
    version: 1,
    encode: (options) => {
      const encoder = new Encoder();
      encoder.list(options, ([name, value]) => void encoder.string(name).string(value));
      return { front: encoder.finish() };
    },
    decode: (message) => {
      const decoder = new Decoder(message.front);
      return decoder.map(() => decoder.string(), () => decoder.string(), 8);
    },
  },
);

/** How full the cluster is. */
export interface Statfs {
  /** The cluster. */
  readonly fsid: string;
  /** The version of the map that this is from. */
  readonly version: number;
  /** KiB in all. */
  readonly totalKb: number;
  /** KiB in use. */
  readonly usedKb: number;
  /** KiB that are free. */
  readonly availableKb: number;
  /** How many objects there are. */
  readonly objects: number;
}

/** Asks how full the cluster is. */
export const MStatfs: CephMessageType<string> = new CephMessageType<string>(13, {
  version: 2,
  compat: 1,
  // The whole cluster, rather than one pool.
  encode: (fsid) => ({ front: paxosHeader().raw(uuidBytes(fsid)).u8(0).finish() }),
  decode: (message) => decodeUuid(afterPaxosHeader(message)),
});

/** The answer to that. */
export const MStatfsReply: CephMessageType<Statfs> = new CephMessageType<Statfs>(14, {
  version: 1,
  encode: ({ fsid, version, totalKb, usedKb, availableKb, objects }) => ({
    front: new Encoder().raw(uuidBytes(fsid)).u64(version).u64(totalKb).u64(usedKb).u64(availableKb).u64(objects)
      .finish(),
  }),
  decode: (message) => {
    const decoder = new Decoder(message.front);
    return {
      fsid: decodeUuid(decoder),
      version: decoder.u64(),
      totalKb: decoder.u64(),
      usedKb: decoder.u64(),
      availableKb: decoder.u64(),
      objects: decoder.u64(),
    };
  },
});
