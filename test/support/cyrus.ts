import { execFile, execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Program, pathOf } from './installed.ts';
import { leaveRoot, type OwnServer, type Place, startOwnServer, unpacked } from './own-server.ts';

/** What `startCyrus` runs, for `missing()`. setpriv comes with every Debian (util-linux). */
export const CYRUS: Program = {
  name: 'Cyrus',
  commands: [
    ...['master', 'pop3d', 'lmtpd', 'ctl_cyrusdb', 'deliver'].map((name) =>
      unpacked('cyrus', `usr/lib/cyrus/bin/${name}`),
    ),
    unpacked('cyrus', 'usr/sbin/saslpasswd2'),
    'setpriv',
  ],
  install: 'tools/servers.sh',
};

export type CyrusOptions = {
  /** The server's certificate chain and key, PEM, as `Authority.issue()` makes them. */
  readonly identity: { readonly certificate: string; readonly key: string };
  /** Passwords by user name. The first user is meant where none is named. */
  readonly users: Readonly<Record<string, string>>;
  /** More of imapd.conf, or something else for what is there. */
  readonly settings?: Readonly<Record<string, string>>;
};

export type Cyrus = OwnServer & {
  /** Puts a message into a mailbox that was logged on to before: Cyrus makes it at the first logon. */
  deliver(message: string, user?: string): Promise<void>;
};

/**
 * Runs a Cyrus 3.6 of our own. It needs no root and no user `cyrus`.
 * @throws when it does not come up; why, it tells syslog alone
 */
export async function startCyrus(options: CyrusOptions): Promise<Cyrus> {
  const server = await startOwnServer({
    name: 'cyrus',
    furnish: (place) => furnish(place, options),
    // The kernel ends it should the test runner be killed before it can clean up.
    command: ({ account }) => [
      ...['setpriv', '--pdeathsig', 'TERM', ...leaveRoot(account)],
      ...['usr/lib/cyrus/bin/master', '-D', '-C', 'imapd.conf', '-M', 'cyrus.conf', '-p', 'master.pid'],
    ],
    environment: findLibraries,
  });
  const [firstUser = ''] = Object.keys(options.users);
  return {
    ...server,
    deliver: (message, user = firstUser) =>
      new Promise((resolve, reject) => {
        const deliver = join(server.folder, 'usr/lib/cyrus/bin/deliver');
        const args = [...leaveRoot(server.account), deliver, '-C', join(server.folder, 'imapd.conf'), user];
        const child = execFile(
          pathOf('setpriv'),
          args,
          { env: { ...process.env, ...findLibraries(server) } },
          (error) => (error === null ? resolve() : reject(error)),
        );
        child.stdin?.end(message);
      }),
  };
}

async function furnish(place: Place, options: CyrusOptions): Promise<void> {
  const { folder } = place;
  const write = (name: string, text: string) => writeFile(join(folder, name), text, { mode: 0o600 });
  await write('certificate.pem', options.identity.certificate);
  await write('key.pem', options.identity.key);
  await write('imapd.conf', imapdConf(place, options.settings ?? {}));
  await write('cyrus.conf', cyrusConf(place));
  for (const name of ['db', 'proc', 'lock', 'user', 'socket', 'msg', 'log', 'ptclient', 'quota', 'sync']) {
    await mkdir(join(folder, 'conf', name), { recursive: true, mode: 0o700 });
  }
  await mkdir(join(folder, 'mail'), { mode: 0o700 });
  for (const [user, password] of Object.entries(options.users)) {
    execFileSync(join(folder, 'usr/sbin/saslpasswd2'), ['-p', '-c', '-f', join(folder, 'sasldb2'), '-u', REALM, user], {
      input: password,
    });
  }
}

const REALM = 'localhost';

function imapdConf({ folder, account }: Place, changes: Readonly<Record<string, string>>): string {
  const settings: Readonly<Record<string, string>> = {
    configdirectory: `${folder}/conf`,
    proc_path: `${folder}/conf/proc`,
    mboxname_lockpath: `${folder}/conf/lock`,
    defaultpartition: 'default',
    'partition-default': `${folder}/mail`,
    lmtpsocket: `${folder}/conf/socket/lmtp`,
    cyrus_user: account.user,
    servername: REALM,
    allowplaintext: 'yes',
    autocreate_quota: '0', // makes the INBOX at the first logon
    sasl_pwcheck_method: 'auxprop',
    sasl_auxprop_plugin: 'sasldb',
    sasl_sasldb_path: `${folder}/sasldb2`,
    sasl_mech_list: 'PLAIN LOGIN',
    tls_server_cert: `${folder}/certificate.pem`,
    tls_server_key: `${folder}/key.pem`,
    tls_session_timeout: '0',
    popminpoll: '0', // Debian has 1: whoever asks twice a minute is sent away
    ...changes,
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name}: ${value}\n`)
    .join('');
}

function cyrusConf({ folder, port, tlsPort }: Place): string {
  const run = (program: string) => `cmd="${folder}/usr/lib/cyrus/bin/${program} -C ${folder}/imapd.conf"`;
  return `
START {
  recover ${run('ctl_cyrusdb -r')}
}
SERVICES {
  pop3 ${run('pop3d')} listen="127.0.0.1:${port}" prefork=1
  pop3s ${run('pop3d -s')} listen="127.0.0.1:${tlsPort}" prefork=1
  lmtpunix ${run('lmtpd')} listen="${folder}/conf/socket/lmtp" prefork=0
}
EVENTS {
}
`;
}

/** Its own libraries, wherever this architecture keeps them: usr/lib/x86_64-linux-gnu. */
function findLibraries({ folder }: Place): Readonly<Record<string, string>> {
  const lib = join(folder, 'usr/lib');
  const own = readdirSync(lib).find((name) => name.includes('-linux-'));
  return { LD_LIBRARY_PATH: join(lib, own ?? '') };
}
