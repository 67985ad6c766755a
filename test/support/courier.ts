import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chown, copyFile, mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Program } from './installed.ts';
import { type OwnServer, type Place, startOwnServer, unpacked } from './own-server.ts';
import { inOwnView } from './own-view.ts';

/** What `startCourier` runs, for `missing()`. setpriv comes with every Debian (util-linux). */
export const COURIER: Program = {
  name: 'Courier',
  commands: [
    ...['usr/sbin/couriertcpd', 'usr/bin/couriertls', 'usr/lib/courier/courier/courierpop3login'].map(ofCourier),
    ...['usr/lib/courier/courier/courierpop3d', 'usr/lib/courier/courier-authlib/authdaemond'].map(ofCourier),
    'setpriv',
  ],
  install: 'tools/servers.sh',
};

export type CourierOptions = {
  /** The server's certificate chain and key, PEM, as `Authority.issue()` makes them. */
  readonly identity: { readonly certificate: string; readonly key: string };
  /** Passwords by user name. The first user is meant where none is named. */
  readonly users: Readonly<Record<string, string>>;
  /** What Debian has in /etc/courier/pop3d and pop3d-ssl, to add or to change; null: the variable is not there. */
  readonly settings?: Readonly<Record<string, string | null>>;
};

export type Courier = OwnServer & {
  /** Puts a message into a mailbox, byte for byte. */
  deliver(message: string | Uint8Array, user?: string): Promise<void>;
  /** How many messages are in the mailbox, counted on the disk. */
  messages(user?: string): Promise<number>;
  /** Where the mailbox is. */
  maildir(user?: string): string;
};

/**
 * Runs Courier 1.0 as Debian's scripts do: couriertcpd in front of courierpop3login, for implicit TLS with couriertls
 * between them, and authdaemond with authuserdb. Nothing in it is root.
 * @throws with its log when it does not come up
 */
export async function startCourier(options: CourierOptions): Promise<Courier> {
  const server = await startOwnServer({ name: 'courier', furnish: (place) => furnish(place, options), command });
  const [firstUser = ''] = Object.keys(options.users);
  const maildir = (user = firstUser) => join(homeOf(server, user), 'Maildir');
  let delivered = 0;
  return {
    ...server,
    maildir,
    async messages(user) {
      const folders = await Promise.all(['new', 'cur'].map((folder) => readdir(join(maildir(user), folder))));
      return folders.flat().length;
    },
    async deliver(message, user) {
      delivered += 1;
      const name = `${Date.now()}.P${server.pid}Q${delivered}.test`;
      const unfinished = join(maildir(user), 'tmp', name);
      await writeFile(unfinished, message, { mode: 0o600 });
      await chown(unfinished, server.account.uid, server.account.gid);
      await rename(unfinished, join(maildir(user), 'new', name));
    },
  };
}

async function furnish(place: Place, options: CourierOptions): Promise<void> {
  const { folder } = place;
  const write = (name: string, text: string) => writeFile(join(folder, name), text, { mode: 0o600 });
  for (const name of ['etc/courier', 'run/courier/authdaemon']) {
    await mkdir(join(folder, name), { recursive: true, mode: 0o700 });
  }
  for (const name of ['group', 'nsswitch.conf', 'ld.so.cache']) {
    await copyFile(join('/etc', name), join(folder, 'etc', name));
  }
  await write('etc/passwd', `courier:x:${place.account.uid}:${place.account.gid}::/:/bin/false\n`); // for couriertls
  await write('pop3d.pem', `${options.identity.key}\n${options.identity.certificate}`); // both in one file
  await write('etc/courier/authdaemonrc', AUTHDAEMONRC);
  await write('start', start(folder, options.settings ?? {}));
  const users = Object.entries(options.users);
  database(folder, 'userdb.dat', users.map(([user]) => publicLine(place, user)).join(''));
  database(folder, 'userdbshadow.dat', users.map(shadowLine).join(''));
  for (const [user] of users) {
    for (const part of ['tmp', 'new', 'cur']) {
      await mkdir(join(homeOf(place, user), 'Maildir', part), { recursive: true, mode: 0o700 });
    }
  }
}

