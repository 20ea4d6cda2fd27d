/**
 * Runs in the browser: sends numbers, counts the answers, and cuts its own connection meanwhile.
 *
 * `?messages=600&cuts=3` in the page's address says how many of each; the button cuts once more.
 *
 * @module
 */

import { type Duplex, duplexNetwork, Messenger, webSocketDuplex } from "@msgr/pipe";
import { SERVER, Tick, Tock } from "./messages.ts";

interface PageElement {
  textContent: string;
  className: string;
  readonly style: { background: string };
  readonly children: ArrayLike<PageElement>;
  onclick: () => void;
  append(...nodes: PageElement[]): void;
  prepend(...nodes: PageElement[]): void;
}

// The repository's types are Deno's, which has no pages.
declare const document: {
  getElementById(id: string): PageElement;
  createElement(name: string): PageElement;
};
declare const location: { readonly host: string; readonly search: string };

const { sent, answered, wrong, connections, state, cut, grid, log } = new Proxy({} as Record<string, PageElement>, {
  get: (_, id: string) => document.getElementById(id),
}) as Record<"sent" | "answered" | "wrong" | "connections" | "state" | "cut" | "grid" | "log", PageElement>;

const parameters = new URLSearchParams(location.search);
const messages = Number(parameters.get("messages") ?? 600);
const cuts = Number(parameters.get("cuts") ?? 3);

let webSocket: WebSocket | undefined;
let opened = 0;

async function dial(): Promise<Duplex> {
  webSocket = new WebSocket(`ws://${location.host}/pipe`);
  const duplex = await webSocketDuplex(webSocket);
  connections.textContent = `${++opened}`;
  return duplex;
}

const messenger = new Messenger({
  network: duplexNetwork({ dial }),
  log: ({ type, error }) => {
    if (type === "open") state.textContent = "connected";
    if (type === "fault") state.textContent = "reconnecting";
    say(error === undefined ? type : `${type}: ${error.message}`);
  },
});

let received = 0;
let errors = 0;
messenger.on(Tock, (tock) => {
  received++;
  // The server has counted, too: it got every number once.
  if (tock.number !== received || tock.received !== received) errors++;
  answered.textContent = `${received}`;
  wrong.textContent = `${errors}`;
  square(tock.number).style.background = `hsl(${(200 + opened * 67) % 360} 65% 55%)`;
  if (received % Math.ceil(messages / (cuts + 1)) === 0 && opened <= cuts) webSocket?.close(4000, "cut");
  if (received === messages) state.textContent = "done";
});
cut.onclick = () => webSocket?.close(4000, "cut");

for (let i = 0; i < messages; i++) grid.append(document.createElement("span"));

const connection = messenger.connectTo(SERVER);
for (let number = 1; number <= messages; number++) {
  await connection.ready;
  connection.send(Tick.message({ number }));
  sent.textContent = `${number}`;
  square(number).className = "sent";
  if (number % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 10));
}

function square(number: number): PageElement {
  return grid.children[number - 1]!;
}

function say(text: string): void {
  const line = document.createElement("li");
  line.textContent = text;
  log.prepend(line);
}
