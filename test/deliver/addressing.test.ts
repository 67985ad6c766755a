import { describe, expect, test } from 'vitest';
import { parseArguments } from '../../src/cli/arguments.ts';
import { OPTIONS } from '../../src/cli/options.ts';
import { nodeSources } from '../../src/credentials/sources.ts';
import { ProbeFailure } from '../../src/dialogue/failure.ts';
import { type DeliveryPlan, type DestinationPlan, parseAddressee, parseDelivery } from '../../src/request/delivery.ts';
import { iniSetting } from '../../src/request/secret.ts';
import type { Settings } from '../../src/request/settings.ts';
import type { Sources } from '../../src/request/sources.ts';

const PASSWORD = 'correct-horse';
const TOKEN = 'fake-token';

const FILES: Readonly<Record<string, string>> = {
  pw: `${PASSWORD}\n`,
  token: `${TOKEN}\n`,
  cred: `pop3\n${PASSWORD}\n`,
  empty: '\n',
  'two-lines': `${PASSWORD}\n${TOKEN}\n`,
  '/run/credentials/pop3-deliver-password': 'from-systemd\n',
  '/run/credentials/pop3-deliver-token': 'from-systemd\n',
};

const sources = (environment: Readonly<Record<string, string>> = {}): Sources => ({
  ...nodeSources,
  file: (option, path) => {
    const content = FILES[path];
    if (content === undefined) throw new ProbeFailure('configuration', `${option}: no such file`);
    return content;
  },
  exists: (path) => Object.hasOwn(FILES, path),
  environment: (name) => ({ PW: PASSWORD, TOKEN, ...environment })[name],
  certificates: (_, path) => `certificates of ${path}`,
  privateKey: (_, path, certificates) => `key of ${path} for the ${certificates}`,
  askOnTerminal: async () => expect.unreachable('nobody is asked'),
});

const parse = (argv: readonly string[], environment?: Readonly<Record<string, string>>): Promise<DeliveryPlan | null> =>
  parseDelivery(parseArguments(argv), sources(environment));

async function planOf(argv: readonly string[], environment?: Readonly<Record<string, string>>): Promise<DeliveryPlan> {
  return (await parse(argv, environment)) as DeliveryPlan;
}

/** The only platform of a command line. */
async function destinationOf<K extends DestinationPlan['kind']>(
  kind: K,
  argv: readonly string[],
  environment?: Readonly<Record<string, string>>,
): Promise<Extract<DestinationPlan, { kind: K }>> {
  const [destination, ...others] = (await planOf(argv, environment)).destinations;
  expect(others).toEqual([]);
  expect(destination?.kind).toBe(kind);
  return destination as Extract<DestinationPlan, { kind: K }>;
}

async function refusalOf(settle: () => unknown): Promise<ProbeFailure> {
  try {
    await settle();
  } catch (problem) {
    if (problem instanceof ProbeFailure) return problem;
    throw problem;
  }
  throw new Error('it was accepted');
}

const NAGIOS = ['--deliver', 'nagios:/var/lib/nagios4/rw/nagios.cmd'];
const ICINGA = ['--deliver', 'icinga2:https://master.example.com:5665'];
const AS_POP3 = ['--deliver-credential', 'pop3', '--deliver-password-file', 'pw'];
const NRDP = ['--deliver', 'nrdp:https://nagios.example.com/nrdp/'];
const WITH_TOKEN = ['--deliver-token-file', 'token'];
const ZABBIX = ['--deliver', 'zabbix:zabbix.example.com'];

describe('nothing is delivered', () => {
  test('unless it was asked for', async () => {
    expect(await parse([])).toBe(null);
    expect(await parse(['-H', 'mail.example.com', '--state-dir', '/var/lib/x'])).toBe(null);
  });

  const orphans = OPTIONS.filter(({ name }) => name === 'passive' || name.startsWith('deliver-'));

  test('which is more than a dozen options', () => expect(orphans.length).toBeGreaterThan(12));

  test.each(orphans.map(({ name, kind }) => [name, kind] as const))(
    'and --%s alone is a mistake',
    async (name, kind) => {
      const argv = kind === 'flag' ? [`--${name}`] : [`--${name}`, 'x'];
      expect(await refusalOf(() => parse(argv))).toMatchObject({
        reason: 'usage',
        message: `--${name} needs --deliver`,
      });
    },
  );

  test('and a secret of an ini file alone is one of many there', async () => {
    expect(await parseDelivery({ [iniSetting('deliver-password')]: PASSWORD }, sources())).toBe(null);
  });
});

