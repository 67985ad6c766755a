import { existsSync } from 'node:fs';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createAuthority } from '../../src/sandbox/authority.ts';
import { type Dovecot, startDovecot } from '../support/dovecot.ts';
import { installed } from '../support/installed.ts';
import { builtRunner, GO } from '../support/k6-runner.ts';
import { ROOMY } from '../support/roomy-dovecot.ts';
import { type Measurement, type Meter, median, progress, startMeter } from './meter.ts';

/** What the rest of the bench has already. */
export type K6Ground = {
  readonly node: string;
  readonly python: string;
  readonly here: string;
  readonly folder: string;
};

const USERS = 400;
const PASSWORD = 'correct-horse';
/** How many users at once, and how many sessions each of them has in a run. */
const STEPS = [
  { users: 1, each: 100 },
  { users: 10, each: 60 },
  { users: 50, each: 20 },
  { users: 200, each: 8 },
] as const;
const ROUNDS = 3;
const LIMIT_S = 60; // of a single run
/** After this nothing is begun. */
const BUDGET_S = 240;

/**
 * Whole sessions (TLS, logon, STAT, QUIT) against one real Dovecot: in k6's JavaScript engine with both transports, from one
 * virtual user to 200, beside a sweep by one process of Node. Dovecot shares the processors with all of them.
 *
 * @returns the table, or why there is none
 */
export async function measureK6(ground: K6Ground): Promise<string> {
  if (!GO.commands.every(installed)) return `\nk6's engine is not measured: this needs ${GO.install}`;
  const runner = await builtRunner();
  const authority = await createAuthority('Load CA');
  const identity = await authority.issue({ names: ['localhost', '127.0.0.1'] });
  const users = Object.fromEntries(Array.from({ length: USERS }, (_, at) => [`user${at}`, PASSWORD]));
  const dovecot = await startDovecot({ identity, users, config: ROOMY });
  const meter = startMeter(ground.python, join(ground.here, 'measure.py'), LIMIT_S);
  try {
    const ca = join(ground.folder, 'k6-ca.pem');
    await writeFile(ca, authority.certificate);
    return report(await inTurn(meter, dovecot, await contestants(runner, dovecot, ca, ground)));
  } finally {
    progress('');
    meter.stop();
    await dovecot.stop();
  }
}

interface Contestant {
  readonly name: string;
  readonly users: number;
  readonly sessions: number;
  readonly command: readonly string[];
}

interface Row extends Contestant {
  readonly runs: readonly Measurement[];
  readonly remark: string;
}

async function contestants(
  runner: string,
  dovecot: Dovecot,
  ca: string,
  ground: K6Ground,
): Promise<readonly Contestant[]> {
  const { folder, here, node } = ground;
  const dist = (name: string): string => join(here, '..', '..', 'dist', name);
  const scripts: Contestant[] = [];
  for (const [name, bundle, settings] of [
    ['pop3.xk6.js, STLS', 'pop3.xk6.js', `connectionType: 'tls', port: ${dovecot.port}, ca`],
    ['pop3.xk6.js, implicit TLS', 'pop3.xk6.js', `connectionType: 'ssl', port: ${dovecot.tlsPort}, ca`],
    ['pop3.k6.js, implicit TLS', 'pop3.k6.js', `connectionType: 'ssl', port: ${dovecot.tlsPort}`],
  ] as const) {
    if (!existsSync(dist(bundle))) continue;
    await copyFile(dist(bundle), join(folder, bundle));
    const script = join(folder, `load-${scripts.length}.js`);
    await writeFile(script, scriptOf(bundle, settings, ca));
    for (const { users, each } of STEPS) {
      const argv = ['--vus', `${users}`, '--iterations', `${users * each}`, '--limit', `${LIMIT_S}`];
      const command = ['/usr/bin/env', `SSL_CERT_FILE=${ca}`, runner, ...argv, script];
      scripts.push({ name, users, sessions: users * each, command });
    }
  }
  return [...scripts, ...(await sweeps(dovecot, ca, { folder, here, node }))];
}

/** An iteration that fails ends the program with a code of its own. */
const scriptOf = (bundle: string, settings: string, ca: string): string => `
import { probe } from './${bundle}';
const ca = open(${JSON.stringify(ca)});
const given = { server: 'localhost', password: ${JSON.stringify(PASSWORD)}, timeout: 60, ${settings} };
export default async () => {
  const { error } = await probe({ ...given, userName: 'user' + (__VU - 1) });
  if (error !== null) throw new Error(error.reason + ': ' + error.message);
};
`;

