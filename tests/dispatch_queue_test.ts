import { assertEquals, assertStrictEquals } from "@std/assert";
import { test } from "node:test";
import { Connection } from "../src/connection.ts";
import { DispatchQueue } from "../src/dispatch_queue.ts";
import type { Dispatcher } from "../src/dispatcher.ts";
import { FlushQueue } from "../src/flush_queue.ts";
import { type Message, receivedMessage } from "../src/message.ts";
import { Session } from "../src/session.ts";
import { EntityName } from "../src/wire/entity.ts";
import { emptyMessageHeader } from "../src/wire/frame.ts";

const source = EntityName.parse("osd.0");
const connection = new Connection(new Session(1, 1));

/** A queue with dispatchers, and everything that it tells. */
class Fixture {
  readonly queue: DispatchQueue;
  /** What dispatchers threw, and what that was about. */
  readonly errors: [error: unknown, subject: Message | Connection][] = [];
  /** Types of the messages that nobody wanted. */
  readonly unhandled: number[] = [];
  /** Types of the messages whose share of the throttles was given back. */
  readonly released: number[] = [];

  constructor(...dispatchers: Dispatcher[]) {
    this.queue = new DispatchQueue(
      (error, subject) => this.errors.push([error, subject]),
      (message) => this.unhandled.push(message.type),
      new FlushQueue(queueMicrotask),
    );
    for (const dispatcher of dispatchers) this.queue.add(dispatcher, "tail");
  }

  /** A received message, which holds a share of the throttles. */
  message(type: number, dataLength = 0): Message {
    const arrival = { bytes: new Uint8Array(dataLength), source, connection, receivedAt: 0 };
    const lease = { release: () => this.released.push(type) };
    return receivedMessage({ ...emptyMessageHeader(), type, dataLength }, 0, 0, arrival, 0, lease);
  }

  /** Has messages arrive on a session. */
  deliver(id: number, priority: number, ...types: number[]): void {
    for (const type of types) this.queue.deliver(this.message(type), id, priority);
  }
}

/** Lets everything happen that waits for nothing from outside. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await undefined;
}

/** Notes the types of the messages that it handles. */
function noting(): Dispatcher & { seen: number[] } {
  const seen: number[] = [];
  return { seen, dispatch: (message) => void seen.push(message.type) };
}

/** Handles each message for as long as the test wants it to. */
function slow(): Dispatcher & { started: number[]; finish: (type: number, verdict?: boolean) => Promise<void> } {
  const started: number[] = [], at = new Map<number, (verdict: boolean) => void>();
  return {
    started,
    dispatch: (message) => {
      started.push(message.type);
      return new Promise<boolean>((resolve) => at.set(message.type, resolve));
    },
    finish: (type, verdict = true) => {
      at.get(type)!(verdict);
      return settle();
    },
  };
}

test("DispatchQueue.deliver() dispatches when its caller is done, not in the middle of its work", async () => {
  const dispatcher = noting(), fixture = new Fixture(dispatcher);
  fixture.deliver(1, 127, 1);
  assertEquals([dispatcher.seen, fixture.queue.length], [[], 1]);
  await settle();
  assertEquals([dispatcher.seen, fixture.queue.length], [[1], 0]);
});

test("DispatchQueue dispatches the highest priority first", async () => {
  const dispatcher = noting(), fixture = new Fixture(dispatcher);
  fixture.deliver(1, 64, 1);
  fixture.deliver(1, 127, 2);
  fixture.deliver(2, 255, 3);
  fixture.deliver(2, 196, 4);
  await settle();
  assertEquals(dispatcher.seen, [3, 4, 2, 1]);
});

test("DispatchQueue dispatches a connection's messages of one priority in their order, and lets connections take turns", async () => {
  const dispatcher = noting(), fixture = new Fixture(dispatcher);
  fixture.deliver(1, 127, 11, 12, 13, 14);
  fixture.deliver(2, 127, 21, 22);
  fixture.deliver(3, 127, 31);
  await settle();
  assertEquals(dispatcher.seen, [11, 21, 31, 12, 22, 13, 14]);
});

