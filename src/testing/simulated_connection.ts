/**
 * A connection of a simulated network: two directions with bytes on their way, and everything that can go wrong with them.
 *
 * @module
 */

import type { Environment } from "../environment.ts";
import { NetworkError } from "../errors.ts";
import { describe } from "../net/address.ts";
import type { Socket, SocketAddress } from "../net/network.ts";
import { type Driver, StreamSocket } from "../net/stream_socket.ts";
import type { SeededRandom } from "./seeded_random.ts";

/** Which end of a connection: the one that dialled, or the one that accepted. */
export type End = "dialler" | "acceptor";

/** Who notices at once that a connection is gone. The others notice when they send, by the answer of a host that knows nothing of it. */
export type Notice = "both" | "nobody" | End;

/** What is going to happen to a connection. Several faults may befall one. */
export type ConnectionFault =
  /** The attempt is refused, as by a host where nobody listens. */
  | { readonly kind: "refuse" }
  /** The attempt is never answered. */
  | { readonly kind: "no_answer" }
  /** The connection breaks when `end` has been brought `afterBytes` bytes. */
  | { readonly kind: "cut"; readonly to: End; readonly afterBytes: number; readonly notice: Notice }
  /** Nothing gets through for `ms` once `end` has been brought `afterBytes` bytes; then all of it does. */
  | { readonly kind: "stall"; readonly to: End; readonly afterBytes: number; readonly ms: number }
  /** Whatever `end` would be brought after `afterBytes` bytes vanishes, for good. */
  | { readonly kind: "black_hole"; readonly to: End; readonly afterBytes: number }
  /** Every byte arrives alone, for as long as `bytes` lasts. */
  | { readonly kind: "split"; readonly to: End; readonly bytes: number }
  /** Everything takes `ms` longer. */
  | { readonly kind: "delay"; readonly ms: number };

/** What a connection needs of its network. */
export interface ConnectionHost {
  /** Where time comes from. */
  readonly environment: Environment;
  /** Where latencies come from. */
  readonly random: SeededRandom;
  /** Bytes on their way at which a write has to wait. */
  readonly capacity: number;
  /** Least and most ms that bytes are on their way. */
  readonly latency: readonly [least: number, most: number];
  /** An end has been freed. */
  released(connection: SimulatedConnection): void;
  /** Tells whoever watches. */
  event(connection: SimulatedConnection, what: string): void;
  /** An end has written: its bytes, which are only to be looked at. */
  written(connection: SimulatedConnection, from: End, bytes: Uint8Array): void;
}

/** What travels: bytes, the end of a direction, or word that the connection is gone. */
type Parcel = { readonly at: number; readonly content: Uint8Array | "end" | "reset" };

/** A connection between two hosts. */
export class SimulatedConnection {
  /** Its number in its network, from 1. */
  readonly id: number;
  /** Where the end that dialled is. */
  readonly from: SocketAddress;
  /** Where the end that accepted is. */
  readonly to: SocketAddress;

  readonly #host: ConnectionHost;
  readonly #dialler: EndPoint;
  readonly #acceptor: EndPoint;

  /** Connections are made by their network. */
  constructor(
    host: ConnectionHost,
    id: number,
    from: SocketAddress,
    to: SocketAddress,
    faults: readonly ConnectionFault[],
  ) {
    this.id = id;
    this.from = from;
    this.to = to;
    this.#host = host;
    this.#dialler = new EndPoint(this, host, "dialler", from, to);
    this.#acceptor = new EndPoint(this, host, "acceptor", to, from);
    this.#dialler.other = this.#acceptor;
    this.#acceptor.other = this.#dialler;
    for (const fault of faults) this.inflict(fault);
  }

  /** The socket of the end that dialled. */
  get dialler(): Socket {
    return this.#dialler.socket;
  }

  /** The socket of the end that accepted. */
  get acceptor(): Socket {
    return this.#acceptor.socket;
  }

