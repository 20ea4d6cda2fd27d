import { assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import {
  losslessClient,
  losslessPeer,
  losslessPeerReuse,
  lossyClient,
  type Policy,
  PolicySet,
  statefulServer,
  statelessServer,
} from "../src/policy.ts";
import { Throttle } from "../src/throttle.ts";
import { EntityType, Feature, MESSENGER_FEATURES } from "../src/wire/constants.ts";

// Ceph's `Policy` constructor calls: lossy, server, standby, resetcheck.
const kinds: [string, () => Policy, [boolean, boolean, boolean, boolean]][] = [
  ["lossyClient", lossyClient, [true, false, false, false]],
  ["losslessClient", losslessClient, [false, false, false, true]],
  ["losslessPeer", losslessPeer, [false, false, true, false]],
  ["losslessPeerReuse", losslessPeerReuse, [false, false, true, true]],
  ["statefulServer", statefulServer, [false, true, true, true]],
  ["statelessServer", statelessServer, [true, true, false, false]],
];

for (const [name, make, expected] of kinds) {
  test(`${name}() has Ceph's lossy, server, standby and resetcheck`, () => {
    const { lossy, server, standby, resetcheck, featuresSupported, featuresRequired } = make();
    assertEquals([lossy, server, standby, resetcheck], expected);
    assertEquals([featuresSupported, featuresRequired], [MESSENGER_FEATURES, 0n]);
  });
}

test("a policy takes features and throttles, and keeps what its name fixes", () => {
  const throttlerBytes = new Throttle(1000), throttlerMessages = new Throttle(10);
  const policy = statefulServer({ featuresRequired: Feature.MSG_AUTH, throttlerBytes, throttlerMessages });
  assertEquals([policy.lossy, policy.server, policy.featuresRequired], [false, true, Feature.MSG_AUTH]);
  assertStrictEquals(policy.throttlerBytes, throttlerBytes);
  assertStrictEquals(policy.throttlerMessages, throttlerMessages);
});

test("PolicySet.get() gives losslessPeerReuse where nothing was set", () => {
  assertEquals(new PolicySet().get(EntityType.OSD), losslessPeerReuse());
});

test("PolicySet.get() gives a kind's own policy, and to all others the default", () => {
  const policies = new PolicySet(), server = statelessServer(), client = lossyClient();
  policies.set(EntityType.CLIENT, server);
  policies.set(undefined, client);
  assertStrictEquals(policies.get(EntityType.CLIENT), server);
  assertStrictEquals(policies.get(EntityType.MON), client);
  policies.set(EntityType.CLIENT, client);
  assertStrictEquals(policies.get(EntityType.CLIENT), client);
});
