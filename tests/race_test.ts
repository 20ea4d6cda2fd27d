import { assertEquals } from "@std/assert";
import { test } from "node:test";
import { decideExisting, type Decision, EXISTING_SESSION_TABLE, type ExistingSession } from "../src/race.ts";
import type { PipeState } from "../src/session.ts";
import { Tag } from "../src/wire/constants.ts";

/** An open lossless session of the third connection, and a peer that asks for its fourth: row i. */
const usual: ExistingSession = {
  globalSeq: 10,
  connectSeq: 4,
  resetcheck: true,
  peerIsSmaller: false,
  existing: { state: "open", lossy: false, server: false, connectSeq: 3, peerGlobalSeq: 9 },
};

type Changes = Partial<Omit<ExistingSession, "existing">> & Partial<ExistingSession["existing"]>;

/** What is decided where some things are different from the {@linkcode usual}. For `connectSeq` of the existing one see `ours`. */
function decide(changes: Changes, ours?: number): Decision {
  const { state, lossy, server, peerGlobalSeq, ...asked } = changes;
  const existing = {
    ...usual.existing,
    ...withoutUndefined({ state, lossy, server, peerGlobalSeq, connectSeq: ours }),
  };
  return decideExisting({ ...usual, ...asked, existing });
}

function withoutUndefined<T extends object>(values: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as { [Key in keyof T]: Exclude<T[Key], undefined> };
}

function replace(row: string, how: { resetFromPeer?: boolean; resetSession?: boolean } = {}): Decision {
  return { row, action: "replace", resetFromPeer: false, resetSession: false, ...how };
}

function reply(
  row: string,
  tag: number,
  how: { globalSeq?: number; connectSeq?: number; keepalive?: boolean } = {},
): Decision {
  return { row, action: "reply", tag, globalSeq: 0, connectSeq: 0, keepalive: false, ...how };
}

test("row a: an attempt older than the session's own is told the number to exceed", () => {
  assertEquals(decide({ globalSeq: 8 }), reply("a", Tag.RETRY_GLOBAL, { globalSeq: 9 }));
  assertEquals(decide({ globalSeq: 8, lossy: true, connectSeq: 0 }), reply("a", Tag.RETRY_GLOBAL, { globalSeq: 9 }));
  assertEquals(decide({ globalSeq: 9 }), replace("i"));
});

test("row b: a lossy connection is replaced, and what it held is dropped", () => {
  for (const connectSeq of [0, 3, 4]) {
    assertEquals(decide({ lossy: true, connectSeq }), replace("b", { resetSession: true }));
  }
});

test("row c: a peer that begins anew replaces its session, which is dropped where resets are checked", () => {
  const began = { connectSeq: 0 };
  assertEquals(decide(began), replace("c", { resetFromPeer: true, resetSession: true }));
  assertEquals(decide({ ...began, resetcheck: false }), replace("c", { resetFromPeer: true }));
  for (const state of ["open", "standby", "connecting", "wait"] as const) {
    assertEquals(decide({ ...began, state }).row, "c");
  }
});

test("row d: a peer that missed a reconnect is told the session's next number", () => {
  assertEquals(decide({ connectSeq: 1 }), reply("d", Tag.RETRY_SESSION, { connectSeq: 4 }));
  assertEquals(decide({ connectSeq: 2, state: "connecting" }), reply("d", Tag.RETRY_SESSION, { connectSeq: 4 }));
});

test("row e1: a session that this side never opened is replaced", () => {
  assertEquals(decide({ connectSeq: 0, state: "standby" }, 0), replace("e1"));
  assertEquals(decide({ connectSeq: 0, state: "standby", resetcheck: false }, 0), replace("e1"));
});

test("row e: a peer that has noticed a fault that this side has not is told the session's next number", () => {
  for (const state of ["open", "standby"] as const) {
    assertEquals(decide({ connectSeq: 3, state }), reply("e", Tag.RETRY_SESSION, { connectSeq: 4 }));
  }
});

test("row f: of two that dialled at once the smaller address' connection wins, and a server's client always", () => {
  for (const state of ["connecting", "wait"] as const) {
    assertEquals(decide({ connectSeq: 3, state, peerIsSmaller: true }), replace("f"));
    assertEquals(decide({ connectSeq: 3, state, server: true }), replace("f"));
    assertEquals(decide({ connectSeq: 0, state, peerIsSmaller: true }, 0), replace("f"));
  }
});

test("row f: nobody is told to wait for a connection that this side is not making", () => {
  for (const state of ["wait", "accepting", "closing"] as const) {
    assertEquals(decide({ connectSeq: 3, state }), replace("f"));
  }
});

test("row g: the larger address' connection is told to wait for ours, which is kept going", () => {
  assertEquals(decide({ connectSeq: 3, state: "connecting" }), reply("g", Tag.WAIT, { keepalive: true }));
  assertEquals(decide({ connectSeq: 0, state: "connecting" }, 0), reply("g", Tag.WAIT, { keepalive: true }));
});

