import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { missing } from '../support/installed.ts';
import { built, runDocument, silentPort } from '../support/platform-command.ts';
import { PYTHON } from '../support/python.ts';
import { type Ended, launch } from '../support/run.ts';
import { fullTest, withSandbox } from '../support/sandboxed.ts';

const sandbox = withSandbox();
const silent = silentPort();
const WRONG = 'wrong-horse-battery-staple';
const check = (argv: readonly string[]): Promise<Ended> => runDocument('prtg_pop3', argv, [sandbox.password, WRONG]);
const trusting = (): readonly string[] => [...sandbox.logon().slice(0, -1), '--ca-file', sandbox.caFile];

interface Sensor {
  readonly result?: readonly {
    readonly channel: string;
    readonly value: number;
    readonly [element: string]: unknown;
  }[];
  readonly error?: number;
  readonly text: string;
}
const sensorIn = ({ stdout }: Ended): Sensor => JSON.parse(stdout).prtg;
const channel = (sensor: Sensor, name: string) => sensor.result?.find((each) => each.channel === name);

test('a logon has a channel for each value, with limits by -w and -c', async () => {
  const sensor = sensorIn(await check([...trusting(), '-w', '20', '-c', '30', '-w', 'messages=100']));
  expect(sensor.error).toBeUndefined();
  expect(sensor.text).toMatch(/^POP3 OK - localhost: logon /);
  expect(channel(sensor, 'State')).toMatchObject({ value: 0, valuelookup: 'popconnectivity.state' });
  expect(channel(sensor, 'Time')).toMatchObject({
    unit: 'TimeResponse',
    limitmode: 1,
    limitmaxwarning: 20_000,
    limitmaxerror: 30_000,
  });
  expect(channel(sensor, 'Messages')).toMatchObject({ value: 0, unit: 'Count', limitmode: 1, limitmaxwarning: 100 });
  expect(channel(sensor, 'Certificate')).toMatchObject({
    customunit: 'days',
    limitmode: 1,
    limitminwarning: expect.any(Number),
    limitminerror: expect.any(Number),
  });
  expect(channel(sensor, 'Phase login')?.value).toBeGreaterThan(0);
});

test('a refused logon keeps its values, and is no error', async () => {
  const sensor = sensorIn(await check([...sandbox.logon(undefined, sandbox.wrongFile), '--ca-file', sandbox.caFile]));
  expect(sensor.error).toBeUndefined();
  expect(channel(sensor, 'State')?.value).toBe(2);
  expect(channel(sensor, 'Phase login')?.value).toBeGreaterThan(0);
  expect(sensor.text).toMatch(/^POP3 CRITICAL - localhost: login-refused, /);
});

test('the logon alone is tested if nothing is said; --full-test sends a message', async () => {
  const argv = fullTest(sandbox.server(), { ...sandbox, stateDir: sandbox.folder.state() });
  expect(channel(sensorIn(await check(argv)), 'Delivery')).toBeUndefined();
  expect(channel(sensorIn(await check([...argv, '--full-test'])), 'Delivery')).toMatchObject({ unit: 'TimeResponse' });
});

test('a server that says nothing is told of in time', async () => {
  const ended = await check([...sandbox.logon(silent()), '-t', '1']);
  expect(channel(sensorIn(ended), 'State')?.value).toBe(2);
  expect(sensorIn(ended).text).toContain('timed-out in greeting');
  expect(ended.tookMs).toBeLessThan(15_000);
});

test('many servers are channels of one sensor', async () => {
  const argv = [...trusting().slice(2), '--connection-type', 'plaintext'];
  const sensor = sensorIn(await check([...argv, '-H', 'pop1.example.com,pop2.example.com']));
  expect(sensor.result?.map((each) => each.channel)).toEqual([
    ...['State', 'Servers', 'OK', 'Warning', 'Unknown', 'Critical'],
    ...['pop1.example.com state', 'pop1.example.com time', 'pop2.example.com state', 'pop2.example.com time'],
  ]);
  expect(channel(sensor, 'OK')?.value).toBe(2);
});

