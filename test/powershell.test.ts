import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseArguments } from '../src/cli/arguments.ts';
import { cmdletSettings } from '../src/cli/cmdlet.ts';
import { OPTIONS, type Option, optionsOf } from '../src/cli/options.ts';
import { fromPowerShell, parameterOf } from '../src/cli/powershell.ts';
import { ProbeFailure, type Reason } from '../src/dialogue/failure.ts';
import type { Settings } from '../src/request/settings.ts';

const ALL = optionsOf('Test-PopConnectivity');
const SERVER = 'client-access-server';

/** What was set; where one server was given, that one. */
function read(...argv: readonly string[]): Settings {
  const settings = parseArguments(fromPowerShell(argv, ALL), ALL);
  const [server, ...others] = (settings[SERVER] ?? []) as readonly string[];
  return server === undefined || others.length > 0 ? settings : { ...settings, [SERVER]: server };
}

function refusalOf(act: () => unknown, reason: Reason = 'usage'): string {
  try {
    act();
  } catch (problem) {
    if (!(problem instanceof ProbeFailure)) throw problem;
    expect(problem.reason).toBe(reason);
    expect(problem.message).not.toContain('\n');
    return problem.message;
  }
  throw new Error('it was taken');
}
const refusal = (...argv: readonly string[]): string => refusalOf(() => read(...argv));
const listed = (option: Option, value: string): unknown =>
  option.kind === 'list' && option.name !== SERVER ? [value] : value;

/** The reference page's syntax line, in its order. */
const CMDLET: readonly (readonly [parameter: string, option: string, value: string | true])[] = [
  ['ClientAccessServer', 'client-access-server', 'Contoso12'],
  ['ConnectionType', 'connection-type', 'Ssl'],
  ['MailboxCredential', 'mailbox-credential', 'contoso\\kweku'],
  ['PerConnectionTimeout', 'per-connection-timeout', '60'],
  ['PortClientAccessServer', 'port-client-access-server', '995'],
  ['TrustAnySSLCertificate', 'trust-any-ssl-certificate', true],
  ['Confirm', 'confirm', true],
  ['DomainController', 'domain-controller', 'dc01.contoso.com'],
  ['LightMode', 'light-mode', true],
  ['MailboxServer', 'mailbox-server', 'MBX01'],
  ['MonitoringContext', 'monitoring-context', true],
  ['ResetTestAccountCredentials', 'reset-test-account-credentials', true],
  ['Timeout', 'timeout', '30'],
  ['WhatIf', 'what-if', true],
];

/** The beginnings of a parameter that are those of no other of the cmdlet's. */
function beginnings(parameter: string): readonly string[] {
  const all = Array.from(parameter, (_, index) => parameter.slice(0, index + 1)).slice(1);
  const others = CMDLET.map(([each]) => each.toLowerCase()).filter((each) => each !== parameter.toLowerCase());
  return all.filter((begun) => !others.some((other) => other.startsWith(begun.toLowerCase())));
}

