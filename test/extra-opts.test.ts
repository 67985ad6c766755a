import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseArguments } from '../src/cli/arguments.ts';
import { expandExtraOpts } from '../src/cli/expand.ts';
import { parseIni, readExtraOpts } from '../src/credentials/extra-opts.ts';
import { nodeSources } from '../src/credentials/sources.ts';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import type { Settings } from '../src/request/settings.ts';
import type { FileKind, Sources } from '../src/request/sources.ts';

const PASSWORD = 'correct horse';

/** A machine with these files; those whose names begin with /open may be read by everyone. */
function sources(files: Record<string, string>, environment: Record<string, string> = {}, stdin = '') {
  const read: string[] = [];
  const fake = {
    ...nodeSources,
    read,
    environment: (name: string) => environment[name],
    exists: (path: string) => Object.hasOwn(files, path),
    standardInput: async () => {
      read.push('-');
      return read.filter((each) => each === '-').length > 1 ? '' : stdin;
    },
    file: (option: string, path: string, kind: FileKind) => {
      read.push(path);
      const content = files[path];
      if (content === undefined) throw new ProbeFailure('configuration', `${option} ${path}: no such file`);
      if (kind === 'secret' && path.startsWith('/open'))
        throw new ProbeFailure('configuration', `${option} ${path}: everyone may read it`);
      return content;
    },
  };
  return fake satisfies Sources;
}

async function told(failing: () => unknown): Promise<ProbeFailure> {
  try {
    await failing();
  } catch (problem) {
    if (!(problem instanceof ProbeFailure)) throw problem;
    expect(problem.message).not.toContain('\n');
    expect(problem.message).not.toContain(PASSWORD);
    expect(problem.message).not.toContain('hunter2');
    return problem;
  }
  throw new Error('it was taken');
}

const pairs = (content: string, section = 'check_pop3'): readonly string[] =>
  parseIni(content, section, 'a.ini').map(({ name, value }) => `${name}=${value}`);

describe('an ini file', () => {
  test.each<[string, string, readonly string[]]>([
    ['a line', '[check_pop3]\nport = 110\n', ['port=110']],
    ['without a last line end', '[check_pop3]\nport=110', ['port=110']],
    ['the line ends of Windows', '[check_pop3]\r\nport = 110\r\nssl=\r\n', ['port=110', 'ssl=']],
    ['white space everywhere', ' \t[ \tcheck_pop3 \t] \n\t port \t=\t 110 \t\v\f\n', ['port=110']],
    ['blank lines', '\n\n[check_pop3]\n\n \t\nport=110\n\n', ['port=110']],
    ['comments of both kinds', '# a\n; b\n[check_pop3]\n # c = d\n\t; e = f\nport=110\n', ['port=110']],
    ['a comment behind a section', '[check_pop3] # mine\nport=110\n', ['port=110']],
    ['an option behind a section', '[check_pop3] port=110\n', ['port=110']],
    ['an empty value', '[check_pop3]\nssl =\nipv4= \t\n', ['ssl=', 'ipv4=']],
    ['the same option again', '[check_pop3]\nw=1\nw=2\n', ['w=1', 'w=2']],
    ['a section again', '[check_pop3]\na=1\n[other]\nb=2\n[check_pop3]\nc=3\n', ['a=1', 'c=3']],
    ['no such section', '[other]\na=1\n', []],
    ['a section whose name goes on', '[check_pop3s]\na=1\n[check_pop]\nb=1\n[CHECK_POP3]\nc=1\n', []],
    ['nothing', '', []],
    ['other sections that hold what they like', '[other]\nno equals\n=\n[check_pop3]\na=1\n', ['a=1']],
  ])('%s', (_, content, expected) => {
    expect(pairs(content)).toEqual(expected);
  });

  test.each([
    ['blanks inside', 'a  b', 'a  b'],
    ['a hash', 'a#b #c', 'a#b #c'],
    ['a hash at its front', '#secret', '#secret'],
    ['a semicolon', 'a;b', 'a;b'],
    ['double quotes, which are letters', '"a b"', '"a b"'],
    ['single quotes', "'a b'", "'a b'"],
    ['an equals sign', '=a=b=', '=a=b='],
    ['brackets', '[a]', '[a]'],
    ['a backslash', 'a\\nb\\', 'a\\nb\\'],
    ['a percent sign and a dollar', '%(x)s $HOME', '%(x)s $HOME'],
    ['a dash at its front', '-x', '-x'],
    ['letters beyond ASCII', 'pässwörd 密码 📧', 'pässwörd 密码 📧'],
    ['a no-break space at its end', 'a\u00a0', 'a\u00a0'],
    ['blanks around it, which are gone', '  a  ', 'a'],
    ['the line end of Windows, which is gone', 'a\r', 'a'],
  ])('a value with %s', (_, written, value) => {
    expect(parseIni(`[check_pop3]\npassword = ${written}\n`, 'check_pop3', 'a.ini')).toEqual([
      { name: 'password', value, where: 'a.ini line 2' },
    ]);
  });

  test.each([
    ['no equals sign', '[check_pop3]\n\nhunter2\n', 3],
    ['no name', '[check_pop3]\n= hunter2\n', 2],
    ['an option before every section', '\n\npassword = hunter2\n[check_pop3]\na=1', 3],
    ['a section left open', '[check_pop3]\na=1\n[hunter2\n', 3],
  ])('%s: the place is told, the line is not', async (_, content, line) => {
    const { reason, message } = await told(() => parseIni(content, 'check_pop3', '/etc/a.ini'));
    expect(reason).toBe('configuration');
    expect(message).toContain(`--extra-opts /etc/a.ini line ${line}: `);
  });
});

