import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Farm, startFarm, targetsFile } from '../support/farm.ts';
import { built, runDocument, silentPort } from '../support/platform-command.ts';
import { type Ended, launch } from '../support/run.ts';
import { fullTest, withSandbox } from '../support/sandboxed.ts';

const sandbox = withSandbox();
const silent = silentPort();
const WRONG = 'wrong-horse-battery-staple';
const check = (argv: readonly string[]): Promise<Ended> => runDocument('checkmk_pop3', argv, [sandbox.password, WRONG]);
const trusting = (): readonly string[] => [...sandbox.logon().slice(0, -1), '--ca-file', sandbox.caFile];

/** A line of a local check, as far as it takes to see whose it is. */
const LINE = /^([0123P]) "([^"']+)" ([^ ]+) (.+)$/;

test('a logon is OK, with its values', async () => {
  const { stdout } = await check([...trusting(), '-w', '20', '-c', '30']);
  const [, state, item, performance, text] = LINE.exec(stdout.trimEnd()) ?? [];
  expect([state, item]).toEqual(['0', 'POP3 localhost']);
  expect(performance).toMatch(/^time=\d+(\.\d+)?;20;30;0\|time_dns=|^time=\d+(\.\d+)?;20;30;0\|/);
  expect(performance).toMatch(/\|messages=0;;;0\|octets=0;;;0\|certificate=\d+(\.\d+)?;[^|]+:;[^|]+:$/);
  expect(text).toMatch(/^POP3 OK - localhost: logon /);
});

test('a refused logon is CRITICAL, and the exit code stays 0', async () => {
  const { stdout } = await check([...sandbox.logon(undefined, sandbox.wrongFile), '--ca-file', sandbox.caFile]);
  expect(stdout).toMatch(/^2 "POP3 localhost" time=.* POP3 CRITICAL - localhost: login-refused, /);
});

test('--format levels leaves it to Checkmk, but not a failure', async () => {
  const levels = ['--format', 'levels', '-w', '0.001', '-c', '30'];
  expect((await check([...trusting(), ...levels])).stdout).toMatch(
    /^P "POP3 localhost" time=\d+(\.\d+)?;0\.001;30;0\|/,
  );
  expect((await check([...sandbox.logon(undefined, sandbox.wrongFile), ...levels])).stdout).toMatch(/^2 /);
});

test('the logon alone is tested if nothing is said; --full-test sends a message', async () => {
  const stateDir = sandbox.folder.state();
  const argv = fullTest(sandbox.server(), { ...sandbox, stateDir });
  expect((await check(argv)).stdout).toMatch(/ POP3 OK - localhost: logon /);
  expect((await check([...argv, '--full-test'])).stdout).toMatch(/^0 .*\|delivery=.* POP3 OK - localhost: round trip /);
});

test('a server that says nothing is told of in time', async () => {
  const { stdout, tookMs } = await check([...sandbox.logon(silent()), '-t', '1']);
  expect(stdout).toMatch(/^2 "POP3 localhost" .* POP3 CRITICAL - localhost: timed-out in greeting, /);
  expect(tookMs).toBeLessThan(15_000);
});

test.each<[what: string, argv: readonly string[], said: RegExp]>([
  ['no server', [], /usage, /],
  ['an unknown option', ['--nonsense'], /usage, /],
  ['an unknown format', ['-H', 'x', '--format', 'html'], /usage, --format /],
  ['a delivery: its line would be no line of a check', ['-H', 'x', '--deliver', 'nrdp:https://x/'], /usage, /],
  [
    'a password file that is not there',
    ['-H', 'x', '-u', 'y', '--password-file', '/does/not/exist'],
    /configuration, /,
  ],
])('%s is the service POP3, UNKNOWN', async (_, argv, said) => {
  const { stdout } = await check(argv);
  const [, state, item, performance, text = ''] = LINE.exec(stdout.trimEnd()) ?? [];
  expect([state, item, performance]).toEqual(['3', 'POP3', '-']);
  expect(text).toMatch(said);
});