describe('a parameter of the cmdlet', () => {
  test('the table has them all, and no other', () => {
    expect(ALL.flatMap(({ cmdlet }) => cmdlet ?? []).sort()).toEqual(CMDLET.map(([name]) => name).sort());
  });

  test.each(CMDLET)('-%s sets %s, in every spelling', (parameter, option, value) => {
    const expected = { [option]: value };
    const names = [parameter, parameter.toLowerCase(), parameter.toUpperCase(), ...beginnings(parameter)];
    for (const name of names) {
      const forms =
        value === true
          ? [
              [`-${name}`],
              ...['$true', '$True', 'true', 'TRUE', '1'].flatMap((yes) => [[`-${name}:${yes}`], [`-${name}:`, yes]]),
            ]
          : [[`-${name}`, value], [`-${name}:${value}`], [`-${name}:`, value]];
      for (const form of forms) expect(read(...form), form.join(' ')).toEqual(expected);
    }
    expect(read(`\u2013${parameter}`, ...(value === true ? [] : [value]))).toEqual(expected);
    expect(read(`--${option}`, ...(value === true ? [] : [value]))).toEqual(expected);
    if (value !== true) expect(read(`--${option}=${value}`)).toEqual(expected);
  });

  test.each(CMDLET.filter(([, , value]) => value === true))('-%s:$false is the same as leaving it out', (parameter) => {
    for (const no of ['$false', '$False', 'false', '0']) {
      expect(read(`-${parameter}:${no}`, '-Timeout', '30')).toEqual({ timeout: '30' });
      expect(read(`-${parameter}:`, no, '-Timeout', '30')).toEqual({ timeout: '30' });
    }
  });

  test.each(CMDLET.filter(([, , value]) => value === true))('-%s takes a value no other way', (parameter) => {
    for (const value of ['yes', 'hunter2', '$null', '2', '$1', '$$true', 'constructor'])
      expect(refusal(`-${parameter}:${value}`)).toMatch(new RegExp(`^-${parameter} takes :\\$true or :\\$false`));
    // What a shell leaves of :$true and :$false.
    for (const rest of [[], ['-Timeout', '30'], ['Contoso12']]) {
      expect(refusal(`-${parameter}:`, ...rest)).toContain(`quotes around it: '-${parameter}:$false'`);
    }
    for (const value of ['$true', '$false', 'False', '1', '0'])
      expect(refusal(`-${parameter}`, value)).toContain('joined to it');
    expect(refusal(`-${parameter}`, `-${parameter}:$false`)).toContain('as $true and as $false');
  });

  test.each(CMDLET.filter(([, , value]) => value !== true))(
    '-%s without a value is told what it takes',
    (parameter) => {
      for (const argv of [
        [`-${parameter}`],
        [`-${parameter}:`],
        [`-${parameter}`, ''],
        [`-${parameter}`, '-WhatIf'],
        [`-${parameter}:`, '--ssl'],
      ])
        expect(refusal(...argv), argv.join(' ')).toContain(`-${parameter} takes `);
    },
  );

  test('may begin with a dash where it is joined, and be negative where it is not', () => {
    expect(read('-Password:-x')).toEqual({ password: '-x' });
    expect(read('-Timeout', '-5')).toEqual({ timeout: '-5' });
    expect(read('-Password:a:b=c')).toEqual({ password: 'a:b=c' });
  });
});

describe('our own options in that spelling', () => {
  test.each(ALL.map((option) => [parameterOf(option), option] as const))('-%s', (parameter, option) => {
    if (option.kind === 'flag') expect(read(`-${parameter}`)).toEqual({ [option.name]: true });
    else if (option.kind === 'count') expect(read(`-${parameter}`)).toEqual({ [option.name]: 1 });
    else if (option.kind === 'optional') {
      expect(read(`-${parameter}`)).toEqual({ [option.name]: [''] });
      expect(read(`-${parameter}:farm@/etc/x`)).toEqual({ [option.name]: ['farm@/etc/x'] });
      expect(refusal(`-${parameter}`, 'hunter2')).toContain(`argument 2 is not taken by --${option.name}: join`);
    } else {
      expect(read(`-${parameter}`, 'x')).toEqual({ [option.name]: listed(option, 'x') });
      expect(read(`-${parameter.toLowerCase()}:x`)).toEqual({ [option.name]: listed(option, 'x') });
    }
  });

  test('no two have one name', () => {
    const names = ALL.map((option) => parameterOf(option).toLowerCase());
    expect(new Set(names).size).toBe(names.length);
  });

  test('give way to the cmdlet’s, whose beginnings are what they were', () => {
    expect(read('-Client', 'Contoso12')).toEqual({ 'client-access-server': 'Contoso12' });
    expect(read('-ClientK', 'pem')).toEqual({ 'client-key': 'pem' });
    expect(read('-Conc', '5')).toEqual({ concurrency: '5' });
  });
});

describe('a beginning of several', () => {
  test.each([
    ['-Mailbox', ['-MailboxCredential', '-MailboxServer']],
    ['-mailbox:hunter2', ['-MailboxCredential', '-MailboxServer']],
    ['-Con', ['-ConnectionType', '-Confirm']],
    ['-Smtp', ['-SmtpServer', '-SmtpPort', '-SmtpConnectionType', '-SmtpCredential']],
  ])('%s names them', (argument, names) => {
    const message = refusal('-LightMode', argument, 'hunter2');
    expect(message).toMatch(/^argument 2 is the beginning of /);
    for (const name of names) expect(message).toContain(name);
    expect(message).not.toContain('hunter2');
  });

  test('a whole name is not one', () => {
    expect(read('-Password', 'x')).toEqual({ password: 'x' });
  });
});

