/**
 * A connection for POP3 inside k6: connect, read, write, start TLS, close. It knows nothing of the protocol and reads
 * nothing that was not asked for. All of it is for a VU's own code: in the init context `connect`, `resolve` and
 * `pbkdf2` throw; `now` works everywhere.
 *
 * Whatever fails rejects with a `TransportError`; a mistake of the caller (a missing host, a time-out that is no
 * number) throws a TypeError at once.
 */
declare module 'k6/x/pop3' {
  /**
   * Connects by k6's own dialer, which honours `hosts`, `blacklistIPs`, `blockHostnames`, `dns` and `localIPs` and
   * counts `data_sent` and `data_received`. One address is tried: the one `resolve` gives.
   *
   * @throws TransportError ENOTFOUND, EDNS, EBLOCKED, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT, EMFILE …
   */
  export function connect(to: Destination): Promise<Connection>;

  /**
   * The address k6 would connect to for a name, by its `hosts` option and its resolver. k6 chooses one of several, by
   * `dns.select` and `dns.policy`, so there is one in the list; a family that is not that of the chosen address is
   * ENOTFOUND. An address is its own answer.
   *
   * @throws TransportError ENOTFOUND, EDNS, EBLOCKED, ETIMEDOUT
   */
  export function resolve(host: string, terms?: Question): Promise<string[]>;

  /** Milliseconds, with fractions, on a clock that never jumps; only differences mean anything. */
  export function now(): number;

  /**
   * PBKDF2 (RFC 8018 §5.2) with HMAC, for SCRAM: off the event loop, for in JavaScript it would hold up the VU.
   *
   * @param iterations 1 to 1,000,000
   * @param length octets of the result, 1 to 64
   * @throws TransportError ECLOSED when the iteration ends before it is done
   */
  export function pbkdf2(
    password: Octets,
    salt: Octets,
    iterations: number,
    length: number,
    algorithm: 'sha1' | 'sha256' | 'sha512',
  ): Promise<Uint8Array>;

  export type Family = 0 | 4 | 6;

  export interface Question {
    /** 4, 6, or 0 (any, the default). */
    readonly family?: Family;
    /** An entry of `hosts` may be for one port alone. */
    readonly port?: number;
    /** Without it, as long as the iteration lasts. */
    readonly timeoutMs?: number;
  }

  /** A real Uint8Array or ArrayBuffer: it is copied before the call returns. */
  export type Octets = Uint8Array | ArrayBuffer;

  export interface Destination {
    /** A name or an address, an IPv6 one without brackets. */
    readonly host: string;
    readonly port: number;
    /** 4, 6, or 0 (any, the default). */
    readonly family?: Family;
    /** Put on the metrics of this connection. `proto` is always `POP3`. No host and no user is added by itself. */
    readonly tags?: Readonly<Record<string, string>>;
    /** Without it, k6's dialer has its own limit of 30 s. */
    readonly timeoutMs?: number;
  }

  /**
   * One connection. Only one operation is under way at a time, a second one rejects with EBUSY. It closes by itself
   * at the end of the iteration; then, and after `close`, whatever is under way rejects with ECLOSED.
   *
   * A time-out of 0, null or none at all is none. After ETIMEDOUT in `read` nothing is lost, and the connection may be
   * used on. After ETIMEDOUT in `write` some of the octets may have gone, and after one in `startTLS` part of a
   * handshake: only `close` is left then, anything else rejects with ECLOSED.
   */
  export interface Connection {
    /** As they were when it connected; null where the dialer does not tell. */
    readonly remoteAddress: string | null;
    readonly remotePort: number | null;
    readonly localAddress: string | null;
    readonly localPort: number | null;

    /** What has arrived, 1 to 16384 octets; null at the end of the stream, from then on always. */
    read(timeoutMs?: number | null): Promise<Uint8Array | null>;

    /**
     * Resolves when the operating system has taken over all octets. In clear it rejects with EUNREAD while something
     * waits in the operating system that was said unasked: it would be taken for the answer.
     */
    write(octets: Octets, timeoutMs?: number | null): Promise<void>;

    /**
     * Makes the TLS handshake, then judges the certificate: one at fault does not reject, `faults` says what is wrong.
     * Nothing may be sent before `faults` was looked at.
     *
     * Nothing is read before the server answers the ClientHello. What was `read` is the caller's: unread octets in
     * *its* buffer after `+OK` mean it must not call this (RFC 2595 §4, command injection). What still waits in the
     * operating system rejects with EUNREAD where the system can tell (Linux and other Unix systems); where it cannot,
     * and for octets that arrive later, the handshake fails on them with ECLEAR: they are never taken for something
     * that came over TLS.
     *
     * @throws TransportError EUNREAD, ECLEAR, ETLS, EPEM (`ca` or `clientCertificate`), ETIMEDOUT, ECONNRESET, EPIPE
     */
    startTLS(terms: TlsTerms, timeoutMs?: number | null): Promise<Secured>;

