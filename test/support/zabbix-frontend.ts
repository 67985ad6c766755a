import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, rmSync } from 'node:fs';
import { chown, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.ts';
import { installed, type Program, pathOf } from './installed.ts';
import { leaveRoot, unpacked } from './own-server.ts';
import type { Database, Postgresql } from './postgresql.ts';

/** What a frontend is made of, for `startZabbixFrontend` and for `missing()`. */
export interface Frontend extends Program {
  readonly folder: string;
  /** Where the files are that fill a database for it. */
  readonly database: string;
  /** Where its API is told who calls: in the call itself, or in a header. */
  readonly session: 'call' | 'header';
}

/** The modules of PHP that Zabbix asks for. */
const MODULES = [
  'bcmath',
  'ctype',
  'gd',
  'gettext',
  'mbstring',
  'pgsql',
  'session',
  'sockets',
  'xmlreader',
  'xmlwriter',
];

export const ZABBIX_FRONTEND: Frontend = {
  name: 'the frontend of Zabbix',
  commands: [isThere('/usr/share/zabbix') && hasModules() ? 'php' : 'zabbix-frontend-php', 'setpriv'],
  install: 'apt-get install zabbix-frontend-php php-pgsql',
  folder: '/usr/share/zabbix',
  database: '/usr/share/zabbix-server-pgsql',
  session: 'call',
};

/** The next one, whose server does not run on this Debian; its frontend does. */
export const ZABBIX_7_FRONTEND: Frontend = {
  name: 'the frontend of Zabbix 7.0',
  commands: [isThere(unpacked('zabbix-7.0', 'usr/share/zabbix')) && hasModules() ? 'php' : 'zabbix-7.0', 'setpriv'],
  install: 'bash tools/zabbix-7.sh',
  folder: unpacked('zabbix-7.0', 'usr/share/zabbix'),
  database: unpacked('zabbix-7.0', 'usr/share/zabbix-server-pgsql'),
  session: 'header',
};

export interface ZabbixApi {
  /** Of the frontend. */
  readonly version: string;
  /**
   * Calls a method as its administrator.
   * @throws with what the frontend said
   */
  call<Result>(method: string, params: unknown): Promise<Result>;
  /** What PHP and the frontend complained of so far. */
  log(): Promise<string>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

/** Runs a frontend of our own on a free port of 127.0.0.1, on a database that is filled; resolves when it answers. */
export async function startZabbixFrontend(
  frontend: Frontend,
  postgresql: Postgresql,
  { name }: Database,
): Promise<ZabbixApi> {
  const { account } = postgresql;
  const folder = await mkdtemp(join(tmpdir(), 'zabbix-frontend-'));
  const root = join(folder, 'zabbix');
  await mkdir(root);
  for (const part of readdirSync(frontend.folder)) {
    if (NOT_NEEDED.includes(part)) continue;
    // In the package some are links, to places that are told by the root of the system.
    await cp(join(frontend.folder, part), join(root, part), { recursive: true });
  }
  // Debian's frontend knows one place for its settings, and that is the system's.
  const where = join(root, 'include/classes/core/CConfigFile.php');
  const settings = join(folder, 'zabbix.conf.php');
  const code = await readFile(where, 'utf8');
  const patched = code.replace(/(const CONFIG_FILE_PATH = )'[^']*'/, `$1'${settings}'`);
  if (patched === code) throw new Error(`no place for settings in ${where}`);
  await rm(where);
  await writeFile(where, patched);
  await writeFile(settings, settingsOf(postgresql, name));
  for (const each of [folder, settings]) await chown(each, account.uid, account.gid);
  const port = await freePort();
  const child = launch(folder, root, port, leaveRoot(account));
  unfinished.set(folder, child);
  const log = (): Promise<string> => readFile(join(folder, 'output.log'), 'utf8');
  const url = `http://127.0.0.1:${port}/api_jsonrpc.php`;

  let session: string | null = null;
  let version = '';
  const api: ZabbixApi = {
    get version() {
      return version;
    },
    async call<Result>(method: string, params: unknown) {
      const header = session === null || frontend.session === 'call' ? {} : { authorization: `Bearer ${session}` };
      const own = session === null || frontend.session === 'header' ? {} : { auth: session };
      const answer = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json-rpc', ...header },
        body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params, ...own }),
      });
      const text = await answer.text();
      const said: { result?: Result; error?: { message: string; data: string } } = parsed(text);
      if (said.error !== undefined) throw new Error(`${method}: ${said.error.message} ${said.error.data}`);
      return said.result as Result;
    },
    log,
    async stop() {
      if (child.pid !== undefined) signalGroup(child.pid);
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
      unfinished.delete(folder);
    },
  };
  try {
    for (const limit = Date.now() + START_LIMIT_MS; session === null; await sleep(50)) {
      if (Date.now() > limit || child.exitCode !== null) throw new Error(`no frontend:\n${await log()}`);
      // Neither may be asked for by somebody who is logged in.
      version = await api.call<string>('apiinfo.version', []).catch(() => '');
      if (version === '') continue;
      // A user of every new Zabbix, with the password that it comes with.
      session = await api.call<string>('user.login', { username: 'Admin', password: 'zabbix' });
    }
  } catch (error) {
    await api.stop();
    throw error;
  }
  return api;
}