describe('which file', () => {
  const INI = '[check_pop3]\nport = 110\n';
  const from = async (locator: string, files: Record<string, string>, environment: Record<string, string> = {}) => {
    const machine = sources(files, environment, INI);
    await readExtraOpts([locator], 'check_pop3', machine, () => false);
    return machine.read;
  };

  // The order of the Monitoring Plugins 2.3.3, as strace(1) shows it.
  const USUAL = [
    '/usr/local/etc/monitoring-plugins/monitoring-plugins.ini',
    '/usr/local/etc/monitoring-plugins.ini',
    '/etc/monitoring-plugins/monitoring-plugins.ini',
    '/etc/monitoring-plugins.ini',
    '/etc/nagios/plugins.ini',
    '/usr/local/nagios/etc/plugins.ini',
    '/usr/local/etc/nagios/plugins.ini',
    '/etc/opt/nagios/plugins.ini',
    '/etc/nagios-plugins.ini',
    '/usr/local/etc/nagios-plugins.ini',
    '/etc/opt/nagios-plugins.ini',
  ];
  test.each(USUAL.map((path, at) => [path, at] as const))('%s, unless one before it is there', async (path, at) => {
    expect(await from('', Object.fromEntries(USUAL.slice(at).map((each) => [each, INI])))).toEqual([path]);
  });

  const EVERYTHING = Object.fromEntries(
    [...USUAL, '/mine', '/a/nagios-plugins.ini', '/b/monitoring-plugins.ini', '/b/plugins.ini'].map((path) => [
      path,
      INI,
    ]),
  );
  test.each<[string, string, Record<string, string>, string]>([
    ['named', '@/mine', { MP_CONFIG_FILE: '/other', NAGIOS_CONFIG_PATH: '/a' }, '/mine'],
    ['by MP_CONFIG_FILE', '', { MP_CONFIG_FILE: '/mine', NAGIOS_CONFIG_PATH: '/a' }, '/mine'],
    ['by the folders of NAGIOS_CONFIG_PATH', '', { NAGIOS_CONFIG_PATH: '/a:/b' }, '/a/nagios-plugins.ini'],
    ['by its names in order', '', { NAGIOS_CONFIG_PATH: ':/none::/b:/a' }, '/b/monitoring-plugins.ini'],
    ['though NAGIOS_CONFIG_PATH leads nowhere', '', { NAGIOS_CONFIG_PATH: '/none' }, USUAL[0] as string],
    ['though the variables are empty', '', { MP_CONFIG_FILE: '', NAGIOS_CONFIG_PATH: '' }, USUAL[0] as string],
    ['on standard input', '@-', {}, '-'],
  ])('%s', async (_, locator, environment, path) => {
    expect(await from(locator, EVERYTHING, environment)).toEqual([path]);
  });

  test('the first at parts section and file', async () => {
    const machine = sources({ 'a@b': '[x]\nport=1\n' });
    expect(await readExtraOpts(['x@a@b'], 'check_pop3', machine, () => false)).toHaveLength(1);
  });

  test.each<[string, string, Record<string, string>, Record<string, string>, string]>([
    ['none anywhere', '', {}, {}, 'no ini file in any of the usual places'],
    ['one that is not there', '@/none', {}, {}, '--extra-opts /none: no such file'],
    [
      'MP_CONFIG_FILE that is not there',
      '',
      { [USUAL[0] as string]: INI },
      { MP_CONFIG_FILE: '/none' },
      '/none: no such',
    ],
    ['no such section', 'farm@/mine', { '/mine': INI }, {}, '--extra-opts /mine: no section [farm] with options'],
    ['a section without options', '@/mine', { '/mine': '[check_pop3]\n' }, {}, 'no section [check_pop3] with options'],
  ])('%s is UNKNOWN', async (_, locator, files, environment, message) => {
    const failure = await told(() => from(locator, files, environment));
    expect(failure.reason).toBe('configuration');
    expect(failure.message).toContain(message);
  });

  test('an at with nothing behind it', async () => {
    expect((await told(() => from('farm@', {}))).reason).toBe('usage');
  });

  test('standard input is read once, whatever the number of its sections', async () => {
    const machine = sources({}, {}, '[a]\nport=1\n[b]\nport=2\n');
    const options = await readExtraOpts(['a@-', 'b@-'], 'check_pop3', machine, () => true);
    expect(options.map(({ value, where }) => `${value} ${where}`)).toEqual([
      '1 standard input line 2',
      '2 standard input line 4',
    ]);
    expect(machine.read).toEqual(['-']);
  });
});