    /** Lets go at once, without TLS's close_notify. Again, it does nothing. */
    close(): void;
  }

  export interface TlsTerms {
    /** Told to the server (SNI, RFC 6066 §3); null for none, as with an address. */
    readonly serverName: string | null;
    /** The name or address the certificate must be for. */
    readonly identity: string;
    /** Certificates in PEM that replace the system's roots. */
    readonly ca?: string | null;
    /** SHA-256 of certificates, hexadecimal: the server's must be one of them, and then needs neither name nor root. */
    readonly pins?: readonly string[];
    /** PEM, shown to a server that asks for one; before k6's own `tlsAuth`. */
    readonly clientCertificate?: { readonly certificate: string; readonly key: string } | null;
    /** The certificate is not judged, as with k6's `insecureSkipTLSVerify`: no faults, and not authorized. */
    readonly insecure?: boolean;
  }

  /**
   * What came of a handshake. Versions and cipher suites are those k6's options allow (`tlsVersion`,
   * `tlsCipherSuites`), at least TLS 1.2 (RFC 8996) unless `tlsVersion` names an older one. ALPN is not offered.
   */
  export interface Secured {
    readonly version: 'TLSv1.0' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
    /** As IANA names it: `TLS_AES_128_GCM_SHA256`. */
    readonly cipher: string;
    /** What ALPN agreed on: empty, as none is offered. */
    readonly alpn: string;
    /**
     * The server's own, then those it sent that vouch for it, each by the one before, without a self-signed root.
     * With a pin its own alone: nothing else vouches for it.
     */
    readonly peerCertificates: readonly Certificate[];
    /** Whether a way leads from the certificate to a root, all of it valid today; the name is another matter. */
    readonly trusted: boolean;
    /** Whether the certificate was judged, and nothing is wrong with it. */
    readonly authorized: boolean;
    /** What is wrong with the certificate, the gravest first. */
    readonly faults: readonly Fault[];
    /** Channel bindings: `tls-exporter` (RFC 9266) with TLS 1.3, `tls-unique` (RFC 5929 §3) with TLS 1.2. */
    readonly bindings: {
      readonly 'tls-exporter'?: Uint8Array;
      readonly 'tls-unique'?: Uint8Array;
      readonly 'tls-server-end-point'?: Uint8Array;
    };
  }

  export interface Fault {
    readonly code: 'expired' | 'not-yet-valid' | 'wrong-host' | 'untrusted' | 'revoked' | 'weak';
    /** One clause: `the certificate expired on 2026-03-01`. */
    readonly message: string;
  }

  export interface Certificate {
    /** `C=DE, O=Example, CN=mail.example.com`: in the order of the certificate, attributes by their short names. */
    readonly subject: string;
    readonly issuer: string;
    /** DNS names and IP addresses of the subject alternative name; no common name. */
    readonly names: readonly string[];
    /** ISO 8601, UTC: `2026-03-01T12:00:00.000Z`. */
    readonly validFrom: string;
    readonly validTo: string;
    /** SHA-256, 64 hexadecimal digits in lower case. */
    readonly fingerprint: string;
    /** Hexadecimal, in lower case. */
    readonly serialNumber: string;
    /** As Go names it: `SHA256-RSA`, `ECDSA-SHA256`. */
    readonly signatureAlgorithm: string;
    /** 2048 for RSA, 256 for P-256 and Ed25519; 0 where it is of a kind we do not know. */
    readonly publicKeyBits: number;
  }

  /** A real Error of JavaScript. */
  export interface TransportError extends Error {
    readonly name: 'TransportError';
    readonly code: Code;
    /** One clause, without the code. */
    readonly message: string;
  }

  export type Code =
    | 'ENOTFOUND' // no such name, or no address of that family
    | 'EDNS' // the resolver cannot be asked
    | 'EBLOCKED' // k6's blacklistIPs or blockHostnames
    | 'ECONNREFUSED'
    | 'ECONNRESET'
    | 'ECONNABORTED'
    | 'EPIPE' // written to a connection the server has closed
    | 'EHOSTUNREACH'
    | 'ENETUNREACH'
    | 'EHOSTDOWN'
    | 'ENETDOWN'
    | 'ETIMEDOUT' // our time-out, or the network's
    | 'ETLS' // the handshake failed, or TLS broke off later
    | 'ECLEAR' // the server speaks in clear where TLS should begin
    | 'EUNREAD' // octets received in clear are unread
    | 'EPEM' // `ca` or `clientCertificate` cannot be used
    | 'ECLOSED' // by close(), by the end of the iteration, or unfit for use after a time-out
    | 'EBUSY' // another operation is under way
    | 'ESECURED' // TLS was started already
    | 'EACCES'
    | 'EPERM'
    | 'EADDRNOTAVAIL'
    | 'EADDRINUSE'
    | 'EAFNOSUPPORT'
    | 'EMFILE' // this process has too many files open
    | 'ENFILE'
    | 'ENOBUFS'
    | 'ENOMEM'
    | 'EIO'; // any other failure of the connection, in the system's words
}
