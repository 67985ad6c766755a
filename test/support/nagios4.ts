import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Program } from './installed.ts';
import type { OwnMachine } from './own-machine.ts';
import { until } from './until.ts';

/** What `startNagios4` runs, for `missing()`. */
export const NAGIOS4: Program = {
  name: 'Nagios 4',
  commands: ['nagios4', 'check_dummy', 'check_ping'],
  install: 'apt-get install nagios4-core monitoring-plugins-basic',
};

/** The files that we ship. */
export const SHIPPED = new URL('../../plugins/nagios', import.meta.url).pathname;

export interface Nagios4 {
  /** What status.dat has on a service, a field a line. */
  service(host: string, description: string): Promise<ServiceStatus>;
  /** Writes an external command, without its time. */
  command(line: string): Promise<void>;
  /** What it wrote to its log so far. */
  log(): Promise<string>;
  /** Ends it, as its service would. Everything it keeps stays, for `start()`. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** Fields of a `servicestatus` of status.dat, as they stand there: `plugin_output`, `performance_data` … */
export type ServiceStatus = Readonly<Record<string, string>>;

/** Where Debian's Nagios has its things. */
export const NAGIOS_CFG = '/etc/nagios4/nagios.cfg';
export const COMMAND_FILE = '/var/lib/nagios4/rw/nagios.cmd';
const STATUS_FILE = '/var/lib/nagios4/status.dat';
const LOG_FILE = '/var/log/nagios4/nagios.log';

/** What is changed in Debian's nagios.cfg, so that nobody waits for minutes. */
const QUICK: Readonly<Record<string, string>> = {
  interval_length: '1', // check_interval 5 is 5 s
  status_update_interval: '1',
  check_result_reaper_frequency: '1',
  service_inter_check_delay_method: 'n',
  service_freshness_check_interval: '1',
  additional_freshness_latency: '1',
  enable_flap_detection: '0',
  enable_notifications: '0',
  check_for_updates: '0',
  use_syslog: '0',
};

/**
 * Makes Debian's configuration on a machine one for tests. The sample objects of localhost go.
 * @param more settings of nagios.cfg
 */
export async function configure(machine: OwnMachine, more: Readonly<Record<string, string>> = {}): Promise<void> {
  const file = machine.path(NAGIOS_CFG);
  const settings = { ...QUICK, nagios_user: machine.account.user, nagios_group: machine.account.group, ...more };
  const lines = (await readFile(file, 'utf8'))
    .split('\n')
    .filter((line) => !line.endsWith('/localhost.cfg') && !((line.split('=', 1)[0] as string) in settings));
  const changed = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
  await writeFile(file, `${[...lines, ...changed].join('\n')}\n`);
}

/** What `nagios4 -v` says of the configuration. */
export async function verify(machine: OwnMachine): Promise<{ readonly code: number | null; readonly said: string }> {
  const { code, stdout, stderr } = await machine.run(['nagios4', '-v', NAGIOS_CFG]);
  return { code, said: stdout + stderr };
}

/**
 * Runs Debian's Nagios on a machine; resolves when it takes commands and has told its first status.
 * @throws with its log when it does not come up
 */
export async function startNagios4(machine: OwnMachine): Promise<Nagios4> {
  let daemon: ChildProcess | null = null;
  const output = '/var/log/nagios4/output.log';
  const read = (file: string): Promise<string> => readFile(machine.path(file), 'utf8').catch(() => '');
  const nagios: Nagios4 = {
    service: (host, description) => serviceStatus(machine, host, description),
    // Its only reader is Nagios itself, and it reads whole lines.
    command: (line) => writeFile(machine.path(COMMAND_FILE), `[${Math.floor(Date.now() / 1000)}] ${line}\n`),
    log: () => read(LOG_FILE),
    async stop() {
      if (daemon === null || daemon.exitCode !== null || daemon.signalCode !== null) return;
      const ended = once(daemon, 'exit');
      process.kill(-(daemon.pid as number), 'SIGTERM');
      await Promise.race([ended, sleep(STOP_LIMIT_MS, undefined, { ref: false })]);
      daemon = null;
    },
    async start() {
      await rm(machine.path(STATUS_FILE), { force: true });
      const child = machine.start(['nagios4', NAGIOS_CFG], output);
      daemon = child;
      await until('Nagios 4 runs', async () => {
        if (child.exitCode !== null) throw new Error(`Nagios 4 did not start:\n${(await read(output)).slice(-2_000)}`);
        return existsSync(machine.path(COMMAND_FILE)) && existsSync(machine.path(STATUS_FILE));
      });
    },
  };
  await nagios.start();
  return nagios;
}

const STOP_LIMIT_MS = 10_000;

/** What the status.dat of a machine's Nagios has on a service, whoever started that Nagios. */
export async function serviceStatus(machine: OwnMachine, host: string, description: string): Promise<ServiceStatus> {
  const blocks = (await readFile(machine.path(STATUS_FILE), 'utf8')).split(/^(?=\w+ \{$)/m);
  const all = blocks.filter((block) => block.startsWith('servicestatus {')).map(fieldsOf);
  const found = all.find((each) => each.host_name === host && each.service_description === description);
  if (found === undefined) throw new Error(`status.dat has no service "${description}" of ${host}`);
  return found;
}

const fieldsOf = (block: string): ServiceStatus =>
  Object.fromEntries(
    block
      .split('\n')
      .map((line) => /^\t(\w+)=(.*)$/.exec(line))
      .filter((field) => field !== null)
      .map(([, name, value]) => [name, value]),
  );

/** What a plugin printed, put together from what Nagios made of it. */
export function toldOf({ plugin_output, performance_data, long_plugin_output = '' }: ServiceStatus): string {
  const first = performance_data === '' ? plugin_output : `${plugin_output} | ${performance_data}`;
  const more = long_plugin_output === '' ? '' : `${unescaped(long_plugin_output)}\n`;
  return `${first}\n${more}`;
}

/** In status.dat a line end of the long output is `\n`, and a backslash is doubled. */
const unescaped = (text: string): string => text.replace(/\\(.)/g, (_, what: string) => (what === 'n' ? '\n' : what));

/** The one change that Nagios makes to what a plugin prints: in the text of the first line `;` becomes `:`. */
export const asNagiosTells = (printed: string): string =>
  printed.replace(/^[^|\n]*/, (text) => text.replaceAll(';', ':'));