describe('a delivery', () => {
  test('takes 8 seconds, keeps what waits for 15 minutes, and leaves the exit code alone', async () => {
    expect(await parse(NAGIOS)).toMatchObject({ maxAgeMs: 900_000, timeoutMs: 8000, stateDir: null, isPassive: false });
  });

  test.each<[string, readonly string[], Partial<DeliveryPlan>]>([
    ['a bound of its own', ['--deliver-timeout', '0.5'], { timeoutMs: 500 }],
    ['the longest bound', ['--deliver-timeout', '300'], { timeoutMs: 300_000 }],
    ['an age', ['--deliver-max-age', '120'], { maxAgeMs: 120_000 }],
    ['the greatest age', ['--deliver-max-age', '9999'], { maxAgeMs: 9_999_000 }],
    ['a folder', ['--state-dir', '/var/lib/pop-connectivity'], { stateDir: '/var/lib/pop-connectivity' }],
    ['an exit code', ['--passive'], { isPassive: true }],
  ])('may have %s', async (_, argv, plan) => {
    expect(await parse([...NAGIOS, ...argv])).toMatchObject(plan);
  });

  test('goes to several platforms, in their order, and to none of them twice', async () => {
    const { destinations } = await planOf([
      ...ZABBIX,
      ...NAGIOS,
      ...ICINGA,
      ...NRDP,
      ...ZABBIX,
      ...AS_POP3,
      ...WITH_TOKEN,
    ]);
    expect(destinations.map(({ name }) => name)).toEqual([
      'zabbix zabbix.example.com:10051',
      'nagios /var/lib/nagios4/rw/nagios.cmd',
      'icinga2 master.example.com:5665',
      'nrdp nagios.example.com/nrdp',
    ]);
  });

  // The name is what results wait under: with one name for two, the second would never get any.
  test('goes to two servers behind one host, under names of their own', async () => {
    const two = [
      '--deliver',
      'nrdp:https://nagios.example.com/a/nrdp/',
      '--deliver',
      'nrdp:https://nagios.example.com/b/nrdp/',
    ];
    const { destinations } = await planOf([...two, ...WITH_TOKEN]);
    expect(destinations.map(({ name }) => name)).toEqual([
      'nrdp nagios.example.com/a/nrdp',
      'nrdp nagios.example.com/b/nrdp',
    ]);
  });

  test('goes once to what is written in two ways', async () => {
    const two = [
      '--deliver',
      'nrdp:https://nagios.example.com/nrdp',
      ...NRDP,
      ...ZABBIX,
      '--deliver',
      'zabbix:zabbix.example.com:10051',
    ];
    const { destinations } = await planOf([...two, ...WITH_TOKEN]);
    expect(destinations.map(({ kind }) => kind)).toEqual(['nrdp', 'zabbix']);
  });

  test('has no secret to show', async () => {
    const plan = await planOf([...ICINGA, ...NRDP, ...AS_POP3, ...WITH_TOKEN]);
    expect(JSON.stringify(plan)).not.toMatch(new RegExp(`${PASSWORD}|${TOKEN}`));
  });
});

describe('Nagios', () => {
  test('is a command file', async () => {
    expect(await destinationOf('nagios', NAGIOS)).toEqual({
      kind: 'nagios',
      name: 'nagios /var/lib/nagios4/rw/nagios.cmd',
      path: '/var/lib/nagios4/rw/nagios.cmd',
    });
  });

  test('may have blanks and colons in its path', async () => {
    const path = '/srv/a b/c:d/nagios.cmd';
    expect(await destinationOf('nagios', ['--deliver', `nagios:${path}`])).toMatchObject({ path });
  });
});