test.each<[what: string, argv: readonly string[], said: RegExp]>([
  ['no server', [], /UNKNOWN - usage, /],
  ['an unknown option', ['--nonsense'], /usage, /],
  ['an unknown format', ['-H', 'x', '--format', 'html'], /usage, --format /],
  ['a delivery: its line would be no JSON', ['-H', 'x', '--deliver', 'nrdp:https://x/'], /usage, /],
  [
    'a password file that is not there',
    ['-H', 'x', '-u', 'y', '--password-file', '/does/not/exist'],
    /configuration, /,
  ],
])('%s is an error of the sensor', async (_, argv, said) => {
  expect(sensorIn(await check(argv))).toEqual({ error: 1, text: expect.stringMatching(said) });
});

describe.skipIf(missing(PYTHON))('XML, read by Python', () => {
  const read = (document: string): unknown => {
    const program =
      'import sys, json, xml.etree.ElementTree as tree\nroot = tree.fromstring(sys.stdin.buffer.read())\n' +
      "print(json.dumps([root.tag, {each.findtext('channel'): each.findtext('value') for each in root.findall('result')}, root.findtext('error'), root.findtext('text')]))";
    return JSON.parse(execFileSync('python3', ['-c', program], { input: document, encoding: 'utf8' }));
  };
  test('a logon', async () => {
    const { stdout } = await check([...trusting(), '--format', 'xml']);
    expect(read(stdout)).toEqual([
      'prtg',
      expect.objectContaining({ State: '0', Messages: '0' }),
      null,
      expect.stringMatching(/^POP3 OK - /),
    ]);
  });
  test('a refusal', async () => {
    const { stdout } = await check(['--format', 'xml', '-H', 'x', '-u', 'y', '--password-file', '/does/not/exist']);
    expect(read(stdout)).toEqual(['prtg', {}, '1', expect.stringMatching(/^POP3 UNKNOWN - configuration, /)]);
  });
  test('the lookup file has a word for each state', () => {
    const program =
      'import sys, json, xml.etree.ElementTree as tree\nroot = tree.fromstring(sys.stdin.buffer.read())\n' +
      "print(json.dumps([root.tag, root.get('id'), root.get('desiredValue'), [(each.get('value'), each.get('state'), each.text) for each in root.find('Lookups').findall('SingleInt')]]))";
    const input = readFileSync(new URL('../../plugins/prtg/popconnectivity.state.ovl', import.meta.url));
    expect(JSON.parse(execFileSync('python3', ['-c', program], { input, encoding: 'utf8' }))).toEqual([
      'ValueLookup',
      'popconnectivity.state',
      '0',
      [
        ['0', 'Ok', 'OK'],
        ['1', 'Warning', 'WARNING'],
        ['2', 'Error', 'CRITICAL'],
        ['3', 'Warning', expect.stringMatching(/^UNKNOWN/)],
      ],
    ]);
  });
});

test('the script for SSH passes the parameters of its sensor on', async () => {
  let script = readFileSync(new URL('../../plugins/prtg/pop3.sh', import.meta.url), 'utf8');
  const credential = sandbox.folder.file('cred', `probe@example.com\n${sandbox.password}\n`);
  for (const [theirs, ours] of [
    ['/usr/local/bin/prtg_pop3', built('prtg_pop3')],
    ['@/etc/pop3.cred', `@${credential}`],
  ] as const)
    script = script.replaceAll(theirs, ours);
  const place = sandbox.folder.file('pop3.sh', script, 0o755);
  const port = String(sandbox.server().pop3Port);
  const ended = await launch(
    place,
    ['-H', 'localhost', '-I', '127.0.0.1', '-p', port, '--ca-file', sandbox.caFile],
    {},
  );
  expect([ended.code, ended.stderr]).toEqual([0, '']);
  expect(channel(sensorIn(ended), 'State')?.value).toBe(0);
});
