import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { missing, pathOf } from '../support/installed.ts';
import { type Circumstances, type Ended, launch, TEST_POP_CONNECTIVITY } from '../support/run.ts';
import { fullTest, withSandbox } from '../support/sandboxed.ts';
import { runOnTerminal, SCRIPT } from '../support/terminal.ts';

const sandbox = withSandbox();
const { folder, password, passwordFile, wrongFile, caFile } = sandbox;
const NOBODY = { env: { CREDENTIALS_DIRECTORY: undefined } };

async function cmdlet(argv: readonly string[], circumstances: Circumstances = NOBODY): Promise<Ended> {
  const ended = await launch(TEST_POP_CONNECTIVITY, argv, circumstances);
  expect(`${ended.stdout}${ended.stderr}`).not.toContain(password);
  return ended;
}

/** A logon as PowerShell writes it. */
const logon = (file = passwordFile): readonly string[] => [
  ...[
    '-ClientAccessServer',
    'localhost',
    '-I',
    '127.0.0.1',
    '-PortClientAccessServer',
    String(sandbox.server().pop3Port),
  ],
  ...['-MailboxCredential', 'probe@example.com', '-PasswordFile', file, '-CaFile', caFile, '-LightMode'],
];

describe('a run by the names of the cmdlet', () => {
  test('comes to its table', async () => {
    const { stdout, stderr, code } = await cmdlet(logon());
    const [head, rule, row, ...rest] = stdout.split('\n');
    expect(head).toBe('CasServer LocalSite Scenario               Result  Latency(MS) Error');
    expect(rule).toMatch(/^[- ]+$/);
    expect(row).toMatch(/^localhost {11}Test POP3 Connectivity Success +\d+\.\d\d$/);
    expect([rest.join(''), stderr, code]).toEqual(['', '', 0]);
  });

  test('sends, finds and deletes a message unless LightMode was asked for', async () => {
    const argv = fullTest(sandbox.server(), { passwordFile, caFile, stateDir: folder.state() });
    const { stdout, code } = await cmdlet([...argv, '--format', 'json']);
    expect(code).toBe(0);
    const [told] = JSON.parse(stdout);
    expect(told.roundTrip).toMatchObject({ sentVia: 'smtp', retrieved: true, deleted: true, verified: true });
    expect(sandbox.server().maildrop.messages).toHaveLength(0);
  });

  test.each([
    ['a failure', () => logon(wrongFile), 2, /^localhost .* Failure +login-refused, server said/m],
    ['a warning', () => [...logon(), '-w', '0.000001'], 1, /^localhost .* Success +\d/m],
    ['a server that is not known', () => ['-LightMode'], 3, /^ERROR: configuration, without -ClientAccessServer/m],
    [
      'a parameter that is not known',
      () => [...logon(), '-Nonsense'],
      3,
      /^ERROR: usage, argument \d+ names no parameter/m,
    ],
    [
      'a value out of range',
      () => [...logon(), '-Timeout', '3601'],
      3,
      /^ERROR: usage, -Timeout: valid values are between 0 and 3600 seconds \(1 hour\)/m,
    ],
    [
      'a format that is not known',
      () => [...logon(), '--format', 'xml'],
      3,
      /^ERROR: usage, --format takes table, list, csv, html, json, ndjson, not "xml"/m,
    ],
  ])('exits after %s as documented', async (_, argv, exit, line) => {
    const { stdout, stderr, code } = await cmdlet(argv());
    expect(`${stdout}${stderr}`).toMatch(line);
    expect(code).toBe(exit);
  });

  test.each(['-WhatIf', '-Help', '--version'])('exits with 0 after %s, for somebody asked for it', async (option) => {
    const { stdout, code } = await cmdlet([...logon(), option]);
    expect(stdout).not.toBe('');
    expect(code).toBe(0);
  });

  test('says what it would do, of every server', async () => {
    const received = sandbox.server().received.length;
    const { stdout } = await cmdlet([...logon(), '-WhatIf', '-H', 'localhost,mail.example.com']);
    expect(stdout).toMatch(/^What if: log on to localhost port \d+ \(tls\) as probe@example\.com$/m);
    expect(stdout).toMatch(/^What if: log on to mail\.example\.com port \d+ \(tls\) as probe@example\.com$/m);
    expect(sandbox.server().received).toHaveLength(received);
  });

  test('says what it would do without a password', async () => {
    const { stdout, code } = await cmdlet(['Contoso12', '-MailboxCredential', 'contoso\\kweku', '-Light', '-WhatIf']);
    expect(stdout).toBe('What if: log on to Contoso12 port 110 (tls) as contoso\\kweku\n');
    expect(code).toBe(0);
  });

  test('refuses to ask where there is nobody', async () => {
    const { stdout, stderr, code } = await cmdlet([...logon(), '-Confirm']);
    expect(`${stdout}${stderr}`).toMatch(/ERROR: usage, --confirm has nobody to ask/);
    expect(code).toBe(3);
    expect((await cmdlet([...logon(), '-Confirm:$false'])).code).toBe(0);
  });

  test('has no password and nobody to ask for it', async () => {
    const argv = [
      'localhost',
      '-I',
      '127.0.0.1',
      '-p',
      '1',
      '-MailboxCredential',
      '(Get-Credential contoso\\kweku)',
      '-Light',
    ];
    const { stdout, stderr, code } = await cmdlet(argv);
    expect(`${stdout}${stderr}`).toMatch(/ERROR: usage, no password: give/);
    expect(code).toBe(3);
  });

  test('warns of a timeout that is too short to be wise', async () => {
    const { stdout, code } = await cmdlet([...logon(), '-Timeout', '4']);
    expect(stdout).toContain('NOTE: localhost: -Timeout 4: a value of 5 seconds or more is recommended');
    expect(code).toBe(0);
  });

  test.skipIf(missing(SCRIPT))('asks once for the password of a user whom it tries on several servers', async () => {
    const port = String(sandbox.server().pop3Port);
    const { shown, report, code } = await runOnTerminal(
      [
        '-H',
        'localhost,127.0.0.1',
        '-I',
        '127.0.0.1',
        '-p',
        port,
        '-u',
        'probe@example.com',
        '--ca-file',
        caFile,
        '--light-mode',
      ],
      { prompt: /Password for probe@example\.com on localhost: /, keys: `${password}\r`, folder },
    );
    expect(shown.match(/Password for/g)).toHaveLength(1);
    expect(report).toMatch(/^POP3 OK - 2 servers, 2 ok/);
    expect(code).toBe(0);
  });
});

