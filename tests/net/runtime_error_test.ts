import { assertEquals, assertStrictEquals } from "@std/assert";
import test from "node:test";
import { connectError, listenError } from "../../src/net/runtime_error.ts";

const address = { transport: "tcp", hostname: "::1", port: 6789 } as const;

test("an error of POSIX keeps its words and its cause, and says its name once", () => {
  const cause = Object.assign(new Error("No route to host (os error 113)"), { code: "EHOSTUNREACH" });
  const error = connectError(cause, address);
  assertEquals(error.code, "unreachable");
  assertEquals(error.message, "Cannot connect to [::1]:6789: No route to host (os error 113) (EHOSTUNREACH)");
  assertStrictEquals(error.cause, cause);
  const named = connectError(Object.assign(new Error("connect ETIMEDOUT ::1"), { code: "ETIMEDOUT" }), address);
  assertEquals(named.message, "Cannot connect to [::1]:6789: connect ETIMEDOUT ::1");
  assertEquals(named.code, "timed_out");
});

test("a class of Deno's is known by its name alone", () => {
  const cause = new Error("Requires net access");
  cause.name = "NotCapable";
  assertEquals(listenError(cause, address).code, "permission_denied");
});

test("what is wrong with TLS is known by the codes of OpenSSL and BoringSSL, and by the words of rustls", () => {
  const invalid = (message: string): Error => Object.assign(new Error(message), { name: "InvalidData" });
  const coded = (code: string): Error => Object.assign(new Error("words"), { code });
  const errors: readonly (readonly [Error, string])[] = [
    [coded("CERT_HAS_EXPIRED"), "tls_expired"],
    [coded("CERT_NOT_YET_VALID"), "tls_expired"],
    [invalid("invalid peer certificate: certificate expired: verification time 1"), "tls_expired"],
    [invalid("invalid peer certificate: certificate not valid yet: verification time 1"), "tls_expired"],
    [coded("ERR_TLS_CERT_ALTNAME_INVALID"), "tls_wrong_name"],
    [invalid('invalid peer certificate: certificate not valid for name "a"; it is valid for b'), "tls_wrong_name"],
    [coded("UNABLE_TO_VERIFY_LEAF_SIGNATURE"), "tls_untrusted"],
    [coded("UNABLE_TO_GET_ISSUER_CERT_LOCALLY"), "tls_untrusted"],
    [coded("DEPTH_ZERO_SELF_SIGNED_CERT"), "tls_untrusted"],
    [coded("SELF_SIGNED_CERT_IN_CHAIN"), "tls_untrusted"],
    [invalid("invalid peer certificate: UnknownIssuer"), "tls_untrusted"],
    [invalid("invalid peer certificate: CaUsedAsEndEntity"), "tls_untrusted"],
    [coded("ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE"), "tls_client_certificate"],
    [coded("ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED"), "tls_client_certificate"],
    [coded("ERR_SSL_TLSV1_ALERT_CERTIFICATE_REQUIRED"), "tls_client_certificate"],
    [invalid("received fatal alert: CertificateRequired"), "tls_client_certificate"],
    [coded("ERR_SSL_TLSV1_ALERT_UNKNOWN_CA"), "tls_refused"],
    [coded("ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE"), "tls_refused"],
    [coded("ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED"), "tls_refused"],
    [invalid("received fatal alert: UnknownCA"), "tls_refused"],
    [invalid("received fatal alert: BadCertificate"), "tls_refused"],
    [invalid("received fatal alert: CertificateExpired"), "tls_refused"],
    [coded("ERR_SSL_WRONG_VERSION_NUMBER"), "tls_failed"],
    [coded("ERR_OSSL_PEM_NO_START_LINE"), "tls_failed"],
    [invalid("received corrupt message of type InvalidContentType"), "tls_failed"],
    [invalid("received fatal alert: HandshakeFailure"), "tls_failed"],
    [coded("ERR_TLS_HANDSHAKE_TIMEOUT"), "timed_out"],
  ];
  for (const [error, code] of errors) assertEquals(connectError(error, address).code, code, error.message);
});

test("an error nobody knows is a network error with that cause", () => {
  assertEquals(connectError(new Error("strange"), address).code, "network");
  const error = connectError("not even an error", address);
  assertEquals([error.code, error.cause], ["network", "not even an error"]);
  assertEquals(connectError(undefined, address).code, "network");
});
