import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, rmSync } from 'node:fs';
import { chown, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Program, pathOf } from './installed.ts';

/** What `startDovecot` runs, for `missing()`. setpriv comes with every Debian (util-linux). */
export const DOVECOT: Program = {
  name: 'Dovecot',
  commands: ['dovecot', 'pop3-login', 'setpriv'],
  install: 'apt-get install dovecot-pop3d',
};

export type DovecotOptions = {
  /** The server's certificate chain and key, PEM, as `Authority.issue()` makes them. */
  readonly identity: { readonly certificate: string; readonly key: string };
  /** Passwords by user name. The first user is meant where none is named. */
  readonly users: Readonly<Record<string, string>>;
  /** SASL mechanisms, and `apop`, as Dovecot's auth_mechanisms names them. Default: plain login. */
  readonly mechanisms?: readonly string[];
  /** One session per mailbox. Dovecot lets a second one wait for 12 s and then refuses it with [IN-USE]. */
  readonly lockSession?: boolean;
  /** More of dovecot.conf, for a private folder; it comes last, so it wins. */
  readonly config?: string | ((folder: string) => string);
  /** More files in the private folder, by name; one that begins with `#!` may be run. */
  readonly files?: Readonly<Record<string, string | ((folder: string) => string)>>;
};

export type Dovecot = {
  /** Plaintext, and STLS. */
  readonly port: number;
  /** Implicit TLS. */
  readonly tlsPort: number;
  /** The private folder with everything of this server: dovecot.conf, logs, mail/<user>/Maildir. */
  readonly folder: string;
  /** The process we started, the leader of a group of its own. */
  readonly pid: number;
  /** Puts a message into a mailbox, byte for byte. */
  deliver(message: string | Uint8Array, user?: string): Promise<void>;
  /** How many messages are in the mailbox, counted on the disk. */
  messages(user?: string): Promise<number>;
  /** What Dovecot logged so far. */
  log(): Promise<string>;
  /** Ends it and removes its folder; when it resolves nothing is left of it. */
  stop(): Promise<void>;
};

/**
 * Runs a Dovecot 2.3 of our own on two free ports of 127.0.0.1; resolves when it greets. It needs no root: everything
 * in it runs as the user who runs the tests, or as `nobody` when that is root.
 * @throws with Dovecot's log when it does not come up
 */
export async function startDovecot(options: DovecotOptions): Promise<Dovecot> {
  const account = unprivilegedAccount();
  for (let attempt = 1; ; attempt += 1) {
    const running = await launch(options, account);
    const greeted = await greets(running);
    if (greeted) {
      return operate(running, options, account);
    }
    const log = await readLog(running.folder);
    await end(running);
    if (!log.includes('Address already in use') || attempt === 5) {
      throw new Error(`Dovecot did not start:\n${log}`);
    }
  }
}

type Account = { readonly user: string; readonly group: string; readonly uid: number; readonly gid: number };
type Ports = { readonly port: number; readonly tlsPort: number };
type Running = Ports & { readonly folder: string; readonly pid: number; readonly process: ChildProcess };

const START_LIMIT_MS = 15_000;
const STOP_LIMIT_MS = 10_000;

function operate(running: Running, options: DovecotOptions, account: Account): Dovecot {
  const [firstUser] = Object.keys(options.users);
  const maildir = (user = firstUser ?? '') => maildirOf(running.folder, user);
  let delivered = 0;
  let ended: Promise<void> | undefined;
  return {
    port: running.port,
    tlsPort: running.tlsPort,
    folder: running.folder,
    pid: running.pid,
    async deliver(message, user) {
      delivered += 1;
      const name = `${Date.now()}.P${running.pid}Q${delivered}.test`; // the number keeps the order of delivery
      const unfinished = join(maildir(user), 'tmp', name);
      await writeFile(unfinished, message, { mode: 0o600 });
      await chown(unfinished, account.uid, account.gid);
      await rename(unfinished, join(maildir(user), 'new', name));
    },
    async messages(user) {
      const folders = await Promise.all(['new', 'cur'].map((folder) => readdir(join(maildir(user), folder))));
      return folders.flat().length;
    },
    log: () => readLog(running.folder),
    stop() {
      ended ??= end(running);
      return ended;
    },
  };
}

