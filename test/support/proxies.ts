import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Program, pathOf } from './installed.ts';

/** A SOCKS 5 proxy with rules of who may go where. */
export const DANTE: Program = { name: 'Dante', commands: ['danted'], install: 'apt-get install dante-server' };
/** A SOCKS 5 proxy with a user name and a password. */
export const MICROSOCKS: Program = {
  name: 'microsocks',
  commands: ['microsocks'],
  install: 'apt-get install microsocks',
};
/** An HTTP proxy. */
export const TINYPROXY: Program = {
  name: 'tinyproxy',
  commands: ['tinyproxy'],
  install: 'apt-get install tinyproxy-bin',
};

export interface RunningProxy {
  readonly port: number;
  /** The process we started, the leader of a group of its own. */
  readonly pid: number;
  /** What it wrote so far. */
  log(): Promise<string>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

/** Connects to 127.0.0.0/8 for whoever comes from there, but never to 127.0.0.9. */
export const startDante = (): Promise<RunningProxy> =>
  start(async (port, folder) => {
    const configuration = [
      'logoutput: stderr',
      `internal: 127.0.0.1 port = ${port}`,
      'external: lo',
      'clientmethod: none',
      'socksmethod: none',
      'client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }',
      'socks block { from: 0.0.0.0/0 to: 127.0.0.9/32 }',
      'socks pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }',
    ];
    await writeFile(join(folder, 'danted.conf'), `${configuration.join('\n')}\n`);
    return ['danted', '-f', 'danted.conf', '-N', '1', '-p', 'danted.pid'];
  });

export const startMicrosocks = (user: string, password: string): Promise<RunningProxy> =>
  start(async (port) => ['microsocks', '-i', '127.0.0.1', '-p', String(port), '-u', user, '-P', password]);

/** @param ports those it connects to; none for every port */
export const startTinyproxy = (user: string, password: string, ports: readonly number[] = []): Promise<RunningProxy> =>
  start(async (port, folder) => {
    const configuration = [
      `Port ${port}`,
      'Listen 127.0.0.1',
      'Timeout 60',
      'MaxClients 20',
      `BasicAuth ${user} ${password}`,
      ...ports.map((each) => `ConnectPort ${each}`),
    ];
    await writeFile(join(folder, 'tinyproxy.conf'), `${configuration.join('\n')}\n`);
    return ['tinyproxy', '-d', '-c', 'tinyproxy.conf'];
  });

/**
 * Runs a proxy in a private folder, as the user who runs the tests, on a free port of 127.0.0.1.
 *
 * @param furnish writes what it reads, and returns the command
 */
async function start(furnish: (port: number, folder: string) => Promise<readonly string[]>): Promise<RunningProxy> {
  const folder = await mkdtemp(join(tmpdir(), 'proxy-'));
  const port = await freePort();
  const [command = '', ...argv] = await furnish(port, folder);
  const output = openSync(join(folder, 'output.log'), 'w');
  const child = spawn(pathOf(command), argv, { cwd: folder, detached: true, stdio: ['ignore', output, output] });
  closeSync(output);
  const log = (): Promise<string> => readFile(join(folder, 'output.log'), 'utf8');
  if (await comesUp(child, port)) {
    return { port, pid: child.pid as number, log, stop: () => stop(child, folder) };
  }
  const said = await log();
  await stop(child, folder);
  throw new Error(`${command} did not start:\n${said}`);
}

async function comesUp(child: ChildProcess, port: number): Promise<boolean> {
  for (const limit = Date.now() + 15_000; Date.now() < limit; await sleep(50)) {
    if (child.exitCode !== null || child.signalCode !== null) return false;
    if (await accepts(port)) return true;
  }
  return false;
}

/** The group: Dante has children. */
async function stop(child: ChildProcess, folder: string): Promise<void> {
  if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit');
    process.kill(-child.pid, 'SIGKILL');
    await exited;
  }
  await rm(folder, { recursive: true, force: true });
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

async function freePort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  listener.close();
  await once(listener, 'close');
  return port;
}