describe('short and long options', () => {
  test.each<[readonly string[], Settings]>([
    [['-H', 'Contoso12'], { 'client-access-server': 'Contoso12' }],
    [['-p', '110'], { 'port-client-access-server': '110' }],
    [['-p110'], { 'port-client-access-server': '110' }],
    [['-S'], { ssl: true }],
    [['-4'], { ipv4: true }],
    [['-S4'], { ssl: true, ipv4: true }],
    [['-S4p', '995'], { ssl: true, ipv4: true, 'port-client-access-server': '995' }],
    [['-v'], { verbose: 1 }],
    [['-vv'], { verbose: 2 }],
    [['-vvv'], { verbose: 3 }],
    [['-V'], { version: true }],
    [['-h'], { help: true }],
    [['-C', '30,14'], { 'certificate-days': '30,14' }],
    [['-C30,14'], { 'certificate-days': '30,14' }],
    [['-Confirm', '-C', '5'], { confirm: true, 'certificate-days': '5' }],
    [['-u@cred'], { 'mailbox-credential': '@cred' }],
    [['-w', '-5:5', '-w@1:2', '-c', '9'], { warning: ['-5:5', '@1:2'], critical: ['9'] }],
    [['-t', '20', '-Timeout:30'], { timeout: '30' }],
    [['--extra-opts', '-H', 'x'], { 'extra-opts': [''], 'client-access-server': 'x' }],
    // More than one letter is a parameter, or the beginning of one.
    [['-Sp'], { split: true }],
    [['-SSL'], { ssl: true }],
    [['-Verbose'], { verbose: 1 }],
    [['-Verbose:$false'], {}],
    [['-Help'], { help: true }],
  ])('%j', (argv, settings) => {
    expect(read(...argv)).toEqual(settings);
  });

  test.each(OPTIONS.map((option) => [option.name, option] as const))('--%s is as everywhere', (name, option) => {
    const argv = option.kind === 'text' || option.kind === 'list' ? [`--${name}`, 'a b'] : [`--${name}`];
    expect(fromPowerShell(argv, ALL)).toEqual(argv);
    if (option.short !== undefined)
      expect(fromPowerShell([`-${option.short}`, ...argv.slice(1)], ALL)[0]).toBe(`-${option.short}`);
  });

  test.each([
    ['-Hmail.example.com'],
    ['-VV'],
    ['-vVv'],
    ['-Timeout=30'],
    ['-light-mode'],
    ['-Hunter2'],
    ['-constructor'],
  ])('%s is neither, and is not repeated', (argument) => {
    const message = refusal('-LightMode', argument);
    expect(message).toMatch(/^argument 2 names no parameter/);
    expect(message).not.toContain(argument.slice(1));
  });

  test('an unknown one of one letter is told, without what is behind it', () => {
    expect(refusal('-P', 'hunter2')).toBe('there is no option -P');
    expect(refusal('-Q:hunter2')).toBe('there is no option -Q');
    expect(refusal('--passwrod=hunter2')).toBe('there is no option --passwrod');
  });

  test('what this command has alone, others do not know', () => {
    const alone = ALL.filter(({ only }) => only !== undefined);
    expect(alone.map(({ name }) => name)).toContain('mailbox-server');
    for (const { name } of alone)
      expect(refusalOf(() => parseArguments([`--${name}`]))).toBe(`there is no option --${name}`);
  });
});

describe('the argument without a name', () => {
  test.each<[readonly string[], Settings]>([
    [['Contoso12'], { 'client-access-server': 'Contoso12' }],
    [['Contoso12', '-LightMode'], { 'client-access-server': 'Contoso12', 'light-mode': true }],
    [['-LightMode', 'Contoso12'], { 'client-access-server': 'Contoso12', 'light-mode': true }],
    [['-Timeout', '30', 'Contoso12'], { 'client-access-server': 'Contoso12', timeout: '30' }],
    [['-p', '110', 'Contoso12'], { 'client-access-server': 'Contoso12', 'port-client-access-server': '110' }],
    [['-LightMode', '--', 'Contoso12'], { 'client-access-server': 'Contoso12', 'light-mode': true }],
    [['a,b,c'], { 'client-access-server': 'a,b,c' }],
    [['a,', 'b,', 'c', '-WhatIf'], { 'client-access-server': 'a,b,c', 'what-if': true }],
    [['-ClientAccessServer', 'a,b,c'], { 'client-access-server': 'a,b,c' }],
    [['-ClientAccessServer', 'a', ',b', ',', 'c', '-WhatIf'], { 'client-access-server': 'a,b,c', 'what-if': true }],
    [['-ClientAccessServer:a,', 'b'], { 'client-access-server': 'a,b' }],
  ])('%j is the server', (argv, settings) => {
    expect(read(...argv)).toEqual(settings);
  });

  test.each<[string, readonly string[], number]>([
    ['a second one', ['Contoso12', 'hunter2'], 2],
    ['one beside the name', ['-ClientAccessServer', 'Contoso12', 'hunter2'], 3],
    ['one before the name', ['hunter2', '-ClientAccessServer', 'Contoso12'], 1],
    ['one before the short name', ['hunter2', '-H', 'Contoso12'], 1],
    ['one before the long name', ['hunter2', '--client-access-server=Contoso12'], 1],
    ['the rest of a password', ['-Password', 'correct', 'hunter2'], 3],
    ['the rest of a password, in getopt’s words', ['--password', 'correct', 'hunter2'], 3],
    ['behind two dashes', ['--', 'Contoso12', 'hunter2'], 3],
    ['like an option, behind two dashes', ['--', '-hunter2'], 2],
    ['two dashes behind two dashes', ['--', '--'], 2],
    ['a dash', ['-'], 1],
    ['an empty one', ['-LightMode', ''], 2],
    ['what --extra-opts does not take', ['--extra-opts', 'hunter2'], 2],
  ])('is refused by its place: %s', (_, argv, place) => {
    const message = refusal(...argv);
    expect(message).toMatch(new RegExp(`^argument ${place} `));
    expect(message).not.toContain('hunter2');
  });
});

