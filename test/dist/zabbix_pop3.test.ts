import { createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Farm, startFarm, targetsFile } from '../support/farm.ts';
import { freePort } from '../support/free-port.ts';
import { built, runDocument, silentPort } from '../support/platform-command.ts';
import { type Ended, launch } from '../support/run.ts';
import { fullTest, withSandbox } from '../support/sandboxed.ts';

const sandbox = withSandbox();
const silent = silentPort();
const WRONG = 'wrong-horse-battery-staple';
const check = (argv: readonly string[]): Promise<Ended> => runDocument('zabbix_pop3', argv, [sandbox.password, WRONG]);
const trusting = (): readonly string[] => [...sandbox.logon().slice(0, -1), '--ca-file', sandbox.caFile];

interface Value {
  readonly text: string;
  readonly latency?: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly servers: readonly { readonly server: string; readonly status: number; readonly latency?: number }[];
}

/** The object that was printed: on one line, with nothing beside it. */
function valueIn({ stdout }: Ended): Value {
  expect(stdout).toMatch(/^\{[^\n]*\}\n$/);
  return JSON.parse(stdout);
}

/** What could not be tested: text, which is no JSON. */
async function refused(argv: readonly string[]): Promise<string> {
  const ended = await launch(built('zabbix_pop3'), argv, {});
  expect([ended.code, ended.stderr]).toEqual([3, '']);
  expect(ended.stdout).toMatch(/^POP3 UNKNOWN - [^\n]*\n$/);
  return ended.line;
}

test('a logon is an object with all that was measured', async () => {
  const value = valueIn(await check(trusting()));
  expect(value).toMatchObject({ status: 0, state: 'OK', server: 'localhost', reason: '', phase: '', tls: 'TLSv1.3' });
  expect(value.text).toMatch(/^POP3 OK - localhost: logon \d+ ms, /);
  expect(value.metrics).toMatchObject({ messages: 0, octets: 0 });
  expect(value.latency).toBe(value.metrics.time);
  expect(value.servers).toHaveLength(1);
});

test('a refused logon is an object too, and the exit code stays 0', async () => {
  const value = valueIn(await check([...sandbox.logon(undefined, sandbox.wrongFile), '--ca-file', sandbox.caFile]));
  expect(value).toMatchObject({ status: 2, state: 'CRITICAL', reason: 'login-refused', phase: 'login' });
  expect(value).not.toHaveProperty('latency');
});

test('-vvv changes nothing: there is no room for a conversation', async () => {
  const value = valueIn(await check([...trusting(), '-vvv']));
  expect(Object.keys(value)).toEqual(Object.keys(valueIn(await check(trusting()))));
});

test('a server that says nothing is told of before Zabbix loses patience', async () => {
  const value = valueIn(await check(sandbox.logon(silent())));
  expect(value).toMatchObject({ status: 2, reason: 'timed-out', phase: 'greeting' });
  const { time } = value.metrics;
  expect(time).toBeGreaterThan(1.5);
  expect(time).toBeLessThan(2.7); // 2.5 s from the start of the process, of the 3 that Zabbix gives
});

describe('the key of an item has a place for each option', () => {
  test('an empty one is no option, and the address of the host is the server', async () => {
    const { pop3Port } = sandbox.server();
    const given = ['--mailbox-credential=probe@example.com', `--password-file=${sandbox.passwordFile}`];
    const empty = ['--client-access-server=', '--connection-type=', '--extra-opts=', '--timeout=', '--smtp-server='];
    const own = [`--port-client-access-server=${pop3Port}`, '--address=localhost', `--ca-file=${sandbox.caFile}`];
    const value = valueIn(await check([...empty, ...given, ...own]));
    expect(value).toMatchObject({ state: 'OK', server: 'localhost' });
  });

  test('a name of its own is what is verified, and the address is where it is', async () => {
    const { pop3Port } = sandbox.server();
    const given = ['-u', 'probe@example.com', '--password-file', sandbox.passwordFile, '--ca-file', sandbox.caFile];
    const at = ['--address=127.0.0.1', '-p', String(pop3Port)];
    const named = valueIn(await check([...given, ...at, '--client-access-server=localhost']));
    expect(named).toMatchObject({ state: 'OK', server: 'localhost' });
    const other = valueIn(await check([...given, ...at, '--client-access-server=pop.example.net']));
    expect(other).toMatchObject({ reason: 'certificate-wrong-host', server: 'pop.example.net' });
  });

  test('an option that needs a value and has none apart from it is still refused', async () => {
    expect(await refused(['-H', 'mail.example.com', '-u'])).toMatch(/ - usage, /);
  });
});