describe('Icinga 2', () => {
  test('is a URL and an API user', async () => {
    const { credential, ...rest } = await destinationOf('icinga2', [...ICINGA, ...AS_POP3]);
    expect(rest).toEqual({
      kind: 'icinga2',
      name: 'icinga2 master.example.com:5665',
      url: 'https://master.example.com:5665',
      http: { family: 0, proxy: null, authorities: null, pins: [], clientCertificate: null },
      checkSource: null,
      ttlS: null,
    });
    expect(credential?.userName).toBe('pop3');
    expect(credential?.password.reveal()).toBe(PASSWORD);
  });

  test.each<[string, Settings, string]>([
    ['a file', { 'deliver-password-file': 'pw' }, PASSWORD],
    ['the environment', { 'deliver-password-env': 'PW' }, PASSWORD],
    ['the command line', { 'deliver-password': 'seen by everyone' }, 'seen by everyone'],
    ['an ini file', { [iniSetting('deliver-password')]: PASSWORD }, PASSWORD],
    ['systemd', {}, 'from-systemd'],
  ])('has its password from %s', async (_, settings, password) => {
    const plan = await parseDelivery(
      { ...parseArguments([...ICINGA, '--deliver-credential', 'pop3']), ...settings },
      sources({ CREDENTIALS_DIRECTORY: '/run/credentials' }),
    );
    const [destination] = plan?.destinations ?? [];
    expect(destination?.kind === 'icinga2' && destination.credential?.password.reveal()).toBe(password);
  });

  test('has user and password from one file', async () => {
    const { credential } = await destinationOf('icinga2', [...ICINGA, '--deliver-credential', '@cred']);
    expect([credential?.userName, credential?.password.reveal()]).toEqual(['pop3', PASSWORD]);
  });

  test('needs no password where there is a certificate', async () => {
    const argv = [...ICINGA, '--deliver-client-certificate', 'probe.crt', '--deliver-client-key', 'probe.key'];
    expect(await destinationOf('icinga2', argv)).toMatchObject({
      credential: null,
      http: {
        clientCertificate: {
          certificate: 'certificates of probe.crt',
          key: 'key of probe.key for the certificates of probe.crt',
        },
      },
    });
  });

  test.each<[string, readonly string[], object]>([
    [
      'a certificate and its key in one file',
      ['--deliver-client-certificate', 'both.pem'],
      { http: { clientCertificate: { key: 'key of both.pem for the certificates of both.pem' } } },
    ],
    ['authorities', ['--deliver-ca-file', 'ca.crt'], { http: { authorities: 'certificates of ca.crt' } }],
    ['the name of its certificate', ['--deliver-certificate-name', 'master-1'], { http: { identity: 'master-1' } }],
    [
      'an international one',
      ['--deliver-certificate-name', 'müller.example.com'],
      { http: { identity: 'xn--mller-kva.example.com' } },
    ],
    [
      'pins, as openssl prints them or not',
      ['--deliver-pin', `SHA256:${'AB:'.repeat(31)}AB`, '--deliver-pin', 'cd'.repeat(32)],
      { http: { pins: ['ab'.repeat(32), 'cd'.repeat(32)] } },
    ],
    ['a check source', ['--deliver-source', 'probe-1.example.com'], { checkSource: 'probe-1.example.com' }],
    ['a ttl', ['--deliver-ttl', '600'], { ttlS: 600 }],
    ['the longest ttl', ['--deliver-ttl', '9999'], { ttlS: 9999 }],
  ])('may have %s', async (_, argv, plan) => {
    expect(await destinationOf('icinga2', [...ICINGA, ...AS_POP3, ...argv])).toMatchObject(plan);
  });

  test.each([
    ['icinga2:https://master.example.com:5665/', 'https://master.example.com:5665', 'master.example.com:5665'],
    ['icinga2:https://master.example.com/icinga/', 'https://master.example.com/icinga', 'master.example.com/icinga'],
    ['icinga2:https://192.0.2.1:5665', 'https://192.0.2.1:5665', '192.0.2.1:5665'],
    ['icinga2:https://[2001:db8::1]:5665', 'https://[2001:db8::1]:5665', '[2001:db8::1]:5665'],
    ['icinga2:https://münchen.example.com:5665', 'https://münchen.example.com:5665', 'münchen.example.com:5665'],
  ])('%s is read', async (given, url, host) => {
    expect(await destinationOf('icinga2', ['--deliver', given, ...AS_POP3])).toMatchObject({
      url,
      name: `icinga2 ${host}`,
    });
  });

  test('is reached by the proxy of the environment, unless that has an exception for it', async () => {
    const HTTPS_PROXY = 'http://proxy.example.com:3128';
    const argv = [...ICINGA, ...AS_POP3];
    expect(await destinationOf('icinga2', argv, { HTTPS_PROXY })).toMatchObject({
      http: { proxy: { kind: 'http', to: 'proxy.example.com', port: 3128 } },
    });
    const excepted = { HTTPS_PROXY, NO_PROXY: 'master.example.com:5665' };
    expect(await destinationOf('icinga2', argv, excepted)).toMatchObject({ http: { proxy: null } });
  });
});