test("DispatchQueue dispatches messages below priority 64 last, those with little data more often", async () => {
  const dispatcher = noting(), fixture = new Fixture(dispatcher);
  for (let i = 0; i < 60; i++) {
    fixture.queue.deliver(fixture.message(1, 640 * 1024), 1, 30);
    fixture.queue.deliver(fixture.message(2), 2, 31);
  }
  fixture.deliver(3, 64, 3);
  await settle();
  assertEquals(dispatcher.seen[0], 3);
  // Ten times the bytes, about a tenth of the turns: the first one after 21 small ones, which is when it has saved enough.
  assertEquals(dispatcher.seen.indexOf(1), 22);
  assertEquals(dispatcher.seen.slice(1, 61).filter((type) => type === 1).length, 4);
  assertEquals(dispatcher.seen.length, 121);
});

test("DispatchQueue tells events before messages, and no message's priority gets above that", async () => {
  const told: string[] = [];
  const fixture = new Fixture({
    dispatch: (message) => void told.push(`message ${message.type}`),
    handleReset: () => void told.push("reset"),
    handleConnect: () => void told.push("connect"),
  });
  fixture.deliver(1, 65535, 1);
  fixture.deliver(1, 255, 2);
  fixture.queue.event("handleConnect", connection);
  fixture.queue.event("handleReset", connection, { dropped: 0 });
  await settle();
  assertEquals(told, ["connect", "reset", "message 1", "message 2"]);
});

test("DispatchQueue.event() tells every dispatcher with the connection, and what there is to tell of it", async () => {
  const told: unknown[] = [], info = { dropped: 3 };
  const dispatcher: Dispatcher = {
    handleReset: (...args) => void told.push(...args),
    handleRefused: (...args) => void told.push(args[0]),
  };
  const fixture = new Fixture(dispatcher, {}, dispatcher);
  fixture.queue.event("handleReset", connection, info);
  fixture.queue.event("handleRefused", connection);
  await settle();
  assertEquals(told.length, 6);
  assertStrictEquals(told[0], connection);
  assertStrictEquals(told[3], info);
  assertStrictEquals(told[4], connection);
});

test("DispatchQueue passes over the connection whose dispatcher returned a promise, and no other", async () => {
  const dispatcher = slow(), fixture = new Fixture(dispatcher);
  fixture.deliver(1, 127, 11, 12);
  fixture.deliver(1, 255, 13);
  fixture.deliver(2, 64, 21);
  await settle();
  assertEquals([dispatcher.started, fixture.queue.length], [[13, 21], 2]);
  fixture.deliver(1, 255, 14);
  await settle();
  assertEquals(dispatcher.started, [13, 21]);
  await dispatcher.finish(13);
  assertEquals(dispatcher.started, [13, 21, 14]);
  await dispatcher.finish(14);
  await dispatcher.finish(11);
  assertEquals(dispatcher.started, [13, 21, 14, 11, 12]);
});

test("DispatchQueue tells events of a connection whose dispatcher is at work", async () => {
  const dispatcher = slow(), fixture = new Fixture(dispatcher);
  let resets = 0;
  fixture.queue.add({ handleReset: () => void resets++ }, "tail");
  fixture.deliver(1, 127, 11);
  await settle();
  fixture.queue.event("handleReset", connection, { dropped: 0 });
  await settle();
  assertEquals([resets, dispatcher.started], [1, [11]]);
});

test("DispatchQueue offers a message to the next dispatcher only if one returns false", async () => {
  const verdicts = new Map<number, boolean | void | Promise<boolean | void>>([
    [1, false],
    [2, undefined],
    [3, true],
    [4, Promise.resolve(false)],
    [5, Promise.resolve()],
  ]);
  const last = noting(), fixture = new Fixture({ dispatch: (message) => verdicts.get(message.type)! }, {}, last);
  for (const type of verdicts.keys()) fixture.deliver(type, 127, type);
  await settle();
  assertEquals([last.seen, fixture.unhandled], [[1, 4], []]);
});

test("DispatchQueue tells of a message that nobody wanted, once, and gives its share back", async () => {
  const declines = { dispatch: () => false }, later = { dispatch: () => Promise.resolve(false) };
  const fixture = new Fixture(declines, later, declines), nobody = new Fixture();
  fixture.deliver(1, 127, 1);
  nobody.deliver(1, 127, 2);
  await settle();
  assertEquals([fixture.unhandled, fixture.released], [[1], [1]]);
  assertEquals([nobody.unhandled, nobody.released], [[2], [2]]);
});

