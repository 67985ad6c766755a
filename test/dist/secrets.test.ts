import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { missing } from '../support/installed.ts';
import { CHECK_POP3, type Circumstances, type Ended, keepSecret, privateFolder, run } from '../support/run.ts';
import { runOnTerminal, SCRIPT, type Seen } from '../support/terminal.ts';

/** What a password may be made of. No blank at either end: an ini file cannot hold one. */
const PASSWORD = keepSecret('#corr;ect "hörse" = \'bättery\' \\ 密码 $HOME [x]');
const USER = 'probe@example.com';
const folder = privateFolder();
let server: Sandbox;

beforeAll(async () => {
  server = await startSandbox({ password: PASSWORD });
});
afterAll(() => server.close());

const check = (argv: readonly string[], circumstances?: Circumstances): Promise<Ended> =>
  run(CHECK_POP3, argv, circumstances);
/** Everything but who logs on. */
const target = (): string[] => [
  ...['-H', 'localhost', '-I', '127.0.0.1', '-p', String(server.pop3Port)],
  ...['--connection-type', 'plaintext', '--light-mode'],
];
const user = (): string[] => [...target(), '-u', USER];

let files = 0;
const written = (content: string, mode = 0o600): string => {
  const path = folder.file(`file-${++files}`, content, mode);
  chmodSync(path, mode); // whatever the umask
  return path;
};
/** Everything, as an ini file has it. */
const ini = (section = 'check_pop3', password = PASSWORD): string =>
  [
    '; of the probe',
    `[${section}]`,
    'H = localhost',
    'address = 127.0.0.1',
    `p = ${server.pop3Port}`,
    'connection-type = plaintext',
    'light-mode =',
    `u = ${USER}`,
    `password = ${password}`,
    '',
  ].join('\n');
const systemd = (content: string, mode = 0o400): Record<string, string> => {
  const path = join(folder.path, `credentials-${++files}`);
  mkdirSync(path);
  const name = join(path, 'pop3-password');
  folder.file(name.slice(folder.path.length + 1), content, mode);
  chmodSync(name, mode);
  return { CREDENTIALS_DIRECTORY: path };
};

describe('a password of every kind of character logs on', () => {
  test.each<[string, () => readonly [readonly string[], Circumstances?]]>([
    ['a file', () => [[...user(), '--password-file', written(PASSWORD)]]],
    ['a file with a line end', () => [[...user(), '--password-file', written(`${PASSWORD}\n`)]]],
    ['a file from Notepad', () => [[...user(), '--password-file', written(`\ufeff${PASSWORD}\r\n`)]]],
    ['@FILE', () => [[...target(), '-u', `@${written(`${USER}\n${PASSWORD}\n`)}`]]],
    ['@FILE from Notepad', () => [[...target(), '-u', `@${written(`\ufeff${USER}\r\n${PASSWORD}\r\n`)}`]]],
    ['the environment', () => [[...user(), '--password-env', 'POP3_PW'], { env: { POP3_PW: PASSWORD } }]],
    ['standard input', () => [[...user(), '--password-stdin'], { stdin: PASSWORD }]],
    ['standard input from Windows', () => [[...user(), '--password-stdin'], { stdin: `\ufeff${PASSWORD}\r\n` }]],
    ['systemd', () => [user(), { env: systemd(PASSWORD) }]],
    ['systemd with a line end', () => [user(), { env: systemd(`${PASSWORD}\n`) }]],
    ['systemd from Windows', () => [user(), { env: systemd(`\ufeff${PASSWORD}\r\n`) }]],
    ['an ini file', () => [[`--extra-opts=@${written(ini())}`]]],
    ['an ini file from Notepad', () => [[`--extra-opts=@${written(`\ufeff${ini().replace(/\n/g, '\r\n')}`)}`]]],
    ['an ini file on standard input', () => [['--extra-opts=@-'], { stdin: ini() }]],
  ])('from %s', async (_, given) => {
    const { code, line } = await check(...given());
    expect(line).toMatch(/^POP3 OK - localhost: logon /);
    expect(line).not.toContain('seen by everyone');
    expect(code).toBe(0);
  });

  test('from the command line, with a remark', async () => {
    const { code, line } = await check([...user(), '--password', PASSWORD]);
    expect(line).toContain('seen by everyone');
    expect(code).toBe(0);
  });
});