describe('NRDP', () => {
  test('is a URL and a token', async () => {
    const { token, ...rest } = await destinationOf('nrdp', [...NRDP, ...WITH_TOKEN]);
    expect(rest).toEqual({
      kind: 'nrdp',
      name: 'nrdp nagios.example.com/nrdp',
      url: 'https://nagios.example.com/nrdp',
      http: { family: 0, proxy: null, authorities: null, pins: [], clientCertificate: null },
    });
    expect(token.reveal()).toBe(TOKEN);
  });

  test.each<[string, Settings, string]>([
    ['a file', { 'deliver-token-file': 'token' }, TOKEN],
    ['the environment', { 'deliver-token-env': 'TOKEN' }, TOKEN],
    ['the command line', { 'deliver-token': 'seen by everyone' }, 'seen by everyone'],
    ['an ini file', { [iniSetting('deliver-token')]: TOKEN }, TOKEN],
    ['systemd', {}, 'from-systemd'],
  ])('has its token from %s', async (_, settings, token) => {
    const plan = await parseDelivery(
      { ...parseArguments(NRDP), ...settings },
      sources({ CREDENTIALS_DIRECTORY: '/run/credentials' }),
    );
    const [destination] = plan?.destinations ?? [];
    expect(destination?.kind === 'nrdp' && destination.token.reveal()).toBe(token);
  });
});

test.each([
  ['zabbix.example.com', 'zabbix.example.com', null, 10051],
  ['zabbix.example.com:10061', 'zabbix.example.com', null, 10061],
  ['192.0.2.1', '192.0.2.1', { address: '192.0.2.1', family: 4 }, 10051],
  ['192.0.2.1:10061', '192.0.2.1', { address: '192.0.2.1', family: 4 }, 10061],
  ['[2001:db8::1]', '2001:db8::1', { address: '2001:db8::1', family: 6 }, 10051],
  ['[2001:db8::1]:10061', '2001:db8::1', { address: '2001:db8::1', family: 6 }, 10061],
  ['2001:db8::1', '2001:db8::1', { address: '2001:db8::1', family: 6 }, 10051],
])('Zabbix at %s', async (given, shown, address, port) => {
  expect(await destinationOf('zabbix', ['--deliver', `zabbix:${given}`])).toEqual({
    kind: 'zabbix',
    name: `zabbix ${shown}:${port}`,
    host: { shown, ascii: shown, address },
    port,
  });
});

