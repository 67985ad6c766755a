import { readFile } from 'node:fs/promises';
import { type Authority, createAuthority } from '../../src/sandbox/authority.ts';
import { type Dovecot, startDovecot } from './dovecot.ts';
import { type Listener, type OwnMachine, startOwnMachine } from './own-machine.ts';
import { CHECK_POP3 } from './run.ts';

/** The mail servers that our files of configuration name, where the monitoring machine has them. */
export const MAIL_HOSTS = {
  'mail.example.com': '127.0.0.11',
  'mail1.example.com': '127.0.0.12',
  'mail2.example.com': '127.0.0.13',
} as const;

export type MailHost = keyof typeof MAIL_HOSTS;

/** The accounts in plugins/nagios/pop3.ini. */
export const USERS = { 'probe@example.com': 'the password', 'probe2@example.com': 'the other password' };

/** A monitoring machine with check_pop3 on it, and mail servers it can find by their names, each a Dovecot. */
export interface Monitored {
  readonly machine: OwnMachine;
  readonly authority: Authority;
  dovecot(host: MailHost): Dovecot;
  /** Ends a mail server; its ports refuse connections. */
  stop(host: MailHost): Promise<void>;
  start(host: MailHost): Promise<void>;
  /** What check_pop3 printed on the machine, a text for each run that has ended. */
  printed(): Promise<readonly string[]>;
  /** Its arguments, a line for each run. */
  argued(): Promise<readonly string[]>;
  remove(): Promise<void>;
}

/** @param more names of more hosts, with addresses of the machine's loopback */
export async function startMonitored(more: Readonly<Record<string, string>> = {}): Promise<Monitored> {
  const authority = await createAuthority('Example Test CA');
  const machine = await startOwnMachine({ hosts: { ...MAIL_HOSTS, ...more }, trusts: authority.certificate });
  const running = new Map<MailHost, { readonly dovecot: Dovecot; readonly listeners: readonly Listener[] }>();
  const monitored: Monitored = {
    machine,
    authority,
    dovecot(host) {
      const { dovecot } = running.get(host) ?? {};
      if (dovecot === undefined) throw new Error(`${host} does not run`);
      return dovecot;
    },
    async start(host) {
      const identity = await authority.issue({ names: [host, '*.example.com'] });
      const dovecot = await startDovecot({ identity, users: USERS });
      const address = MAIL_HOSTS[host];
      const listeners = [
        await machine.listen(address, 110, () => dovecot.port),
        await machine.listen(address, 995, () => dovecot.tlsPort),
      ];
      running.set(host, { dovecot, listeners });
    },
    async stop(host) {
      const { dovecot, listeners = [] } = running.get(host) ?? {};
      running.delete(host);
      for (const listener of listeners) await listener.close();
      await dovecot?.stop();
    },
    printed: async () => (await read(machine, PRINTED)).split('\0').slice(0, -1),
    argued: async () => (await read(machine, ARGUED)).split('\n').slice(0, -1),
    async remove() {
      for (const host of running.keys()) await monitored.stop(host);
      await machine.remove();
    },
  };
  try {
    await installPlugin(machine);
    for (const host of Object.keys(MAIL_HOSTS) as MailHost[]) await monitored.start(host);
  } catch (error) {
    await monitored.remove();
    throw error;
  }
  return monitored;
}

const PRINTED = '/var/log/nagios4/printed';
const ARGUED = '/var/log/nagios4/argued';

/** Writes down what a run was asked and what it printed, and passes both on as they are. */
const WITNESS = `#!/bin/sh
printf '%s\\n' "$*" >>${ARGUED}
report=$(/usr/lib/nagios/plugins/itself/check_pop3 "$@"; echo "code $?")
code=\${report##*code }
report=\${report%code *}
printf '%s\\0' "$report" >>${PRINTED}
printf %s "$report"
exit "$code"
`;

async function installPlugin(machine: OwnMachine): Promise<void> {
  await machine.write('/usr/lib/nagios/plugins/check_pop3', WITNESS, { mode: 0o755 });
  await machine.write('/usr/lib/nagios/plugins/itself/check_pop3', await readFile(CHECK_POP3, 'utf8'), { mode: 0o755 });
}

const read = (machine: OwnMachine, file: string): Promise<string> =>
  readFile(machine.path(file), 'utf8').catch(() => '');