describe('a credential', () => {
  test.each([
    ['(Get-Credential contoso\\kweku)', 'contoso\\kweku'],
    ['(get-credential kweku@contoso.com)', 'kweku@contoso.com'],
    ["( Get-Credential 'contoso\\kweku a' )", 'contoso\\kweku a'],
    ['(Get-Credential "contoso\\o\'brien")', "contoso\\o'brien"],
    ['(Get-Credential -Credential contoso\\kweku)', 'contoso\\kweku'],
    ['(Get-Credential -UserName:kweku)', 'kweku'],
    ['contoso\\kweku', 'contoso\\kweku'],
    ['(somebody)', '(somebody)'],
    ['@/etc/cred', '@/etc/cred'],
  ])('%s is %s', (given, userName) => {
    expect(read('-MailboxCredential', given)).toEqual({ 'mailbox-credential': userName });
    expect(read(`-MailboxCredential:${given}`)).toEqual({ 'mailbox-credential': userName });
    expect(read('-SmtpCredential', given)).toEqual({ 'smtp-credential': userName });
  });

  test.each([
    '(Get-Credential)',
    '(Get-Credential -Message hunter2)',
    '(Get-Credential a hunter2)',
    '(Get-Credential contoso\\kweku',
    'System.Management.Automation.PSCredential',
  ])('%s names nobody', (given) => {
    const message = refusal('-MailboxCredential', given);
    expect(message).toContain("'(Get-Credential contoso\\kweku)'");
    expect(message).not.toContain('hunter2');
  });
});

describe('the limits of the cmdlet', () => {
  const WHO = { 'client-access-server': 'Contoso12', 'mailbox-credential': 'kweku' };
  const meant = (settings: Settings): unknown => {
    const { settings: all, remarks } = cmdletSettings({ ...WHO, ...settings });
    const { 'client-access-server': server, 'mailbox-credential': user, ...others } = all;
    expect({ server, user }).toEqual({ server: 'Contoso12', user: 'kweku' });
    return { ...others, remarks };
  };

  test.each<[Settings, unknown]>([
    [{}, { remarks: [] }],
    [{ timeout: '0' }, { timeout: '3600', remarks: [] }],
    [{ timeout: '5' }, { timeout: '5', remarks: [] }],
    [{ timeout: '3600' }, { timeout: '3600', remarks: [] }],
    [{ timeout: '4' }, { timeout: '4', remarks: ['-Timeout 4: a value of 5 seconds or more is recommended'] }],
    [{ 'per-connection-timeout': '0' }, { 'per-connection-timeout': '120', remarks: [] }],
    [{ 'per-connection-timeout': '120' }, { 'per-connection-timeout': '120', remarks: [] }],
    [
      { 'per-connection-timeout': '4.9' },
      {
        'per-connection-timeout': '4.9',
        remarks: ['-PerConnectionTimeout 4.9: a value of 5 seconds or more is recommended'],
      },
    ],
    [{ 'port-client-access-server': '0' }, { 'port-client-access-server': '0', remarks: [] }],
    [{ 'port-client-access-server': '1' }, { 'port-client-access-server': '1', remarks: [] }],
    [{ 'port-client-access-server': '65535' }, { 'port-client-access-server': '65535', remarks: [] }],
  ])('%j', (settings, expected) => {
    expect(meant(settings)).toEqual(expected);
  });

  test.each([
    ['timeout', '-Timeout: valid values are between 0 and 3600 seconds (1 hour)', '3601'],
    ['per-connection-timeout', '-PerConnectionTimeout: valid values are between 0 and 120 seconds', '121'],
    ['port-client-access-server', '-PortClientAccessServer: the valid range is from 0 through 65,535', '65536'],
  ])('%s out of range is told the documented range', (option, message, tooMuch) => {
    for (const value of [tooMuch, '-1', '99999999999', 'hunter2', '1e2', '0x10', ' 5', 'NaN', ''])
      expect(
        refusalOf(() => meant({ [option]: value })),
        value,
      ).toBe(message);
  });

  test('what they are given is left as it is', () => {
    const given = Object.freeze({ ...WHO, timeout: '0' });
    cmdletSettings(given);
    expect(given.timeout).toBe('0');
  });

  test.each<[string, Settings, string]>([
    ['no server', { 'mailbox-credential': 'kweku' }, '-ClientAccessServer'],
    ['no credential, the second example', { 'client-access-server': 'Contoso12' }, '-MailboxCredential'],
  ])('needs a directory, and says so: %s', (_, settings, names) => {
    const message = refusalOf(() => cmdletSettings(settings), 'configuration');
    expect(message).toContain('a directory (Active Directory)');
    expect(message).toContain(names);
    expect(message.length).toBeLessThan(200);
  });

  test.each<[string, Settings]>([
    ['targets, which have their own', { targets: ['farm.yaml'] }],
    ['Exchange Online, which has one server', { 'oauth-tenant': 'contoso.com', 'mailbox-credential': 'kweku' }],
    ['a certificate that says who', { 'client-access-server': 'Contoso12', auth: 'External' }],
  ])('needs none for %s', (_, settings) => {
    expect(cmdletSettings(settings).settings).toEqual(settings);
  });
});

