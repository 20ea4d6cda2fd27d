/**
 * A WebSocket as two byte streams.
 *
 * A WebSocket by itself has no backpressure: it delivers whatever arrives, and takes whatever is sent. So both ends count. Bytes go in
 * binary messages, whose weight is their length and {@linkcode MESSAGE_WEIGHT}; a text message is a number, how much weight was read, or
 * `end`. Nobody has more than {@linkcode WINDOW} under way that was not read yet.
 *
 * @module
 */

import { NetworkError } from "../errors.ts";
import type { Duplex } from "./duplex.ts";

/** What {@linkcode webSocketDuplex} needs of a WebSocket: any of a browser, of Deno, Bun and Node, or something made to look like one. */
export interface WebSocketLike {
  /** Is set to `"arraybuffer"`. */
  binaryType: string;
  /** 0 until it is open, 1 while it is, then more. */
  readonly readyState: number;
  /** Sends a message, keeping nothing of `data` once it has returned. */
  send(data: string | Uint8Array<ArrayBuffer>): void;
  /** Ends the connection. */
  close(code?: number, reason?: string): void;
  /** Calls `listener` at an event. */
  addEventListener(
    type: "open" | "message" | "close" | "error",
    listener: (event: Event & { readonly data?: unknown; readonly code?: number }) => void,
  ): void;
}

/** How much may be under way that the other end has not read, the same at both ends. */
const WINDOW = 1024 * 1024;
/** What a message weighs on top of its bytes, so that single bytes cannot become a million objects. */
const MESSAGE_WEIGHT = 512;
/** How much is read before the other end is told. */
const REPORT = WINDOW / 4;
/** The longest message, in bytes. */
const LONGEST = 64 * 1024;
const OPEN = 1;

/**
 * A WebSocket as two byte streams, with backpressure, ends of either direction, and errors: for `dial` of a
 * {@linkcode duplexNetwork} at one end and its `accept()` at the other. Both ends have to use it.
 *
 * @param webSocket A WebSocket that is new: nothing has been sent, and no event has passed unheard.
 * @returns The streams, once it is open.
 * @throws {NetworkError} With code `network` if it does not open. Runtimes do not say why.
 *
 * @example
 * ```ts ignore
 * import { duplexNetwork, Messenger, webSocketDuplex } from "@msgr/pipe";
 *
 * const network = duplexNetwork({ dial: () => webSocketDuplex(new WebSocket("ws://127.0.0.1:8080/")) });
 * const messenger = new Messenger({ network });
 * ```
 */
export function webSocketDuplex(webSocket: WebSocketLike): Promise<Duplex> {
  const duplex = new WebSocketStreams(webSocket);
  return duplex.opened.then(() => duplex);
}

class WebSocketStreams implements Duplex {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly opened: Promise<void>;
  readonly #webSocket: WebSocketLike;
  #reads!: ReadableStreamDefaultController<Uint8Array>;
  #writes!: WritableStreamDefaultController;

  readonly #arrived: Uint8Array[] = [];
  #held = 0;
  #readUnreported = 0;
  #wanted = false;
  #cancelled = false;
  #readOver = false;

  #unread = 0;
  #writeOver = false;
  #room: PromiseWithResolvers<void> | undefined;
  #over = false;

