import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { freePort } from './free-port.ts';
import { type Program, pathOf } from './installed.ts';
import { leaveRoot } from './own-server.ts';
import type { Database, Postgresql } from './postgresql.ts';

/** What a new database is filled with, in this order. */
export const fillingsIn = (folder: string): readonly string[] =>
  ['schema', 'images', 'data'].map((name) => join(folder, `${name}.sql.gz`));

const FILLINGS = fillingsIn('/usr/share/zabbix-server-pgsql');

/** What `startZabbix` runs, for `missing()`; it needs a PostgreSQL too. */
export const ZABBIX: Program = {
  name: 'a Zabbix server on PostgreSQL',
  commands: [FILLINGS.every((file) => existsSync(file)) ? 'zabbix_server' : 'zabbix-server-pgsql', 'setpriv'],
  install: 'apt-get install zabbix-server-pgsql',
};

export interface Item {
  readonly key: string;
  readonly holds: keyof typeof VALUE_TYPES;
  /** It is no trapper item, but takes its value out of another one's, by a JSONPath. */
  readonly from?: { readonly key: string; readonly path: string };
  /** Takes values from this address alone. */
  readonly allowed?: string;
}

/** What it holds, and the table its values are in. */
const VALUE_TYPES = {
  decimal: { number: 0, table: 'history' },
  integer: { number: 3, table: 'history_uint' },
  text: { number: 4, table: 'history_text' },
} as const;

export interface Zabbix {
  /** Where it listens on 127.0.0.1. */
  readonly port: number;
  readonly database: Database;
  /** The values that are stored for an item, the oldest first. */
  history(host: string, key: string): Promise<readonly Value[]>;
  /** What it logged since it was started. */
  log(): Promise<string>;
  /** Ends it as an admin does; it writes down first what it was given. */
  halt(): Promise<void>;
  /** Starts it again, on the same port. */
  start(): Promise<void>;
  /** Lets none of its processes run until `thaw()`: whoever connects is let in, and not answered. */
  freeze(): void;
  thaw(): void;
  /** Ends it and removes its folder; when it resolves nothing but its database is left of it. */
  stop(): Promise<void>;
}

export interface Value {
  readonly value: string | number;
  /** When that was, in milliseconds since 1970, by whom it came from. */
  readonly at: number;
}

export interface ZabbixOptions {
  readonly postgresql: Postgresql;
  /** Hosts by their technical names, besides what a new Zabbix has. */
  readonly hosts: Readonly<Record<string, readonly Item[]>>;
  /** The folder of its external checks, if it is to have one; they run as the account of the database. */
  readonly externalScripts?: string;
}

/**
 * Runs a Zabbix server of our own on a free port of 127.0.0.1; resolves when it takes values.
 * @throws with its log when it does not come up
 */
export async function startZabbix({ postgresql, hosts, externalScripts }: ZabbixOptions): Promise<Zabbix> {
  const database = await postgresql.createDatabase('zabbix');
  await database.run(filling(FILLINGS) + ownAgentIsOff() + Object.entries(hosts).map(insertHost).join(''));
  const folder = await mkdtemp(join(tmpdir(), 'zabbix-')); // short: it holds sockets, with up to 107 octets a path
  const port = await freePort();
  const file = join(folder, 'zabbix_server.conf');
  await writeFile(file, configuration(folder, port, postgresql, database, externalScripts), { mode: 0o600 });
  for (const each of [folder, file]) await chown(each, postgresql.account.uid, postgresql.account.gid);

  const logFile = join(folder, 'server.log');
  const log = () => readFile(logFile, 'utf8').catch(() => '');
  let running: ChildProcess | undefined;

  const zabbix: Zabbix = {
    port,
    database,
    async history(host, key) {
      const item = Object.entries(hosts)
        .find(([name]) => name === host)?.[1]
        .find((each) => each.key === key);
      if (item === undefined) throw new Error(`${host} has no item ${key}`);
      return await database.rows<Value>(`
        SELECT value, clock * 1000::bigint + ns / 1000000 AS at FROM ${VALUE_TYPES[item.holds].table}
        JOIN items USING (itemid) JOIN hosts USING (hostid)
        WHERE host = ${literal(host)} AND key_ = ${literal(key)} ORDER BY clock, ns
      `);
    },
    log,
    async halt() {
      if (running !== undefined) await end(running);
      running = undefined;
    },
    async start() {
      await rm(logFile, { force: true });
      const child = launch(folder, file, leaveRoot(postgresql.account));
      running = child;
      unfinished.set(folder, child);
      for (const limit = Date.now() + START_LIMIT_MS; !(await log()).includes(' started [trapper #1]'); ) {
        if (hasExited(child) || Date.now() > limit) {
          const said = `${readFileSync(join(folder, 'output.log'), 'utf8')}${await log()}`;
          await this.halt();
          throw new Error(`Zabbix did not start:\n${said.slice(-2_000)}`);
        }
        await sleep(50);
      }
    },
    freeze() {
      if (running !== undefined) signalGroup(running, 'SIGSTOP');
    },
    thaw() {
      if (running !== undefined) signalGroup(running, 'SIGCONT');
    },
    async stop() {
      this.thaw();
      await this.halt();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
      unfinished.delete(folder);
    },
  };
  try {
    await zabbix.start();
  } catch (error) {
    await zabbix.stop();
    throw error;
  }
  return zabbix;
}

const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 20_000;

/**
 * The statements that fill a new database, but for what the templates that come with Zabbix hold: it is nine tenths of
 * them, and none of it is linked to a host of ours.
 */