test("row h: a peer that speaks of a session that this side never had is told to begin anew", () => {
  for (const state of ["standby", "connecting", "wait"] as const) {
    assertEquals(decide({ connectSeq: 1, state }, 0), reply("h", Tag.RESETSESSION));
  }
});

test("row i: a peer that reconnects replaces its old connection and keeps its session", () => {
  for (const state of ["open", "standby", "connecting", "wait"] as const) assertEquals(decide({ state }), replace("i"));
  assertEquals(decide({ connectSeq: 9 }), replace("i"));
  assertEquals(decide({ connectSeq: 1, state: "standby", resetcheck: false }, 0), replace("i"));
});

const states: PipeState[] = ["accepting", "connecting", "open", "standby", "wait", "closing"];
const both = [false, true];

/** Every case with small numbers. A Pipe that is open or closing has had its session opened once at least. */
const everyCase: ExistingSession[] = states.flatMap((state) =>
  both.flatMap((lossy) =>
    both.flatMap((server) =>
      both.flatMap((resetcheck) =>
        both.flatMap((peerIsSmaller) =>
          [0, 1, 2].flatMap((ours) =>
            [0, 1, 2, 3].flatMap((connectSeq) =>
              [4, 5, 6].map((globalSeq) => {
                const existing = { state, lossy, server, connectSeq: ours, peerGlobalSeq: 5 };
                return { globalSeq, connectSeq, resetcheck, peerIsSmaller, existing };
              })
            )
          )
        )
      )
    )
  )
).filter(({ existing }) => existing.connectSeq > 0 || (existing.state !== "open" && existing.state !== "closing"));

test("decideExisting() has an answer to every case, and every row answers some", () => {
  const rows = new Set(everyCase.map((session) => decideExisting(session).row));
  assertEquals([...rows].toSorted(), EXISTING_SESSION_TABLE.map(({ row }) => row).toSorted());
  assertEquals([...rows].toSorted(), ["a", "b", "c", "d", "e", "e1", "f", "g", "h", "i"]);
});

test("decideExisting() lets no peer go round in circles: who does as told is in, or waits, within three rounds", () => {
  for (const start of everyCase) {
    let asked = start, rounds = 0;
    for (let answer = decideExisting(asked); answer.action === "reply"; answer = decideExisting(asked)) {
      if (answer.tag === Tag.WAIT) break;
      rounds++;
      assertEquals(rounds <= 3, true, `${JSON.stringify(start)} goes round`);
      if (answer.tag === Tag.RETRY_GLOBAL) asked = { ...asked, globalSeq: answer.globalSeq + 1 };
      else asked = { ...asked, connectSeq: answer.tag === Tag.RESETSESSION ? 0 : answer.connectSeq };
    }
  }
});

test("decideExisting() says WAIT only while our own connection is being made, and keeps that going", () => {
  for (const session of everyCase) {
    const decision = decideExisting(session);
    if (decision.action !== "reply") continue;
    assertEquals(decision.keepalive, decision.tag === Tag.WAIT);
    if (decision.tag === Tag.WAIT) assertEquals(session.existing.state, "connecting", JSON.stringify(session));
  }
});

test("decideExisting() drops a session only if it was lossy, or the peer began anew and resets are checked", () => {
  for (const session of everyCase) {
    const decision = decideExisting(session);
    if (decision.action !== "replace") continue;
    const beganAnew = !session.existing.lossy && session.connectSeq === 0 && session.existing.connectSeq > 0;
    assertEquals(decision.resetFromPeer, beganAnew);
    assertEquals(decision.resetSession, session.existing.lossy || (beganAnew && session.resetcheck));
  }
});

test("two lossless peers that dial at once get one connection: exactly one of them says WAIT", () => {
  for (const connectSeq of [0, 3]) {
    const answers = [true, false].map((peerIsSmaller) =>
      decide({ connectSeq, state: "connecting", peerIsSmaller }, connectSeq).row
    );
    assertEquals(answers, ["f", "g"]);
  }
});

test("a session marked down on one side only begins anew on the other", () => {
  assertEquals(decide({ connectSeq: 0 }), replace("c", { resetFromPeer: true, resetSession: true }));
});

test("a monitor that restarts under its address and nonce is not taken for its old self", () => {
  const restarted = decide({ connectSeq: 0, globalSeq: 10 });
  assertEquals(restarted, replace("c", { resetFromPeer: true, resetSession: true }));
});

test("a peer in standby that never opened its session does not answer RETRY_SESSION and RESETSESSION for ever", () => {
  const first = decide({ connectSeq: 1, state: "standby" }, 0);
  assertEquals(first, reply("h", Tag.RESETSESSION));
  assertEquals(decide({ connectSeq: 0, state: "standby" }, 0), replace("e1"));
});