describe('what cannot be', () => {
  const KINDS = '--deliver takes nagios:, icinga2:, nrdp:, zabbix: and where that is, not';
  test.each<[string, readonly string[], string]>([
    ['no kind', ['--deliver', 'master.example.com'], `${KINDS} "master.example.com"`],
    ['another kind', ['--deliver', 'nsca:nagios.example.com'], `${KINDS} "nsca:nagios.example.com"`],
    ['a kind in capitals', ['--deliver', 'Zabbix:zabbix.example.com'], `${KINDS} "Zabbix:zabbix.example.com"`],
    ['a kind alone', ['--deliver', 'nagios:'], `${KINDS} "nagios:"`],
    ['a kind that objects have by birth', ['--deliver', 'constructor:x'], `${KINDS} "constructor:x"`],
    ['a URL alone', ['--deliver', 'https://master.example.com'], `${KINDS} "https://master.example.com"`],
    [
      'a path that is not whole',
      ['--deliver', 'nagios:rw/nagios.cmd'],
      '--deliver nagios: takes the whole path of the command file, not "rw/nagios.cmd"',
    ],
    [
      'a URL in clear',
      ['--deliver', 'icinga2:http://master.example.com:5665', ...AS_POP3],
      '--deliver icinga2: takes a URL that begins with https://, not "http://master.example.com:5665"',
    ],
    [
      'no URL',
      ['--deliver', 'nrdp:nagios.example.com', ...WITH_TOKEN],
      '--deliver nrdp: takes a URL that begins with https://, not "nagios.example.com"',
    ],
    ['nobody', ICINGA, '--deliver icinga2: needs --deliver-credential USER or @FILE, or --deliver-client-certificate'],
    [
      'a user without a password',
      [...ICINGA, '--deliver-credential', 'pop3'],
      'no password for --deliver-credential: give --deliver-password-file or -env, or @FILE',
    ],
    [
      'two passwords',
      [...ICINGA, ...AS_POP3, '--deliver-password-env', 'PW'],
      '--deliver-password-file and --deliver-password-env contradict each other: give one',
    ],
    [
      'a password beside the file that has it',
      [...ICINGA, '--deliver-credential', '@cred', '--deliver-password-file', 'pw'],
      '--deliver-credential @FILE holds the password already: leave --deliver-password-file out',
    ],
    [
      'a key without a certificate',
      [...ICINGA, '--deliver-client-key', 'probe.key'],
      '--deliver-client-key needs --deliver-client-certificate',
    ],
    [
      'a pin that is none',
      [...ICINGA, ...AS_POP3, '--deliver-pin', 'ab:cd'],
      '--deliver-pin takes the SHA-256 fingerprint of a certificate, 64 hexadecimal digits, not "ab:cd"',
    ],
    [
      'the name of no certificate',
      [...ICINGA, ...AS_POP3, '--deliver-certificate-name', 'a/b'],
      '--deliver-certificate-name takes a host name or an IP address, not "a/b"',
    ],
    [
      'a ttl of nothing',
      [...ICINGA, ...AS_POP3, '--deliver-ttl', '0'],
      '--deliver-ttl takes seconds above 0, up to 9999, not "0"',
    ],
    [
      'a ttl with a unit',
      [...ICINGA, ...AS_POP3, '--deliver-ttl', '10m'],
      '--deliver-ttl takes seconds above 0, up to 9999',
    ],
    ['no token', NRDP, '--deliver nrdp: needs --deliver-token-file or --deliver-token-env'],
    [
      'two tokens',
      [...NRDP, ...WITH_TOKEN, '--deliver-token', 'x'],
      '--deliver-token-file and --deliver-token contradict each other: give one',
    ],
    [
      'port 0',
      ['--deliver', 'zabbix:zabbix.example.com:0'],
      '--deliver zabbix: takes HOST:PORT, not "zabbix.example.com:0"',
    ],
    [
      'a port there is not',
      ['--deliver', 'zabbix:zabbix.example.com:65536'],
      '--deliver zabbix: takes HOST:PORT, not "zabbix.example.com:65536"',
    ],
    [
      'a host there cannot be',
      ['--deliver', 'zabbix:zabbix server'],
      '--deliver zabbix: takes a host name or an IP address, not "zabbix server"',
    ],
    ['no time', [...NAGIOS, '--deliver-timeout', '0'], '--deliver-timeout takes seconds above 0, up to 300, not "0"'],
    [
      'too much time',
      [...NAGIOS, '--deliver-timeout', '301'],
      '--deliver-timeout takes seconds above 0, up to 300, not "301"',
    ],
    ['no age', [...NAGIOS, '--deliver-max-age', '0'], '--deliver-max-age takes seconds above 0, up to 9999, not "0"'],
    [
      'one bad platform of two',
      [...NAGIOS, ...NRDP],
      '--deliver nrdp: needs --deliver-token-file or --deliver-token-env',
    ],
  ])('%s', async (_, argv, message) => {
    expect(await refusalOf(() => parse(argv))).toMatchObject({ reason: 'usage', message });
  });

  test.each<[string, readonly string[], string]>([
    ['a file that is not there', [...NRDP, '--deliver-token-file', 'none'], '--deliver-token-file: no such file'],
    ['an empty token', [...NRDP, '--deliver-token-file', 'empty'], '--deliver-token-file: the deliver token is empty'],
    [
      'a password of two lines',
      [...ICINGA, '--deliver-credential', 'pop3', '--deliver-password-file', 'two-lines'],
      '--deliver-password-file: the deliver password is more than one line',
    ],
    [
      'a variable that is not set',
      [...NRDP, '--deliver-token-env', 'NONE'],
      '--deliver-token-env: there is no variable NONE',
    ],
    [
      'one line where there are two',
      [...ICINGA, '--deliver-credential', '@pw'],
      'pw: the user name on one line, the password on the next, not 1 lines',
    ],
    [
      'a user with a control character',
      [...ICINGA, '--deliver-credential', 'po\tp3', '--deliver-password-file', 'pw'],
      '--deliver-credential: the user name has a control character',
    ],
  ])('%s, of what is configured', async (_, argv, message) => {
    expect(await refusalOf(() => parse(argv))).toMatchObject({ reason: 'configuration', message });
  });
});

