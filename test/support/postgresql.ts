import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, rmSync } from 'node:fs';
import { chown, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Program, pathOf } from './installed.ts';
import { type Account, isRoot, leaveRoot } from './own-server.ts';
import { processesIn } from './processes.ts';

/** Debian keeps the programs of each version apart. */
const PROGRAMS = newestVersion('/usr/lib/postgresql');

/** What `startPostgresql` runs, for `missing()`. setpriv comes with every Debian (util-linux). */
export const POSTGRESQL: Program = {
  name: 'PostgreSQL',
  commands: [...['initdb', 'postgres', 'psql'].map((name) => join(PROGRAMS, name)), 'setpriv'],
  install: 'apt-get install postgresql',
};

export interface Postgresql {
  /** Where its socket is: what libpq, and so PHP and Zabbix, take for the name of a host. It is on no network. */
  readonly host: string;
  readonly port: number;
  /** It asks nobody for a password: whoever may enter its folder may do everything. */
  readonly user: string;
  /** Whom it runs as, and who else may enter its folder: the user who runs the tests, or `nobody` when that is root. */
  readonly account: Account;
  /** Makes an empty database, in UTF-8. */
  createDatabase(name: string): Promise<Database>;
  /** Ends it and removes its folder; when it resolves nothing is left of it. */
  stop(): Promise<void>;
}

export interface Database {
  readonly name: string;
  /**
   * Runs statements up to the first that fails.
   * @throws with what psql said
   */
  run(statements: string): Promise<void>;
  /** What a SELECT finds: each row by the names of its columns, as JSON has them. */
  rows<Row = Readonly<Record<string, unknown>>>(select: string): Promise<readonly Row[]>;
}

/**
 * Runs a PostgreSQL of our own, with nothing in it; resolves when it takes connections. What it holds is not safe from
 * a power cut, and it is quick.
 * @throws with what it wrote when it does not come up
 */
export async function startPostgresql(): Promise<Postgresql> {
  const account = ordinaryAccount();
  const folder = await mkdtemp(join(tmpdir(), 'postgresql-')); // short: a socket's path may have 107 octets
  try {
    await chown(folder, account.uid, account.gid);
    initialise(folder, account);
    const child = execute(folder, account);
    if (child.pid === undefined) {
      const [error] = await once(child, 'error');
      throw error;
    }
    unfinished.set(folder, child);
    await answers(folder, child);
    return operate(folder, account, child);
  } catch (error) {
    await end(folder);
    throw error;
  }
}

const USER = 'postgres';
const PORT = 5432; // a part of the socket's name, and nothing else
const START_LIMIT_MS = 30_000;

function operate(folder: string, account: Account, child: ChildProcess): Postgresql {
  let ended: Promise<void> | undefined;
  return {
    host: folder,
    port: PORT,
    user: USER,
    account,
    async createDatabase(name) {
      await psql(folder, 'postgres', `CREATE DATABASE ${name} ENCODING 'UTF8' TEMPLATE template0`);
      return {
        name,
        async run(statements) {
          await psql(folder, name, statements);
        },
        async rows(select) {
          return JSON.parse(await psql(folder, name, `SELECT coalesce(json_agg(t), '[]') FROM (${select}) t`));
        },
      };
    },
    stop() {
      ended ??= end(folder, child);
      return ended;
    },
  };
}

function initialise(folder: string, account: Account): void {
  const initdb = [
    ...[join(PROGRAMS, 'initdb'), '--pgdata', join(folder, 'data'), '--username', USER, '--auth', 'trust'],
    ...['--locale', 'C.UTF-8', '--encoding', 'UTF8', '--no-sync'],
  ];
  execFileSync(pathOf('setpriv'), [...leaveRoot(account), ...initdb], { cwd: folder, stdio: 'pipe' });
}

/**
 * With no descriptor of ours: a server holds no caller's pipe open. The kernel ends it should the test runner be
 * killed before it can clean up.
 */
function execute(folder: string, account: Account): ChildProcess {
  const settings = {
    ...{ unix_socket_directories: folder, port: String(PORT), listen_addresses: '' },
    ...{ fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' },
    ...{ autovacuum: 'off', max_connections: '200' },
  };
  const command = [
    ...[join(PROGRAMS, 'postgres'), '-D', join(folder, 'data')],
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
  const output = openSync(join(folder, 'output.log'), 'w', 0o600);
  try {
    return spawn(pathOf('setpriv'), [...leaveRoot(account), '--pdeathsig', 'QUIT', ...command], {
      cwd: folder,
      detached: true,
      stdio: ['ignore', output, output],
    });
  } finally {
    closeSync(output);
  }
}

async function answers(folder: string, child: ChildProcess): Promise<void> {
  for (const limit = Date.now() + START_LIMIT_MS; ; await sleep(50)) {
    const complaint = await psql(folder, 'postgres', 'SELECT 1').then(
      () => null,
      (error: Error) => error.message,
    );
    if (complaint === null) return;
    if (hasExited(child) || Date.now() > limit) {
      const said = await readFile(join(folder, 'output.log'), 'utf8');
      throw new Error(`PostgreSQL did not start: ${complaint}\n${said.slice(-2_000)}`);
    }
  }
}

/** What the statements answer, without names of columns and the like. */
async function psql(folder: string, database: string, statements: string): Promise<string> {
  const argv = [
    ...['--host', folder, '--port', String(PORT), '--username', USER, '--dbname', database],
    ...['--no-psqlrc', '--quiet', '--tuples-only', '--no-align', '--set', 'ON_ERROR_STOP=1'],
  ];
  const child = spawn(join(PROGRAMS, 'psql'), argv, { stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  let complaint = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  child.stdin.on('error', () => undefined); // it stops reading at the first mistake
  child.stdin.end(statements);
  const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  if (code !== 0) throw new Error(`psql: ${complaint.slice(0, 2_000)}`);
  return said;
}

/** At once and without tidying up, for nobody wants the data. Its processes are in sessions of their own. */
async function end(folder: string, child = unfinished.get(folder)): Promise<void> {
  if (child !== undefined && !hasExited(child)) {
    const exited = once(child, 'exit');
    child.kill('SIGQUIT');
    await exited;
  }
  while ((await processesIn(folder)).length > 0) await sleep(10);
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  unfinished.delete(folder);
}

/** By their folders. */
const unfinished = new Map<string, ChildProcess>();

/** When a test run ends without `stop()`. */
process.once('exit', () => {
  for (const [folder, child] of unfinished) {
    child.kill('SIGQUIT');
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
});

const hasExited = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

function newestVersion(folder: string): string {
  let versions: string[] = [];
  try {
    versions = readdirSync(folder);
  } catch {
    // none is installed
  }
  const newest = versions.sort((one, other) => Number(other) - Number(one))[0] ?? 'any';
  return join(folder, newest, 'bin');
}

/** PostgreSQL refuses to be root. */
function ordinaryAccount(): Account {
  const id = (what: string): string =>
    execFileSync('id', [what, ...(isRoot() ? ['nobody'] : [])], { encoding: 'utf8' }).trim();
  return { user: id('-un'), group: id('-gn'), uid: Number(id('-u')), gid: Number(id('-g')) };
}
