import { maskFor, Secret } from '../../src/dialogue/secret.ts';
import type { LoginPlan } from '../../src/pop3/login.ts';
import { stat } from '../../src/pop3/mailbox.ts';
import { type ConnectionType, visit } from '../../src/pop3/visit.ts';
import { type Account, drive } from '../../src/probe/drive.ts';
import { nodeWorld } from '../../src/runtimes/node/world.ts';
import { secretOf } from '../../src/sasl/mechanism.ts';

/** Where a logon goes, by what kind of link. */
export interface Door {
  readonly port: number;
  readonly connectionType: ConnectionType;
  /** Who may vouch for `localhost`, PEM. */
  readonly authorities?: string;
  /** Our own certificate, PEM. */
  readonly clientCertificate?: { readonly certificate: string; readonly key: string };
}

/** Logs on to a server of 127.0.0.1 and looks in: the protocol itself, over real sockets, without a command. */
export async function logOn(door: Door, login: LoginPlan): Promise<Account<unknown>> {
  const { port, connectionType, authorities = null, clientCertificate = null } = door;
  const plan = {
    to: { address: '127.0.0.1', family: 4 },
    port,
    viaProxy: false,
    connectionType,
    trustAnyCertificate: false,
    login,
  } as const;
  const tls = { identity: 'localhost', sni: 'localhost', authorities, clientCertificate, pins: [] };
  const link = nodeWorld.dial({ proxy: null, family: 4, tls: connectionType === 'plaintext' ? null : tls });
  const secret = secretOf(login);
  return await drive(
    visit(plan, (wire) => wire.during('mailbox', stat(wire))),
    link,
    {
      world: nodeWorld,
      deadline: nodeWorld.now() + 30_000,
      allowedMs: 30_000,
      mask: maskFor(secret === null ? [] : [secret]),
      trace: true,
      stop: null,
    },
  );
}

export const byPassword = (method: LoginPlan['method'], userName: string, password: string): LoginPlan => ({
  kind: 'password',
  method,
  userName,
  password: new Secret(password),
});

/** How it ended: `success`, or the reason with its clause and the server's words. */
export function ending({ outcome }: Account<unknown>): string {
  if ('value' in outcome) return 'success';
  const { reason, message, said } = outcome.failure;
  return [reason, message, said].filter((part) => part !== null && part !== '').join(', ');
}
