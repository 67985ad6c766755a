import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Program, pathOf } from './installed.ts';
import { leaveRoot, type OwnServer, startOwnServer } from './own-server.ts';

/** What `startSlapd` runs, for `missing()`, and what asks it. */
export const SLAPD: Program = {
  name: 'OpenLDAP',
  commands: ['slapd', 'ldapsearch', 'setpriv'],
  install: 'apt-get install slapd ldap-utils',
};

export interface SlapdOptions {
  /** The server's certificate chain and key, PEM. */
  readonly identity: { readonly certificate: string; readonly key: string };
  /** Of slapd.conf: attribute types and object classes beside those of core.schema. */
  readonly schema: string;
  /** The distinguished name above all entries. */
  readonly suffix: string;
  /** The entries, as LDIF. */
  readonly entries: string;
}

/** Runs an OpenLDAP of our own, LDAP and LDAPS. Who has logged on may read all of it, nobody else may read anything. */
export const startSlapd = (options: SlapdOptions): Promise<OwnServer> =>
  startOwnServer({
    name: 'slapd',
    isInstalled: true,
    greeting: '', // an LDAP server waits for its client
    async furnish({ folder, account }) {
      const write = (name: string, text: string) => writeFile(join(folder, name), text, { mode: 0o600 });
      await mkdir(join(folder, 'entries'));
      await write('certificate.pem', options.identity.certificate);
      await write('key.pem', options.identity.key);
      await write('own.schema', options.schema);
      await write('slapd.conf', configuration(folder, options.suffix));
      await write('entries.ldif', options.entries);
      // A copy: Debian's profile for AppArmor keeps the one in /usr/sbin out of private folders.
      await copyFile(pathOf('slapd'), join(folder, 'slapd'));
      execFileSync('chown', ['-R', `${account.uid}:${account.gid}`, folder]);
      const [command = '', ...add] = [...as(account), join(folder, 'slapd'), '-T', 'add', '-q'];
      execFileSync(command, [...add, '-f', join(folder, 'slapd.conf'), '-l', join(folder, 'entries.ldif')]);
    },
    command: ({ folder, account, port, tlsPort }) => [
      ...as(account),
      ...[join(folder, 'slapd'), '-d', '256', '-f', join(folder, 'slapd.conf')],
      ...['-h', `ldap://127.0.0.1:${port} ldaps://127.0.0.1:${tlsPort}`],
    ],
  });

const as = (account: OwnServer['account']): readonly string[] => [
  pathOf('setpriv'),
  ...leaveRoot(account),
  ...['--pdeathsig', 'TERM'],
];

const configuration = (folder: string, suffix: string): string => `
include /etc/ldap/schema/core.schema
include ${folder}/own.schema
pidfile ${folder}/slapd.pid
argsfile ${folder}/slapd.args
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile ${folder}/certificate.pem
TLSCertificateKeyFile ${folder}/key.pem
database mdb
suffix "${suffix}"
directory ${folder}/entries
access to attrs=userPassword by anonymous auth
access to * by users read by anonymous auth
`;
