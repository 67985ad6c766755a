import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import { createSecureContext } from 'node:tls';
import type { Identity } from '../../../src/sandbox/authority.ts';
import { Maildrop } from '../../../src/sandbox/maildrop.ts';
import { createPop3Server, type Hooks } from '../../../src/sandbox/pop3-server.ts';
import { createSmtpServer } from '../../../src/sandbox/smtp.ts';

/** A provider of one mailbox that wants time between two logons (RFC 2449 §6.5), on a clock of its own. */
export interface Provider {
  readonly maildrop: Maildrop;
  readonly pop3sPort: number;
  readonly smtpPort: number;
  /** When somebody logged on, or tried to too early, in seconds of its clock. */
  readonly logons: readonly { readonly at: number; readonly isRefused: boolean }[];
  /** What becomes of mail from now on. */
  carry: 'into the inbox' | 'nowhere';
  close(): Promise<void>;
}

export interface ProviderOptions {
  readonly identity: Identity;
  readonly user: string;
  readonly password: string;
  readonly loginDelayS: number;
  /** Its clock, in seconds. */
  readonly now: () => number;
}

export async function startProvider(options: ProviderOptions): Promise<Provider> {
  const { identity, user, password, loginDelayS, now } = options;
  const maildrop = new Maildrop();
  const logons: { at: number; isRefused: boolean }[] = [];
  const provider = { carry: 'into the inbox' } as Pick<Provider, 'carry'>;
  const delay: Hooks = {
    instead: {
      login: () => {
        const last = logons.filter(({ isRefused }) => !isRefused).pop();
        const isRefused = last !== undefined && now() - last.at < loginDelayS;
        logons.push({ at: now(), isRefused });
        return isRefused ? { octets: `-ERR [LOGIN-DELAY] once in ${loginDelayS} seconds\r\n` } : null;
      },
    },
    after: {
      CAPA: (answer) => ({
        ...answer,
        octets: answer.octets.replace(/\.\r\n$/, `LOGIN-DELAY ${loginDelayS}\r\n.\r\n`),
      }),
    },
  };
  const secureContext = createSecureContext({ cert: identity.certificate, key: identity.key });
  const pop3s = createPop3Server({ maildrop, user, password, secureContext, implicitTls: true, hooks: [delay] });
  const carry = (message: Uint8Array, deliver: (message: Uint8Array) => void): void => {
    if (provider.carry === 'into the inbox') deliver(message);
  };
  const smtp = createSmtpServer({ maildrop, user, password, address: user, identity, deliveries: [{ carry }] });
  return Object.assign(provider, {
    ...{ maildrop, logons, pop3sPort: await listen(pop3s.server), smtpPort: await listen(smtp.server) },
    async close() {
      for (const { server, closeAllConnections } of [pop3s, smtp]) {
        const closed = once(server, 'close');
        server.close();
        closeAllConnections();
        await closed;
      }
    },
  });
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