const START_LIMIT_MS = 20_000;

/** The API speaks one language and plays no sound. */
const NOT_NEEDED = ['locale', 'audio', 'data', 'fonts'];

function parsed<Answer>(text: string): Answer {
  try {
    return JSON.parse(text) as Answer;
  } catch {
    throw new Error(`the frontend says ${text.slice(0, 1_000)}`);
  }
}

const settingsOf = ({ host, port, user }: Postgresql, database: string): string => `<?php
$DB = [
  'TYPE' => 'POSTGRESQL', 'SERVER' => '${host}', 'PORT' => '${port}', 'DATABASE' => '${database}',
  'USER' => '${user}', 'PASSWORD' => '', 'SCHEMA' => '', 'ENCRYPTION' => false, 'KEY_FILE' => '', 'CERT_FILE' => '',
  'CA_FILE' => '', 'VERIFY_HOST' => false, 'CIPHER_LIST' => '', 'VAULT' => '', 'VAULT_URL' => '',
  'VAULT_DB_PATH' => '', 'VAULT_TOKEN' => '', 'DOUBLE_IEEE754' => true,
];
$ZBX_SERVER_NAME = '';
$IMAGE_FORMAT_DEFAULT = IMAGE_FORMAT_PNG;
`;

/** With no descriptor of ours: a server holds no caller's pipe open. */
function launch(folder: string, root: string, port: number, identity: readonly string[]): ChildProcess {
  const output = openSync(join(folder, 'output.log'), 'w', 0o600);
  const limits = ['memory_limit=512M', 'max_execution_time=300', 'error_reporting=E_ALL', 'log_errors=1'];
  const php = [pathOf('php'), ...limits.flatMap((limit) => ['-d', limit]), '-S', `127.0.0.1:${port}`, '-t', root];
  try {
    return spawn(pathOf('setpriv'), [...identity, '--pdeathsig', 'KILL', ...php], {
      cwd: folder,
      detached: true,
      stdio: ['ignore', output, output],
    });
  } finally {
    closeSync(output);
  }
}

/** By their folders. */
const unfinished = new Map<string, ChildProcess>();

/** When a test run ends without `stop()`. */
process.once('exit', () => {
  for (const [folder, { pid }] of unfinished) {
    if (pid !== undefined) signalGroup(pid);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
});

function signalGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL');
  } catch {
    // nobody left
  }
}

function isThere(folder: string): boolean {
  return existsSync(join(folder, 'api_jsonrpc.php'));
}

function hasModules(): boolean {
  const php = installed('php');
  if (php === null) return false;
  const loaded = spawnSync(php, ['-m'], { encoding: 'utf8' }).stdout.split('\n');
  return MODULES.every((name) => loaded.includes(name));
}
