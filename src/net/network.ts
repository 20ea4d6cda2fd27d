/**
 * The seam between the messenger and a runtime: four small interfaces made of web types. There is one adapter per runtime
 * (`deno.ts`, `bun.ts`, `node.ts`) and one in memory; any object of this shape will do as the `network` of a Messenger.
 *
 * Every adapter keeps the promises written here, and one conformance suite holds all of them to it.
 *
 * @module
 */

/** A TCP endpoint. */
export interface TcpAddress {
  /** The kind of address. */
  readonly transport: "tcp";
  /** An IPv4 or IPv6 address in text, without brackets: `"127.0.0.1"`, `"::1"`. */
  readonly hostname: string;
  /** 0 to 65535; 0 asks {@linkcode Network.listen} for any free port. */
  readonly port: number;
}

/** A Unix-domain stream socket. */
export interface UnixAddress {
  /** The kind of address. */
  readonly transport: "unix";
  /** The socket's path in the file system; empty for the end that dialled, which has none. */
  readonly path: string;
}

/** Where a socket is. */
export type SocketAddress = TcpAddress | UnixAddress;

/**
 * TLS: who we are and whom we trust, in PEM texts. One object serves both ends of a program that listens and connects: each end takes
 * what is its own.
 *
 * `docs/transports.md` says what each runtime can do.
 */
export interface TlsOptions {
  /**
   * Certificates of the authorities that may have signed the other end's certificate, one after the other. To connect, they take the place of those
   * that the runtime trusts by itself (Deno trusts both). To listen, they are for the certificates of clients.
   *
   * @default {those that the runtime trusts}
   */
  readonly ca?: string;
  /** Our certificate, and after it those that lead to the authority. To listen there has to be one; to connect, only if the server asks for it. */
  readonly cert?: string;
  /** The private key of {@linkcode cert}. */
  readonly key?: string;
  /**
   * To connect: the name that the server's certificate must carry. Over a Unix-domain path there has to be one.
   *
   * @default {the IP address that is connected to}
   */
  readonly serverName?: string;
  /**
   * To listen: turn away clients that show no certificate signed by {@linkcode ca}, which has to be there then.
   *
   * @default {false}
   */
  readonly requireClientCertificate?: boolean;
}

/** Options of {@linkcode Network.connect}. */
export interface ConnectOptions {
  /** Gives the attempt up: it then rejects with the signal's reason, and a socket that arrives late is closed unseen. */
  readonly signal?: AbortSignal;
  /**
   * Sends small writes at once instead of waiting to fill a packet (`TCP_NODELAY`).
   *
   * @default {true}
   */
  readonly noDelay?: boolean;
  /** Wraps the connection in TLS. The attempt ends when the server's certificate was verified; what the server says of ours comes with the first read. */
  readonly tls?: TlsOptions | undefined;
}

/** Options of {@linkcode Network.listen}. */
export interface ListenOptions {
  /**
   * Connections that the operating system may hold ready before they are accepted. A runtime that does not let one
   * choose ignores it.
   *
   * @default {512}
   */
  readonly backlog?: number;
  /**
   * `TCP_NODELAY` on accepted sockets.
   *
   * @default {true}
   */
  readonly noDelay?: boolean;
  /** Wraps accepted connections in TLS. One whose handshake fails is handed out all the same: its reads and writes reject and say why. */
  readonly tls?: TlsOptions | undefined;
}

/**
 * A connected byte stream in both directions.
 *
 * The two directions are independent: the end of one leaves the other open. Both ends of a socket's life are explicit:
 * a clean one (`readable` ended and `writable` closed) and a hard one ({@linkcode Socket.abort}).
 */