/** The way of the other commands: every target is a mailbox of its own, 16 at a time on one server. */
async function sweeps(dovecot: Dovecot, ca: string, ground: Omit<K6Ground, 'python'>): Promise<readonly Contestant[]> {
  const program = join(ground.folder, 'Test-PopConnectivity-load');
  await copyFile(join(ground.here, '..', '..', 'dist', 'Test-PopConnectivity'), program);
  const password = join(ground.folder, 'k6-password');
  await writeFile(password, PASSWORD, { mode: 0o600 });
  const targets = join(ground.folder, 'k6-targets.yaml');
  const entries = Array.from({ length: USERS }, (_, at) => `- { -H: localhost, mailbox-credential: user${at} }`);
  await writeFile(targets, `${entries.join('\n').replaceAll('-H', 'client-access-server')}\n`);
  const common = ['--address', '127.0.0.1', '--password-file', password, '--ca-file', ca, '--light-mode'];
  const how = ['--targets', targets, '--format', 'csv', '--concurrency', '200'];
  return [
    {
      name: 'Test-PopConnectivity --targets, STLS',
      users: 16,
      sessions: USERS,
      command: [ground.node, program, ...common, ...how, '-p', `${dovecot.port}`],
    },
  ];
}

/** Each once a round, in changing order. A run counts when it ended well and Dovecot let in as many as it says. */
async function inTurn(meter: Meter, dovecot: Dovecot, all: readonly Contestant[]): Promise<readonly Row[]> {
  const begun = performance.now();
  const rows = new Map(all.map((each) => [each, { runs: [] as Measurement[], remark: '' }]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const contestant of round % 2 === 0 ? all : [...all].reverse()) {
      const row = rows.get(contestant);
      if (row === undefined || row.remark !== '' || performance.now() - begun > BUDGET_S * 1000) continue;
      progress(`${contestant.name}, ${contestant.users} at once, round ${round + 1} of ${ROUNDS}`);
      const before = await logonsIn(dovecot);
      const measured = await meter.measure(contestant.command);
      const logons = (await logonsIn(dovecot)) - before;
      if (measured.status === 0 && logons === contestant.sessions) row.runs.push(measured);
      else row.remark = `not counted: exit ${measured.status}, ${logons} logons: ${lastLine(measured.output)}`;
    }
  }
  return all.map((each) => ({ ...each, ...(rows.get(each) ?? { runs: [], remark: '' }) }));
}

const lastLine = (output: string): string => output.trim().split('\n').at(-1)?.slice(0, 120) ?? '';

/** Told when they begin, so that none is still to be written when a session has ended. */
async function logonsIn(dovecot: Dovecot): Promise<number> {
  return ((await dovecot.log()).match(/pop3-login: Info: Login: /g) ?? []).length;
}

const HEADINGS = ['by', 'at once', 'sessions/s', 'CPU ms each', '× sweep', 'memory MiB', 'runs'];

function report(rows: readonly Row[]): string {
  const costOf = ({ runs, sessions }: Row) =>
    runs.length === 0
      ? null
      : {
          rate: sessions / median(runs.map(({ wall }) => wall)),
          cpuMs: (median(runs.map(({ cpu }) => cpu)) / sessions) * 1000,
          memory: median(runs.map(({ memory }) => memory)) / 2 ** 20,
        };
  const sweep = rows.map(costOf).at(-1) ?? null;
  const cells = rows.map((row): readonly string[] => {
    const cost = costOf(row);
    if (cost === null) return [row.name, `${row.users}`, '-', '-', '-', '-', row.remark || 'no time was left'];
    const times = sweep === null ? '-' : (cost.cpuMs / sweep.cpuMs).toFixed(2);
    const numbers = [cost.rate.toFixed(0), cost.cpuMs.toFixed(2), times, cost.memory.toFixed(0)];
    return [row.name, `${row.users}`, ...numbers, `${row.runs.length}`];
  });
  const lines = [HEADINGS, ...cells];
  const widths = HEADINGS.slice(0, -1).map((_, at) => Math.max(...lines.map((line) => line[at]?.length ?? 0)));
  const aligned = lines.map((line) =>
    line.map((cell, at) => (at === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  '),
  );
  return ['', 'Whole sessions against one Dovecot on this machine, which shares its processors with all of them', '']
    .concat(aligned)
    .concat(NOTES)
    .join('\n');
}

const NOTES = `
At once: virtual users. The program is no k6, but its engine (test/k6). CPU is that of it, start and compiling for
each user with it, without Dovecot's; × sweep compares it with the last row, which
has at most 16 sessions at once on one server. Every run counted ended well and was let in as often by Dovecot's own log.`;