describe('its options stand before the command line', () => {
  const expand = async (ini: string, ...argv: string[]): Promise<Settings> => {
    const given = parseArguments(['--extra-opts=@/ini', ...argv]);
    const { 'extra-opts': _, ...settings } = await expandExtraOpts(given, 'check_pop3', sources({ '/ini': ini }));
    return settings;
  };
  const ini = (...lines: string[]): string => ['[check_pop3]', ...lines].join('\n');

  test.each<[string, string, readonly string[], Settings]>([
    ['a long name', ini('client-access-server = mail'), [], { 'client-access-server': ['mail'] }],
    [
      'a name of one character',
      ini('H = mail', 'p=995'),
      [],
      { 'client-access-server': ['mail'], 'port-client-access-server': '995' },
    ],
    ['a flag, long and short', ini('ssl=', '4 ='), [], { ssl: true, ipv4: true }],
    ['a value that begins with a dash', ini('u = -x', 'w=-5:5'), [], { 'mailbox-credential': '-x', warning: ['-5:5'] }],
    [
      'the last one wins: the command line',
      ini('H=a', 'p=1'),
      ['-H', 'b'],
      { 'client-access-server': ['b'], 'port-client-access-server': '1' },
    ],
    ['the last one wins: in the file', ini('u=a', 'mailbox-credential=b'), [], { 'mailbox-credential': 'b' }],
    ['servers are several', ini('H=a', 'client-access-server=b'), [], { 'client-access-server': ['a', 'b'] }],
    [
      'thresholds add up, the file first',
      ini('w=1', 'w=messages=2'),
      ['-w', '3'],
      { warning: ['1', 'messages=2', '3'] },
    ],
    ['verbosity adds up', ini('v=', 'verbose='), ['-v'], { verbose: 3 }],
    [
      'another way to the password displaces the file’s',
      ini(`password=${PASSWORD}`),
      ['--password-env', 'X'],
      { 'password-env': 'X' },
    ],
    ['and so does one of the same kind', ini(`password=${PASSWORD}`), ['--password', 'x'], { password: 'x' }],
    ['and @FILE', ini('password-file=/pw'), ['-u', '@x'], { 'mailbox-credential': '@x' }],
    [
      'a password is told apart from one everyone can see',
      ini('password=a #b "c"'),
      [],
      { 'extra-opts password': 'a #b "c"' },
    ],
    ['of two passwords the last', ini('password=a', 'password=b'), [], { 'extra-opts password': 'b' }],
  ])('%s', async (_, content, argv, expected) => {
    expect(await expand(content, ...argv)).toEqual(expected);
  });

  test('several sections, in the order of the command line', async () => {
    const given = parseArguments(['--extra-opts=b@/ini', '--extra-opts=@/ini', '-w', '9']);
    const machine = sources({ '/ini': '[check_pop3]\nw=1\nH=one\n[b]\nw=2\nH=two\n' });
    expect(await expandExtraOpts(given, 'check_pop3', machine)).toMatchObject({
      warning: ['2', '1', '9'],
      'client-access-server': ['two', 'one'],
    });
  });

  test.each<[string, string, string]>([
    ['an unknown option', ini('a=1', 'hunter2=1').replace('a=1', 'p=1'), 'line 3: there is no such option'],
    ['an unknown letter', ini('z=hunter2'), 'line 2: there is no such option'],
    ['a name with dashes', ini('--port=hunter2'), 'line 2: there is no such option'],
    ['__proto__', ini('__proto__=hunter2'), 'line 2: there is no such option'],
    ['the setting behind the scenes', ini('extra-opts password=hunter2'), 'line 2: there is no such option'],
    ['a value for a flag', ini('ssl=hunter2'), 'line 2: --ssl takes no value'],
    ['no value for an option', ini('H='), 'line 2: --client-access-server takes HOST'],
    ['itself', ini('extra-opts=hunter2'), 'line 2: --extra-opts has no meaning in a file'],
  ])('%s is refused by its place', async (_, content, message) => {
    const failure = await told(() => expand(content));
    expect(failure.reason).toBe('configuration');
    expect(failure.message).toContain(`--extra-opts /ini ${message}`);
  });

  test('standard input cannot hold both the options and the password', async () => {
    for (const [content, argv] of [
      ['[check_pop3]\nH=mail\n', ['--password-stdin']],
      ['[check_pop3]\npassword-stdin=\n', []],
    ] as const) {
      const given = parseArguments(['--extra-opts=@-', ...argv]);
      const { reason, message } = await told(() => expandExtraOpts(given, 'check_pop3', sources({}, {}, content)));
      expect(reason).toBe('usage');
      expect(message).toContain('both want standard input');
    }
  });
});