export interface Socket {
  /**
   * The bytes that arrive. A chunk is never empty, and belongs to whoever read it: the adapter does not touch it again. Little is
   * read ahead (at most about 512 KiB): a reader that stops reading makes the other end's writes wait. The stream closes when the peer ends
   * its side, and errors with a `NetworkError` when the connection breaks. Cancelling it drops what has not been
   * read and what still arrives up to the peer's end, and leaves `writable` open.
   */
  readonly readable: ReadableStream<Uint8Array>;
  /**
   * The bytes to send. A write settles when the operating system has taken all of its chunk; until then the chunk belongs to the stream and
   * must not be changed. `close()` sends what is queued, then ends this direction only. A write on a
   * broken connection rejects with a `NetworkError`. Aborting the stream is {@linkcode Socket.abort}.
   */
  readonly writable: WritableStream<Uint8Array>;
  /**
   * The same bytes without the streams, if the socket has a shorter way to them. Whoever takes it leaves both streams alone. An operation on a stream costs
   * more than all the rest of a small message's way, and an idle socket without streams is lighter.
   */
  readonly direct?: DirectSocket;
  /** This end. */
  readonly localAddress: SocketAddress;
  /** The other end, as the operating system names it. */
  readonly remoteAddress: SocketAddress;
  /** Fulfils once both directions have ended and the operating system's socket is released. It never rejects. */
  readonly closed: Promise<void>;
  /**
   * Ends both directions at once and drops what has not been sent. Pending and later reads and writes reject with `reason`. Calling it again, or
   * after the socket has closed by itself, does nothing. The peer sees its connection lost where the operating system and the runtime can
   * say so (TCP without TLS, though not on Deno), and an end elsewhere: an end alone does not prove that the other side meant it.
   *
   * @param reason What reads and writes reject with; an `AbortError` unless given.
   */
  abort(reason?: unknown): void;
}

/**
 * The two directions of a {@linkcode Socket} as plain calls. All that is said there of chunks, ends and failures holds here. What is to be told later is
 * told by a call from the event loop or a microtask, never from inside a call of the program's: a promise for each would cost as much as a small message.
 */
export interface DirectSocket {
  /**
   * Takes the next chunk that has arrived.
   *
   * @param arrived Called once when there is more to say, if there is nothing now. One read waits at a time.
   * @param destination Where the bytes had best be put, if the socket can: the chunk is then the beginning of that. Until a chunk has come, the socket may write
   * there. Most do not, and nobody has to.
   * @returns The chunk, null at the peer's end, or undefined if nothing has arrived.
   * @throws What broke the connection.
   */
  read(arrived: () => void, destination?: Uint8Array): Uint8Array | null | undefined;
  /** Whether it puts bytes to the destination of a read, so that there is something to gain from a larger one. By default it does not. */
  readonly readsInPlace?: boolean;
  /**
   * Of a chunk of at most so many bytes a copy of a part costs less than a view: where the engine keeps small arrays in its own heap, it has to move one out of there
   * before two can share it. By default there are no such chunks.
   */
  readonly copiesUpTo?: number;
  /** Memory that a read will fill: what is in it before that does not matter. By default it is cleared. */
  allocate?(length: number): Uint8Array;
  /** Whether the chunks of one write leave in one system call, so that there is nothing to gain from copying large ones together. By default they do not. */
  readonly gathers?: boolean;
  /**
   * Sends chunks in order, of which none is empty. One write at a time.
   *
   * @param settled Called once the operating system has taken all of it, unless that was at once; or with what broke the connection.
   * @returns Whether the operating system took all of it at once.
   */
  write(chunks: readonly Uint8Array[], settled: (error?: unknown) => void): boolean;
}

/**
 * A listening socket: iterate it to accept connections. Leaving a loop early leaves it listening, for another loop to go on. A loop throws a
 * `NetworkError` when the operating system cannot accept (it is out of file descriptors, say); that too leaves it listening.
 */
export interface Listener extends AsyncIterable<Socket>, AsyncDisposable {
  /** Where it listens, with the port that was chosen. */
  readonly address: SocketAddress;
  /**
   * Stops listening; a pending iteration ends, and connections that were never handed out are aborted. Sockets handed out
   * earlier stay open. Fulfils when the port (or path) is free again. Calling it again does nothing.
   */
  close(): Promise<void>;
}

/** A way to open sockets. */
export interface Network {
  /** The adapter's name, for messages to people: `"deno"`, `"bun"`, `"node"`, `"memory"`. */
  readonly name: string;
  /**
   * When a writer should hand queued messages over so that those queued in one turn of the program leave in one write. Where a write is a
   * system call there and then (Bun), that is at the end of the turn of the event loop; elsewhere a microtask is late enough.
   */
  readonly flush: "microtask" | "macrotask";
  /**
   * Opens a connection.
   *
   * @throws {NetworkError} With code `refused`, `unreachable`, `timed_out`, `permission_denied`, `tls_untrusted`, …
   * @throws {MessengerError} With code `invalid` for TLS options that lack something.
   */
  connect(address: SocketAddress, options?: ConnectOptions): Promise<Socket>;
  /**
   * Listens for connections. A Unix-domain path left behind by a process that is gone is taken over.
   *
   * @throws {NetworkError} With code `address_in_use`, `address_not_available`, `permission_denied`, …
   * @throws {MessengerError} With code `invalid` for TLS options that lack something.
   */
  listen(address: SocketAddress, options?: ListenOptions): Promise<Listener>;
}
