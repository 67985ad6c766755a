import { Socket } from 'k6/x/tcp';
import type { Address, Connected, Destination, Entered, Phase, Secured } from '../../dialogue/dialogue.ts';
import { ProbeFailure, type Reason } from '../../dialogue/failure.ts';
import type { Link, LinkTerms } from '../../probe/world.ts';
import { deriveByWebCrypto, memoryOf } from './hashing.ts';
import type { Call, Transport } from './transport.ts';

/**
 * By the extension k6 fetches by itself: in clear, or TLS from the first octet by k6's own `tls` options. It tells
 * nothing of the certificate, and cannot start TLS on a connection.
 */
export const tcp: Transport = {
  name: 'k6/x/tcp',
  now: () => Date.now(),
  dial: (terms, call) => new TcpLink(terms, call),
  derive: deriveByWebCrypto,
  lacks: [
    'connection-type=tls',
    'trust-any-ssl-certificate',
    'ca-file',
    'pin',
    'sni',
    'client-certificate',
    'client-key',
    'certificate-days',
    'ipv4',
    'ipv6',
  ],
  instead: "use connectionType 'ssl' and k6's own options, or k6 with xk6-pop3",
  untimed: ['dns', 'tls'],
  holdsIteration: true,
};

/** A link over a socket that pushes what arrives. */
class TcpLink implements Link {
  private readonly terms: LinkTerms;
  private readonly socket: Socket;
  private name: string | null = null;
  private connecting: Promise<void> | null = null;
  private readonly arrived: Uint8Array[] = [];
  private ended = false;
  private failed: ProbeFailure | null = null;
  /** Wakes the read under way. */
  private wake: (() => void) | null = null;

  constructor(terms: LinkTerms, { tags }: Call) {
    this.terms = terms;
    this.socket = new Socket({ tags });
    this.socket.on('data', (octets) => {
      // A copy, at once: the memory is somebody else's as soon as this returns.
      this.arrived.push(new Uint8Array(octets));
      this.stir();
    });
    this.socket.on('error', (error) => {
      this.failed = this.failed ?? failureOf(error);
      this.stir();
    });
    this.socket.on('close', () => {
      this.ended = true;
      this.stir();
    });
  }

  /** k6 looks the name up as it connects. */
  async resolve(name: string): Promise<readonly Address[]> {
    this.name = name;
    return [];
  }

  reachProxy(): Promise<Entered> {
    return Promise.reject(new TypeError('a proxy inside k6'));
  }

  async connect(to: Destination, port: number): Promise<Connected> {
    const [first] = to as readonly Address[];
    const host = this.name ?? (first as Address).address;
    const where = `${host} port ${port}: `;
    try {
      this.connecting = this.socket.connect({ port, host, tls: this.terms.tls !== null });
      await this.connecting;
    } catch (error) {
      throw failureOf(error, where);
    } finally {
      this.connecting = null;
    }
    return { address: this.socket.remote_ip ?? null, dead: [] };
  }

  /** Done with the connection, and nothing is told of it. */
  async secure(): Promise<Secured> {
    return { facts: null, bindings: new Map(), faults: [] };
  }

  async read(): Promise<Uint8Array | null> {
    for (;;) {
      const octets = this.arrived.shift();
      if (octets !== undefined) return octets;
      if (this.failed !== null) throw this.failed;
      if (this.ended) return null;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  async write(octets: Uint8Array): Promise<void> {
    if (this.arrived.length > 0) throw new ProbeFailure('protocol-violation', 'the server spoke before it was asked');
    try {
      await this.socket.write(memoryOf(octets));
    } catch (error) {
      throw this.failed ?? failureOf(error);
    }
  }

  close(): void {
    const { connecting, socket } = this;
    const destroy = (): void => socket.destroy();
    // While it connects, destroy() would hold up the whole VU until that ends, up to 30 s.
    if (connecting === null) destroy();
    else connecting.then(destroy, destroy);
  }

  private stir(): void {
    this.wake?.();
    this.wake = null;
  }
}

/** What k6 and Go say, as far as it is told apart; in this order. */
const MEANING: readonly (readonly [RegExp, Reason, Phase | null, string])[] = [
  [/no such host/, 'dns-not-found', 'dns', 'the name has no address'],
  [/^lookup |: lookup /, 'dns-unavailable', 'dns', 'the resolver gave no answer'],
  [/blacklist|blocked/, 'configuration', null, "k6's options do not let it connect there"],
  [/x509: .*is after/, 'certificate-expired', 'tls', 'the certificate has expired'],
  [/x509: .*is before/, 'certificate-not-yet-valid', 'tls', 'the certificate is not yet valid'],
  [/x509: .*(?:valid for|any names|SANs)/, 'certificate-wrong-host', 'tls', 'the certificate is for another host'],
  [/x509: /, 'certificate-untrusted', 'tls', 'the certificate is not trusted'],
  [/no application protocol/, 'tls-failed', 'tls', 'the server wants ALPN pop3, and k6/x/tcp says http/1.1'],
  [/first record does not look like a TLS/, 'tls-failed', 'tls', 'the server does not speak TLS on this port'],
  [/tls: /, 'tls-failed', 'tls', 'the TLS handshake failed'],
  [/connection refused/, 'connection-refused', null, 'the connection was refused'],
  [/no route to host|host is down/, 'unreachable', null, 'no route to the host'],
  [/network is (?:unreachable|down)/, 'unreachable', null, 'no route to the network'],
  [/timeout|timed out/, 'timed-out', null, 'the network gave up'],
  [/too many open files/, 'local-resources', null, 'this process has too many files open'],
  [/cannot assign requested address/, 'local-resources', null, 'this machine has no address or port left for it'],
  [/connection reset|EOF/, 'hung-up', null, 'the connection was reset'],
  [/broken pipe|closed|no active connection/, 'hung-up', null, 'the server has closed the connection'],
];

/** The failure behind what the extension rejects with, which is no Error and often has no message. */
function failureOf(error: unknown, where = ''): ProbeFailure {
  if (error instanceof ProbeFailure) return error;
  const { message } = error as { readonly message?: unknown };
  const said = typeof message === 'string' && message !== '' ? message : String(error);
  const [, reason, phase, words] = MEANING.find(([pattern]) => pattern.test(said)) ?? [null, 'hung-up', null, said];
  const own = words === said ? said : `${words} (${said})`;
  return new ProbeFailure(reason as Reason, `${where}${own}`, phase == null ? {} : { phase: phase as Phase });
}