test("DispatchQueue reports what a dispatcher throws or rejects with, and goes on with the next message", async () => {
  const last = noting(), thrown = new Error("thrown"), rejected = new Error("rejected");
  const fixture = new Fixture({
    dispatch: (message) => {
      if (message.type === 1) throw thrown;
      return message.type === 2 ? Promise.reject(rejected) : false;
    },
  }, last);
  fixture.deliver(1, 127, 1, 2, 3);
  await settle();
  assertEquals(fixture.errors.map(([error]) => error), [thrown, rejected]);
  assertEquals(fixture.errors.map(([, subject]) => (subject as Message).type), [1, 2]);
  // Whoever throws has had the message: nobody else is asked.
  assertEquals([last.seen, fixture.released], [[3], [1, 2, 3]]);
});

test("DispatchQueue reports what a dispatcher throws at an event, and tells the others", async () => {
  const thrown = new Error("thrown"), rejected = new Error("rejected");
  let told = 0;
  const fixture = new Fixture(
    {
      handleConnect: () => {
        throw thrown;
      },
    },
    { handleConnect: () => Promise.reject(rejected) },
    { handleConnect: () => void told++ },
  );
  fixture.queue.event("handleConnect", connection);
  fixture.queue.event("handleConnect", connection);
  await settle();
  assertEquals(told, 2);
  assertEquals(fixture.errors.map(([error]) => error), [thrown, thrown, rejected, rejected]);
  assertStrictEquals(fixture.errors[0]![1], connection);
});

test("DispatchQueue gives a message's share of the throttles back when its dispatcher is done", async () => {
  const dispatcher = slow(), fixture = new Fixture(dispatcher);
  fixture.deliver(1, 127, 1);
  await settle();
  assertEquals(fixture.released, []);
  await dispatcher.finish(1);
  assertEquals(fixture.released, [1]);
});

test("DispatchQueue.discard() drops a session's waiting messages and gives their shares back; those of others stay", async () => {
  const dispatcher = slow(), fixture = new Fixture(dispatcher);
  fixture.deliver(1, 127, 11, 12);
  fixture.deliver(1, 63, 13);
  fixture.deliver(2, 127, 21);
  await settle();
  fixture.queue.discard(1);
  assertEquals([fixture.released, fixture.queue.length], [[12, 13], 0]);
  await dispatcher.finish(11);
  await dispatcher.finish(21);
  assertEquals([dispatcher.started, fixture.released], [[11, 21], [12, 13, 11, 21]]);
});

test("DispatchQueue.discard() from within a dispatcher stops what comes behind", async () => {
  const seen: number[] = [];
  const fixture: Fixture = new Fixture({
    dispatch: (message) => {
      seen.push(message.type);
      fixture.queue.discard(1);
    },
  });
  fixture.deliver(1, 127, 1, 2, 3);
  await settle();
  assertEquals([seen, fixture.released], [[1], [2, 3, 1]]);
});

test("DispatchQueue.stop() tells the events that wait, drops the messages, and gives their shares back", async () => {
  const dispatcher = noting(), fixture = new Fixture(dispatcher);
  let resets = 0;
  fixture.queue.add({ handleReset: () => void resets++ }, "tail");
  fixture.deliver(1, 127, 1, 2);
  fixture.queue.event("handleReset", connection, { dropped: 0 });
  const stopped = fixture.queue.stop();
  assertEquals(fixture.queue.isStopped, true);
  await stopped;
  assertEquals([resets, dispatcher.seen, fixture.released, fixture.queue.length], [1, [], [1, 2], 0]);
});

test("DispatchQueue.stop() does not wait for a dispatcher that never settles, nor for what waits behind it", async () => {
  const fixture = new Fixture({ dispatch: () => new Promise(() => {}) });
  fixture.deliver(1, 127, 1, 2);
  await settle();
  await fixture.queue.stop();
  assertEquals([fixture.released, fixture.queue.length], [[2], 0]);
});

