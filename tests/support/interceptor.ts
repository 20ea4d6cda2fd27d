/**
 * Standing between a messenger and its network: what it dials can be held, cut or damaged at any byte.
 *
 * @module
 */

import { NetworkError } from "../../src/errors.ts";
import type { ConnectOptions, Listener, ListenOptions, Network, Socket, SocketAddress } from "../../src/net/network.ts";
import { type Driver, StreamSocket } from "../../src/net/stream_socket.ts";

/** Seen from the end that dialled. */
export type Direction = "sent" | "received";

/** Bytes that are about to pass. */
export interface Passing {
  /** Which connection: 1 is the first that this messenger dialled. */
  readonly dial: number;
  readonly direction: Direction;
  /** How many bytes have passed in that direction. */
  readonly offset: number;
  /** How many are there. */
  readonly length: number;
  /** Breaks the connection. */
  cut(): void;
}

/** Says how many of the bytes may pass now, at least 1. It is asked again for the rest. */
export type Guard = (passing: Passing) => number | Promise<number>;

/**
 * Where the parts of a v1 handshake begin, in bytes of each direction, when one round is enough: Ceph's `Interceptor::STEP` counts such steps. A
 * further round adds 33 bytes sent and 26 received.
 */
export const Step = {
  banner: { sent: 0 },
  address: { sent: 9 },
  /** `ceph_msg_connect`. */
  request: { sent: 145 },
  /** The dialling side's `in_seq` after SEQ, or its first message after READY. */
  afterRequest: { sent: 178 },
  serverBanner: { received: 0 },
  serverAddresses: { received: 9 },
  /** `ceph_msg_connect_reply`. */
  reply: { received: 281 },
  /** The accepting side's `in_seq` after SEQ, or its first message after READY. */
  afterReply: { received: 307 },
} as const;

/** Where to stop: at the first byte after so many in one direction. */
export type Place = { readonly sent: number } | { readonly received: number };

/** A connection that is stopped at a place. */
export class Breakpoint {
  /** Fulfils when the first byte behind the place wants to pass. */
  readonly reached: Promise<void>;
  readonly #reached = Promise.withResolvers<void>();
  readonly #released = Promise.withResolvers<void>();
  #cut: (() => void) | undefined;

  constructor() {
    this.reached = this.#reached.promise;
  }

  /** Lets everything pass from now on. */
  release(): void {
    this.#released.resolve();
  }

  /** Breaks the connection, once it is there. */
  async cut(): Promise<void> {
    await this.reached;
    this.#cut!();
    this.#released.resolve();
  }

  /** For the {@linkcode Interceptor}. */
  stop(passing: Passing): Promise<void> {
    this.#cut = passing.cut;
    this.#reached.resolve();
    return this.#released.promise;
  }
}

/** A network whose dialled sockets pass a guard. Give each messenger one of its own. Ceph's `Interceptor`. */
export class Interceptor implements Network {
  readonly name: string;
  readonly flush: Network["flush"];
  /** How many connections have been opened. */
  dials = 0;
  /** The other end is not told when a socket is given up here, as when a cable is pulled, until {@linkcode bury}. */
  silent = false;
  readonly #network: Network;
  readonly #guard: Guard | undefined;
  readonly #breakpoints: { readonly dial: number; readonly place: Place; readonly breakpoint: Breakpoint }[] = [];
  readonly #open = new Map<number, Socket>();

  /**
   * @param network Where the sockets come from.
   * @param guard Asked of all bytes that no breakpoint holds up.
   */
  constructor(network: Network, guard?: Guard) {
    this.name = network.name;
    this.flush = network.flush;
    this.#network = network;
    this.#guard = guard;
  }

  /** Stops connection number `dial` at a place. */
  breakAt(dial: number, place: Place): Breakpoint {
    const breakpoint = new Breakpoint();
    this.#breakpoints.push({ dial, place, breakpoint });
    return breakpoint;
  }

