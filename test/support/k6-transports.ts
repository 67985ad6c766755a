import type { Secured } from '../../src/dialogue/dialogue.ts';
import { ProbeFailure } from '../../src/dialogue/failure.ts';
import { pbkdf2 } from './k6-fake.ts';
import type { ScriptedLink } from './scripted-link.ts';

/** `k6/x/pop3` over a script, by the contract of plugins/k6/xk6-pop3/index.d.ts. */
export function scriptedPop3(link: ScriptedLink, secured: Secured) {
  const closers: (() => void)[] = [];
  /** Whatever is under way is settled by close(). */
  const until = <T>(answer: Promise<T>): Promise<T> =>
    Promise.race([
      answer.catch((problem) => Promise.reject(inTransportsWords(problem))),
      new Promise<never>((_, reject) => closers.push(() => reject(transportError('ECLOSED', 'closed')))),
    ]);
  const connection = {
    remoteAddress: '192.0.2.1',
    remotePort: 110,
    localAddress: '192.0.2.99',
    localPort: 40_000,
    read: () => until(link.read()),
    write: (octets: Uint8Array) => until(link.write(octets)),
    startTLS: () => until(link.secure().then(shownBy)),
    close() {
      link.close();
      for (const close of closers.splice(0)) close();
    },
  };
  return {
    now: () => performance.now(),
    pbkdf2,
    resolve: async (name: string) => (await until(link.resolve(name))).map(({ address }) => address),
    async connect() {
      await until(link.connect([{ address: '192.0.2.1', family: 4 }], 110));
      return connection;
    },
    secured,
  };
}

function shownBy({ facts, faults, bindings }: Secured) {
  if (facts === null) throw new Error('this transport tells of every certificate');
  const { subject, issuer, names, validFrom, validTo, fingerprint } = facts;
  return {
    version: facts.protocol,
    cipher: facts.cipher,
    alpn: '',
    peerCertificates: [{ subject, issuer, names, validFrom, validTo, fingerprint }],
    trusted: faults.length === 0,
    authorized: facts.authorized,
    faults: faults.map(({ reason, message }) => ({ code: reason.replace('certificate-', ''), message })),
    bindings: Object.fromEntries(bindings),
  };
}

/** The code a failure of a script stands for. */
const CODES: Readonly<Record<string, string>> = {
  'connection-refused': 'ECONNREFUSED',
  'dns-not-found': 'ENOTFOUND',
  'tls-failed': 'ETLS',
  'hung-up': 'ECONNRESET',
  'plaintext-after-stls': 'EUNREAD',
  'protocol-violation': 'EUNREAD',
};

function inTransportsWords(problem: unknown): unknown {
  if (!(problem instanceof ProbeFailure)) return problem;
  const code = CODES[problem.reason];
  return code === undefined ? problem : transportError(code, problem.message);
}

export const transportError = (code: string, message: string): Error =>
  Object.assign(new Error(message), { name: 'TransportError', code });

/** What a test may ask of the sockets of a fake `k6/x/tcp`. */
export interface FakeSockets {
  readonly Socket: new (options?: unknown) => unknown;
  /** Sockets that were made and not destroyed: each holds up the end of the iteration. */
  readonly undestroyed: () => number;
  readonly connects: { readonly port: number; readonly host: string; readonly tls?: boolean }[];
}

/**
 * `k6/x/tcp` over a script, with all it surprises with: octets come as no Uint8Array and in memory that is used again,
 * 4096 at the most and unasked; there is one handler for each event; what it rejects with is no Error.
 */
export function scriptedTcp(link: ScriptedLink): FakeSockets {
  const open = new Set<unknown>();
  const connects: FakeSockets['connects'] = [];
  const pool = new Uint8Array(LARGEST_CHUNK);

  class Socket {
    private readonly handlers = new Map<string, (given?: unknown) => void>();
    private destroyed = false;
    connected = false;
    remote_ip: string | undefined = undefined;

    constructor() {
      open.add(this);
    }

    on(event: string, handler: (given?: unknown) => void): void {
      this.handlers.set(event, handler);
    }

    async connect(to: { port: number; host: string; tls?: boolean }): Promise<void> {
      connects.push(to);
      await later();
      try {
        if (/[a-z]/.test(to.host)) await link.resolve(to.host);
        await link.connect([{ address: '192.0.2.1', family: 4 }], to.port);
        if (to.tls === true) await link.secure();
      } catch (problem) {
        if (!(problem instanceof ProbeFailure)) throw problem;
        const error = { name: 'TCPError', method: 'connect', message: GO_SAYS[problem.reason] ?? problem.message };
        this.fire('error', error);
        throw error;
      }
      this.connected = true;
      this.remote_ip = '192.0.2.1';
      void this.pump();
    }

    async write(octets: ArrayBuffer): Promise<void> {
      await later();
      if (this.destroyed) throw { toString: () => 'no active connection' };
      await link.write(new Uint8Array(octets));
      void this.pump();
    }

    destroy(): void {
      if (this.destroyed) return;
      this.destroyed = true;
      open.delete(this);
      link.close();
      this.fire('close');
    }

    /** Whatever the script has to say now is pushed, whether somebody waits for it or not. */
    private async pump(): Promise<void> {
      for (;;) {
        await later();
        const next = link.left()[0]?.does;
        if (this.destroyed || (next !== 'says' && next !== 'closes' && next !== 'resets')) return;
        try {
          const octets = await link.read();
          if (octets === null) return this.destroy();
          for (let at = 0; at < octets.length; at += LARGEST_CHUNK) this.push(octets.subarray(at, at + LARGEST_CHUNK));
        } catch (problem) {
          this.fire('error', { name: 'TCPError', method: 'read', message: `read tcp: ${(problem as Error).message}` });
          return this.destroy();
        }
      }
    }

    private push(octets: Uint8Array): void {
      pool.set(octets);
      const host: Record<number, number> & { length: number } = { ...Array.from(octets), length: octets.length };
      this.fire('data', host);
      // The memory is somebody else's now.
      for (let at = 0; at < octets.length; at++) host[at] = 0x58;
      pool.fill(0x58);
    }

    private fire(event: string, given?: unknown): void {
      this.handlers.get(event)?.(given);
    }
  }
  return { Socket, undestroyed: () => open.size, connects };
}

const LARGEST_CHUNK = 4096;

const later = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const GO_SAYS: Readonly<Record<string, string>> = {
  'connection-refused': 'dial tcp 192.0.2.1:110: connect: connection refused',
  'dns-not-found': 'lookup mail.example.com on 192.0.2.53:53: no such host',
  'tls-failed': 'remote error: tls: handshake failure',
};
