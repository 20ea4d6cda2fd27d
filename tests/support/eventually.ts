/**
 * Waiting for what nobody announces.
 *
 * @module
 */

/** Looks at the condition in every turn of the event loop until it holds. Ceph's `CHECK_AND_WAIT_TRUE`. A hang is the runner's to end. */
export async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}
