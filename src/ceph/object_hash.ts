/**
 * From the name of an object to the placement group that it belongs to.
 *
 * @module
 */

const utf8 = new TextEncoder();
const GOLDEN_RATIO = 0x9e3779b9;
/** Stands between a namespace and a name. */
const SEPARATOR = 0x1f;

/**
 * The 32 bits that place an object: Bob Jenkins' hash of its name. Ceph's `ceph_str_hash_rjenkins`, the only one that pools are made with.
 *
 * @param name The object's name.
 * @param namespace The namespace that it is in.
 */
export function hashObject(name: string, namespace = ""): number {
  if (namespace === "") return hashBytes(utf8.encode(name));
  return hashBytes(utf8.encode(`${namespace}${String.fromCharCode(SEPARATOR)}${name}`));
}

/**
 * Which of a pool's placement groups a hash falls into. While `pgNum` grows towards a power of two, only objects of groups that split are moved. Ceph's
 * `ceph_stable_mod`.
 */
export function placementSeed(hash: number, pgNum: number): number {
  const mask = pgNum <= 1 ? 0 : 2 ** (32 - Math.clz32(pgNum - 1)) - 1;
  const seed = (hash & mask) >>> 0;
  return seed < pgNum ? seed : (hash & (mask >>> 1)) >>> 0;
}

/** Hashes the first 12 bytes at a time, and what is left together with the length. */
function hashBytes(bytes: Uint8Array): number {
  let a = GOLDEN_RATIO | 0, b = GOLDEN_RATIO | 0, c = 0, at = 0;
  const word = (from: number) =>
    (bytes[from] ?? 0) | ((bytes[from + 1] ?? 0) << 8) | ((bytes[from + 2] ?? 0) << 16) |
    ((bytes[from + 3] ?? 0) << 24);
  for (; bytes.length - at >= 12; at += 12) {
    a = a + word(at) | 0;
    b = b + word(at + 4) | 0;
    c = c + word(at + 8) | 0;
    mix();
  }
  a = a + word(at) | 0;
  b = b + word(at + 4) | 0;
  // The lowest byte of c is the length's.
  c = c + (word(at + 8) << 8) + bytes.length | 0;
  mix();
  return c >>> 0;

  function mix(): void {
    mixRound(13, 8, 13);
    mixRound(12, 16, 5);
    mixRound(3, 10, 15);
  }

  function mixRound(right: number, left: number, last: number): void {
    a = (a - b - c) ^ (c >>> right);
    b = (b - c - a) ^ (a << left);
    c = (c - a - b) ^ (b >>> last);
  }
}
