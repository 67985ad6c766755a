import { existsSync } from 'node:fs';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Maildrop } from '../../src/sandbox/maildrop.ts';
import { DEFAULT_USER } from '../../src/sandbox/sandbox.ts';
import { type Farm, startFarm, targetsFile } from '../support/farm.ts';
import { installed } from '../support/installed.ts';
import { type Cost, type Measurement, type Meter, median, medians, progress, startMeter } from './meter.ts';

/** What the rest of the bench has already. */
export type SweepGround = {
  readonly node: string;
  readonly python: string;
  readonly here: string;
  readonly folder: string;
  readonly checkPop3: string;
};

const COUNT = 500;
const AT_ONCE = 20; // the default of --concurrency
const PASSWORD = 'correct-horse';
const LIMIT_S = 90; // of a single run
/** After this nothing is begun: two minutes are to do for all of it. */
const BUDGET_S = 80;
const ROUNDS = 3;

/**
 * One sweep of 500 servers by one process, beside a process for each of them. The servers are in this process, which
 * does nothing else meanwhile; they share the processors with what is measured, so what they took is shown as well.
 */
export async function measureSweeps(ground: SweepGround): Promise<string> {
  const logons = countLogons();
  const farm = await startFarm(COUNT, PASSWORD, () => null);
  const meter = startMeter(ground.python, join(ground.here, 'measure.py'), LIMIT_S);
  try {
    return report(await inTurn(meter, await contestants(ground, farm), logons.taken));
  } finally {
    progress('');
    meter.stop();
    await farm.close();
    logons.stop();
  }
}

type Contestant = {
  readonly name: string;
  /** Null when it is not there. */
  readonly command: readonly string[] | null;
  /** Too slow to be run more than once: in the middle round, so that the quick ones stand on both sides of it. */
  readonly slow?: boolean;
};
type Row = {
  readonly name: string;
  readonly cost: Cost | null;
  readonly serversCpu: number;
  readonly runs: number;
  readonly remark: string;
};

