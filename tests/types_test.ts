// What must not compile. `deno task check` looks at the types: a line that compiles after all is an error there.

import { assertEquals } from "@std/assert";
import { test } from "node:test";
import {
  bytesCodec,
  type Connection,
  type ConnectionStatus,
  jsonCodec,
  type Message,
  MessageType,
  type Messenger,
  type MessengerStatus,
  RequestMessage,
  RequestType,
  type StatusEvents,
  streamCodec,
  textCodec,
} from "../mod.ts";

interface Move {
  readonly kind: "move";
  readonly x: number;
  readonly y: number;
}

interface Turn {
  readonly kind: "turn";
  readonly degrees: number;
}

const Step = new MessageType(0x8001, jsonCodec<Move | Turn>());
const Text = new MessageType(0x8002, textCodec);
const Bytes = new MessageType(0x8003, bytesCodec);
const Upload = new MessageType(0x8006, streamCodec(jsonCodec<Move>()));
const Measure = new RequestType(
  new MessageType(0x8004, jsonCodec<Move>()),
  new MessageType(0x8005, jsonCodec<{ length: number }>()),
);

/** Is never called: a status event has what its type says. */
function statuses(status: MessengerStatus, events: StatusEvents<ConnectionStatus>): void {
  switch (status.type) {
    case "backoff":
      return void (status.pause + status.attempt + status.connection.queued);
    case "closed":
      // @ts-expect-error Something broke it, or nothing did.
      status.error.code;
      return void (status.dropped + status.peer.length);
    case "fault":
      // @ts-expect-error What only other events have.
      void status.dropped;
      return void status.error.code;
    case "listening":
      // @ts-expect-error It concerns no connection.
      status.connection.queued;
  }
  // @ts-expect-error A connection tells nothing of its messenger.
  void events.next().then(({ value }) => value?.type === "listening");
}

/** Is never called: what is in it has to compile, or not, as it says. */
function handlers(messenger: Messenger): void {
  messenger.on(Step, (step) => {
    // @ts-expect-error A field that only some of the contents have.
    void step.degrees;
    // @ts-expect-error A field that none of them has.
    void step.speed;
  });
  messenger.on(Step, (step) => {
    if (step.kind === "move") return void step.x.toFixed();
    // What is left must be handled: a kind that is added later makes this line fail.
    const turn: Turn = step;
    void turn;
    // @ts-expect-error A kind that was forgotten.
    const none: never = step;
    void none;
  });
  // @ts-expect-error A handler of other contents.
  messenger.on(Step, (step: { readonly kind: "jump"; readonly height: number }) => void step.height);
  // @ts-expect-error A handler of one kind, where another may come.
  messenger.on(Step, (step: Move) => void step.x);
  // @ts-expect-error Text is no bytes.
  messenger.on(Text, (text: Uint8Array) => void text);
  messenger.on(Bytes, (bytes: Uint8Array, message: Message) => void [bytes, message]);

  messenger.onRequest(Measure, ({ x, y }) => ({ length: Math.hypot(x, y) }));
  messenger.onRequest(Measure, async ({ x, y }) => ({ length: await Promise.resolve(x + y) }));
  // @ts-expect-error A field that the request lacks.
  messenger.onRequest(Measure, ({ z }) => ({ length: z }));
  // @ts-expect-error A reply without its field.
  messenger.onRequest(Measure, ({ x }) => ({ x }));
  // @ts-expect-error A reply whose field is of another type.
  messenger.onRequest(Measure, async ({ x }) => await Promise.resolve({ length: `${x}` }));
  // @ts-expect-error No reply.
  messenger.onRequest(Measure, () => {});
  // @ts-expect-error A message's type has no reply.
  messenger.onRequest(Step, () => {});
}

/** Is never called. */
function streams(messenger: Messenger, connection: Connection): void {
  messenger.on(Upload, ({ head, stream, length }) => {
    const data: ReadableStream<Uint8Array> = stream;
    void [data, head.x, length.toFixed()];
    // @ts-expect-error They are no bytes.
    const bytes: Uint8Array = stream;
    void bytes;
  });
  const body = new Blob(["a"]).stream();
  connection.send(Upload.message({ head: { kind: "move", x: 1, y: 1 }, stream: body, length: 1 }));
  // @ts-expect-error A stream does not know how long it is.
  connection.send(Upload.message({ head: { kind: "move", x: 1, y: 1 }, stream: body }));
  // @ts-expect-error Another head.
  connection.send(Upload.message({ head: "move", stream: body, length: 1 }));
}

/** Is never called. */
async function senders(connection: Connection): Promise<void> {
  connection.send(Step.message({ kind: "turn", degrees: 90 }));
  // @ts-expect-error A field is missing.
  connection.send(Step.message({ kind: "move", x: 1 }));
  // @ts-expect-error A field too many.
  connection.send(Step.message({ kind: "turn", degrees: 90, x: 1 }));
  // @ts-expect-error A number is no text.
  connection.send(Text.message(1));
  // @ts-expect-error The contents are the codec's.
  connection.send(Text.message("a", { front: new Uint8Array(1) }));
  // @ts-expect-error The connection numbers requests.
  void Measure.message({ kind: "move", x: 1, y: 1 }, { tid: 1 });

  const { length } = await connection.request(Measure.message({ kind: "move", x: 3, y: 4 }));
  const number: number = length;
  void number;
  // @ts-expect-error Another reply than the request's.
  const text: string = await connection.request(Measure.message({ kind: "move", x: 3, y: 4 }));
  void text;
  // @ts-expect-error A field of the request is missing.
  await connection.request(Measure.message({ kind: "move", x: 3 }));
  // @ts-expect-error A message that has no reply.
  await connection.request(Text.message("a"));
  // @ts-expect-error A stream of messages takes no bytes.
  await new ReadableStream<Uint8Array>().pipeTo(connection.writable);
}

test("a request's message is a message: what takes the one takes the other", () => {
  const message: Message = Measure.message({ kind: "move", x: 3, y: 4 });
  assertEquals([message instanceof RequestMessage, message.type, message.tid], [true, 0x8004, 0]);
  assertEquals(Measure.request.read(message), { kind: "move", x: 3, y: 4 });
  assertEquals([handlers.length, streams.length, senders.length, statuses.length], [1, 2, 1, 2]);
});
