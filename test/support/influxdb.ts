import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, rmSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.ts';
import { type Program, pathOf } from './installed.ts';

/** What `startInfluxdb` runs, for `missing()`. */
export const INFLUXDB: Program = {
  name: 'InfluxDB',
  commands: ['influxd'],
  install: 'apt-get install influxdb',
};

/** A row of an answer, by the names of its columns; times in nanoseconds, as text. */
export type Row = Readonly<Record<string, string | number | boolean | null>>;

export interface Influxdb {
  /** Stores lines of its protocol; resolves to what it has against them, or to nothing. */
  write(lines: string): Promise<string>;
  /** The rows of the first series that answer a query. */
  query(query: string): Promise<readonly Row[]>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

const START_LIMIT_MS = 30_000;
const STOP_LIMIT_MS = 10_000;
const DATABASE = 'telegraf'; // as Telegraf calls it

/**
 * Runs an InfluxDB of our own on free ports of 127.0.0.1; resolves when it has a database.
 * @throws with its log when it does not come up
 */
export async function startInfluxdb(): Promise<Influxdb> {
  const folder = await mkdtemp(join(tmpdir(), 'influxdb-'));
  const port = await freePort();
  const file = join(folder, 'influxdb.conf');
  await writeFile(file, configuration(folder, port, await freePort()));
  const output = join(folder, 'output.log');
  const to = openSync(output, 'w', 0o600);
  const child = spawn(pathOf('influxd'), ['-config', file], {
    cwd: folder,
    env: { PATH: '/usr/bin:/bin', HOME: folder },
    detached: true, // a process group of its own
    stdio: ['ignore', to, to],
  });
  closeSync(to);
  unfinished.set(folder, child);

  const ask = async (path: string, values: Readonly<Record<string, string>>, body: string | null): Promise<Response> =>
    await fetch(`http://127.0.0.1:${port}${path}?${new URLSearchParams(values)}`, { method: 'POST', body });
  const query = async (q: string): Promise<readonly Row[]> => {
    const { results } = JSON.parse(await (await ask('/query', { db: DATABASE, epoch: 'ns', q }, null)).text(), asText);
    if (results[0].error !== undefined) throw new Error(results[0].error);
    const [{ columns = [], values = [] } = {}] = results[0].series ?? [];
    return values.map((row: Row[string][]) =>
      Object.fromEntries(columns.map((column: string, at: number) => [column, row[at]])),
    );
  };
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      signal(child, 'SIGTERM');
      await Promise.race([exited, sleep(STOP_LIMIT_MS, undefined, { ref: false })]);
    }
    signal(child, 'SIGKILL');
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    unfinished.delete(folder);
  };
  for (const limit = Date.now() + START_LIMIT_MS; ; await sleep(50)) {
    try {
      await query(`CREATE DATABASE ${DATABASE}`);
      break;
    } catch (error) {
      if (child.exitCode === null && Date.now() < limit) continue;
      const said = await readFile(output, 'utf8');
      await stop();
      throw new Error(`InfluxDB did not start: ${error}\n${said.slice(-2_000)}`);
    }
  }
  return {
    async write(lines) {
      const answer = await ask('/write', { db: DATABASE, precision: 'ns' }, lines);
      return answer.status === 204 ? '' : await answer.text();
    },
    query,
    stop,
  };
}

/** A time in nanoseconds is more than a number of JavaScript holds. */
const asText = function (this: unknown, key: string, value: unknown): unknown {
  return key === '0' && Array.isArray(this) && typeof value === 'number' && value > 1e15 ? String(value) : value;
};

/** It tells nobody of itself, and keeps no statistics. */
const configuration = (folder: string, port: number, backupPort: number): string => `
reporting-disabled = true
bind-address = "127.0.0.1:${backupPort}"
[meta]
  dir = "${folder}/meta"
[data]
  dir = "${folder}/data"
  wal-dir = "${folder}/wal"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:${port}"
  log-enabled = false
`;

const unfinished = new Map<string, ChildProcess>();
process.on('exit', () => {
  for (const [folder, child] of unfinished) {
    signal(child, 'SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
});

function signal({ pid }: ChildProcess, name: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, name);
  } catch {
    // It has ended.
  }
}