test("DispatchQueue.stop() fulfils for all who asked, also when nothing waits, and from within a dispatcher", async () => {
  const idle = new Fixture();
  await Promise.all([idle.queue.stop(), idle.queue.stop()]);
  await idle.queue.stop();
  const seen: number[] = [];
  let stopped: Promise<void> | undefined;
  const fixture: Fixture = new Fixture({
    dispatch: (message) => {
      seen.push(message.type);
      stopped = fixture.queue.stop();
    },
  });
  fixture.deliver(1, 127, 1, 2);
  await settle();
  await stopped;
  assertEquals([seen, fixture.released], [[1], [1, 2]]);
});

test("DispatchQueue drops what arrives after stop(), without asking fast dispatchers either", async () => {
  const dispatcher = noting();
  const fixture = new Fixture(dispatcher, {
    canFastDispatch: () => true,
    fastDispatch: (message) => void dispatcher.seen.push(message.type),
    handleConnect: () => void dispatcher.seen.push(-1),
  });
  await fixture.queue.stop();
  fixture.deliver(1, 127, 1);
  fixture.queue.event("handleConnect", connection);
  await settle();
  assertEquals([dispatcher.seen, fixture.released, fixture.queue.length], [[], [1], 0]);
});

test("DispatchQueue does not call a message unwanted because it stopped before the next dispatcher was asked", async () => {
  const first = slow(), last = noting(), fixture = new Fixture(first, last);
  fixture.deliver(1, 127, 1);
  await settle();
  await fixture.queue.stop();
  await first.finish(1, false);
  assertEquals([last.seen, fixture.unhandled, fixture.released], [[], [], [1]]);
});

test("DispatchQueue.restart() lets messages and events through again", async () => {
  const dispatcher = noting(), fixture = new Fixture(dispatcher);
  await fixture.queue.stop();
  fixture.queue.restart();
  assertEquals(fixture.queue.isStopped, false);
  fixture.deliver(1, 127, 1);
  await settle();
  assertEquals(dispatcher.seen, [1]);
});

test("DispatchQueue hands a message to a fast dispatcher at once, ahead of those that wait", async () => {
  const told: string[] = [];
  const fixture = new Fixture({
    dispatch: (message) => void told.push(`dispatch ${message.type}`),
    canFastDispatch: (message) => message.type === 2,
    fastDispatch: (message) => void told.push(`fast ${message.type}`),
  });
  fixture.deliver(1, 127, 1, 2);
  assertEquals([told, fixture.released], [["fast 2"], [2]]);
  await settle();
  assertEquals(told, ["fast 2", "dispatch 1"]);
});

test("DispatchQueue asks fast dispatchers in their order, and only those that can both tell and take", () => {
  const told: string[] = [];
  const fast = (name: string, canFastDispatch: boolean): Dispatcher => ({
    canFastDispatch: () => canFastDispatch,
    fastDispatch: () => void told.push(name),
  });
  const half: Dispatcher = { canFastDispatch: () => true },
    other: Dispatcher = { fastDispatch: () => void told.push("x") };
  const fixture = new Fixture(half, other, fast("a", false), fast("b", true), fast("c", true));
  fixture.deliver(1, 127, 1);
  assertEquals(told, ["b"]);
});

test("DispatchQueue lets every message be seen by fastPreprocess, in the order of arrival and before it is queued", async () => {
  const told: string[] = [];
  const fixture = new Fixture({
    dispatch: (message) => void told.push(`dispatch ${message.type}`),
    fastPreprocess: (message) => void told.push(`see ${message.type}`),
  });
  fixture.deliver(1, 64, 1);
  fixture.deliver(1, 255, 2);
  await settle();
  assertEquals(told, ["see 1", "see 2", "dispatch 2", "dispatch 1"]);
});

test("DispatchQueue reports what fastDispatch throws, and gives the message's share back", () => {
  const thrown = new Error("thrown");
  const fixture = new Fixture({
    canFastDispatch: () => true,
    fastDispatch: () => {
      throw thrown;
    },
  });
  fixture.deliver(1, 127, 1);
  assertEquals([fixture.errors.length, fixture.released], [1, [1]]);
  assertStrictEquals(fixture.errors[0]![0], thrown);
});

