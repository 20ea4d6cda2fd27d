/**
 * Linux's error numbers, which is how Ceph's daemons say no.
 *
 * @module
 */

const names: ReadonlyMap<number, string> = new Map([
  [1, "EPERM"],
  [2, "ENOENT"],
  [5, "EIO"],
  [11, "EAGAIN"],
  [12, "ENOMEM"],
  [13, "EACCES"],
  [16, "EBUSY"],
  [17, "EEXIST"],
  [22, "EINVAL"],
  [27, "EFBIG"],
  [28, "ENOSPC"],
  [30, "EROFS"],
  [34, "ERANGE"],
  [39, "ENOTEMPTY"],
  [61, "ENODATA"],
  [75, "EOVERFLOW"],
  [95, "EOPNOTSUPP"],
  [108, "ESHUTDOWN"],
  [110, "ETIMEDOUT"],
  [122, "EDQUOT"],
]);

/** `ENOENT`. */
export const ENOENT = 2;
/** `EACCES`. */
export const EACCES = 13;
/** `EOPNOTSUPP`. */
export const EOPNOTSUPP = 95;

/** A negative status in words: `"EACCES (-13)"`. */
export function errnoText(status: number): string {
  const name = names.get(-status);
  return name === undefined ? String(status) : `${name} (${status})`;
}