describe('a file that everyone may read', () => {
  const expand = (content: string, section = ''): Promise<Settings> =>
    expandExtraOpts({ 'extra-opts': [`${section}@/open`] }, 'check_pop3', sources({ '/open': content }));

  test('may hold options', async () => {
    expect(await expand('[check_pop3]\nH=mail\npassword-file=/pw\n')).toMatchObject({ 'password-file': '/pw' });
  });

  test('may not hold a password', async () => {
    expect((await told(() => expand(`[check_pop3]\nH=mail\npassword=${PASSWORD}\n`))).message).toContain(
      'everyone may read',
    );
  });

  test('is not judged by what other sections hold', async () => {
    expect(await expand('[check_mysql]\npassword=x\n[check_pop3]\nH=mail\n')).toMatchObject({
      'client-access-server': ['mail'],
    });
  });
});

describe('on this machine', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'extra-opts-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const written = (name: string, content: string, mode: number): string => {
    const path = join(folder, name);
    writeFileSync(path, content);
    chmodSync(path, mode);
    return path;
  };
  const expand = (path: string): Promise<Settings> =>
    expandExtraOpts({ 'extra-opts': [`@${path}`] }, 'check_pop3', nodeSources);

  test('a file with a byte order mark, as Notepad writes it', async () => {
    const path = written('bom.ini', `\ufeff[check_pop3]\r\npassword = ${PASSWORD} ä\r\n`, 0o600);
    expect(await expand(path)).toMatchObject({ 'extra-opts password': `${PASSWORD} ä` });
  });

  test.each([0o644, 0o604])('a password in one of mode %o is refused', async (mode) => {
    const path = written(`open-${mode}.ini`, `[check_pop3]\npassword = ${PASSWORD}\n`, mode);
    expect((await told(() => expand(path))).message).toBe(`--extra-opts ${path}: everyone may read it (chmod o-r)`);
  });

  test('a folder, and one that is not UTF-8', async () => {
    const place = join(folder, 'folder');
    mkdirSync(place);
    expect((await told(() => expand(place))).message).toMatch(/regular file|directory/);
    const path = join(folder, 'latin1.ini');
    writeFileSync(path, Buffer.from('[check_pop3]\nu = p\xe4ss\n', 'latin1'));
    expect((await told(() => expand(path))).message).toContain('not UTF-8');
  });
});
