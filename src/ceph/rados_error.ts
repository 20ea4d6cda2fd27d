/**
 * Operations on objects that went wrong.
 *
 * @module
 */

import { MessengerError } from "../errors.ts";
import { ENOENT, errnoText } from "./errno.ts";

/**
 * An OSD refused an operation, or failed to carry it out. Its `code` is `"not_found"` where there is no such object, and `"operation"` for everything else.
 */
export class RadosError extends MessengerError {
  /** The class's name. */
  override readonly name = "RadosError";
  /** A negative error number of Linux: -2 is `ENOENT`. */
  readonly status: number;

  /**
   * Makes an error of what an OSD said.
   *
   * @param what What was tried: `'read "greeting" in pool "p"'`.
   * @param status What the OSD said, as a negative number.
   */
  constructor(what: string, status: number) {
    super(status === -ENOENT ? "not_found" : "operation", `Cannot ${what}: ${errnoText(status)}`);
    this.status = status;
  }
}
