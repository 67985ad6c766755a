import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { appendFile, chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { installed, type Program, pathOf } from './installed.ts';
import { type Account, isRoot } from './own-server.ts';
import { type Ended, launch } from './run.ts';

/** Leave to have a machine of one's own: a network, and a view of the files and processes. */
export const OWN_MACHINE: Program = {
  name: 'a machine of its own',
  commands: [mayUnshare() ? 'nsenter' : 'nsenter-with-leave', 'unshare', 'mount', 'ip', 'setpriv'],
  install: 'run as root, with util-linux and iproute2',
};

/** For what an administrator does as root, with other users at hand. */
export const ROOT: Program = { name: 'root', commands: [isRoot() ? 'sh' : 'sh-as-root'], install: 'run as root' };

export interface OwnMachineOptions {
  /** What its hosts file has, beside localhost: addresses by name. They are of its loopback. */
  readonly hosts: Readonly<Record<string, string>>;
  /** Certificates of authorities its system trusts, PEM. */
  readonly trusts?: string;
}

/**
 * A Debian machine on which everything lies where its packages and our files say, for a test alone: /etc and the folder
 * of the plugins are copies, what belongs to the monitoring user is new, and the network is a loopback.
 */
export interface OwnMachine {
  /** The monitoring user: `nagios` when root runs the tests, else whoever runs them. */
  readonly account: Account;
  /** Where one of its files is, seen from here. */
  path(file: string): string;
  /** Writes one of its files; the folder is there or made. It is root's and the group's. */
  write(file: string, content: string, options?: { readonly mode?: number; readonly group?: string }): Promise<void>;
  /** Runs a command on it to its end, as the monitoring user if not said otherwise. */
  run(argv: readonly string[], options?: Running): Promise<Ended>;
  /** Starts a command that stays, in a process group of its own; its output goes to a file. */
  start(argv: readonly string[], output: string, options?: Running): ChildProcess;
  /** Lets its programs find a server of ours, at an address of its loopback, until it is closed. */
  listen(address: string, port: number, to: () => number): Promise<Listener>;
  /** Ends everything on it and removes its files; when it resolves nothing is left of it. */
  remove(): Promise<void>;
}

export interface Running {
  readonly as?: 'nagios' | 'root';
  readonly stdin?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Listener {
  /** From now on the port refuses connections. */
  close(): Promise<void>;
}

/** What Debian's packages have in these folders, and what is put there anew: mode, and group where it is not the user's. */
const COPIED = ['/etc', '/usr/lib/nagios/plugins'];
const NEW: readonly (readonly [string, number, string?])[] = [
  ['/run', 0o755],
  ['/run/nagios4', 0o755],
  ['/run/nagios', 0o755],
  ['/tmp', 0o1777],
  ['/var/lib/nagios', 0o755],
  ['/var/lib/nagios4', 0o750, 'www-data'],
  ['/var/lib/nagios4/rw', 0o2710, 'www-data'],
  ['/var/lib/nagios4/spool', 0o750],
  ['/var/lib/nagios4/spool/checkresults', 0o750],
  ['/var/log/nagios4', 0o2751, 'adm'],
  ['/var/log/nagios4/archives', 0o2751, 'adm'],
];
/** What of it its programs see. /tmp comes last: the folder of the machine is below it. */
const SEEN = [
  '/etc',
  '/run',
  '/usr/lib/nagios/plugins',
  '/var/lib/nagios',
  '/var/lib/nagios4',
  '/var/log/nagios4',
  '/tmp',
];

export async function startOwnMachine(options: OwnMachineOptions): Promise<OwnMachine> {
  const account = monitoringAccount();
  const folder = await mkdtemp(join(tmpdir(), 'machine-')); // short: it holds sockets, with up to 107 octets a path
  try {
    await furnish(folder, account, options);
    return operate(folder, account, await hold(folder));
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function furnish(folder: string, account: Account, { hosts, trusts = '' }: OwnMachineOptions): Promise<void> {
  for (const place of COPIED) {
    await mkdir(join(folder, place), { recursive: true });
    spawnSync('cp', ['-a', `${place}/.`, join(folder, place)]);
  }
  // What an ordinary user may not read is said again, where it matters.
  if (!isRoot()) await writeFile(join(folder, 'etc/nagios4/resource.cfg'), '$USER1$=/usr/lib/nagios/plugins\n');
  for (const [place, mode, group = account.group] of NEW) {
    await mkdir(join(folder, place), { recursive: true });
    if (isRoot() && place.includes('nagios')) execFileSync('chown', [`${account.user}:${group}`, join(folder, place)]);
    await chmod(join(folder, place), mode); // after chown, which takes the set-group bit away
  }
  const lines = Object.entries({ localhost: '127.0.0.1', ...hosts }).map(([name, address]) => `${address} ${name}\n`);
  await writeFile(join(folder, 'etc/hosts'), lines.join(''));
  await writeFile(join(folder, 'etc/resolv.conf'), ''); // the name servers of others are not to be asked
  await appendFile(join(folder, 'etc/ssl/certs/ca-certificates.crt'), trusts);
}

/** What holds the namespaces: its first process, which ends when our end of its standard input closes. */
interface Held {
  readonly keeper: ChildProcess;
  readonly answers: Interface;
  readonly ended: Promise<void>;
  /** The first process, among ours. */
  readonly pid: number;
}

/** The shell stays: it is the first process of its machine, and somebody has to bury those that daemons leave. */
const KEEP = `
set -e
folder=$1 switchboard=$2 node=$3
shift 3
for place; do mount --bind "$folder$place" "$place"; done
ip link set lo up
exec 3<&0
"$node" -e "$switchboard" <&3 &
wait
`;

/** Listens where it is told to, and joins each connection to a socket of ours. */
const SWITCHBOARD = `
const net = require('node:net');
const listeners = new Map();
const join = (one, other) => one.on('error', () => other.destroy()).on('close', () => other.destroy()).pipe(other);
const say = (text) => process.stdout.write(text + '\\n');
const questions = require('node:readline').createInterface({ input: process.stdin });
questions.on('close', () => process.exit());
questions.on('line', (line) => {
  const { address, port, path } = JSON.parse(line);
  const name = address + ' ' + port;
  if (path === undefined) {
    listeners.get(name).close();
    return say('closed');
  }
  const listener = net.createServer((client) => {
    const server = net.connect(path);
    join(client, server);
    join(server, client);
  });
  listeners.set(name, listener.on('error', ({ message }) => say(message)).listen(port, address, () => say('open')));
});
say('open');
`;

async function hold(folder: string): Promise<Held> {
  const argv = ['--net', '--mount', '--pid', '--fork', '--kill-child=KILL', ...whose()];
  const script = ['sh', '-c', KEEP, 'sh', folder, SWITCHBOARD, process.execPath, ...SEEN];
  const keeper = spawn(pathOf('unshare'), [...argv, '--', ...script], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true, // so that Ctrl-C on the terminal is ours to handle
  });
  const answers = createInterface({ input: keeper.stdout as NodeJS.ReadableStream });
  const ended = once(keeper, 'exit').then(() => undefined);
  await answer({ answers, ended });
  const children = readFileSync(`/proc/${keeper.pid}/task/${keeper.pid}/children`, 'utf8');
  return { keeper, answers, ended, pid: Number(children.trim()) };
}

async function ask(held: Held, question: Readonly<Record<string, unknown>>): Promise<void> {
  const answered = answer(held);
  held.keeper.stdin?.write(`${JSON.stringify(question)}\n`);
  await answered;
}

async function answer({ answers, ended }: Pick<Held, 'answers' | 'ended'>): Promise<void> {
  const [line] = await Promise.race([once(answers, 'line'), ended.then(() => ['the machine ended'])]);
  if (line !== 'open' && line !== 'closed') throw new Error(`the switchboard of a machine: ${line}`);
}

function operate(folder: string, account: Account, held: Held): OwnMachine {
  const servers: Server[] = [];
  const commandOf = (argv: readonly string[], { as = 'nagios', cwd = '/' }: Running): readonly string[] => {
    const user = isRoot() ? [] : ['--user', '--preserve-credentials'];
    const enter = ['nsenter', `--target=${held.pid}`, ...user, '--net', '--mount', '--pid', '--'];
    const leave = ['setpriv', '--reuid', account.user, '--regid', account.group, '--init-groups'];
    // Whoever enters a view of the files is at its root.
    return [...enter, 'env', '-C', cwd, ...(isRoot() && as === 'nagios' ? leave : []), ...argv];
  };
  // What a service of the system has, and nothing of ours.
  const environment = { PATH: `${SYSTEM_PATH}:${dirname(process.execPath)}`, LANG: 'C.UTF-8' };
  const nothing = Object.fromEntries(Object.keys(process.env).map((name) => [name, undefined]));
  unfinished.set(held.keeper, folder);
  return {
    account,
    path: (file) => join(folder, file),
    async write(file, content, { mode = 0o644, group = 'root' } = {}) {
      const path = join(folder, file);
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, content);
      await chmod(path, mode);
      if (isRoot()) execFileSync('chown', [`root:${group}`, path]);
    },
    run(argv, running = {}) {
      const [file = '', ...args] = commandOf(argv, running);
      const { stdin = '', env = {} } = running;
      return launch(pathOf(file), args, { stdin, env: { ...nothing, ...environment, ...env } });
    },
    start(argv, output, running = {}) {
      const [file = '', ...args] = commandOf(argv, running);
      const log = openSync(join(folder, output), 'a', 0o644);
      try {
        return spawn(pathOf(file), args, {
          env: { ...environment, ...running.env },
          detached: true,
          stdio: ['ignore', log, log],
        });
      } finally {
        closeSync(log);
      }
    },
    async listen(address, port, to) {
      const path = `/run/${address}-${port}-${servers.length}.sock`;
      const server = createServer((client) => {
        const ours = connect(to(), '127.0.0.1');
        client.on('error', () => ours.destroy()).on('close', () => ours.destroy());
        ours.on('error', () => client.destroy()).on('close', () => client.destroy());
        client.pipe(ours).pipe(client);
      });
      servers.push(server);
      server.listen(join(folder, path));
      await once(server, 'listening');
      await ask(held, { address, port, path });
      return {
        async close() {
          await ask(held, { address, port });
          server.close();
        },
      };
    },
    async remove() {
      held.keeper.stdin?.end();
      for (const server of servers) server.close();
      await held.ended;
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
      unfinished.delete(held.keeper);
    },
  };
}

const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const unfinished = new Map<ChildProcess, string>();
process.once('exit', () => {
  // Its standard input closes by itself when we end.
  for (const folder of unfinished.values()) rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
});

function monitoringAccount(): Account {
  const line = execFileSync('id', isRoot() ? ['nagios'] : [], { encoding: 'utf8' });
  const [, uid, user, gid, group] = /^uid=(\d+)\((.+?)\) gid=(\d+)\((.+?)\)/.exec(line) ?? [];
  if (uid === undefined || user === undefined || gid === undefined || group === undefined) {
    throw new Error(`a machine wants a user and a group with names, and this one has none: ${line}`);
  }
  return { user, group, uid: Number(uid), gid: Number(gid) };
}

/** An ordinary user is allowed that in a user namespace alone, and without a view of its processes of its own. */
function whose(): readonly string[] {
  return isRoot() ? ['--mount-proc'] : ['--user', '--map-current-user', '--keep-caps'];
}

function mayUnshare(): boolean {
  const namespaces = ['--net', '--mount', '--pid', '--fork', ...whose()];
  const trial = [...namespaces, 'sh', '-c', 'mount --bind /tmp /run && ip link set lo up'];
  return installed('unshare') !== null && spawnSync(pathOf('unshare'), trial).status === 0;
}
