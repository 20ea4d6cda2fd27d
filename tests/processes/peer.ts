/**
 * The end of a pair that is dialled. It runs on all three runtimes, on Deno with `--allow-net` only, until its standard input ends.
 *
 * @module
 */

import process from "node:process";
import { Messenger } from "../../mod.ts";
import { Account, Exchange } from "./exchange.ts";

const messenger = new Messenger();
const exchange = new Exchange(messenger, 2);
messenger.addDispatcherTail({
  handleAccept: async (connection) => void connection.send(Account.message(await exchange.records)),
});
process.stdin.on("data", () => {}).on("end", () => void messenger.shutdown());
console.log(`listening at ${await messenger.bind("127.0.0.1:0")}`);
