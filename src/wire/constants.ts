/**
 * Numbers of the wire protocol msgr v1 (`ceph v027`), each with Ceph's own name for it.
 *
 * @module
 */

/** What both ends send first: nine ASCII bytes, no newline. `CEPH_BANNER`. */
export const BANNER = "ceph v027";
/** How a msgr v2 endpoint begins. Seeing it means that the wrong port was dialled. `CEPH_BANNER_V2_PREFIX`. */
export const BANNER_V2 = "ceph v2\n";

/** Length of the banner in bytes. */
export const BANNER_SIZE = 9;
/** Length of an address in the handshake in bytes. `ceph_entity_addr`. */
export const ADDRESS_SIZE = 136;
/** Length of a connect request without its authorizer in bytes. `ceph_msg_connect`. */
export const CONNECT_SIZE = 33;
/** Length of a connect reply without its authorizer reply in bytes. `ceph_msg_connect_reply`. */
export const CONNECT_REPLY_SIZE = 26;
/** Length of a message header in bytes. `ceph_msg_header`. */
export const HEADER_SIZE = 53;
/** Length of a message footer in bytes. `ceph_msg_footer`. */
export const FOOTER_SIZE = 21;
/** Length of a message footer in bytes where the session lacks {@linkcode Feature.MSG_AUTH}. `ceph_msg_footer_old`. */
export const OLD_FOOTER_SIZE = 13;

/** The first byte of every record, and of every connect reply. `CEPH_MSGR_TAG_*`. */
export const Tag = {
  /** Reply: the session is open. `CEPH_MSGR_TAG_READY`. */
  READY: 1,
  /** Reply: the acceptor does not know the session; begin a new one. `CEPH_MSGR_TAG_RESETSESSION`. */
  RESETSESSION: 2,
  /** Reply: both dialled at once and the other connection wins. `CEPH_MSGR_TAG_WAIT`. */
  WAIT: 3,
  /** Reply: ask again with the given connect_seq. `CEPH_MSGR_TAG_RETRY_SESSION`. */
  RETRY_SESSION: 4,
  /** Reply: ask again with a higher global_seq. `CEPH_MSGR_TAG_RETRY_GLOBAL`. */
  RETRY_GLOBAL: 5,
  /** The sender is closing. `CEPH_MSGR_TAG_CLOSE`. */
  CLOSE: 6,
  /** A message follows. `CEPH_MSGR_TAG_MSG`. */
  MSG: 7,
  /** All messages up to a number have arrived. `CEPH_MSGR_TAG_ACK`. */
  ACK: 8,
  /** A sign of life without a time stamp. `CEPH_MSGR_TAG_KEEPALIVE`. */
  KEEPALIVE: 9,
  /** Reply: another protocol version is spoken here. `CEPH_MSGR_TAG_BADPROTOVER`. */
  BADPROTOVER: 10,
  /** Reply: the authorizer was refused. `CEPH_MSGR_TAG_BADAUTHORIZER`. */
  BADAUTHORIZER: 11,
  /** Reply: a required feature is missing. `CEPH_MSGR_TAG_FEATURES`. */
  FEATURES: 12,
  /** Reply: the session is open, and both sides now say which message they received last. `CEPH_MSGR_TAG_SEQ`. */
  SEQ: 13,
  /** A sign of life with a time stamp. `CEPH_MSGR_TAG_KEEPALIVE2`. */
  KEEPALIVE2: 14,
  /** The answer to KEEPALIVE2, with the same time stamp. `CEPH_MSGR_TAG_KEEPALIVE2_ACK`. */
  KEEPALIVE2_ACK: 15,
  /** Reply: prove the authorizer with this challenge. `CEPH_MSGR_TAG_CHALLENGE_AUTHORIZER`. */
  CHALLENGE_AUTHORIZER: 16,
} as const;

const tagNames = new Map<number, string>(Object.entries(Tag).map(([name, value]) => [value, name]));

/** A tag's name for people: `"KEEPALIVE2"`, or `"tag 42"` for one that does not exist. */
export function tagName(tag: number): string {
  return tagNames.get(tag) ?? `tag ${tag}`;
}

