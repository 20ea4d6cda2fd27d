/**
 * The features that a Ceph client offers.
 *
 * @module
 */

/**
 * What Ceph 16.2 offers itself. Daemons refuse clients that lack some of them, and encode what they send for those that both sides have: the
 * decoders here read what Ceph 16.2 writes for a peer of its own kind.
 */
export const CEPH_FEATURES = 0x3f01cfbdfffdffffn;
