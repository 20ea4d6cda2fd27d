/**
 * For tests: networks that exist only in memory, virtual time, faults from a seed, and a checker of what was promised.
 *
 * @module
 */

export { MemoryNetwork, type MemoryNetworkOptions } from "./net/memory.ts";
export {
  DeliveryChecker,
  type DeliveryCheckerOptions,
  type DeliveryPromise,
  type Incoming,
  type Outgoing,
  Party,
  type Sent,
} from "./testing/delivery_checker.ts";
export { type InjectedFaults, injectFaults } from "./testing/inject_faults.ts";
export * from "./testing/schedule.ts";
export { SeededRandom } from "./testing/seeded_random.ts";
export {
  type ConnectionFault,
  type ConnectionHost,
  type End,
  type Notice,
  SimulatedConnection,
} from "./testing/simulated_connection.ts";
export { SimulatedHost, SimulatedNetwork, type SimulatedNetworkOptions } from "./testing/simulated_network.ts";
export { type Outcome, simulate, type SimulateOptions } from "./testing/simulation.ts";
export { type CoverageKind, StateCoverage } from "./testing/state_coverage.ts";
export { Trace } from "./testing/trace.ts";
export { type RunOptions, VirtualEnvironment, type VirtualEnvironmentOptions } from "./testing/virtual_environment.ts";
