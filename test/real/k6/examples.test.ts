import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuthority } from '../../../src/sandbox/authority.ts';
import { DOVECOT, type Dovecot, startDovecot } from '../../support/dovecot.ts';
import { missing } from '../../support/installed.ts';
import { builtRunner, GO, type Point, runScript } from '../../support/k6-runner.ts';
import { keepSecret, privateFolder } from '../../support/run.ts';

/** The examples as they ship: run where they lie, over the transport of xk6-pop3, against a real Dovecot. */

const FOLDER = new URL('../../../plugins/k6/examples/', import.meta.url).pathname;
const PASSWORD = keepSecret('correct horse, battery');
const WRONG = keepSecret('wrong horse, battery');

/** What k6 knows of scenarios, and the runner does not play: it is looked at here. */
const EXECUTORS: Readonly<Record<string, readonly string[]>> = {
  'constant-arrival-rate': ['rate', 'timeUnit', 'duration', 'preAllocatedVUs', 'maxVUs'],
  'ramping-arrival-rate': ['startRate', 'timeUnit', 'stages', 'preAllocatedVUs', 'maxVUs'],
  'constant-vus': ['vus', 'duration'],
  'ramping-vus': ['startVUs', 'stages'],
  'shared-iterations': ['vus', 'iterations', 'maxDuration'],
  'per-vu-iterations': ['vus', 'iterations', 'maxDuration'],
};
type Ramp = { readonly startRate: number; readonly stages: readonly { readonly target: number }[] };

const OF_EVERY_EXECUTOR = ['executor', 'exec', 'env', 'tags', 'startTime', 'gracefulStop'];