const AUTHDAEMONRC = `
authmodulelist="authuserdb"
daemons=2
authdaemonvar=/run/courier/authdaemon
DEBUG_LOGIN=0
DEFAULTOPTIONS=""
`;

/** Debian's, but for SASL, which it leaves out, and for MAXPERIP, where it has 4. */
function settingsFor(folder: string): Readonly<Record<string, string>> {
  return {
    POP3AUTH: 'LOGIN PLAIN',
    POP3AUTH_TLS: 'LOGIN PLAIN',
    MAXPERIP: '40',
    COURIERTLS: `${folder}/usr/bin/couriertls`,
    TLS_CERTFILE: `${folder}/pop3d.pem`,
    TLS_VERIFYPEER: 'NONE',
    POP3_TLS_REQUIRED: '0',
    MIME_UNICODE_MESSAGE_TYPE: 'message/global',
  };
}

/** The init scripts' work in one. As process 1 of a namespace it takes everything with it when it ends. */
function start(folder: string, changes: Readonly<Record<string, string | null>>): string {
  const settings = Object.entries({ ...settingsFor(folder), ...changes });
  const exports = settings.flatMap(([name, value]) => (value === null ? [] : `export ${name}=${quote(value)}`));
  const absent = settings.filter(([, value]) => value === null).map(([name]) => ` -u ${name}`);
  const withoutThem = absent.length === 0 ? '' : `"$(command -v env)"${absent.join('')}`; // couriertcpd sets some itself
  return `
trap 'exit 0' TERM
cd ${quote(folder)} || exit 1
export LD_LIBRARY_PATH="$PWD/usr/lib:$PWD/usr/lib/courier-authlib"
(set -a; . /etc/courier/authdaemonrc; exec usr/lib/courier/courier-authlib/authdaemond) &
${exports.join('\n')}
listen() {
  port=$1
  shift
  exec "$PWD/usr/sbin/couriertcpd" -address=127.0.0.1 -nodnslookup -noidentlookup -maxprocs=40 -maxperip="$MAXPERIP" \\
    "$port" ${withoutThem} "$@" "$PWD/usr/lib/courier/courier/courierpop3login" \\
    "$PWD/usr/lib/courier/courier/courierpop3d" Maildir
}
(export POP3_STARTTLS=\${POP3_STARTTLS-YES}; listen "$1") &
(export POP3_STARTTLS=NO POP3_TLS=1 POP3_TLS_REQUIRED=0; listen "$2" "$COURIERTLS" -server -tcpd) &
wait
`;
}

function command(place: Place): readonly string[] {
  const { folder, port, tlsPort } = place;
  return inOwnView(place, ['etc', 'run'], ['sh', join(folder, 'start'), String(port), String(tlsPort)]);
}

/** makeuserdb(8) without its fixed paths. */
function database(folder: string, name: string, lines: string): void {
  const courier = join(folder, 'etc/courier');
  const makedat = join(folder, 'usr/lib/courier/courier-authlib/makedatprog');
  execFileSync(makedat, ['-', join(courier, 'unfinished'), join(courier, name)], { input: `${lines}.\n` });
}

function publicLine(place: Place, user: string): string {
  if (!/^[\w.@+-]+$/.test(user)) {
    throw new Error(`"${user}" cannot stand in a userdb`);
  }
  const { uid, gid } = place.account;
  const home = homeOf(place, user);
  return `${user}\thome=${home}|mail=${home}/Maildir|uid=${uid}|gid=${gid}\n`;
}

function shadowLine([user, password]: readonly [string, string]): string {
  return `${user}\tsystempw={SHA256}${createHash('sha256').update(password).digest('base64')}\n`;
}

function homeOf({ folder }: Place, user: string): string {
  return join(folder, 'mail', user);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function ofCourier(path: string): string {
  return unpacked('courier', path);
}