describe('a secret is in no refusal', () => {
  const SECRET = 'gone-astray';
  const bad = ['--deliver', 'nsca:x']; // so that there is a refusal in any case
  test.each<[string, readonly string[]]>([
    ['in the URL of Icinga', ['--deliver', `icinga2:https://pop3:${SECRET}@master.example.com:5665`, ...AS_POP3]],
    ['in that of NRDP', ['--deliver', `nrdp:https://nagios.example.com/nrdp/?token=${SECRET}`, ...WITH_TOKEN]],
    ['behind a hash', ['--deliver', `nrdp:https://nagios.example.com/nrdp/#${SECRET}`, ...WITH_TOKEN]],
    ['in a URL without its kind', ['--deliver', `https://pop3:${SECRET}@master.example.com`]],
    ['before the host of Zabbix', ['--deliver', `zabbix:pop3:${SECRET}@zabbix.example.com:10051`]],
    ['in place of its file', [...NRDP, '--deliver-token-file', SECRET]],
    ['in place of its variable', [...NRDP, '--deliver-token-env', SECRET]],
    ['on the command line', [...NRDP, '--deliver-token', SECRET, ...bad]],
    ['on it twice', [...NRDP, '--deliver-token', SECRET, '--deliver-token-file', 'token']],
    ['a password on it', [...ICINGA, '--deliver-credential', 'pop3', '--deliver-password', SECRET, ...bad]],
    ['with a control character', [...ICINGA, '--deliver-credential', 'pop3', `--deliver-password=${SECRET}\x01`]],
    ['in place of seconds', [...NAGIOS, '--deliver-timeout', SECRET]],
    ['in place of a ttl', [...ICINGA, ...AS_POP3, '--deliver-ttl', SECRET]],
  ])('%s', async (_, argv) => {
    const { message, said, stack } = await refusalOf(() => parse(argv));
    expect(`${message}\n${said}\n${stack}`).not.toContain(SECRET);
    expect(message).toContain('--deliver');
  });
});

describe('the service a result is for', () => {
  const addressee = (server: string, ...argv: string[]) => parseAddressee(server, parseArguments(argv));

  test('is POP3 of the server, as it was given', () => {
    expect(addressee('mail.example.com')).toEqual({ host: 'mail.example.com', service: 'POP3' });
    expect(addressee('2001:db8::1')).toEqual({ host: '2001:db8::1', service: 'POP3' });
  });

  test.each<[readonly string[], string, string]>([
    [['--deliver-host', 'mail1'], 'mail1', 'POP3'],
    [['--deliver-service', 'POP3 round trip'], 'mail.example.com', 'POP3 round trip'],
    [['--deliver-host', 'Büro 1', '--deliver-service', 'Postfächer, "täglich"'], 'Büro 1', 'Postfächer, "täglich"'],
    [['--deliver-host', 'x'.repeat(250)], 'x'.repeat(250), 'POP3'],
  ])('is what %j says', (argv, host, service) => {
    expect(addressee('mail.example.com', ...argv)).toEqual({ host, service });
  });

  test.each([
    ['a semicolon, which ends a name to Nagios', 'a;b'],
    ['an exclamation mark, which ends one to Icinga', 'a!b'],
    ['a line end, behind which is another command', 'a\nb'],
    ['a tab', 'a\tb'],
    ['a NUL', 'a\0b'],
    ['a control character of C1', 'a\x85b'],
    ['more than a name has', 'x'.repeat(251)],
  ])('is not one with %s', async (_, name) => {
    const why = 'takes a name of up to 250 characters without ; and !';
    for (const option of ['--deliver-host', '--deliver-service']) {
      const failure = await refusalOf(() => addressee('mail.example.com', `${option}=${name}`));
      expect(failure).toMatchObject({ reason: 'usage', message: `${option} ${why}` });
    }
    // Nor where it is the server.
    expect(await refusalOf(() => addressee(name))).toMatchObject({ reason: 'usage', message: `--deliver-host ${why}` });
  });

  // A command line cannot have it, a file of targets can.
  test('is not one without a name', async () => {
    for (const option of ['deliver-host', 'deliver-service']) {
      expect(await refusalOf(() => parseAddressee('mail.example.com', { [option]: '' }))).toMatchObject({
        reason: 'usage',
        message: `--${option} is empty: give the name the platform has for it`,
      });
    }
  });
});