  /** Ends that are not freed yet: 2, 1 or 0. */
  get openEnds(): number {
    return Number(this.#dialler.isOpen) + Number(this.#acceptor.isOpen);
  }

  /** Lets something go wrong from now on: byte counts begin at the bytes that have been brought already. */
  inflict(fault: ConnectionFault): void {
    switch (fault.kind) {
      case "cut":
      case "stall":
      case "black_hole": {
        const end = this.#end(fault.to);
        end.faults.push({ ...fault, at: end.brought + fault.afterBytes });
        end.faults.sort((a, b) => a.at - b.at);
        break;
      }
      case "split":
        this.#end(fault.to).single += fault.bytes;
        break;
      case "delay":
        this.#dialler.extraLatency += fault.ms;
        this.#acceptor.extraLatency += fault.ms;
    }
  }

  /** Breaks the connection now: what is on its way is lost. */
  cut(notice: Notice = "both"): void {
    this.#host.event(this, `cut, noticed by ${notice}`);
    // Both first: what one end is still about to send must not arrive behind what was lost.
    const ends = [this.#dialler, this.#acceptor];
    for (const end of ends) end.isForgotten = true;
    for (const end of ends) end.lose(notice === "both" || notice === end.name);
  }

  /** Frees the end of a host that has died. The other end is told, or finds out when it sends. */
  die(end: End, told: boolean): void {
    this.#end(end).die(told);
  }

  #end(name: End): EndPoint {
    return name === "dialler" ? this.#dialler : this.#acceptor;
  }
}

type TimedFault = Extract<ConnectionFault, { readonly afterBytes: number }> & { readonly at: number };

/** One end, and the direction that leads to it. */
class EndPoint implements Driver {
  readonly name: End;
  readonly isEventDriven = false;
  readonly socket: StreamSocket;
  other!: EndPoint;
  /** Bytes that have reached this end. */
  brought = 0;
  /** Bytes that are yet to arrive one by one. */
  single = 0;
  extraLatency = 0;
  /** What happens at which byte, the nearest first. */
  readonly faults: TimedFault[] = [];
  isOpen = true;
  /** The network has forgotten the connection: who sends is told so. */
  isForgotten = false;

  readonly #connection: SimulatedConnection;
  readonly #host: ConnectionHost;
  /** On its way to this end, in the order of arrival. */
  readonly #parcels: Parcel[] = [];
  /** Arrived, and not asked for yet. */
  readonly #arrived: Uint8Array[] = [];
  /** Bytes on their way or not asked for. */
  #held = 0;
  #lastAt = 0;
  #timer: unknown;
  #wanted = false;
  /** Nothing gets to this end any more. */
  #isBlackHole = false;
  /** Whether the other end hears of an abort of this one. */
  #tells = true;
  /** What this end is about to send, once there is room. */
  #unsent: Uint8Array | "end" | undefined;

  constructor(
    connection: SimulatedConnection,
    host: ConnectionHost,
    name: End,
    local: SocketAddress,
    remote: SocketAddress,
  ) {
    this.#connection = connection;
    this.#host = host;
    this.name = name;
    this.socket = new StreamSocket(this, local, remote);
  }

  // ------------------------------------------------------- the verbs of a socket

  pull(): void {
    this.#wanted = true;
    this.#handOver();
  }

  write(chunk: Uint8Array): boolean {
    this.#host.written(this.#connection, this.name, chunk);
    return this.#send(chunk);
  }

  shutdown(): boolean {
    return this.#send("end");
  }

  close(): void {
    this.#free();
  }

  terminate(): void {
    this.#free();
    this.#drop();
    // Untold, the other end gets the same as an answer to whatever it sends.
    if (this.#tells) this.other.#bring("reset", this.#latency());
  }

  // ------------------------------------------------------------- what goes wrong

  /** The connection is gone; what was on its way to this end with it. */
  lose(told: boolean): void {
    this.#drop();
    if (told) this.#bring("reset", this.#latency());
  }

  /** The host of this end is no more. */
  die(told: boolean): void {
    this.#tells = told;
    this.socket.abort(new NetworkError("unreachable", "This host has crashed"));
  }

  // --------------------------------------------------------------------- sending

  #send(content: Uint8Array | "end"): boolean {
    const { other } = this;
    if (other.#held >= this.#host.capacity) {
      this.#unsent = content;
      return false;
    }
    if (this.isForgotten || !other.isOpen) {
      // The answer comes when the question has arrived.
      if (this.isOpen) this.#bring("reset", 2 * this.#latency());
      return true;
    }
    if (content !== "end") {
      // The chunk belongs to the stream again once this returns.
      content = new Uint8Array(content);
      other.#held += content.byteLength;
    }
    other.#bring(content, this.#latency());
    return true;
  }