describe('options from an ini file', () => {
  test.each<[string, () => readonly [readonly string[], Circumstances?]]>([
    ['of another section', () => [[`--extra-opts=farm@${written(ini('farm'))}`]]],
    ['that MP_CONFIG_FILE names', () => [['--extra-opts'], { env: { MP_CONFIG_FILE: written(ini()) } }]],
    [
      'in a folder of NAGIOS_CONFIG_PATH',
      () => {
        folder.file('nagios-plugins.ini', ini('farm'));
        return [['--extra-opts=farm'], { env: { NAGIOS_CONFIG_PATH: `/nowhere:${folder.path}` } }];
      },
    ],
    [
      'of which the command line says one otherwise',
      () => [['-p', String(server.pop3Port), `--extra-opts=@${written(ini().replace(/p = .*/, 'p = 1'))}`]],
    ],
    [
      'beside another password',
      () => [[`--extra-opts=@${written(ini('check_pop3', 'another'))}`, '--password-file', written(PASSWORD)]],
    ],
  ])('%s', async (_, given) => {
    expect(await check(...given())).toMatchObject({ code: 0 });
  });

  test.each<[string, () => readonly [readonly string[], Circumstances?], string]>([
    ['a file that is not there', () => [['--extra-opts=@/nowhere.ini']], '--extra-opts /nowhere.ini: no such file'],
    [
      'a file the environment names',
      () => [['--extra-opts'], { env: { MP_CONFIG_FILE: '/nowhere.ini' } }],
      '/nowhere.ini: no such',
    ],
    ['a section that is not there', () => [[`--extra-opts=farm@${written(ini())}`]], 'no section [farm] with options'],
    [
      'a line that is none',
      () => [[`--extra-opts=@${written(`[check_pop3]\n${PASSWORD.replace('=', '-')}\nx\n`)}`]],
      'line 3: no equals sign',
    ],
    [
      'a password everyone may read',
      () => [[`--extra-opts=@${written(ini(), 0o644)}`]],
      'everyone may read it (chmod o-r)',
    ],
    [
      'a control character',
      () => [[`--extra-opts=@${written(ini('check_pop3', 'a\x1bb'))}`]],
      '--extra-opts password: the password has a control',
    ],
    [
      'a NUL',
      () => [[`--extra-opts=@${written(ini('check_pop3', 'a\0b'))}`]],
      '--extra-opts password: the password has a control',
    ],
    ['a value apart from it', () => [['--extra-opts', 'check_pop3']], 'argument 2 is not taken by --extra-opts'],
    [
      'two uses of standard input',
      () => [['--extra-opts=@-', '--password-stdin'], { stdin: ini() }],
      'both want standard input',
    ],
  ])('%s is UNKNOWN on one line', async (_, given, message) => {
    const { code, line } = await check(...given());
    expect(line).toMatch(/^POP3 UNKNOWN - (configuration|usage), /);
    expect(line).toContain(message);
    expect(code).toBe(3);
  });

  test('standard input that does not end is not waited for for ever', async () => {
    const { line, tookMs } = await check(['--extra-opts=@-', '-t', '1'], { stdin: 'stays open' });
    expect(line).toContain('standard input did not end within 1 s');
    expect(tookMs).toBeLessThan(3000);
  });

  test('are not looked for unless asked for', async () => {
    const env = { MP_CONFIG_FILE: '/nowhere.ini', CREDENTIALS_DIRECTORY: '/nowhere' };
    expect(await check([...user(), '--password-file', written(PASSWORD)], { env })).toMatchObject({ code: 0 });
    expect((await check(['--extra-opts', '--help'], { env })).stdout).toContain('--extra-opts');
  });
});

