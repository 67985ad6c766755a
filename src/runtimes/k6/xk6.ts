import { type Connection, connect, now, pbkdf2, resolve } from 'k6/x/pop3';
import type { Address, Connected, Destination, Entered, Phase, Secured } from '../../dialogue/dialogue.ts';
import { ProbeFailure, type Reason } from '../../dialogue/failure.ts';
import type { Link, LinkTerms, TlsTerms } from '../../probe/world.ts';
import { failureOf } from '../node/errors.ts';
import { parseAddress } from './address.ts';
import { securedFrom } from './certificate.ts';
import type { Call, Transport } from './transport.ts';

/** By xk6-pop3: whatever the probe can do of a logon. */
export const xk6: Transport = {
  name: 'k6/x/pop3',
  now,
  dial: (terms, call) => new Xk6Link(terms, call),
  derive: async ({ password, salt, iterations, length, algorithm }) => {
    try {
      return await pbkdf2(password, salt, iterations, length, algorithm as 'sha1' | 'sha256');
    } catch (error) {
      throw meaningOf(error);
    }
  },
  lacks: [],
  instead: '',
  untimed: [],
  holdsIteration: false,
};

/** A link over a connection of the extension, which reads nothing that was not asked for. */
class Xk6Link implements Link {
  private readonly terms: LinkTerms;
  private readonly call: Call;
  /** The name that was resolved: k6 connects by it, for its `hosts` option may have a port too. */
  private name: string | null = null;
  private connection: Connection | null = null;
  private closed = false;
  private hasSpoken = false;

  constructor(terms: LinkTerms, call: Call) {
    this.terms = terms;
    this.call = call;
  }

  async resolve(name: string): Promise<readonly Address[]> {
    this.name = name;
    const { port, timeoutMs } = this.call;
    const terms = { family: this.terms.family, port, timeoutMs: timeoutMs + AFTER_THE_DEADLINE_MS };
    const found = await translated(() => resolve(name, terms));
    return found.map(parseAddress).filter((address): address is Address => address !== null);
  }

  reachProxy(): Promise<Entered> {
    return Promise.reject(new TypeError('a proxy inside k6'));
  }

  async connect(to: Destination, port: number): Promise<Connected> {
    const [first] = to as readonly Address[];
    const address = first?.address ?? '';
    const terms = {
      host: this.name ?? address,
      port,
      family: this.terms.family,
      tags: this.call.tags,
      // The deadline comes first and tells more; this one is for what nobody waits for any more.
      timeoutMs: this.call.timeoutMs + AFTER_THE_DEADLINE_MS,
    };
    const connection = await translated(() => connect(terms), `${address} port ${port}: `);
    if (this.closed) connection.close();
    this.connection = connection;
    return { address: connection.remoteAddress ?? address, dead: [] };
  }

  async secure(): Promise<Secured> {
    const { identity, sni, authorities, pins, clientCertificate } = this.terms.tls as TlsTerms;
    const terms = { serverName: sni, identity, ca: authorities, pins, clientCertificate };
    const shown = await translated(() => this.open.startTLS(terms), '', this.hasSpoken);
    return securedFrom(shown, new Date());
  }

  async read(): Promise<Uint8Array | null> {
    const octets = await translated(() => this.open.read());
    this.hasSpoken = true;
    return octets;
  }

  async write(octets: Uint8Array): Promise<void> {
    try {
      await this.open.write(octets);
    } catch (error) {
      const isEarly = (error as { readonly code?: string }).code === 'EUNREAD';
      throw isEarly ? new ProbeFailure('protocol-violation', 'the server spoke before it was asked') : meaningOf(error);
    }
  }

  close(): void {
    this.closed = true;
    this.connection?.close();
  }

  private get open(): Connection {
    return this.connection as Connection;
  }
}

const AFTER_THE_DEADLINE_MS = 250;

/** What the extension answers, its errors as failures. */
async function translated<T>(answer: () => Promise<T>, where = '', hadSpoken = false): Promise<T> {
  try {
    return await answer();
  } catch (error) {
    throw meaningOf(error, where, hadSpoken);
  }
}

/** What the codes of the extension stand for that are not the operating system's. */
const MEANING: Readonly<Record<string, readonly [Reason, Phase | null]>> = {
  ENOTFOUND: ['dns-not-found', 'dns'],
  EDNS: ['dns-unavailable', 'dns'],
  EBLOCKED: ['configuration', null],
  ETLS: ['tls-failed', 'tls'],
  EPEM: ['configuration', null],
  ECLOSED: ['interrupted', null],
};

/** Mistakes of ours: no failure of anybody's. */
const BUGS: readonly string[] = ['EBUSY', 'ESECURED'];

function meaningOf(error: unknown, where = '', hadSpoken = false): unknown {
  const { code = '', message = '' } = error as { readonly code?: string; readonly message?: string };
  if (code === '' || BUGS.includes(code)) return error;
  if (code === 'ECLEAR' || code === 'EUNREAD') {
    return hadSpoken
      ? new ProbeFailure('plaintext-after-stls', 'the server went on in clear where TLS should begin', {
          phase: 'stls',
        })
      : new ProbeFailure('tls-failed', 'the server does not speak TLS on this port');
  }
  const [reason, phase] = MEANING[code] ?? [];
  if (reason === undefined) return failureOf(error, where);
  return new ProbeFailure(reason, `${message} (${code})`, phase == null ? {} : { phase });
}