async function contestants({ node, here, folder, checkPop3 }: SweepGround, farm: Farm): Promise<readonly Contestant[]> {
  const write = async (name: string, text: string) => {
    await writeFile(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const { servers, port } = farm;
  const lines = (line: (server: Farm['servers'][number]) => string) =>
    servers.map((each) => `${line(each)}\n`).join('');
  const passwordFile = await write('sweep-password', PASSWORD);
  const authorityFile = await write('sweep-ca.pem', farm.caCertificate);
  const curlConfig = await write('sweep-curlrc', `user = "${DEFAULT_USER}:${PASSWORD}"\n`);
  const targets = await write('sweep-targets.yaml', targetsFile(farm));
  const checkWords = await write(
    'sweep-check-words',
    lines(({ name, address }) => `-H ${name} -I ${address} -p ${port}`),
  );
  const curlWords = await write(
    'sweep-curl-words',
    lines(({ name, address }) => `--resolve ${name}:${port}:${address} pop3://${name}:${port}/`),
  );
  // Outside dist/, as for check_pop3: there it would be compiled as a module.
  const testPopConnectivity = join(folder, 'Test-PopConnectivity');
  await copyFile(join(here, '..', '..', 'dist', 'Test-PopConnectivity'), testPopConnectivity).catch(() => undefined);

  const common = ['-u', DEFAULT_USER, '--password-file', passwordFile, '--ca-file', authorityFile, '--light-mode'];
  const ours = (program: string, ...rest: readonly string[]): readonly string[] | null =>
    existsSync(program) ? [node, program, ...common, ...rest] : null;
  const xargs = installed('xargs');
  const forEachLine = (file: string, command: readonly string[] | null): readonly string[] | null =>
    xargs === null || command === null ? null : [xargs, '-a', file, '-P', String(AT_ONCE), '-L', '1', ...command];
  const curl = installed('curl');
  const curlWith =
    curl === null
      ? null
      : [
          curl,
          '--disable',
          '--silent',
          '--show-error',
          '--config',
          curlConfig,
          '--ssl-reqd',
          '--cacert',
          authorityFile,
        ];
  return [
    {
      name: 'Test-PopConnectivity --targets, CSV',
      command: ours(testPopConnectivity, '--targets', targets, '--format', 'csv'),
    },
    { name: 'check_pop3 --targets', command: ours(checkPop3, '--targets', targets) },
    {
      name: `${COUNT} of check_pop3, ${AT_ONCE} at a time`,
      command: forEachLine(checkWords, ours(checkPop3)),
      slow: true,
    },
    {
      name: `${COUNT} of curl, one after the other`,
      command: curlWith === null ? null : ['/bin/sh', '-c', SHELL_LOOP, curlWords, ...curlWith],
      slow: true,
    },
    { name: `${COUNT} of curl, ${AT_ONCE} at a time`, command: forEachLine(curlWords, curlWith) },
  ];
}

/** Ends with failure if any curl did, as xargs does. $words is left unquoted, for it is several. */
const SHELL_LOOP = 'failed=0; while read -r words; do "$@" $words || failed=1; done <"$0"; exit $failed';

/**
 * Each once a round, in changing order. A run counts when it ended well and the servers took all the logons.
 */
async function inTurn(meter: Meter, all: readonly Contestant[], logonsTaken: () => number): Promise<readonly Row[]> {
  const begun = performance.now();
  const found = new Map(all.map((each) => [each, { costs: [] as Cost[], serversCpu: [] as number[], remark: '' }]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const contestant of round % 2 === 0 ? all : [...all].reverse()) {
      const { command, name, slow } = contestant;
      const mine = found.get(contestant);
      if (mine === undefined || mine.remark !== '') continue;
      if (command === null) {
        mine.remark = 'not built or not installed';
        continue;
      }
      if ((slow === true && round !== 1) || performance.now() - begun > BUDGET_S * 1000) continue;
      progress(`${COUNT} servers, round ${round + 1} of ${ROUNDS}, ${name}`);
      const before = { logons: logonsTaken(), cpu: process.cpuUsage() };
      const measured = await meter.measure(command);
      const { user, system } = process.cpuUsage(before.cpu);
      mine.remark = whatIsWrong(measured, logonsTaken() - before.logons);
      if (mine.remark !== '') continue;
      mine.costs.push(measured);
      mine.serversCpu.push((user + system) / 1e6);
    }
  }
  return all.map((contestant) => {
    const { costs = [], serversCpu = [], remark = '' } = found.get(contestant) ?? {};
    // One that failed once has no numbers: what it did in other rounds would hide it.
    const cost = costs.length === 0 || remark !== '' ? null : medians(costs);
    return { name: contestant.name, cost, serversCpu: median(serversCpu), runs: costs.length, remark };
  });
}

/** Empty when each of the servers was logged on to once and the command ended well. */
function whatIsWrong({ status, output }: Measurement, logons: number): string {
  if (status === 0 && logons === COUNT) return '';
  return `not counted: exit ${status}, ${logons} logons: ${output.trim().split('\n')[0]?.slice(0, 100) ?? ''}`;
}

/** Counted where the mailbox is opened, for that comes after the password: the farm tells nobody who logged on. */
function countLogons(): { readonly taken: () => number; readonly stop: () => void } {
  const { open } = Maildrop.prototype;
  let count = 0;
  Maildrop.prototype.open = function (this: Maildrop, exclusive?: boolean) {
    count += 1;
    return open.call(this, exclusive);
  };
  return {
    taken: () => count,
    stop: () => {
      Maildrop.prototype.open = open;
    },
  };
}

function report(rows: readonly Row[]): string {
  const sweep = rows[0]?.cost ?? null;
  const cells = rows.map(({ name, cost, serversCpu, runs, remark }): readonly string[] => [
    name,
    ...(cost === null ? ['-', '-', '-', '-', '-', '-'] : numbers(cost, sweep, serversCpu)),
    cost === null ? remark || 'no time was left' : `${runs}`,
  ]);
  const lines = [HEADINGS, ...cells];
  const widths = HEADINGS.map((_, column) =>
    // A remark may be as long as it likes: nothing stands after it.
    column === HEADINGS.length - 1 ? 0 : Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  const aligned = lines.map((line) =>
    line.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  '),
  );
  return ['', `The logon at ${COUNT} servers, STLS and verified certificates, ${AT_ONCE} at a time`, '']
    .concat(aligned)
    .concat(NOTES)
    .join('\n');
}

const HEADINGS = ['program', 'wall s', '× sweep', 'CPU s', '× sweep', 'memory MiB', "servers' CPU s", 'runs'];
const NOTES = `
× sweep: compared with the first row. CPU is that of all processes of the row together, without the servers'.
Memory is the most that was resident in one process: where there are ${AT_ONCE} at a time, each has its own.
Every row with numbers logged on ${COUNT} times, by the servers' count, and no process failed; of several
runs the medians. curl lists the mailbox besides.`;

function numbers(cost: Cost, sweep: Cost | null, serversCpu: number): readonly string[] {
  const times = (mine: number, theirs: number | undefined) => (theirs === undefined ? '-' : (mine / theirs).toFixed(2));
  return [
    cost.wall.toFixed(2),
    times(cost.wall, sweep?.wall),
    cost.cpu.toFixed(2),
    times(cost.cpu, sweep?.cpu),
    (cost.memory / 2 ** 20).toFixed(1),
    serversCpu.toFixed(2),
  ];
}