test("DispatchQueue does not lose a message to a canFastDispatch or fastPreprocess that throws", async () => {
  const dispatcher = noting(), thrown = new Error("thrown");
  const throws = () => {
    throw thrown;
  };
  const fixture = new Fixture({ canFastDispatch: throws, fastDispatch: () => {}, fastPreprocess: throws }, dispatcher);
  fixture.deliver(1, 127, 1);
  await settle();
  assertEquals(fixture.errors.map(([error]) => error), [thrown, thrown]);
  assertEquals(dispatcher.seen, [1]);
});

test("DispatchQueue reports what a method that should be synchronous rejects with: nothing else would catch it", async () => {
  const rejected = new Error("rejected"), rejects = () => Promise.reject(rejected);
  const fixture = new Fixture({
    fastPreprocess: rejects,
    canFastDispatch: (message) => message.type === 1,
    fastDispatch: rejects,
    handleFastConnect: rejects,
    handleFastAccept: rejects,
  });
  fixture.deliver(1, 127, 1);
  fixture.queue.fastEvent("handleFastConnect", connection);
  fixture.queue.fastEvent("handleFastAccept", connection);
  await settle();
  assertEquals(fixture.errors.map(([error]) => error), [rejected, rejected, rejected, rejected]);
});

test("DispatchQueue.fastEvent() tells at once, before anything that waits", () => {
  const told: string[] = [];
  const thrown = new Error("thrown");
  const fixture = new Fixture({
    handleFastConnect: () => {
      throw thrown;
    },
  }, { handleFastConnect: () => void told.push("connect"), handleFastAccept: () => void told.push("accept") });
  fixture.queue.fastEvent("handleFastConnect", connection);
  fixture.queue.fastEvent("handleFastAccept", connection);
  assertEquals([told, fixture.errors.length], [["connect", "accept"], 1]);
});

test("DispatchQueue.add() puts a dispatcher before or behind the others, remove() takes it out of all roles", async () => {
  const told: string[] = [];
  const named = (name: string): Dispatcher => ({
    dispatch: () => {
      told.push(name);
      return false;
    },
    canFastDispatch: () => {
      told.push(`can ${name}`);
      return false;
    },
    fastDispatch: () => {},
    fastPreprocess: () => void told.push(`see ${name}`),
  });
  const [a, b] = [named("a"), named("b")], fixture = new Fixture(a);
  fixture.queue.add(b, "head");
  assertEquals(fixture.queue.dispatchers, [b, a]);
  fixture.deliver(1, 127, 1);
  await settle();
  assertEquals(told, ["see b", "see a", "can b", "can a", "b", "a"]);
  told.length = 0;
  fixture.queue.remove(b);
  fixture.queue.remove(b);
  fixture.deliver(1, 127, 2);
  await settle();
  assertEquals(told, ["see a", "can a", "a"]);
});

test("DispatchQueue skips nobody when a dispatcher takes itself out while it is asked", async () => {
  const told: string[] = [];
  const leaving = (name: string): Dispatcher => {
    const leave = () => {
      told.push(name);
      fixture.queue.remove(dispatcher);
    };
    const dispatcher: Dispatcher = {
      dispatch: async () => {
        if (name === "b") await undefined;
        leave();
        return false;
      },
      handleFastConnect: leave,
      handleConnect: leave,
    };
    if (name === "a") dispatcher.dispatch = () => (leave(), false);
    return dispatcher;
  };
  const leavers = ["a", "b", "c"].map(leaving), fixture: Fixture = new Fixture(...leavers);
  fixture.deliver(1, 127, 1);
  await settle();
  assertEquals([told, fixture.unhandled], [["a", "b", "c"], [1]]);
  for (const tell of ["handleFastConnect", "handleConnect"] as const) {
    told.length = 0;
    for (const leaver of leavers) fixture.queue.add(leaver, "tail");
    if (tell === "handleConnect") fixture.queue.event(tell, connection);
    else fixture.queue.fastEvent(tell, connection);
    await settle();
    assertEquals([told, fixture.queue.dispatchers], [["a", "b", "c"], []]);
  }
});

test("DispatchQueue dispatches what a dispatcher delivers, in the same go", async () => {
  const seen: number[] = [];
  const fixture: Fixture = new Fixture({
    dispatch: (message) => {
      seen.push(message.type);
      if (message.type < 3) fixture.deliver(1, 127, message.type + 1);
    },
  });
  fixture.deliver(1, 127, 1);
  await settle();
  assertEquals(seen, [1, 2, 3]);
});

