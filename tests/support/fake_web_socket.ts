/** Two WebSockets that are joined in memory: what one sends is an event at the other, some turns later and whether it likes it or not. */

import type { WebSocketLike } from "../../src/net/web_socket.ts";

/** One end. */
export class FakeWebSocket extends EventTarget implements WebSocketLike {
  binaryType = "blob";
  readyState = 0;
  /** Bytes that this end has sent so far. */
  sentBytes = 0;
  #peer!: FakeWebSocket;

  /** Makes both ends; they open by themselves. */
  static pair(): [FakeWebSocket, FakeWebSocket] {
    const [one, other] = [new FakeWebSocket(), new FakeWebSocket()];
    one.#peer = other;
    other.#peer = one;
    setTimeout(() => {
      for (const end of [one, other]) {
        if (end.readyState !== 0) continue;
        end.readyState = 1;
        end.dispatchEvent(new Event("open"));
      }
    });
    return [one, other];
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (this.readyState === 0) throw new DOMException("Still in CONNECTING state", "InvalidStateError");
    if (this.readyState !== 1) return;
    if (typeof data !== "string") this.sentBytes += data.byteLength;
    const copy = typeof data === "string" ? data : data.slice().buffer;
    setTimeout(() => this.#peer.#receive(copy));
  }

  close(code = 1005): void {
    if (this.readyState > 1) return;
    this.readyState = 2;
    // What was sent before comes first, and the peer's farewell last.
    setTimeout(() => {
      this.#peer.#closed(code);
      this.#closed(code);
    });
  }

  /** What happens when a network fails: both ends hear of it, and of nothing that was under way. */
  cut(): void {
    this.#closed(1006);
    this.#peer.#closed(1006);
  }

  #receive(data: string | ArrayBuffer): void {
    if (this.readyState === 1) this.dispatchEvent(new MessageEvent("message", { data }));
  }

  #closed(code: number): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.dispatchEvent(Object.assign(new Event("close"), { code }));
  }
}