/** Bit 0 of the flags of a connect request and its reply: the session is lossy. `CEPH_MSG_CONNECT_LOSSY`. */
export const CONNECT_LOSSY = 1;

/** Flags of a message footer. `CEPH_MSG_FOOTER_*`. */
export const FooterFlag = {
  /** The sender sent the message to its end. `CEPH_MSG_FOOTER_COMPLETE`. */
  COMPLETE: 1,
  /** The sender computed no crc of the data. `CEPH_MSG_FOOTER_NOCRC`. */
  NOCRC: 2,
  /** The message carries a signature. `CEPH_MSG_FOOTER_SIGNED`. */
  SIGNED: 4,
} as const;

/** Priorities of messages: higher leaves first. `CEPH_MSG_PRIO_*`. */
export const Priority = {
  /** At and above this, order between priorities is strict. `CEPH_MSG_PRIO_LOW`. */
  LOW: 64,
  /** `CEPH_MSG_PRIO_DEFAULT`. */
  DEFAULT: 127,
  /** `CEPH_MSG_PRIO_HIGH`. */
  HIGH: 196,
  /** `CEPH_MSG_PRIO_HIGHEST`. */
  HIGHEST: 255,
} as const;

/** Kinds of entities. Other numbers up to 255 are free for programs that are none of Ceph's. `CEPH_ENTITY_TYPE_*`. */
export const EntityType = {
  /** A monitor. `CEPH_ENTITY_TYPE_MON`. */
  MON: 0x01,
  /** A metadata server. `CEPH_ENTITY_TYPE_MDS`. */
  MDS: 0x02,
  /** An object storage daemon. `CEPH_ENTITY_TYPE_OSD`. */
  OSD: 0x04,
  /** A client, and any program without a better word for itself. `CEPH_ENTITY_TYPE_CLIENT`. */
  CLIENT: 0x08,
  /** A manager. `CEPH_ENTITY_TYPE_MGR`. */
  MGR: 0x10,
  /** The authentication service; only tickets name it. `CEPH_ENTITY_TYPE_AUTH`. */
  AUTH: 0x20,
} as const;

/** Protocol versions, by the kind of the entity that accepts. `CEPH_*_PROTOCOL`. */
export const Protocol = {
  /** `CEPH_MONC_PROTOCOL`. */
  MON: 15,
  /** `CEPH_OSDC_PROTOCOL`. */
  OSD: 24,
  /** `CEPH_MDSC_PROTOCOL`. */
  MDS: 32,
} as const;

/** How an authorizer is to be read. `CEPH_AUTH_*`. */
export const AuthProtocol = {
  /** There is no authorizer. `CEPH_AUTH_UNKNOWN`. */
  UNKNOWN: 0,
  /** A name without a proof. `CEPH_AUTH_NONE`. */
  NONE: 1,
  /** A ticket of the monitor. `CEPH_AUTH_CEPHX`. */
  CEPHX: 2,
} as const;

/** Feature bits that change what this module sends or reads. `CEPH_FEATURE_*`. */
export const Feature = {
  /** Historic; OSDs require it of their peers. */
  UID: 1n << 0n,
  /** The message header of 53 bytes. */
  NOSRCADDR: 1n << 1n,
  /** Subscriptions name the epoch to begin at. */
  SUBSCRIBE2: 1n << 4n,
  /** Monitor maps by name. */
  MONNAMES: 1n << 5n,
  /** The reply SEQ and its exchange of sequence numbers. */
  RECONNECT_SEQ: 1n << 6n,
  /** The footer of 21 bytes, with room for a signature. */
  MSG_AUTH: 1n << 23n,
  /** KEEPALIVE2 and its acknowledgement. */
  MSGR_KEEPALIVE2: 1n << 42n,
  /** Authorizers with a challenge. */
  CEPHX_V2: 1n << 61n,
} as const;

/** Every feature that the messenger itself implements: what a program offers that says nothing else. */
export const MESSENGER_FEATURES: bigint = Feature.UID | Feature.NOSRCADDR | Feature.RECONNECT_SEQ | Feature.MSG_AUTH |
  Feature.MSGR_KEEPALIVE2;
