/**
 * gRPC without protobuf: bytes as they are, so that only the transport counts.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { installed } from "./install.ts";

/** A call as the server sees it. */
export interface ServerCall {
  readonly request: Uint8Array;
  on(event: string, listener: (message: Uint8Array) => void): void;
  write(message: Uint8Array): boolean;
}
/** A stream of calls as the client sees it. */
export interface ClientCall {
  on(event: string, listener: (message: Uint8Array) => void): void;
  once(event: string, listener: () => void): void;
  write(message: Uint8Array): boolean;
  cancel(): void;
}
type Answer = (error: Error | null, answer: Uint8Array) => void;
/** What the client may call. */
export interface Stub {
  exchange(): ClientCall;
  ask(message: Uint8Array, answer: Answer): void;
  close(): void;
}
interface Grpc {
  readonly Server: new (options: unknown) => {
    addService(definition: unknown, handlers: unknown): void;
    bindAsync(address: string, credentials: unknown, bound: (error: Error | null, port: number) => void): void;
  };
  readonly ServerCredentials: { createInsecure(): unknown };
  readonly credentials: { createInsecure(): unknown };
  makeGenericClientConstructor(
    definition: unknown,
    name: string,
  ): new (address: string, credentials: unknown, options: unknown) => Stub;
}

const asIs = (bytes: Uint8Array): Uint8Array => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
const codec = { requestSerialize: asIs, requestDeserialize: asIs, responseSerialize: asIs, responseDeserialize: asIs };
const definition = {
  exchange: { path: "/bench/exchange", requestStream: true, responseStream: true, ...codec },
  ask: { path: "/bench/ask", requestStream: false, responseStream: false, ...codec },
};
const options = {
  "grpc.max_receive_message_length": -1,
  // Each client has a connection of its own.
  "grpc.use_local_subchannel_pool": 1,
};

/** Serves both kinds of calls on a free port. */
export function serveGrpc(handlers: {
  exchange(call: ServerCall): void;
  ask(call: ServerCall, answer: Answer): void;
}): Promise<number> {
  const { Server, ServerCredentials } = installed<Grpc>("@grpc/grpc-js");
  const server = new Server(options);
  server.addService(definition, handlers);
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
  });
}

/** A client with a connection of its own. */
export function connectGrpc(port: number): Stub {
  const { makeGenericClientConstructor, credentials } = installed<Grpc>("@grpc/grpc-js");
  const Constructor = makeGenericClientConstructor(definition, "bench");
  return new Constructor(`127.0.0.1:${port}`, credentials.createInsecure(), options);
}