describe('200 servers', () => {
  let farm: Farm;
  let argv: readonly string[];
  beforeAll(async () => {
    farm = await startFarm(200, sandbox.password, (at) => (at === 7 ? 'closed' : null));
    const ca = sandbox.folder.file('farm-ca.pem', farm.caCertificate);
    const targets = sandbox.folder.file('farm.yaml', targetsFile(farm));
    argv = ['--targets', targets, '-u', 'probe@example.com', '--password-file', sandbox.passwordFile, '--ca-file', ca];
  });
  afterAll(() => farm?.close());

  test('are 200 lines, none cut, though that is more than a pipe holds', async () => {
    const { stdout } = await check(argv);
    const lines = stdout.trimEnd().split('\n');
    expect(Buffer.byteLength(stdout)).toBeGreaterThan(65_536);
    expect(lines.map((line) => LINE.exec(line)?.[2])).toEqual(farm.servers.map(({ name }) => `POP3 ${name}`));
    expect(lines.filter((line) => !line.startsWith('0 '))).toEqual([
      expect.stringMatching(/^2 "POP3 pop007\.example\.com" time=[^ ]+ POP3 CRITICAL - .*connection-refused/),
    ]);
  });

  test('are 200 hosts by piggyback', async () => {
    const { stdout } = await check([...argv, '--format', 'piggyback']);
    const hosts = stdout.match(/^<<<<.+>>>>$/gm) ?? [];
    expect(hosts).toEqual(farm.servers.map(({ name }) => `<<<<${name}>>>>`));
    expect(stdout.match(/^\d "POP3" /gm)).toHaveLength(200);
    expect(stdout.endsWith('\n<<<<>>>>\n')).toBe(true);
  });
});

/** What ships, as it stands but for what is another's: where the command is, the server, and the files with secrets. */
describe('the files for the agent', () => {
  const OURS = (): readonly (readonly [string, string])[] => [
    ['/usr/local/bin/checkmk_pop3', built('checkmk_pop3')],
    ['mail.example.com', `localhost -I 127.0.0.1 -p ${sandbox.server().pop3Port} --ca-file ${sandbox.caFile}`],
    ['@/etc/check_mk/pop3.cred', `@${sandbox.folder.file('cred', `probe@example.com\n${sandbox.password}\n`)}`],
    ['--full-test', `--full-test --smtp-port ${sandbox.server().smtpPort}`],
    ['/var/lib/check_mk_agent', sandbox.folder.path],
    ['/etc/check_mk/pop3-farm.yaml', join(sandbox.folder.path, 'pop3-farm.yaml')],
  ];
  const placed = (name: string, from: string): string => {
    let script = readFileSync(new URL(`../../plugins/checkmk/${name}`, import.meta.url), 'utf8');
    for (const [theirs, ours] of OURS()) script = script.replaceAll(theirs, ours);
    mkdirSync(join(sandbox.folder.path, from), { recursive: true });
    return sandbox.folder.file(`${from}/${name}`, script, 0o755);
  };
  /** Without a terminal, a home or a locale, in the folder of the script: as the agent does it. */
  const asAgent = async (script: string): Promise<string> => {
    const env = { HOME: undefined, LANG: undefined, LC_ALL: undefined };
    const { code, stdout, stderr } = await launch(script, [], { cwd: join(script, '..'), env });
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).not.toContain(sandbox.password);
    return stdout;
  };

  test('local/300/pop3 is the service of the logon', async () => {
    expect(await asAgent(placed('pop3', 'local/300'))).toMatch(
      /^[01] "POP3 localhost" time=[^ ]+;2;5;0\|.* POP3 (OK|WARNING) - localhost: logon [^\n]*\n$/,
    );
  });

  test('local/300/pop3_round_trip is a service beside it', async () => {
    const said = await asAgent(placed('pop3_round_trip', 'local/300'));
    expect(said).toMatch(
      /^0 "POP3 round trip localhost" [^ ]*\|delivery=[^|]+;30;;0\|[^\n]* POP3 OK - localhost: round trip [^\n]*\n$/,
    );
  });

  test('plugins/300/pop3_farm makes the services those of other hosts', async () => {
    const { pop3Port } = sandbox.server();
    writeFileSync(
      join(sandbox.folder.path, 'pop3-farm.yaml'),
      ['pop1.example.com', 'pop2.example.com']
        .map(
          (name) =>
            `- {client-access-server: ${name}, address: 127.0.0.1, port-client-access-server: ${pop3Port}, connection-type: plaintext}\n`,
        )
        .join(''),
    );
    const said = await asAgent(placed('pop3_farm', 'plugins/300'));
    expect(said.replace(/ POP3 OK - .*| [a-z_]+=[^ ]+/g, '')).toBe(
      ['pop1', 'pop2']
        .map((name) => `<<<<${name}.example.com>>>>\n<<<local:sep(0)>>>\n0 "POP3"\n`)
        .concat('<<<<>>>>\n')
        .join(''),
    );
  });
});
