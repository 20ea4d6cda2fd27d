/**
 * For tests: networks that exist only in memory.
 *
 * @module
 */

export { MemoryNetwork } from "./net/memory.ts";
