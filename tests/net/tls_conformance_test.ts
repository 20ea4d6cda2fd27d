/** TLS keeps the promises of the seam, too. */

import { defaultNetwork } from "../../src/net/default.ts";
import type { Network } from "../../src/net/network.ts";
import { identity, pem } from "../support/certificates.ts";
import { testNetwork } from "./conformance.ts";

const runtime = await defaultNetwork();
const client = { ca: pem("ca"), serverName: "server.test" };
const server = identity("server");

const network: Network = {
  ...runtime,
  connect: (address, options) => runtime.connect(address, { ...options, tls: client }),
  listen: (address, options) => runtime.listen(address, { ...options, tls: server }),
};

await testNetwork(`${runtime.name} with TLS`, () => network, {
  noReset: "no runtime sends a reset through TLS, nor tells an end of the connection from one of TLS",
  ...(runtime.name === "deno" && {
    noUnix: "Deno has no TLS over paths",
    noNoDelay: "Deno has no TCP_NODELAY for what its TLS listeners accept",
  }),
});