test("DispatchQueue tells what a Reader brings at once, where nothing else waits for its turn", async () => {
  const dispatcher = noting(), fixture = new Fixture(dispatcher);
  fixture.queue.collect();
  fixture.deliver(1, 64, 1);
  fixture.deliver(2, 127, 2);
  assertEquals(dispatcher.seen, [1, 2]);
  fixture.queue.event("handleConnect", connection);
  fixture.deliver(1, 127, 3);
  fixture.deliver(2, 255, 4);
  assertEquals(dispatcher.seen, [1, 2]);
  fixture.queue.dispatch();
  assertEquals(dispatcher.seen, [1, 2, 4, 3]);
  await settle();
  assertEquals([dispatcher.seen, fixture.queue.length], [[1, 2, 4, 3], 0]);
});

test("DispatchQueue keeps a session's order though its dispatcher has not settled when a Reader brings more, and tells others at once", async () => {
  const dispatcher = slow(), fixture = new Fixture(dispatcher);
  fixture.queue.collect();
  fixture.deliver(1, 127, 11, 12);
  fixture.deliver(2, 127, 21);
  assertEquals([dispatcher.started, fixture.queue.length], [[11, 21], 1]);
  fixture.queue.dispatch();
  fixture.queue.collect();
  fixture.deliver(1, 127, 13);
  fixture.deliver(3, 127, 31);
  fixture.queue.dispatch();
  assertEquals(dispatcher.started, [11, 21, 31]);
  await dispatcher.finish(11);
  await dispatcher.finish(12);
  assertEquals(dispatcher.started, [11, 21, 31, 12, 13]);
});

test("DispatchQueue does not call a dispatcher in the middle of itself when it delivers while a Reader is at work", () => {
  const seen: string[] = [];
  const fixture: Fixture = new Fixture({
    dispatch: ({ type }) => {
      seen.push(`${type} begins`);
      if (type === 1) fixture.deliver(2, 127, 2);
      seen.push(`${type} ends`);
    },
  });
  fixture.queue.collect();
  fixture.deliver(1, 127, 1, 3);
  fixture.queue.dispatch();
  assertEquals(seen, ["1 begins", "1 ends", "2 begins", "2 ends", "3 begins", "3 ends"]);
});

test("DispatchQueue lets what was sent leave after half of the messages on their way, or 16 KiB of them, or when the Reader is done", () => {
  const flushQueue = new FlushQueue(queueMicrotask), flushed: number[] = [];
  let sent = 0;
  const queue = new DispatchQueue(() => {}, () => {}, flushQueue);
  const writer = { flush: () => flushed.push(sent) };
  queue.add({
    dispatch: () => {
      sent++;
      flushQueue.add(writer);
    },
  }, "tail");
  const messages = new Fixture();
  const bring = (count: number, onTheWay: number, dataLength: number, more = 0): number[] => {
    sent = flushed.length = 0;
    queue.collect();
    for (const portion of [count, more]) {
      queue.expect(portion, onTheWay);
      for (let i = 0; i < portion; i++) queue.deliver(messages.message(1, dataLength), 1, 127);
    }
    queue.dispatch();
    return flushed.filter((count, i) => count !== flushed[i - 1]);
  };
  assertEquals(bring(64, 0, 64), [32, 64]);
  assertEquals(bring(32, 32, 64), [32]);
  assertEquals(bring(20, 44, 64), [20]);
  assertEquals(bring(10, 0, 64), [8, 10]);
  assertEquals(bring(1000, 1000, 64), [256, 512, 768, 1000]);
  assertEquals(bring(32, 32, 1024), [16, 32]);
  assertEquals(bring(3, 0, 65536), [1, 2, 3]);
  // What is left of a long portion leaves with the short one behind it.
  assertEquals(bring(70, 0, 64, 10), [35, 70, 78, 80]);
  assertEquals(bring(41, 0, 64, 20), [21, 41, 51, 61]);
});

test("DispatchQueue.newId() gives each session its own class", () => {
  const { queue } = new Fixture();
  assertEquals([queue.newId(), queue.newId(), queue.newId()], [1, 2, 3]);
});