  /** Breaks the connections that are open. */
  cut(): void {
    for (const socket of [...this.#open.values()]) socket.abort(new Error("cut by the test"));
  }

  /** Lets the other ends of sockets know that they were given up. */
  bury(): void {
    this.silent = false;
    this.cut();
  }

  listen(address: SocketAddress, options?: ListenOptions): Promise<Listener> {
    return this.#network.listen(address, options);
  }

  async connect(address: SocketAddress, options?: ConnectOptions): Promise<Socket> {
    const inner = await this.#network.connect(address, options);
    const dial = ++this.dials;
    this.#open.set(dial, inner);
    void inner.closed.then(() => this.#open.delete(dial));
    return new GuardedDriver(
      inner,
      (direction, offset, length, cut) => this.#check({ dial, direction, offset, length, cut }),
      () => this.silent,
    ).socket;
  }

  async #check(passing: Passing): Promise<number> {
    const { dial, direction, offset } = passing;
    let { length } = passing;
    for (const { dial: wanted, place, breakpoint } of this.#breakpoints) {
      const at = (place as Partial<Record<Direction, number>>)[direction];
      if (wanted !== dial || at === undefined) continue;
      if (at === offset) await breakpoint.stop(passing);
      else if (at > offset) length = Math.min(length, at - offset);
    }
    return await this.#guard?.({ ...passing, length }) ?? length;
  }
}

type Check = (direction: Direction, offset: number, length: number, cut: () => void) => Promise<number>;

/** A socket made of another one, with a guard before its bytes. */
class GuardedDriver implements Driver {
  readonly isEventDriven = false;
  readonly socket: StreamSocket;
  readonly #inner: Socket;
  readonly #check: Check;
  readonly #isSilent: () => boolean;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #reading = false;
  #received = 0;
  #sent = 0;

  constructor(inner: Socket, check: Check, isSilent: () => boolean) {
    this.#inner = inner;
    this.#check = check;
    this.#isSilent = isSilent;
    this.#reader = inner.readable.getReader();
    this.#writer = inner.writable.getWriter();
    this.#reader.closed.catch(() => {});
    this.#writer.closed.catch(() => {});
    this.socket = new StreamSocket(this, inner.localAddress, inner.remoteAddress);
  }

  pull(): void {
    if (this.#reading) return;
    this.#reading = true;
    void this.#read();
  }

  write(chunk: Uint8Array): boolean {
    void this.#write(chunk);
    return false;
  }

  shutdown(): boolean {
    this.#writer.close().then(() => this.socket.written(), this.#broken);
    return false;
  }

  close(): void {
    this.socket.released();
  }

  terminate(): void {
    if (!this.#isSilent()) this.#inner.abort();
    this.socket.released();
  }

  async #read(): Promise<void> {
    try {
      for (let more = true; more;) {
        const { value } = await this.#reader.read();
        if (value === undefined) return this.socket.ended();
        for (let at = 0; at < value.length;) {
          const count = await this.#check("received", this.#received, value.length - at, this.#cut);
          this.#received += count;
          more = this.socket.received(value.subarray(at, at += count));
        }
      }
      this.#reading = false;
    } catch (error) {
      this.#broken(error);
    }
  }

  async #write(chunk: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < chunk.length;) {
        const count = await this.#check("sent", this.#sent, chunk.length - at, this.#cut);
        this.#sent += count;
        await this.#writer.write(chunk.subarray(at, at += count));
      }
      this.socket.written();
    } catch (error) {
      this.#broken(error);
    }
  }

  readonly #cut = (): void => {
    this.#inner.abort(new Error("cut by the test"));
    this.#broken(new NetworkError("connection_lost", "Lost the connection: cut by the test"));
  };

  readonly #broken = (error: unknown): void => {
    const lost = new NetworkError("connection_lost", "Lost the connection", { cause: error });
    this.socket.broken(error instanceof NetworkError ? error : lost);
  };
}
