import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, rmSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathOf } from './installed.ts';

/** A server in a private folder and on free ports of 127.0.0.1. */
export type OwnServer = Place & {
  /** The process we started, the leader of a group of its own. */
  readonly pid: number;
  /** What it wrote to its standard output and error so far. */
  log(): Promise<string>;
  /** Ends it and removes its folder; when it resolves nothing is left of it. */
  stop(): Promise<void>;
};

export type Place = {
  /** Plaintext, and STLS or STARTTLS. */
  readonly port: number;
  /** Implicit TLS. */
  readonly tlsPort: number;
  /** The private folder with everything of this server; `usr` in it is a copy of what `tools/servers.sh` unpacked. */
  readonly folder: string;
  /** Whom it runs as: the user who runs the tests, or `nobody` when that is root. */
  readonly account: Account;
};

export type Account = { readonly user: string; readonly group: string; readonly uid: number; readonly gid: number };

export type Plan = {
  /** Its folder in .cache/servers. */
  readonly name: string;
  /** It is there without us: nothing is copied, nothing given away, and `furnish` sees to owners itself. */
  readonly isInstalled?: boolean;
  /** How its greeting begins. Default: as POP3's. */
  readonly greeting?: string;
  /** Writes what the server reads. All of it is given to the account afterwards. */
  furnish(place: Place): Promise<void>;
  /** What to start, as the user who runs the tests. It ends on SIGTERM, and all it started with it. */
  command(place: Place): readonly string[];
  readonly environment?: (place: Place) => Readonly<Record<string, string>>;
};

/** The full path of something that `tools/servers.sh` unpacked, there or not. */
export function unpacked(name: string, path: string): string {
  return join(new URL('../../.cache/servers', import.meta.url).pathname, name, path);
}

/** Arguments of setpriv(1) that leave root behind; none where there is no root to leave. */
export function leaveRoot(account: Account): readonly string[] {
  return isRoot() ? ['--reuid', account.user, '--regid', account.group, '--clear-groups'] : [];
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/**
 * Starts it; resolves when it greets.
 * @throws with what it wrote when it does not come up
 */
export async function startOwnServer(plan: Plan): Promise<OwnServer> {
  for (let attempt = 1; ; attempt += 1) {
    const running = await launch(plan);
    if (await greets(running, plan.greeting ?? '+OK')) {
      let ended: Promise<void> | undefined;
      return {
        ...running.place,
        pid: running.pid,
        log: () => readLog(running),
        stop() {
          ended ??= end(running);
          return ended;
        },
      };
    }
    const log = await readLog(running);
    await end(running);
    if (attempt === 2) {
      throw new Error(`${plan.name} did not start:\n${log.slice(-2_000)}`); // once may be a port that somebody else took meanwhile
    }
  }
}

type Running = { readonly place: Place; readonly pid: number; readonly process: ChildProcess };

const START_LIMIT_MS = 15_000;
const STOP_LIMIT_MS = 10_000;

async function launch(plan: Plan): Promise<Running> {
  const account = unprivilegedAccount();
  const folder = await mkdtemp(join(tmpdir(), `${plan.name}-`)); // short: it holds sockets, with up to 107 octets a path
  try {
    const [port, tlsPort] = await freePorts();
    const place: Place = { folder, account, port, tlsPort };
    if (plan.isInstalled === true) {
      await plan.furnish(place);
    } else {
      // A copy, since our repository may lie where `nobody` cannot look.
      await cp(unpacked(plan.name, 'usr'), join(folder, 'usr'), { recursive: true, verbatimSymlinks: true });
      await plan.furnish(place);
      execFileSync('chown', ['-hR', `${account.uid}:${account.gid}`, folder]);
    }
    const child = execute(plan, place);
    if (child.pid === undefined) {
      const [error] = await once(child, 'error');
      throw error;
    }
    const running: Running = { place, pid: child.pid, process: child };
    unfinished.add(running);
    return running;
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

/** Into a process group of its own, with no descriptor of ours: a server holds no caller's pipe open. */
function execute(plan: Plan, place: Place): ChildProcess {
  const [file = '', ...args] = plan.command(place);
  const output = openSync(join(place.folder, 'output.log'), 'w', 0o600);
  try {
    return spawn(pathOf(file), args, {
      cwd: place.folder,
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...plan.environment?.(place) },
      detached: true,
      stdio: ['ignore', output, output],
    });
  } finally {
    closeSync(output);
  }
}

/** A greeting in the clear is proof of one port; the other one has to be taken at least. */
async function greets({ place, process }: Running, greeting: string): Promise<boolean> {
  const deadline = Date.now() + START_LIMIT_MS;
  while (Date.now() < deadline && !hasExited(process)) {
    if ((await firstBytes(place.port)).startsWith(greeting) && (await accepts(place.tlsPort))) {
      return !hasExited(process); // else somebody else's server answered on a port we lost to it
    }
    await sleep(50);
  }
  return false;
}

function firstBytes(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const finish = (text: string) => {
      socket.end('QUIT\r\n');
      socket.destroySoon();
      resolve(text);
    };
    socket.setTimeout(2_000, () => finish(''));
    socket.once('data', (bytes) => finish(bytes.toString('latin1')));
    socket.once('error', () => finish(''));
    socket.once('close', () => finish(''));
  });
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Free a moment ago, that is; `startOwnServer` tries again when somebody else was quicker. */
async function freePorts(): Promise<readonly [number, number]> {
  const listeners = await Promise.all([listen(), listen()]);
  const [port, tlsPort] = listeners.map((listener) => (listener.address() as AddressInfo).port);
  await Promise.all(listeners.map((listener) => new Promise((resolve) => listener.close(resolve))));
  return [port as number, tlsPort as number];
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
    signalGroup(running.pid, 'SIGTERM');
    await Promise.race([exited, sleep(STOP_LIMIT_MS, undefined, { ref: false })]);
  }
  signalGroup(running.pid, 'SIGKILL');
  while (await hasLivingMember(running.pid)) {
    await sleep(5);
  }
  await rm(running.place.folder, { recursive: true, force: true, maxRetries: 5 });
  unfinished.delete(running);
}

const unfinished = new Set<Running>();
process.once('exit', endAllAtOnce);

/** When a test run ends without `stop()`. */
function endAllAtOnce(): void {
  for (const running of unfinished) {
    signalGroup(running.pid, 'SIGKILL');
    rmSync(running.place.folder, { recursive: true, force: true, maxRetries: 5 });
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
    throw new Error(`a server wants a user and a group with names, and this one has none: ${line}`);
  }
  return { user, group, uid: Number(uid), gid: Number(gid) };
}

function readLog({ place }: Running): Promise<string> {
  return readFile(join(place.folder, 'output.log'), 'utf8').catch(() => '');
}