  #resume(): void {
    const unsent = this.#unsent;
    if (unsent === undefined || !this.isOpen) return;
    this.#unsent = undefined;
    if (this.#send(unsent)) this.socket.written();
  }

  #latency(): number {
    const [least, most] = this.#host.latency;
    return least + this.#host.random.next() * (most - least) + this.extraLatency;
  }

  // ------------------------------------------------------------------- arriving

  #bring(content: Parcel["content"], latency: number): void {
    // Nothing overtakes anything: bytes of a stream arrive in order.
    const at = this.#lastAt = Math.max(this.#lastAt, this.#host.environment.now() + latency);
    this.#parcels.push({ at, content });
    if (this.#parcels.length === 1) this.#await(at);
  }

  #await(at: number): void {
    const { environment } = this.#host;
    environment.clearTimer(this.#timer);
    this.#timer = environment.setTimer(this.#arrive, at - environment.now());
  }

  readonly #arrive = (): void => {
    const { content } = this.#parcels.shift()!;
    if (content instanceof Uint8Array) this.#arriveBytes(content);
    else if (this.isOpen && !this.#isBlackHole) {
      if (content === "end") {
        this.socket.ended();
      } else {
        this.socket.broken(
          new NetworkError(
            "connection_lost",
            `Lost the connection to ${describe(this.socket.remoteAddress)}: the other end is gone`,
          ),
        );
      }
    }
    const next = this.#parcels[0];
    if (next !== undefined) this.#await(next.at);
  };

  #arriveBytes(bytes: Uint8Array): void {
    const fault = this.faults[0];
    let count = bytes.byteLength;
    if (this.single > 0 && count > 1) count = 1;
    if (fault !== undefined) count = Math.min(count, fault.at - this.brought);
    if (this.single > 0) this.single -= count;
    this.brought += count;
    const rest = bytes.subarray(count);
    if (this.#isBlackHole) {
      // Sent into nothing: the sender's kernel keeps the bytes and waits for an answer that does not come.
      return;
    }
    if (rest.byteLength > 0) this.#parcels.unshift({ at: this.#host.environment.now(), content: rest });
    if (!this.isOpen) {
      this.#held -= count;
      this.other.#bring("reset", this.#latency());
    } else if (count > 0) {
      this.#arrived.push(bytes.subarray(0, count));
      this.#handOver();
    }
    if (fault !== undefined && this.brought >= fault.at) this.#suffer(fault);
  }

  #suffer(fault: TimedFault): void {
    this.faults.shift();
    switch (fault.kind) {
      case "cut":
        this.#connection.cut(fault.notice);
        break;
      case "stall":
        this.#host.event(this.#connection, `nothing gets to the ${this.name} for ${fault.ms} ms`);
        this.#lastAt += fault.ms;
        for (let i = 0; i < this.#parcels.length; i++) {
          const parcel = this.#parcels[i]!;
          this.#parcels[i] = { ...parcel, at: parcel.at + fault.ms };
        }
        break;
      case "black_hole":
        this.#host.event(this.#connection, `nothing gets to the ${this.name} any more`);
        this.#isBlackHole = true;
    }
  }

  #handOver(): void {
    while (this.#wanted && this.isOpen) {
      const bytes = this.#arrived.shift();
      if (bytes === undefined) break;
      this.#held -= bytes.byteLength;
      this.#wanted = this.socket.received(bytes);
    }
    this.other.#resume();
  }

  #drop(): void {
    this.#host.environment.clearTimer(this.#timer);
    this.#parcels.length = 0;
    for (const bytes of this.#arrived) this.#held -= bytes.byteLength;
    this.#arrived.length = 0;
    this.#held = 0;
    this.other.#resume();
  }

  #free(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#host.released(this.#connection);
    this.socket.released();
  }
}