describe('a credential of systemd', () => {
  test.each<[string, string, number, string]>([
    ['that everyone may read', PASSWORD, 0o444, 'everyone may read it'],
    ['that is empty', '', 0o400, 'the password is empty'],
    ['with a NUL', 'a\0b', 0o400, 'the password has a control character'],
  ])('%s is UNKNOWN', async (_, content, mode, message) => {
    const env = systemd(content, mode);
    const { code, line } = await check(user(), { env });
    expect(line).toContain(`${env.CREDENTIALS_DIRECTORY}/pop3-password: ${message}`);
    expect(code).toBe(3);
  });

  test('of another name leaves the one line that says where a password may come from', async () => {
    const { code, line } = await check(user(), { env: { CREDENTIALS_DIRECTORY: folder.path } });
    expect(line).toContain('usage, no password: give --password-file');
    expect(line).toContain('systemd credential pop3-password');
    expect(code).toBe(3);
  });
});

describe.skipIf(missing(SCRIPT))('on a terminal', () => {
  const onTerminal = async (
    argv: readonly string[],
    keys: string | Uint8Array,
    asked?: (child: ChildProcessWithoutNullStreams) => void,
  ): Promise<Seen> => {
    const seen = await runOnTerminal(argv, { prompt: /Password for .*: $/, keys, folder, ...(asked && { asked }) });
    expect(seen.shown).not.toContain(PASSWORD);
    return seen;
  };
  const QUESTION = `Password for ${USER} on localhost: \r\n`;

  test.each<[string, string]>([
    ['as it is', `${PASSWORD}\r`],
    ['corrected on the way', `wrong\x15corrx\x7f\x15${PASSWORD}x\x7f\r`],
    ['from the keypad of a terminal that sends line feeds', `${PASSWORD}\n`],
  ])('the password is asked for, and nothing of it shown: %s', async (_, keys) => {
    const { code, shown, report } = await onTerminal(user(), keys);
    expect(shown).toBe(QUESTION);
    expect(report).toMatch(/^POP3 OK - localhost: logon [^\n]*\n$/);
    expect(report).not.toContain('seen by everyone');
    expect(code).toBe(0);
  });

  test.each<[string, string | Uint8Array, string]>([
    ['Ctrl-C', 'half\x03', 'interrupted, ended by SIGINT'],
    ['Ctrl-D', '\x04', 'configuration, no password was typed'],
    ['nothing', '\r', 'configuration, terminal: the password is empty'],
    ['a tab', 'a\tb\r', 'configuration, terminal: the password has a control character'],
    ['Latin-1', Uint8Array.of(0x70, 0xe4, 0x0d), 'configuration, what was typed is not UTF-8'],
  ])('%s ends it as UNKNOWN, and the terminal is as it was', async (_, keys, message) => {
    const { code, shown, report } = await onTerminal(user(), keys);
    expect(shown).toBe(QUESTION);
    expect(report).toMatch(/^POP3 UNKNOWN - [^\n]*\n$/);
    expect(report).toContain(message);
    expect(code).toBe(3);
  });

  test('nobody who answers: the deadline holds, and the terminal is as it was', async () => {
    const { code, report } = await onTerminal([...user(), '-t', '1'], 'half');
    expect(report).toMatch(/^POP3 UNKNOWN - configuration, nobody typed a password within 1 s - /);
    expect(code).toBe(3);
  });

  test('what took a while to type is not counted as time of the server', async () => {
    const slowly = (child: ChildProcessWithoutNullStreams): void => {
      setTimeout(() => child.stdin.write(`${PASSWORD}\r`), 1000);
    };
    const { code } = await onTerminal([...user(), '-c', '0.9'], '', slowly);
    expect(code).toBe(0);
  });

  test('bad input is told before anybody is asked', async () => {
    const { shown, report } = await onTerminal([...user(), '-w', 'x=1'], '');
    expect(shown).toBe('');
    expect(report).toContain('POP3 UNKNOWN - usage');
  });
});
