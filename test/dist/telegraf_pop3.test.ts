import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { missing } from '../support/installed.ts';
import { readPoints } from '../support/line-protocol.ts';
import { built, runDocument, silentPort } from '../support/platform-command.ts';
import { PYTHON } from '../support/python.ts';
import { type Ended, launch } from '../support/run.ts';
import { fullTest, withSandbox } from '../support/sandboxed.ts';

const sandbox = withSandbox();
const silent = silentPort();
const WRONG = 'wrong-horse-battery-staple';
const check = (argv: readonly string[]): Promise<Ended> =>
  runDocument('telegraf_pop3', argv, [sandbox.password, WRONG]);
const pointsOf = async (argv: readonly string[]) => readPoints((await check(argv)).stdout);
const trusting = (): readonly string[] => [...sandbox.logon().slice(0, -1), '--ca-file', sandbox.caFile];

test('a logon is a point, at the time of its test', async () => {
  const began = BigInt(Date.now()) * 1_000_000n;
  const [point, ...more] = await pointsOf(trusting());
  expect(more).toEqual([]);
  expect(point?.measurement).toBe('pop3');
  expect(point?.tags).toEqual({
    connection_type: 'tls',
    port: String(sandbox.server().pop3Port),
    server: 'localhost',
    target: 'localhost',
  });
  expect(point?.fields).toMatchObject({
    status: ['integer', 0],
    state: ['string', 'OK'],
    success: ['boolean', true],
    reason: ['string', ''],
    tls: ['string', 'TLSv1.3'],
    messages: ['integer', 0],
    time_login: ['float', expect.any(Number)],
    text: ['string', expect.stringMatching(/^POP3 OK - localhost: logon /)],
  });
  expect(point?.time).toBeGreaterThanOrEqual(began);
  expect(point?.time).toBeLessThanOrEqual(BigInt(Date.now()) * 1_000_000n);
});

test('a refused logon is a point, and the exit code stays 0', async () => {
  const [point] = await pointsOf([...sandbox.logon(undefined, sandbox.wrongFile), '--ca-file', sandbox.caFile]);
  expect(point?.fields).toMatchObject({
    status: ['integer', 2],
    success: ['boolean', false],
    reason: ['string', 'login-refused'],
    phase: ['string', 'login'],
  });
});

test('a server that says nothing is told of after 4.5 s: after 5 Telegraf would end the command', async () => {
  const { stdout, tookMs } = await check(sandbox.logon(silent()));
  const [point] = readPoints(stdout);
  expect(point?.fields).toMatchObject({
    status: ['integer', 2],
    reason: ['string', 'timed-out'],
    phase: ['string', 'greeting'],
  });
  expect(Number(point?.fields.time?.[1])).toBeGreaterThan(4);
  expect(Number(point?.fields.time?.[1])).toBeLessThan(4.6);
  expect(tookMs).toBeLessThan(10_000); // of a busy machine
});

test('the logon alone is tested if nothing is said; --full-test --split finds what the run before sent', async () => {
  const argv = fullTest(sandbox.server(), { ...sandbox, stateDir: sandbox.folder.state() });
  expect((await pointsOf(argv))[0]?.fields).not.toHaveProperty('polls');
  const split = [...argv, '--full-test', '--split', '-t', '20'];
  expect((await pointsOf(split))[0]?.fields).toMatchObject({ status: ['integer', 0] });
  expect((await pointsOf(split))[0]?.fields).toMatchObject({
    status: ['integer', 0],
    delivery: ['float', expect.any(Number)],
  });
});

test('many servers are a point each', async () => {
  const argv = [...trusting().slice(2), '--connection-type', 'plaintext'];
  const points = await pointsOf([...argv, '-H', 'pop1.example.com,pop2.example.com']);
  expect(points.map(({ tags, fields }) => [tags.server, fields.status?.[1]])).toEqual([
    ['pop1.example.com', 0],
    ['pop2.example.com', 0],
  ]);
});

test.each<[what: string, argv: readonly string[], said: RegExp]>([
  ['no server', [], /UNKNOWN - usage, /],
  ['an unknown option', ['--nonsense'], /usage, /],
  ['a format: there is but one', ['-H', 'x', '--format', 'json'], /usage, /],
  ['a delivery: its line would be no point', ['-H', 'x', '--deliver', 'nrdp:https://x/'], /usage, /],
  [
    'a password file that is not there',
    ['-H', 'x', '-u', 'y', '--password-file', '/does/not/exist'],
    /configuration, /,
  ],
])('%s is a point without a server', async (_, argv, said) => {
  expect(await pointsOf(argv)).toEqual([
    {
      measurement: 'pop3',
      tags: {},
      fields: {
        status: ['integer', 3],
        state: ['string', 'UNKNOWN'],
        success: ['boolean', false],
        text: ['string', expect.stringMatching(said)],
      },
      time: null,
    },
  ]);
});

