import { randomBytes } from 'node:crypto';
import type { AddressInfo, Server } from 'node:net';
import { createSecureContext } from 'node:tls';
import { createAuthority, type Identity } from './authority.ts';
import type { Manners } from './connection.ts';
import { departures, type FaultName, TIMING, type Timing } from './faults.ts';
import { Maildrop } from './maildrop.ts';
import { createPop3Server } from './pop3-server.ts';
import { createSmtpServer } from './smtp.ts';

export interface SandboxOptions {
  /** Default probe@example.com. */
  readonly user?: string;
  /** Default: a random one. */
  readonly password?: string;
  readonly faults?: readonly FaultName[];
  /** How slow the slow faults are; default `TIMING`. */
  readonly timing?: Partial<Timing>;
  /** Default 0: any free port. */
  readonly ports?: { readonly pop3?: number; readonly pop3s?: number; readonly smtp?: number };
  /** DNS names and IP literals in the certificate. */
  readonly names?: readonly string[];
  /** Presented instead of one issued for `names`. */
  readonly identity?: Identity;
  /** In the mailbox from the start. */
  readonly messages?: readonly Uint8Array[];
  /** One POP3 session at a time: RFC 1939 §4. */
  readonly exclusive?: boolean;
}

export interface Sandbox {
  readonly pop3Port: number;
  readonly pop3sPort: number;
  readonly smtpPort: number;
  readonly user: string;
  readonly password: string;
  /** Where SMTP delivers to: the user, if that is an address, else the user at example.com. */
  readonly address: string;
  /** PEM. It signed the certificate, unless another identity was given. */
  readonly caCertificate: string;
  readonly maildrop: Maildrop;
  /** Every line POP3 clients sent, in order, TLS or not; credentials among them. */
  readonly received: readonly string[];
  /** Those of them that no TLS protected. */
  readonly receivedInTheClear: readonly string[];
  /** Ends every connection. */
  close(): Promise<void>;
}

export const DEFAULT_USER = 'probe@example.com';
export const DEFAULT_NAMES: readonly string[] = ['localhost', 'mail.example.com', '127.0.0.1', '::1'];

/**
 * Starts a mail server with one mailbox on 127.0.0.1: POP3 with STLS, POP3 over TLS, and SMTP into the same mailbox.
 * Resolves once all three listen; rejects, leaving nothing behind, when one cannot.
 */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const { user = DEFAULT_USER, password = randomBytes(12).toString('base64url'), ports = {} } = options;
  const address = user.includes('@') ? user : `${user}@example.com`;
  const authority = await createAuthority('pop3_sandbox throw-away CA');
  const identity = options.identity ?? (await authority.issue({ names: options.names ?? DEFAULT_NAMES }));
  const maildrop = new Maildrop();
  for (const message of options.messages ?? []) maildrop.deliver(message);
  const received: string[] = [];
  const receivedInTheClear: string[] = [];

  const departed = departures(options.faults ?? [], { ...TIMING, ...options.timing });
  const manners: Manners = Object.assign({}, ...departed.map((departure) => departure.manners));
  const pop3 = {
    maildrop,
    user,
    password,
    secureContext: createSecureContext({ cert: identity.certificate, key: identity.key }),
    exclusive: options.exclusive ?? false,
    hooks: departed,
    manners,
    record: (line: string, secure: boolean) => {
      received.push(line);
      if (!secure) receivedInTheClear.push(line);
    },
  };
  const deliveries = departed.flatMap(({ delivery }) => delivery ?? []);
  const listeners = [
    createPop3Server({ ...pop3, implicitTls: false }),
    createPop3Server({ ...pop3, implicitTls: true }),
    createSmtpServer({ maildrop, user, password, address, identity, deliveries }),
  ] as const;
  const close = async () => {
    await Promise.all(
      listeners.map(async ({ server, closeAllConnections }) => {
        const closed = new Promise<void>((resolve) => server.close(() => resolve()));
        closeAllConnections();
        await closed;
      }),
    );
  };

  const listening = await Promise.allSettled([
    listen(listeners[0].server, ports.pop3),
    listen(listeners[1].server, ports.pop3s),
    listen(listeners[2].server, ports.smtp),
  ]);
  const [pop3Port = 0, pop3sPort = 0, smtpPort = 0] = listening.map((one) =>
    one.status === 'fulfilled' ? one.value : 0,
  );
  for (const one of listening) {
    if (one.status === 'fulfilled') continue;
    await close();
    throw one.reason;
  }
  const { certificate: caCertificate } = authority;
  return {
    pop3Port,
    pop3sPort,
    smtpPort,
    user,
    password,
    address,
    caCertificate,
    maildrop,
    received,
    receivedInTheClear,
    close,
  };
}

/** Listens on the loopback alone, resolves to the port. */
function listen(server: Server, port = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}