  constructor(webSocket: WebSocketLike) {
    this.#webSocket = webSocket;
    webSocket.binaryType = "arraybuffer";
    this.readable = new ReadableStream<Uint8Array>({
      start: (controller): void => {
        this.#reads = controller;
      },
      pull: (): void => this.#pull(),
      cancel: (): void => this.#cancel(),
    }, { highWaterMark: 0 });
    this.writable = new WritableStream<Uint8Array>({
      start: (controller): void => {
        this.#writes = controller;
        // An abort does not wait for a write that waits for room; and a stream that is aborting must not be told of an error on top.
        controller.signal.addEventListener("abort", () => this.#abort(controller.signal.reason), { once: true });
      },
      write: (chunk) => this.#write(chunk),
      close: (): void => {
        this.#writeOver = true;
        webSocket.send("end");
        this.#closeIfDone();
      },
    });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.opened = promise;
    const lost = (what: string): void => {
      reject(new NetworkError("network", `Cannot open the WebSocket: ${what}`));
      this.#fail(what);
    };
    webSocket.addEventListener("open", () => resolve());
    webSocket.addEventListener("message", ({ data }) => this.#onMessage(data));
    webSocket.addEventListener("close", ({ code }) => lost(`it was closed with code ${code ?? "1006"}`));
    webSocket.addEventListener("error", () => lost("it failed"));
    if (webSocket.readyState === OPEN) resolve();
    if (webSocket.readyState > OPEN) lost("it is closed");
  }

  async #write(chunk: Uint8Array): Promise<void> {
    for (let sent = 0; sent < chunk.byteLength; sent += LONGEST) {
      // A copy, for two reasons: send() takes no view of shared memory, and what a WebSocket keeps must not change.
      const piece = new Uint8Array(chunk.subarray(sent, sent + LONGEST));
      const weight = piece.byteLength + MESSAGE_WEIGHT;
      while (this.#unread + weight > WINDOW) {
        this.#room = Promise.withResolvers();
        await this.#room.promise;
      }
      this.#unread += weight;
      this.#webSocket.send(piece);
    }
  }

  #onMessage(data: unknown): void {
    if (this.#over) return;
    if (typeof data === "string") this.#onWord(data);
    else if (data instanceof ArrayBuffer) this.#onBytes(new Uint8Array(data));
    else if (ArrayBuffer.isView(data)) this.#onBytes(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    else this.#refuse("a message that is neither bytes nor text");
  }

  #onWord(word: string): void {
    if (word === "end" && !this.#readOver) {
      this.#readOver = true;
      if (this.#arrived.length === 0) this.#closeReadable();
      this.#closeIfDone();
      return;
    }
    const weight = /^\d{1,10}$/.test(word) ? Number(word) : 0;
    if (weight === 0 || weight > this.#unread) return this.#refuse("a text that makes no sense");
    this.#unread -= weight;
    this.#room?.resolve();
    this.#room = undefined;
  }

  #onBytes(bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return;
    if (this.#readOver) return this.#refuse("bytes after its end");
    const weight = bytes.byteLength + MESSAGE_WEIGHT;
    if (this.#held + this.#readUnreported + weight > WINDOW) return this.#refuse("more than there is room for");
    if (this.#cancelled) return this.#read(weight);
    if (this.#wanted) return this.#deliver(bytes);
    this.#arrived.push(bytes);
    this.#held += weight;
  }

  #pull(): void {
    const bytes = this.#arrived.shift();
    if (bytes === undefined) {
      this.#wanted = true;
      return;
    }
    this.#held -= bytes.byteLength + MESSAGE_WEIGHT;
    this.#deliver(bytes);
    if (this.#readOver && this.#arrived.length === 0) this.#closeReadable();
  }

  #deliver(bytes: Uint8Array): void {
    this.#wanted = false;
    this.#reads.enqueue(bytes);
    this.#read(bytes.byteLength + MESSAGE_WEIGHT);
  }

  /** So much was taken, or nobody will ever want it: there is room for more. */
  #read(weight: number): void {
    this.#readUnreported += weight;
    if (this.#readUnreported < REPORT || this.#over) return;
    this.#webSocket.send(String(this.#readUnreported));
    this.#readUnreported = 0;
  }

  #cancel(): void {
    this.#cancelled = true;
    this.#arrived.length = 0;
    this.#read(this.#held);
    this.#held = 0;
  }

  #closeReadable(): void {
    if (!this.#cancelled) this.#reads.close();
  }

  #refuse(what: string): void {
    this.#webSocket.close(4002, "protocol");
    this.#fail(`the other end sent ${what}`);
  }

  #fail(what: string): void {
    if (this.#over) return;
    const error = new NetworkError("connection_lost", `Lost the WebSocket: ${what}`);
    if (!this.#writeOver) this.#writes.error(error);
    this.#abort(error);
  }

  /** Ends the WebSocket without a farewell, and both directions: the peer's end, if it came before, is still one. */
  #abort(reason: unknown): void {
    if (this.#over) return;
    this.#over = true;
    if (!this.#readOver && !this.#cancelled) this.#reads.error(reason);
    this.#room?.reject(reason);
    this.#webSocket.close(4001, "aborted");
  }

  #closeIfDone(): void {
    if (this.#over || !this.#readOver || !this.#writeOver) return;
    this.#over = true;
    this.#webSocket.close(1000);
  }
}
