/**
 * A browser without a window, spoken to over the WebSocket of its DevTools.
 *
 * @module
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Names that Chromium goes by, Debian's first. */
const NAMES = ["chromium", "chromium-browser", "google-chrome"];

type Answer = Record<string, unknown>;

/** The browser's program, if there is one. */
export function findChromium(): string | undefined {
  return NAMES.find((name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0);
}

/** A browser that runs. Disposing of it ends it and removes what it wrote. */
export class Chromium implements AsyncDisposable {
  /** What pages failed with, as far as nothing in them caught it. */
  readonly errors: string[] = [];
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #folder: string;
  readonly #pending = new Map<number, PromiseWithResolvers<Answer>>();
  readonly #loading = new Map<string, () => void>();
  #webSocket!: WebSocket;
  #calls = 0;

  private constructor(program: string) {
    this.#folder = mkdtempSync(join(tmpdir(), "pipe-chromium-"));
    this.#child = spawn(program, [
      "--headless=new",
      // A container has no user namespaces, and the page is our own.
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--hide-scrollbars",
      "--no-first-run",
      "--remote-debugging-port=0",
      `--user-data-dir=${this.#folder}`,
      "about:blank",
    ], { stdio: ["ignore", "ignore", "pipe"] });
    this.#ended = new Promise((resolve) => this.#child.once("close", () => resolve()));
  }

  /** Starts one. */
  static async start(program: string): Promise<Chromium> {
    const browser = new Chromium(program);
    try {
      await browser.#connect();
      return browser;
    } catch (error) {
      await browser[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Opens a page, and waits until it is loaded. */
  async open(url: string, width: number, height: number): Promise<Page> {
    const { targetId } = await this.call("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await this.call("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this, sessionId as string);
    await Promise.all([page.call("Runtime.enable"), page.call("Page.enable")]);
    await page.call("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
    const loaded: PromiseWithResolvers<void> = Promise.withResolvers();
    this.#loading.set(sessionId as string, loaded.resolve);
    await page.call("Page.navigate", { url });
    await loaded.promise;
    return page;
  }

  /** Calls a method of the DevTools. */
  async call(method: string, params: Answer = {}, sessionId?: string): Promise<Answer> {
    const id = ++this.#calls;
    const answer: PromiseWithResolvers<Answer> = Promise.withResolvers();
    this.#pending.set(id, answer);
    this.#webSocket.send(JSON.stringify({ id, method, params, sessionId }));
    return await answer.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#webSocket?.close();
    this.#child.kill("SIGKILL");
    await this.#ended;
    // Its children may still be writing there for a moment.
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  async #connect(): Promise<void> {
    const { promise: url, resolve, reject } = Promise.withResolvers<string>();
    let output = "";
    this.#child.once("error", reject);
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      const [, found] = output.match(/DevTools listening on (ws:\S+)/) ?? [];
      if (found !== undefined) resolve(found);
    });
    this.#ended.then(() => reject(new Error(`Chromium ended:\n${output}`)));
    this.#webSocket = new WebSocket(await url);
    await new Promise((opened, failed) => {
      this.#webSocket.onopen = opened;
      this.#webSocket.onerror = failed;
    });
    this.#webSocket.onmessage = ({ data }) => this.#onMessage(JSON.parse(data as string));
    this.#webSocket.onclose = () => {
      for (const { reject } of this.#pending.values()) reject(new Error("Chromium has gone"));
    };
  }

  #onMessage({ id, result, error, method, params, sessionId }: Answer): void {
    if (method === "Page.loadEventFired") this.#loading.get(sessionId as string)?.();
    if (method === "Runtime.exceptionThrown") this.errors.push(JSON.stringify(params));
    const answer = this.#pending.get(id as number);
    this.#pending.delete(id as number);
    if (error === undefined) answer?.resolve(result as Answer);
    else answer?.reject(new Error(JSON.stringify(error)));
  }
}

/** A page in it. */
export class Page {
  readonly #browser: Chromium;
  readonly #session: string;

  constructor(browser: Chromium, session: string) {
    this.#browser = browser;
    this.#session = session;
  }

  /** What an expression gives in the page; a promise is waited for. */
  async evaluate<T>(expression: string): Promise<T> {
    const answer = await this.call("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (answer.exceptionDetails !== undefined) throw new Error(JSON.stringify(answer.exceptionDetails));
    return (answer.result as { value: T }).value;
  }

  /** A picture of it, as a PNG. */
  async screenshot(): Promise<Uint8Array> {
    const { data } = await this.call("Page.captureScreenshot", { format: "png" });
    return Uint8Array.from(atob(data as string), (character) => character.charCodeAt(0));
  }

  /** Calls a method of the DevTools for this page. */
  call(method: string, params: Answer = {}): Promise<Answer> {
    return this.#browser.call(method, params, this.#session);
  }
}