describe('any words at all', () => {
  const SECRET = 'hunter2';
  const name = fc.constantFrom(
    ...ALL.map(parameterOf),
    ...ALL.map((option) => parameterOf(option).slice(0, 4)),
    'Nothing',
  );
  const word = fc.oneof(
    name.map((each) => `-${each}`),
    name.map((each) => `-${each}:${SECRET}`),
    name.map((each) => `-${each}:`),
    fc.constantFrom(...ALL.map((option) => `--${option.name}`), ...ALL.map((option) => `--${option.name}=${SECRET}`)),
    fc.constantFrom(...ALL.flatMap(({ short }) => (short === undefined ? [] : [`-${short}`]))),
    fc.constantFrom(SECRET, `-${SECRET}`, `${SECRET},`, '$true', '$false', '--', '-', '', '-vv', '-S4', '\u2013WhatIf'),
  );

  test('end in settings or a usage failure that repeats no value', () => {
    const outcomes = { taken: 0, refused: 0 };
    fc.assert(
      fc.property(fc.array(word, { maxLength: 6 }), (argv) => {
        try {
          read(...argv);
          outcomes.taken += 1;
        } catch (problem) {
          outcomes.refused += 1;
          expect(problem).toBeInstanceOf(ProbeFailure);
          expect((problem as ProbeFailure).reason).toBe('usage');
          expect((problem as ProbeFailure).message).not.toContain(SECRET);
        }
      }),
      { numRuns: 3000 },
    );
    expect(Math.min(outcomes.taken, outcomes.refused)).toBeGreaterThan(100);
  });

  test('of any letters', () => {
    const letters = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 8 }),
      fc.string({ maxLength: 8 }).map((each) => `-${each}`),
    );
    fc.assert(
      fc.property(fc.array(letters, { maxLength: 5 }), (argv) => {
        try {
          read(...argv);
        } catch (problem) {
          expect(problem).toBeInstanceOf(ProbeFailure);
          expect((problem as ProbeFailure).reason).toBe('usage');
        }
      }),
      { numRuns: 3000 },
    );
  });

  test('that getopt takes mean the same here', () => {
    const options = OPTIONS.filter(({ kind }) => kind !== 'optional');
    const pair = fc.constantFrom(...options).chain((option) => {
      const spelled = fc.constantFrom(`--${option.name}`, ...(option.short === undefined ? [] : [`-${option.short}`]));
      const value = fc.constantFrom('x', '110', 'a b', 'true', '-5');
      return option.kind === 'text' || option.kind === 'list'
        ? fc.tuple(spelled, value)
        : spelled.map((each) => [each]);
    });
    fc.assert(
      fc.property(fc.array(pair, { maxLength: 5 }), (pairs) => {
        const argv = pairs.flat();
        expect(parseArguments(fromPowerShell(argv, ALL), ALL)).toEqual(parseArguments(argv, ALL));
      }),
      { numRuns: 1000 },
    );
  });
});