test.each<[what: string, argv: readonly string[], said: RegExp]>([
  ['no server', [], / - usage, /],
  ['an unknown option', ['--nonsense'], / - usage, there is no option --nonsense/],
  ['a delivery, whose line would be no JSON', ['-H', 'x', '--deliver', 'nrdp:https://x/'], / - usage, /],
  [
    'a password file that is not there',
    ['-H', 'x', '-u', 'y', '--password-file', '/does/not/exist'],
    / - configuration, /,
  ],
  ['a file of targets that is not there', ['--targets', '/does/not/exist', '--discover'], / - configuration, /],
])('%s is text, by which the item is unsupported', async (_, argv, said) => {
  expect(await refused(argv)).toMatch(said);
});

test('--split: the first run sends, the next finds it and tells how long it was under way', async () => {
  const argv = [...fullTest(sandbox.server(), { ...sandbox, stateDir: sandbox.folder.state() }), '--split'];
  const first = valueIn(await check(argv));
  expect(first).toMatchObject({ status: 0, metrics: { messages: 0 } });
  expect(first.metrics).not.toHaveProperty('delivery');
  expect(first.text).toContain('a message is under way to the next run');
  const second = valueIn(await check(argv));
  expect(second).toMatchObject({ status: 0, metrics: { stale: 0 } });
  expect(second.metrics).toHaveProperty('delivery');
  expect(second.metrics).toHaveProperty('time_retrieve');
});

describe('discovery', () => {
  let count = 0;
  let server: Server;
  let port: number;
  beforeAll(async () => {
    port = await freePort();
    server = createServer(() => {
      count += 1;
    }).listen(port, '127.0.0.1');
  });
  afterAll(() => server.close());

  test('lists every server, also one whose settings are refused, and calls none of them', async () => {
    const targets = sandbox.folder.file(
      'discovered.yaml',
      `- {client-access-server: localhost, port-client-access-server: ${port}}
- {client-access-server: localhost, port-client-access-server: ${port}, mailbox-credential: other}
- {client-access-server: mail.example.com, connection-type: telepathy}
`,
    );
    const argv = ['--targets', targets, '-u', 'probe', '--password-file', sandbox.passwordFile];
    const { stdout } = await check([...argv, '--discover']);
    expect(JSON.parse(stdout)).toEqual([
      { '{#LABEL}': 'localhost as probe', '{#SERVER}': 'localhost' },
      { '{#LABEL}': 'localhost as other', '{#SERVER}': 'localhost' },
      { '{#LABEL}': 'mail.example.com', '{#SERVER}': 'mail.example.com' },
    ]);
    expect(count).toBe(0);
  });

  test.each([
    ['one server', '- localhost\n'],
    ['one by another spelling', '- LOCALHOST\n'],
    ['two', '- localhost\n- 127.0.0.1\n'],
  ])('calls %s what the object calls it', async (_, yaml) => {
    const targets = sandbox.folder.file('named.yaml', yaml);
    const argv = [
      '--targets',
      targets,
      '-p',
      String(await freePort()),
      '-u',
      'x',
      '--password-file',
      sandbox.passwordFile,
    ];
    const found = JSON.parse((await check([...argv, '--discover'])).stdout);
    const { servers } = valueIn(await check(argv));
    expect(servers.map(({ server }) => server).sort()).toEqual(
      found.map((each: Record<string, string>) => each['{#LABEL}']).sort(),
    );
  });
});

describe('200 servers', () => {
  let farm: Farm;
  beforeAll(async () => {
    farm = await startFarm(200, sandbox.password, (at) => (at === 7 ? 'closed' : null));
  });
  afterAll(() => farm?.close());

  test('are one object on one line, and one of them is at fault', async () => {
    const ca = sandbox.folder.file('farm-ca.pem', farm.caCertificate);
    const targets = sandbox.folder.file('farm.yaml', targetsFile(farm));
    const given = ['-u', 'probe@example.com', '--password-file', sandbox.passwordFile, '--ca-file', ca, '-t', '30'];
    const value = valueIn(await check(['--targets', targets, ...given, '--sweep-timeout', '60']));
    expect(value.text).toMatch(/^POP3 CRITICAL - 200 servers, 1 critical, 199 ok/);
    const { servers } = value;
    expect(servers).toHaveLength(200);
    expect(new Set(servers.map(({ server }) => server)).size).toBe(200);
    expect(servers.filter(({ status }) => status !== 0)).toHaveLength(1);
    expect(servers.filter(({ latency }) => latency !== undefined)).toHaveLength(199);
  });
});
