/**
 * Commands that went wrong.
 *
 * @module
 */

import { MessengerError } from "../errors.ts";
import { errnoText } from "./errno.ts";
import type { CommandReply } from "./mon_messages.ts";

/** The monitors refused a command, or failed to carry it out. Its `code` is `"command"`. */
export class CommandError extends MessengerError {
  /** The class's name. */
  override readonly name = "CommandError";
  /** A negative error number of Linux: -22 is `EINVAL`. */
  readonly status: number;

  /**
   * Makes an error of what the monitors said.
   *
   * @param command The command's first words.
   * @param reply What the monitors said.
   */
  constructor(command: string, reply: Pick<CommandReply, "status" | "text">) {
    super("command", `Command "${command}" failed: ${errnoText(reply.status)}${reply.text && `, ${reply.text}`}`);
    this.status = reply.status;
  }
}