/** Commands in files that others start: with our build in their place, our server and our files. */
const started = async (command: string): Promise<Ended> => {
  const { pop3Port, smtpPort } = sandbox.server();
  const credential = sandbox.folder.file('cred', `probe@example.com\n${sandbox.password}\n`);
  let line = command;
  for (const [theirs, ours] of [
    [/^\/usr\/(local\/bin|lib\/nagios\/plugins)\/(\w+)/, (_: string, __: string, name: string) => built(name)],
    [/-H mail\.example\.com/, () => `-H localhost -I 127.0.0.1 -p ${pop3Port} --ca-file ${sandbox.caFile}`],
    [/@\/etc\/\w+\/pop3\.cred/, () => `@${credential}`],
    [/--full-test/, () => `--full-test --smtp-port ${smtpPort}`],
    [/\/var\/lib\/telegraf/, () => sandbox.folder.path],
  ] as const)
    line = line.replace(theirs, ours as (...parts: string[]) => string);
  const [file = '', ...argv] = line.split(' ');
  return await launch(file, argv, { env: { HOME: undefined } });
};

describe.skipIf(missing(PYTHON))('telegraf.conf', () => {
  const shipped = readFileSync(new URL('../../plugins/telegraf/telegraf.conf', import.meta.url), 'utf8');
  interface Input {
    readonly commands: readonly string[];
    readonly interval: string;
    readonly timeout: string;
    readonly data_format: string;
  }
  const inputs = (conf: string): readonly Input[] =>
    JSON.parse(
      execFileSync('python3', ['-c', 'import json, sys, tomllib\nprint(json.dumps(tomllib.load(sys.stdin.buffer)))'], {
        input: conf,
        encoding: 'utf8',
      }),
    ).inputs.exec;

  test('as it ships has one input, that works', async () => {
    const [input, ...more] = inputs(shipped);
    expect(more).toEqual([]);
    expect(input).toMatchObject({ interval: '60s', timeout: '5s', data_format: 'influx' });
    const { code, stdout, stderr } = await started(input?.commands[0] ?? '');
    expect([code, stderr]).toEqual([0, '']);
    expect(readPoints(stdout)[0]?.fields.status).toEqual(['integer', expect.any(Number)]);
    expect(stdout).toContain('POP3 ');
  });

  test('what is commented out in it works too, each within its time', async () => {
    const [, roundTrip, plugin, ...more] = inputs(shipped.replace(/^# (?=\[\[| {2})/gm, ''));
    expect(more).toEqual([]);
    const trip = await started(roundTrip?.commands[0] ?? '');
    expect(readPoints(trip.stdout)[0]?.fields).toMatchObject({ status: ['integer', 0] });
    expect(roundTrip).toMatchObject({ timeout: '30s', interval: '300s' });
    // Telegraf reads a plugin by its exit code and what is behind the one bar of its first line.
    const nagios = await started(plugin?.commands[0] ?? '');
    expect(plugin).toMatchObject({ timeout: '5s', data_format: 'nagios' });
    expect(nagios.code).toBe(0);
    expect(nagios.stdout).toMatch(/^POP3 OK - [^|\n]+ \| time=[^|\n]+\n$/);
  });
});

test('the check for Sensu works: one bar in all of its output, every value a token that Sensu reads', async () => {
  const { spec } = parse(readFileSync(new URL('../../plugins/sensu/check_pop3.yaml', import.meta.url), 'utf8'));
  const [, seconds] = / -t (\d+)$/.exec(spec.command) ?? [];
  expect(Number(seconds)).toBeLessThan(spec.timeout);
  expect(spec.ttl).toBeGreaterThan(spec.interval);
  const { code, stdout, stderr } = await started(spec.command);
  expect(stderr).toBe('');
  expect([0, 1]).toContain(code);
  const [, performance = '', ...more] = stdout.split('|');
  expect(more).toEqual([]);
  for (const token of performance.trim().split(' ')) expect(token).toMatch(/^[a-z_]+=-?\d+(\.\d+)?s?(;[^;]*)*$/);
});