async function launch(options: DovecotOptions, account: Account): Promise<Running> {
  const folder = await mkdtemp(join(tmpdir(), 'dovecot-')); // short: it holds sockets, whose paths may have 107 octets
  try {
    const ports = await freePorts();
    await furnish(folder, options, account, ports);
    const child = execute(folder, account);
    if (child.pid === undefined) {
      const [error] = await once(child, 'error');
      throw error;
    }
    const running: Running = { ...ports, folder, pid: child.pid, process: child };
    unfinished.add(running);
    return running;
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function furnish(folder: string, options: DovecotOptions, account: Account, ports: Ports): Promise<void> {
  const write = (name: string, text: string) => writeFile(join(folder, name), text, { mode: 0o600 });
  await write('certificate.pem', options.identity.certificate);
  await write('key.pem', options.identity.key);
  await write('users', Object.entries(options.users).map(passwdLine).join(''));
  await write('dovecot.conf', configuration(folder, options, account, ports));
  for (const [name, content] of Object.entries(options.files ?? {})) {
    const text = filledIn(content, folder);
    await mkdir(join(folder, dirname(name)), { recursive: true, mode: 0o700 });
    await writeFile(join(folder, name), text, { mode: text.startsWith('#!') ? 0o700 : 0o600 });
  }
  for (const user of Object.keys(options.users)) {
    for (const part of ['tmp', 'new', 'cur']) {
      await mkdir(join(maildirOf(folder, user), part), { recursive: true, mode: 0o700 });
    }
  }
  await mkdir(join(folder, 'run'), { mode: 0o755 }); // as Dovecot wants it; the folder around it is private
  for (const name of [...(await readdir(folder, { recursive: true })), '.']) {
    await chown(join(folder, name), account.uid, account.gid);
  }
}

/** Debian's packages split the work over root, dovecot and dovenull and chroot it; here one user does it all. */
function configuration(folder: string, options: DovecotOptions, account: Account, ports: Ports): string {
  return `
base_dir = ${folder}/run
state_dir = ${folder}/run
instance_name = ${basename(folder)}
log_path = ${folder}/dovecot.log
auth_verbose = yes
default_internal_user = ${account.user}
default_internal_group = ${account.group}
default_login_user = ${account.user}
default_client_limit = 100
default_process_limit = 50
first_valid_uid = 1
first_valid_gid = 1

protocols = pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <${folder}/certificate.pem
ssl_key = <${folder}/key.pem
disable_plaintext_auth = no
auth_mechanisms = ${(options.mechanisms ?? ['plain', 'login']).join(' ')}
auth_failure_delay = 0
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%u ${folder}/users
}
userdb {
  driver = static
  args = home=${folder}/mail/%u
}
mail_location = maildir:~/Maildir
mail_fsync = never
service anvil {
  chroot =
  # without it, repeated failures of an address are delayed for up to 15 s
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
service auth {
  user =
}
service auth-worker {
  user =
}
service stats {
  chroot =
}
service pop3-login {
  chroot =
  service_count = 0
  process_min_avail = 1
  inet_listener pop3 {
    port = ${ports.port}
  }
  inet_listener pop3s {
    port = ${ports.tlsPort}
    ssl = yes
  }
}
protocol pop3 {
  pop3_uidl_format = %08Xu%08Xv
  pop3_lock_session = ${options.lockSession === true ? 'yes' : 'no'}
  mail_max_userip_connections = 0
}
${filledIn(options.config ?? '', folder)}
`;
}

const filledIn = (content: string | ((folder: string) => string), folder: string): string =>
  typeof content === 'string' ? content : content(folder);

/** Base64, since a colon in a password would end the field. */
function passwdLine([user, password]: readonly [string, string]): string {
  if (!/^[\w.@+=,-]+$/.test(user)) {
    throw new Error(`"${user}" cannot stand in a passwd-file`);
  }
  return `${user}:{PLAIN.B64}${Buffer.from(password, 'utf8').toString('base64')}::::::\n`;
}

/**
 * Into a process group of its own, with no descriptor of ours: a Dovecot holds no caller's pipe open. The kernel ends
 * it should the test runner be killed before it can clean up.
 */
function execute(folder: string, account: Account): ChildProcess {
  const identity = isRoot() ? ['--reuid', account.user, '--regid', account.group, '--clear-groups'] : [];
  const command = [pathOf('dovecot'), '-F', '-c', join(folder, 'dovecot.conf')];
  const output = openSync(join(folder, 'output.log'), 'w', 0o600);
  try {
    return spawn(pathOf('setpriv'), [...identity, '--pdeathsig', 'TERM', ...command], {
      cwd: folder,
      detached: true,
      stdio: ['ignore', output, output],
    });
  } finally {
    closeSync(output);
  }
}

/** The greeting is proof of everything: ports bound, login process up, certificate and key loaded. */
async function greets(running: Running): Promise<boolean> {
  const deadline = Date.now() + START_LIMIT_MS;
  while (Date.now() < deadline && !hasExited(running.process)) {
    if ((await firstBytes(running.port)).startsWith('+OK')) {
      return !hasExited(running.process); // else somebody else's server answered on a port we lost to it
    }
    await sleep(20);
  }
  return false;
}

function firstBytes(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const finish = (text: string) => {
      socket.destroy();
      resolve(text);
    };
    socket.setTimeout(2_000, () => finish(''));
    socket.once('data', (bytes) => finish(bytes.toString('latin1')));
    socket.once('error', () => finish(''));
    socket.once('close', () => finish(''));
  });
}

