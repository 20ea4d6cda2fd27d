/**
 * A bad line: a TCP proxy that splits, stalls and cuts at bytes that a seed decides.
 *
 * @module
 */

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** What the line does to its bytes. */
export interface LineOptions {
  /** Numbers from 0 up to 1. */
  readonly random: () => number;
  /** How many connections to cut; then the line is good. */
  readonly cuts: number;
  /** How many bytes a connection carries on average before it is cut. */
  readonly bytesPerCut: number;
}

/** One chunk in so many is held back for a while, or passed on in small pieces. */
const STALL_ONE_IN = 50, SPLIT_ONE_IN = 10;
/** The longest stall, in ms. */
const LONGEST_STALL = 20;
/** The longest of the small pieces, in bytes. */
const LONGEST_PIECE = 100;

/** A proxy on a port of its own. */
export class Proxy implements AsyncDisposable {
  /** Where it passes connections on to. While there is nobody, they are refused. */
  target: number | undefined;
  /** How many connections it has cut. */
  cuts = 0;
  /** How many it has passed on. */
  connections = 0;
  readonly #options: LineOptions;
  readonly #server = createServer({ noDelay: true }, (socket) => this.#pass(socket));
  readonly #sockets = new Set<Socket>();

  /** @param options What the line does. */
  constructor(options: LineOptions) {
    this.#options = options;
  }

  /** Begins to listen. @returns On which port. */
  async listen(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) await once(this.#server, "close");
  }

  #pass(near: Socket): void {
    const { random, cuts, bytesPerCut } = this.#options;
    this.#hold(near);
    if (this.target === undefined) return void near.destroy();
    this.connections++;
    const far = this.#hold(connect({ port: this.target, host: "127.0.0.1", noDelay: true }));
    far.on("close", () => near.destroy());
    near.on("close", () => far.destroy());
    const line = { left: this.cuts < cuts ? Math.floor(random() * 2 * bytesPerCut) : Infinity };
    const cut = (): void => {
      this.cuts++;
      // A reset and an orderly end look different to whoever reads.
      for (const socket of [near, far]) random() < 0.5 ? socket.resetAndDestroy() : socket.destroy();
    };
    void this.#carry(near, far, line, cut);
    void this.#carry(far, near, line, cut);
  }

  #hold(socket: Socket): Socket {
    this.#sockets.add(socket);
    return socket.on("error", () => {}).on("close", () => this.#sockets.delete(socket));
  }

  /** Carries bytes in one direction until the connection is gone. Both directions use up what is left. */
  async #carry(from: Socket, to: Socket, line: { left: number }, cut: () => void): Promise<void> {
    const { random } = this.#options;
    try {
      for await (const chunk of from as AsyncIterable<Uint8Array>) {
        if (random() * STALL_ONE_IN < 1) await sleep(random() * LONGEST_STALL);
        const split = random() * SPLIT_ONE_IN < 1;
        for (let at = 0; at < chunk.length;) {
          if (from.destroyed || to.destroyed) return;
          const wanted = split && at < 10 * LONGEST_PIECE ? 1 + Math.floor(random() * LONGEST_PIECE) : chunk.length;
          const piece = chunk.subarray(at, at + Math.min(wanted, line.left));
          at += piece.length;
          line.left -= piece.length;
          const flowing = piece.length === 0 || to.write(piece);
          if (line.left === 0) return cut();
          // Without a turn in between, the pieces would be joined again.
          if (!flowing) await Promise.race([once(to, "drain"), once(to, "close")]);
          else if (split) await new Promise((resolve) => setImmediate(resolve));
        }
      }
      to.end();
    } catch {
      // The other direction, or one of the programs, has ended the connection.
    }
  }
}