describe.skipIf(missing(GO, DOVECOT))('the examples for k6', () => {
  const folder = privateFolder();
  const caFile = join(folder.path, 'ca.pem');
  const mailboxes = folder.file('mailboxes.csv', `alice,${PASSWORD}\r\nbob,${PASSWORD}\n`);
  let dovecot: Dovecot;

  beforeAll(async () => {
    await builtRunner();
    const authority = await createAuthority('Example Test CA');
    writeFileSync(caFile, authority.certificate);
    const identity = await authority.issue({ names: ['localhost'] });
    dovecot = await startDovecot({ users: { alice: PASSWORD, bob: PASSWORD }, identity });
    await dovecot.deliver('Subject: one\r\n\r\nwords\r\n', 'bob');
  });
  afterAll(() => dovecot?.stop());

  async function played(example: string, argv: readonly string[] = [], password = PASSWORD) {
    const there = { POP3_SERVER: 'localhost', POP3_PORT: dovecot.port, POP3_USER: 'alice', POP3_CA: caFile };
    const variables = Object.entries({ ...there, MAILBOXES: mailboxes }).flatMap(([name, value]) => [
      '-e',
      `${name}=${value}`,
    ]);
    const given = [...variables, '--secret', `POP3_PASSWORD=${password}`, ...argv, join(FOLDER, example)];
    const ran = await runScript(given, { cwd: folder.path });
    for (const secret of [PASSWORD, WRONG]) expect(ran.written).not.toContain(secret);
    expect(ran.report).toMatchObject({ failed: 0, interrupted: 0, errors: [] });
    return ran;
  }

  const summaryIn = (file: string): unknown => JSON.parse(readFileSync(join(folder.path, file), 'utf8'));

  test('smoke.js: one logon, and what came of it as JSON', async () => {
    const { stdout, stderr, points } = await played('smoke.js');
    expect(stderr).toBe('');
    expect(valuesOf(points, 'pop3_session_success')).toEqual([1]);
    expect(JSON.parse(stdout)).toMatchObject({ result: 'Success', sessions: 1, failed: 0, errors: { count: 0 } });
  });

  test.each([['POP3_TYPE=starttls'], ['POP3_SERVER=localhost:995']])(
    'smoke.js with %s, which is a mistake, is not green',
    async (wrong) => {
      const argv = ['-e', wrong, '--secret', `POP3_PASSWORD=${PASSWORD}`];
      const { points } = await runScript(
        ['-e', 'POP3_SERVER=localhost', '-e', 'POP3_USER=alice', ...argv, join(FOLDER, 'smoke.js')],
        {
          cwd: folder.path,
        },
      );
      expect(valuesOf(points, 'pop3_session_success')).toEqual([0]);
    },
  );

  test('ramp.js: whole numbers of logons, as k6 takes them, whatever MOST is', async () => {
    const { report } = await played('ramp.js', ['-e', 'MOST=25']);
    const { ramp } = (report.options as { scenarios: { ramp: Ramp } }).scenarios;
    const rates = [ramp.startRate, ...ramp.stages.map(({ target }) => target)];
    for (const rate of rates) expect(Number.isInteger(rate)).toBe(true);
    expect(rates.at(-1)).toBe(25);
  });

  test('smoke.js: a failure is told in words, and fails the threshold', async () => {
    const { stdout, stderr, points } = await played('smoke.js', [], WRONG);
    expect(stderr).toMatch(/^login-refused: server said "-ERR \[AUTH\] Authentication failed\." - check the user name/);
    expect(valuesOf(points, 'pop3_session_success')).toEqual([0]);
    expect(JSON.parse(stdout)).toMatchObject({ result: 'Failure', sessions: 1, failed: 1 });
  });

  test.each([
    ['load.js', 'pop3-load.json'],
    ['ramp.js', 'pop3-ramp.json'],
  ])('%s: its logons, counted in %s', async (example, file) => {
    const { stdout, points } = await played(example, ['--vus', '3', '--iterations', '9']);
    expect(valuesOf(points, 'pop3_session_success')).toEqual(Array.from({ length: 9 }, () => 1));
    expect(stdout).toMatch(/^POP3: 9 of 9 sessions went well, session \d+\.\d ms \(median\), \d+\.\d ms \(95 %\)\n$/);
    expect(summaryIn(file)).toMatchObject({ result: 'Success', sessions: 9, errors: { count: 0, reasons: [] } });
  });

  test.each(['load.js', 'ramp.js'])('%s: the summary names why logons failed', async (example) => {
    const { stdout } = await played(example, ['--vus', '2', '--iterations', '4'], WRONG);
    expect(stdout).toMatch(/^POP3: 0 of 4 sessions went well, .*; 4 login-refused\n$/);
  });

  test('mailboxes.js: each mailbox in its turn', async () => {
    const { stdout, stderr, points } = await played('mailboxes.js', ['--vus', '2', '--iterations', '4']);
    expect(stderr).toBe('');
    expect([...valuesOf(points, 'pop3_mailbox_messages')].sort()).toEqual([0, 0, 1, 1]);
    const commands = points.filter(({ metric }) => metric === 'pop3_command_duration').map(({ tags }) => tags.command);
    expect(commands.sort()).toEqual([
      ...times(4, 'QUIT'),
      ...times(4, 'STAT'),
      ...times(2, 'TOP'),
      ...times(4, 'UIDL'),
    ]);
    expect(stdout).toMatch(/^POP3: 4 of 4 sessions went well/);
    const { sessions, commands: summed } = summaryIn('pop3-mailboxes.json') as Summary;
    expect(sessions).toBe(4);
    expect(summed.map(({ name }) => name).sort()).toEqual(['TOP', 'UIDL']);
  });

  const scripts = readdirSync(FOLDER).filter((name) => name.endsWith('.js') && isScript(name));

  test('there is no other', () => {
    expect(scripts).toEqual(['load.js', 'mailboxes.js', 'ramp.js', 'smoke.js']);
  });

  test.each(scripts)(
    '%s: its options are those k6 knows, and its thresholds are of metrics there are',
    async (name) => {
      const { report, points } = await played(name);
      const { thresholds = {}, scenarios = {}, ...others } = report.options as Readonly<Record<string, object>>;
      for (const option of Object.keys(others)) expect(['vus', 'iterations', 'duration']).toContain(option);
      for (const scenario of Object.values(scenarios) as Readonly<Record<string, string>>[]) {
        const known = EXECUTORS[scenario.executor ?? ''] ?? [];
        for (const field of Object.keys(scenario)) expect([...known, ...OF_EVERY_EXECUTOR]).toContain(field);
      }
      const measured = new Set(points.map(({ metric }) => metric));
      for (const key of Object.keys(thresholds)) {
        const metric = key.replace(/\{.*/, '');
        // The first there are only where something failed, the other where k6 cannot start as many as it should.
        if (!/^(?:pop3_errors|dropped_iterations|pop3_command_duration)$/.test(metric))
          expect(measured).toContain(metric);
      }
      expect(Object.keys(thresholds).length).toBeGreaterThan(0);
    },
  );
});

interface Summary {
  readonly sessions: number;
  readonly commands: readonly { readonly name: string }[];
}

const isScript = (name: string): boolean => readFileSync(join(FOLDER, name), 'utf8').includes('export default');

const times = (count: number, what: string): readonly string[] => Array.from({ length: count }, () => what);

const valuesOf = (points: readonly Point[], metric: string): readonly number[] =>
  points.filter((point) => point.metric === metric).map(({ value }) => value);