/** Free a moment ago, that is; `startDovecot` tries again when somebody else was quicker. */
async function freePorts(): Promise<Ports> {
  const listeners = await Promise.all([listen(), listen()]);
  const [port, tlsPort] = listeners.map((listener) => (listener.address() as AddressInfo).port);
  await Promise.all(listeners.map((listener) => new Promise((resolve) => listener.close(resolve))));
  return { port: port as number, tlsPort: tlsPort as number };
}

function listen(): Promise<Server> {
  return new Promise((resolve, reject) => {
    const listener = createServer();
    listener.once('error', reject);
    listener.listen(0, '127.0.0.1', () => resolve(listener));
  });
}

async function end(running: Running): Promise<void> {
  if (!hasExited(running.process)) {
    const exited = once(running.process, 'exit');
    running.process.kill('SIGTERM');
    await Promise.race([exited, sleep(STOP_LIMIT_MS, undefined, { ref: false })]);
  }
  signalGroup(running.pid, 'SIGKILL'); // its children notice by themselves that it is gone; now they cannot fail to
  while (await hasLivingMember(running.pid)) {
    await sleep(5);
  }
  await rm(running.folder, { recursive: true, force: true, maxRetries: 5 });
  unfinished.delete(running);
}

const unfinished = new Set<Running>();
process.once('exit', endAllAtOnce);

/** When a test run ends without `stop()`. */
function endAllAtOnce(): void {
  for (const running of unfinished) {
    signalGroup(running.pid, 'SIGKILL');
    rmSync(running.folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch {
    // nobody left
  }
}

/** Zombies do not count: in a container nobody may ever collect them. */
async function hasLivingMember(group: number): Promise<boolean> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '')));
  return stats.some((stat) => {
    const [state, , itsGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // proc(5): pid (name) state ppid pgrp
    return Number(itsGroup) === group && state !== 'Z' && state !== 'X';
  });
}

function hasExited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function unprivilegedAccount(): Account {
  const line = execFileSync('id', isRoot() ? ['nobody'] : [], { encoding: 'utf8' });
  const [, uid, user, gid, group] = /^uid=(\d+)\((.+?)\) gid=(\d+)\((.+?)\)/.exec(line) ?? [];
  if (uid === undefined || user === undefined || gid === undefined || group === undefined) {
    throw new Error(`Dovecot wants a user and a group with names, and this one has none: ${line}`);
  }
  return { user, group, uid: Number(uid), gid: Number(gid) };
}

function isRoot(): boolean {
  return process.getuid?.() === 0;
}

function maildirOf(folder: string, user: string): string {
  return join(folder, 'mail', user, 'Maildir');
}

async function readLog(folder: string): Promise<string> {
  const parts = ['output.log', 'dovecot.log'].map((name) => readFile(join(folder, name), 'utf8').catch(() => ''));
  return (await Promise.all(parts)).join('');
}