describe.skipIf(missing(SCRIPT))('on a terminal', () => {
  /** What a terminal of so many columns was given. */
  async function seen(
    columns: number,
    argv: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Promise<string> {
    const words = [TEST_POP_CONNECTIVITY, ...argv].map((word) => `'${word}'`).join(' ');
    const { stdout } = await launch(pathOf('script'), ['-qec', `stty cols ${columns}; ${words}`, '/dev/null'], {
      env: { SHELL: '/bin/sh', CREDENTIALS_DIRECTORY: undefined, NO_COLOR: undefined, ...env },
    });
    return stdout;
  }
  // Without what takes the progress off the screen.
  const textOf = (shown: string): string => shown.replaceAll('\x1b[2K', '').replaceAll('\r', '');

  test('the table is coloured by the result, and fits', async () => {
    const text = textOf(await seen(70, [...logon(wrongFile)], {}));
    expect(text).toContain('mFailure');
    const lines = stripVTControlCharacters(text).split('\n');
    for (const line of lines) expect(line.length, line).toBeLessThanOrEqual(70);
    const said = lines.join(' ').replace(/\s+/g, ' ');
    for (const word of ['login-refused,', 'Authentication', 'password', 'probe@example.com'])
      expect(said).toContain(word);
  });

  test('it has no colours where those are not wanted', async () => {
    const text = textOf(await seen(100, [...logon()], { NO_COLOR: '1' }));
    expect(text).toMatch(/^localhost .* Success/m);
    expect(text).not.toContain('\x1b[');
  });
});

describe('the formats', () => {
  const both = (): readonly string[] => [...logon(), '-H', 'localhost,127.0.0.1'];

  test('CSV has a row for each server', async () => {
    const { stdout, stderr } = await cmdlet([...both(), '--format', 'csv']);
    expect(stdout.trimEnd().split('\r\n')).toHaveLength(3);
    expect(stdout).toMatch(/^CasServer,LocalSite,Scenario,Result,Latency\(MS\),Error,/);
    expect(stderr).toBe('');
  });

  test('JSON is as its schema says', async () => {
    const schema = JSON.parse(readFileSync('docs/probe-result.schema.json', 'utf8'));
    const { stdout } = await cmdlet([...both(), '--format', 'json', '-MonitoringContext']);
    const told = JSON.parse(stdout) as readonly Record<string, unknown>[];
    const isValid = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(schema);
    expect(told).toHaveLength(2);
    for (const each of told) {
      expect(isValid(each), JSON.stringify(isValid.errors)).toBe(true);
      expect(each.events).toMatchObject([{ id: 1000 }]);
    }
  });

  test('a list has the fields of Format-List', async () => {
    const { stdout } = await cmdlet([...both(), '--format', 'list']);
    expect(stdout.match(/^ClientAccessServer +: (localhost|127\.0\.0\.1)$/gm)).toHaveLength(2);
  });

  test('HTML is a page with what was said, but for the password', async () => {
    const { stdout, code } = await cmdlet([...both(), '--format', 'html']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^<!doctype html>/);
    expect(stdout.match(/PASS \*{4}/g)).toHaveLength(2);
    expect(stdout).not.toContain(Buffer.from(`\0probe@example.com\0${password}`).toString('base64'));
    expect(stdout.length).toBeGreaterThan(5000);
  });

  test('none of them is cut short, as a report for a platform would be', async () => {
    const names = Array.from(
      { length: 300 },
      (_, at) => `- {client-access-server: server-${at}.invalid, address: 127.0.0.1}\n`,
    );
    const targets = folder.file('many.yaml', names.join(''));
    const argv = [
      '--targets',
      targets,
      '-p',
      '1',
      '-u',
      'probe@example.com',
      '--password-file',
      passwordFile,
      '-Light',
    ];
    const { stdout, code } = await cmdlet([...argv, '--format', 'json']);
    expect(code).toBe(2);
    expect(stdout.length).toBeGreaterThan(65536);
    expect(JSON.parse(stdout)).toHaveLength(300);
  });
});

test('the page of the manual is built beside it', () => {
  expect(readFileSync(join('dist', 'Test-PopConnectivity.1'), 'utf8')).toContain('.SH SYNOPSIS');
});
