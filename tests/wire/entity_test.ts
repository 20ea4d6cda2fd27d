import { assertEquals, assertThrows } from "@std/assert";
import { test } from "node:test";
import { MessengerError } from "../../src/errors.ts";
import { EntityType } from "../../src/wire/constants.ts";
import { EntityName, entityTypeLabel, parseEntityType } from "../../src/wire/entity.ts";

function refused(name: () => unknown): string {
  const error = assertThrows(name, MessengerError);
  assertEquals(error.code, "invalid");
  return error.message;
}

test("EntityName.parse() reads what toString() writes", () => {
  for (
    const text of ["mon.0", "mds.1", "osd.3", "client.4242", "client.?", "mgr.7", "auth.0", "type64.9", "type255.0"]
  ) {
    assertEquals(EntityName.parse(text).toString(), text);
  }
});

test("EntityName.parse() gives Ceph's numbers for Ceph's kinds", () => {
  const kinds = ["mon.0", "mds.0", "osd.0", "client.0", "mgr.0", "auth.0"].map((text) => EntityName.parse(text).type);
  assertEquals(kinds, [0x01, 0x02, 0x04, 0x08, 0x10, 0x20]);
});

test("EntityName.parse() reads ? as -1, and so is every number written that is not known", () => {
  assertEquals(EntityName.parse("client.?").num, -1);
  assertEquals(new EntityName("client", -7).toString(), "client.?");
  assertEquals(new EntityName(EntityType.CLIENT).num, -1);
});

test("EntityName.parse() refuses what is no name and says what it expected", () => {
  for (const text of ["", "osd", "osd.", ".3", "osd.-1", "osd.x", "osd.3.4", "OSD.3", " osd.3", "osd.3 "]) {
    assertEquals(refused(() => EntityName.parse(text)), `Bad entity name: got "${text}", expected "type.number"`);
  }
  assertEquals(refused(() => EntityName.parse("osd.9007199254740992")).startsWith("Bad entity number"), true);
});

test("EntityName refuses a kind or number out of range and names the limit", () => {
  for (const type of [0, 256, -1, 1.5, NaN, "", "ceph", "type0", "type256"]) {
    assertEquals(
      refused(() => new EntityName(type, 1)),
      `Bad entity type: got ${type}, expected 1 to 255 or one of mon, mds, osd, client, mgr, auth`,
    );
  }
  for (const num of [NaN, 1.5, 2 ** 53]) {
    assertEquals(refused(() => new EntityName("osd", num)), `Bad entity number: got ${num}, expected a safe integer`);
  }
});

test("parseEntityType() and entityTypeLabel() are each other's inverse for every kind", () => {
  for (let type = 1; type <= 255; type++) assertEquals(parseEntityType(entityTypeLabel(type)), type);
});
