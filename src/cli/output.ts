/**
 * The standard output and error.
 *
 * @module
 */

/** What is asked of a stream of `node:process`. */
export interface OutputStream {
  /** Whether it is a terminal. */
  readonly isTTY?: boolean;
  /** The width of the terminal. */
  readonly columns?: number;
  /** The height of the terminal. */
  readonly rows?: number;
  /** Takes something to print, and says when it has gone. */
  write(chunk: string | Uint8Array, callback: (error?: Error | null) => void): boolean;
  /** Whoever reads may go away at any time. */
  on(event: "error", listener: (error: Error) => void): unknown;
}

/** One of the two streams. Once its reader has gone it takes everything and prints nothing, so that no command has to care. */
export class Output {
  readonly #stream: OutputStream;
  readonly #onClosed: () => void;
  #isClosed = false;
  #last: Promise<void> = Promise.resolve();

  /**
   * @param stream The stream.
   * @param onClosed Told once when its reader has gone.
   */
  constructor(stream: OutputStream, onClosed: () => void = () => {}) {
    this.#stream = stream;
    this.#onClosed = onClosed;
    stream.on("error", () => this.#close());
  }

  /** Whether it is a terminal. */
  get isTerminal(): boolean {
    return this.#stream.isTTY === true;
  }

  /** The width of the terminal in characters. */
  get columns(): number {
    return this.#stream.columns || 80;
  }

  /** The height of the terminal in lines. */
  get rows(): number {
    return this.#stream.rows || 24;
  }

  /** Whether its reader has gone. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Fulfils when all that was printed has left the process. */
  get flushed(): Promise<void> {
    return this.#last;
  }

  /** Prints; fulfils when it has left the process, or never will. To await it is to let a slow reader slow the command. */
  write(chunk: string | Uint8Array): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    const written = new Promise<void>((resolve) => {
      this.#stream.write(chunk, (error) => {
        if (error !== undefined && error !== null) this.#close();
        resolve();
      });
    });
    return this.#last = this.#last.then(() => written);
  }

  /** Prints a line. */
  line(text: string): Promise<void> {
    return this.write(`${text}\n`);
  }

  /** Prints a value as a line of JSON; big numbers in hexadecimal. */
  json(value: unknown): Promise<void> {
    return this.line(
      JSON.stringify(value, (_, part) => typeof part === "bigint" ? `0x${part.toString(16)}` : part),
    );
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onClosed();
  }
}