export function filling(files: readonly string[]): string {
  const statements = files.map((file) => gunzipSync(readFileSync(file)).toString('utf8')).join('\n');
  const wanted = statements
    .split(/;\n(?=INSERT |DELETE |COMMIT;)/)
    .filter((statement) => !OF_TEMPLATES.test(statement));
  // psql sends what `\;` joins at once, which takes half the time.
  return wanted.map((statement, at) => `${statement}${at % 500 === 499 ? '' : '\\'};\n`).join('');
}

const OF_TEMPLATES =
  /^INSERT INTO (items|item_\w+|functions|triggers|trigger_\w+|graphs|graphs_items|valuemap\w*|lld_\w+|widget_field|host_discovery|hostmacro) /;

/** A new Zabbix watches an agent on its own machine, which is none of our business. */
const ownAgentIsOff = (): string => `UPDATE hosts SET status = 1 WHERE host = 'Zabbix server';\n`;

/** As the frontend stores them. */
function insertHost([host, items]: readonly [string, readonly Item[]], index: number): string {
  const hostid = FIRST_ID + index * 1_000;
  const idOf = (key: string): number => hostid + 1 + items.findIndex((item) => item.key === key);
  const statements = [
    `INSERT INTO hosts (hostid, host, name, name_upper)
     VALUES (${hostid}, ${literal(host)}, ${literal(host)}, ${literal(host.toUpperCase())})`,
  ];
  for (const { key, holds, from, allowed = '' } of items) {
    const itemid = idOf(key);
    statements.push(
      `INSERT INTO items (itemid, hostid, name, key_, type, value_type, trends, trapper_hosts, master_itemid)
       VALUES (${itemid}, ${hostid}, ${literal(key)}, ${literal(key)}, ${from === undefined ? TRAPPER : DEPENDENT},
         ${VALUE_TYPES[holds].number}, '0', ${literal(allowed)}, ${from === undefined ? 'NULL' : idOf(from.key)})`,
      `INSERT INTO item_rtdata (itemid) VALUES (${itemid})`,
    );
    if (from !== undefined) {
      statements.push(
        `INSERT INTO item_preproc (item_preprocid, itemid, step, type, params)
         VALUES (${itemid}, ${itemid}, 1, ${JSONPATH}, ${literal(from.path)})`,
      );
    }
  }
  return statements.map((statement) => `${statement};\n`).join('');
}

const FIRST_ID = 9_000_000; // far beyond the ids of its own
const TRAPPER = 2;
const DEPENDENT = 18;
const JSONPATH = 12;

const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** Few of each kind of process: it has little to do. What is changed in the frontend it knows a second later. */
function configuration(
  folder: string,
  port: number,
  { host, user, ...postgresql }: Postgresql,
  { name }: Database,
  externalScripts = folder,
) {
  const settings = {
    ...{ ListenIP: '127.0.0.1', ListenPort: port, SocketDir: folder, PidFile: `${folder}/server.pid` },
    ...{ LogType: 'file', LogFile: `${folder}/server.log` },
    ...{ DBHost: host, DBPort: postgresql.port, DBName: name, DBUser: user },
    ...{ StartPollers: 3, StartPollersUnreachable: 1, StartPingers: 0, StartDiscoverers: 0, StartHTTPPollers: 0 },
    ...{ StartPreprocessors: 1, StartHistoryPollers: 1, StartTrappers: 2, StartAlerters: 1, StartDBSyncers: 1 },
    ...{ ExternalScripts: externalScripts, CacheUpdateFrequency: 1 },
    ...{ StartLLDProcessors: 1, StartODBCPollers: 0, StartProxyPollers: 0 },
  };
  return Object.entries(settings)
    .map(([setting, value]) => `${setting}=${value}\n`)
    .join('');
}

/** With no descriptor of ours: a server holds no caller's pipe open. */
function launch(folder: string, file: string, identity: readonly string[]): ChildProcess {
  const output = openSync(join(folder, 'output.log'), 'w', 0o600);
  // The kernel ends it should the test runner be killed before it can clean up.
  const command = [...identity, '--pdeathsig', 'TERM', pathOf('zabbix_server'), '--foreground', '--config', file];
  try {
    return spawn(pathOf('setpriv'), command, { cwd: folder, detached: true, stdio: ['ignore', output, output] });
  } finally {
    closeSync(output);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (!hasExited(child)) {
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await Promise.race([exited, sleep(STOP_LIMIT_MS, undefined, { ref: false })]);
  }
  signalGroup(child, 'SIGKILL'); // whoever is left
}

/** By their folders. */
const unfinished = new Map<string, ChildProcess>();

/** When a test run ends without `stop()`. */
process.once('exit', () => {
  for (const [folder, child] of unfinished) {
    signalGroup(child, 'SIGKILL');
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
});

function signalGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch {
    // nobody left
  }
}

const hasExited = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

/** Imports a file of templates as its administrator does, with everything in it. */
export async function importTemplates(
  api: { call<Result>(method: string, params: unknown): Promise<Result> },
  source: string,
  release: string,
): Promise<boolean> {
  const both = { createMissing: true, updateExisting: true };
  const exact = { ...both, deleteMissing: true };
  const groups = release === '6.0' ? { groups: both } : { template_groups: both, host_groups: both };
  return await api.call<boolean>('configuration.import', {
    format: 'yaml',
    source,
    rules: {
      ...groups,
      ...{ templates: both, items: exact, triggers: exact, graphs: exact, discoveryRules: exact, valueMaps: exact },
    },
  });
}
