/**
 * Ceph's synthetic workloads (`test_msgr.cc`) with their proportions, scaled down to a few seconds on two cores: messengers that connect, send
 * and mark down at random while their connections break. What they prove is order, no repetition, no damage, no loss on lossless
 * sessions except across resets that were told, and that nothing is left at the end.
 */

import { assertGreater } from "@std/assert";
import { test } from "node:test";
import {
  losslessClient,
  losslessPeer,
  losslessPeerReuse,
  lossyClient,
  type MessengerOptions,
  type Policy,
  statefulServer,
  statelessServer,
  systemEnvironment,
} from "../mod.ts";
import { type InjectedFaults, injectFaults } from "../src/testing/inject_faults.ts";
import { SeededRandom } from "../src/testing/seeded_random.ts";
import { networks } from "./support/networks.ts";
import { type Mix, play, SyntheticWorkload } from "./support/synthetic_workload.ts";

/** A number here plays that run's draws again; the order in which sockets come along is not drawn. */
const SEED: number | undefined = undefined;
/** How long a workload may take before it says what it hangs on, in ms. */
const LIMIT = 30_000;

interface Scenario {
  readonly name: string;
  readonly servers: number;
  readonly clients: number;
  readonly serverPolicy: () => Policy;
  readonly clientPolicy: () => Policy;
  /** Connections to begin with. */
  readonly first: number;
  readonly operations: number;
  readonly mix: Mix;
  readonly faults?: InjectedFaults;
  readonly messenger?: MessengerOptions;
}

/** Ceph's 0.1 s and 5 s, in proportion to these runs. */
const msInjectInternalDelays = 0.01, msInjectDelayMax = 0.01;

const scenarios: readonly Scenario[] = [
  {
    name: "SyntheticStressTest: stateful servers, lossless clients",
    servers: 4,
    clients: 16,
    serverPolicy: statefulServer,
    clientPolicy: losslessClient,
    first: 25,
    operations: 1000,
    mix: { connect: 9, drop: 10, send: 70 },
  },
  {
    name: "SyntheticStressTest1: equals that may come back under their address",
    servers: 8,
    clients: 16,
    serverPolicy: losslessPeerReuse,
    clientPolicy: losslessPeerReuse,
    first: 10,
    operations: 2000,
    mix: { connect: 19, drop: 20, send: 50 },
  },
  {
    name: "SyntheticInjectTest: stateful servers, lossless clients, failures, a small dispatch throttle",
    servers: 4,
    clients: 16,
    serverPolicy: statefulServer,
    clientPolicy: losslessClient,
    first: 25,
    operations: 1000,
    mix: { connect: 9, drop: 10, send: 70 },
    faults: { msInjectSocketFailures: 30, msInjectInternalDelays },
    messenger: { dispatchThrottleBytes: 256 * 1024 },
  },
  {
    name: "SyntheticInjectTest2: equals that may come back under their address, failures",
    servers: 4,
    clients: 8,
    serverPolicy: losslessPeerReuse,
    clientPolicy: losslessPeerReuse,
    first: 25,
    operations: 1000,
    mix: { connect: 9, drop: 10, send: 70 },
    faults: { msInjectSocketFailures: 30, msInjectInternalDelays },
  },
  {
    name: "SyntheticInjectTest3: stateless servers, lossy clients, failures",
    servers: 4,
    clients: 8,
    serverPolicy: statelessServer,
    clientPolicy: lossyClient,
    first: 25,
    operations: 1000,
    mix: { connect: 9, drop: 10, send: 70 },
    faults: { msInjectSocketFailures: 600, msInjectInternalDelays },
  },
  {
    name: "SyntheticInjectTest4: equals that never lose a session, failures, everything late",
    servers: 8,
    clients: 16,
    serverPolicy: losslessPeer,
    clientPolicy: losslessPeer,
    first: 25,
    operations: 1000,
    mix: { connect: 4, drop: 0, send: 70 },
    faults: { msInjectSocketFailures: 30, msInjectInternalDelays, msInjectDelayProbability: 1, msInjectDelayMax },
  },
];

for (const { name, open } of networks) {
  for (const { name: title, first, operations, mix, faults, ...who } of scenarios) {
    test(`${title} (${name})`, { timeout: 2 * LIMIT }, async () => {
      const seed = SEED ?? Math.floor(Math.random() * 2 ** 32);
      const random = new SeededRandom(seed), chance = random.fork();
      let network = await open();
      if (faults !== undefined) {
        network = injectFaults(network, { ...systemEnvironment, random: () => chance.next() }, faults);
      }
      const workload = await SyntheticWorkload.open({ ...who, maxConnections: 32, network, random });
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error(`Unfinished after ${LIMIT} ms:\n${workload.describe()}`)), LIMIT);
      });
      try {
        const run = play(workload, random, first, operations, mix).then(() => workload.done());
        await Promise.race([run, late]);
        if (faults !== undefined) assertGreater(workload.faults, 0, "connections broke");
      } catch (error) {
        await workload.close();
        throw new Error(`With seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
      } finally {
        clearTimeout(timer);
      }
    });
  }
}
