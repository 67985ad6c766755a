import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nodeSources } from '../src/credentials/sources.ts';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import type { Secret } from '../src/dialogue/secret.ts';
import type { LoginPlan } from '../src/pop3/login.ts';
import { type Defaults, parseRequest, type Request } from '../src/request/request.ts';
import type { Settings } from '../src/request/settings.ts';
import type { Sources } from '../src/request/sources.ts';
import { secretOf } from '../src/sasl/mechanism.ts';

const PASSWORD = 'correct horse';

const FILES: Readonly<Record<string, string>> = {
  pw: PASSWORD,
  'pw-line': `${PASSWORD}\n`,
  'ca.pem': 'an authority',
  'client.pem': 'a certificate',
  'client.key': 'a key',
};

/** A machine with these files and variables; addresses and names are read as Node reads them. */
function sources(
  more: { files?: Record<string, string>; environment?: Record<string, string>; stdin?: string; typed?: string } = {},
) {
  const files = { ...FILES, ...more.files };
  const asked: string[] = [];
  const file = (option: string, path: string): string => {
    asked.push(`${option} ${path}`);
    const content = files[path];
    if (content === undefined) throw new ProbeFailure('configuration', `${option} ${path}: no such file`);
    return content;
  };
  const fake: Sources & { readonly asked: readonly string[] } = {
    asked,
    file: (option, path, kind) => file(option, `${path}${kind === 'secret' ? '' : ' (public)'}`),
    environment: (name) => more.environment?.[name],
    standardInput: async () => more.stdin ?? '',
    exists: (path) => Object.hasOwn(files, path),
    askOnTerminal: async (prompt) => {
      asked.push(prompt);
      return more.typed ?? null;
    },
    confirmOnTerminal: async () => null,
    certificates: file,
    privateKey: file,
    family: nodeSources.family,
    ascii: nodeSources.ascii,
  };
  return fake;
}

const passwordIn = (login: LoginPlan): Secret => secretOf(login) as Secret;

const PLUGIN: Defaults = { timeoutS: 50, test: 'full' };
const LEAST: Settings = {
  'client-access-server': 'mail.example.com',
  'mailbox-credential': 'alice',
  'password-file': 'pw',
  'light-mode': true,
};

const accept = (settings: Settings, from: Sources = sources()): Promise<Request> =>
  parseRequest({ ...LEAST, ...settings }, PLUGIN, from);

async function refusal(settings: Settings, from: Sources = sources()): Promise<ProbeFailure> {
  try {
    await accept(settings, from);
  } catch (problem) {
    if (!(problem instanceof ProbeFailure)) throw problem;
    expect(problem.message).not.toContain('\n');
    expect(problem.message).not.toContain(PASSWORD);
    return problem;
  }
  throw new Error(`${JSON.stringify(settings)} was accepted`);
}

describe('the least that has to be said', () => {
  test('becomes a logon over STLS on port 110, verified and within the command’s own time', async () => {
    const { plan, policy, verbosity } = await accept({});
    expect(plan.server).toBe('mail.example.com');
    expect(plan.visit).toMatchObject({
      to: 'mail.example.com',
      port: 110,
      connectionType: 'tls',
      trustAnyCertificate: false,
      login: { userName: 'alice', method: 'auto' },
    });
    expect(passwordIn(plan.visit.login).reveal()).toBe(PASSWORD);
    expect(plan.link).toEqual({
      family: 0,
      proxy: null,
      tls: {
        identity: 'mail.example.com',
        sni: 'mail.example.com',
        authorities: null,
        clientCertificate: null,
        pins: [],
      },
    });
    expect(plan.timeoutMs).toBe(50_000);
    expect(plan.perConnectionTimeoutMs).toBe(120_000);
    expect(plan.trace).toBe(false);
    expect(verbosity).toBe(0);
    expect([...policy.warning, ...policy.critical, ...policy.remarks]).toEqual([]);
    expect(policy.certificateDefaults).toBe(true);
  });

  test('shows the password nowhere', async () => {
    expect(JSON.stringify(await accept({}))).not.toContain(PASSWORD);
  });
});

describe('port and connection type, each the other’s default', () => {
  test.each<[Settings, 'tls' | 'ssl' | 'plaintext', number]>([
    [{}, 'tls', 110],
    [{ 'port-client-access-server': '995' }, 'ssl', 995],
    [{ 'port-client-access-server': '110' }, 'tls', 110],
    [{ 'port-client-access-server': '2110' }, 'tls', 2110],
    [{ 'port-client-access-server': '0' }, 'tls', 110],
    [{ 'port-client-access-server': '65535' }, 'tls', 65535],
    [{ 'port-client-access-server': '1' }, 'tls', 1],
    [{ ssl: true }, 'ssl', 995],
    [{ 'connection-type': 'ssl' }, 'ssl', 995],
    [{ 'connection-type': 'SSL' }, 'ssl', 995],
    [{ 'connection-type': 'tls' }, 'tls', 110],
    [{ 'connection-type': 'TLS' }, 'tls', 110],
    [{ 'connection-type': 'plaintext' }, 'plaintext', 110],
    [{ 'connection-type': 'Plaintext' }, 'plaintext', 110],
    [{ ssl: true, 'connection-type': 'ssl' }, 'ssl', 995],
    [{ ssl: true, 'port-client-access-server': '0' }, 'ssl', 995],
    [{ ssl: true, 'port-client-access-server': '110' }, 'ssl', 110],
    [{ 'connection-type': 'tls', 'port-client-access-server': '995' }, 'tls', 995],
    [{ 'connection-type': 'plaintext', 'port-client-access-server': '995' }, 'plaintext', 995],
    [{ 'connection-type': 'plaintext', 'port-client-access-server': '0' }, 'plaintext', 110],
  ])('%j means %s on %d', async (settings, connectionType, port) => {
    const { plan } = await accept(settings);
    expect(plan.visit).toMatchObject({ connectionType, port });
  });
});

describe('bad input is told in one clause that names the option and what it takes', () => {
  test.each<[string, Settings, readonly (string | RegExp)[]]>([
    ['no server', { 'client-access-server': undefined }, ['--client-access-server', 'HOST', '-H']],
    ['an empty server', { 'client-access-server': '' }, ['--client-access-server', 'HOST']],
    ['empty brackets', { 'client-access-server': '[]' }, ['--client-access-server', 'host name']],
    ['a server with its port', { 'client-access-server': 'mail.example.com:995' }, ['--client-access-server', '-p']],
    ['an address with its port', { 'client-access-server': '192.0.2.1:110' }, ['--client-access-server', '-p']],
    ['a URL', { 'client-access-server': 'pop3://mail.example.com/' }, ['--client-access-server', 'host name']],
    ['a blank in the server', { 'client-access-server': 'mail example' }, ['--client-access-server']],
    ['a blank behind the server', { 'client-access-server': 'mail ' }, ['--client-access-server']],
    ['a line end in the server', { 'client-access-server': 'mail\n.example.com' }, ['--client-access-server']],
    ['a line end in an IDN', { 'client-access-server': 'mail\n.exämple.com' }, ['--client-access-server']],
    ['a tab in an IDN', { 'client-access-server': 'mail\t.exämple.com' }, ['--client-access-server']],
    ['a path behind an IDN', { 'client-access-server': 'exämple.com/x' }, ['--client-access-server']],
    ['a question behind an IDN', { 'client-access-server': 'exämple.com?x' }, ['--client-access-server']],
    ['a slash in the server', { 'client-access-server': 'mail/x' }, ['--client-access-server']],
    ['an at in the server', { 'client-access-server': 'alice@mail' }, ['--client-access-server']],
    ['an empty label', { 'client-access-server': 'mail..example.com' }, ['--client-access-server']],
    ['a label that begins with a hyphen', { 'client-access-server': '-mail.example.com' }, ['--client-access-server']],
    ['a label of 64 letters', { 'client-access-server': `${'a'.repeat(64)}.com` }, ['--client-access-server']],
    ['a name of 255 letters', { 'client-access-server': 'a.'.repeat(128) }, ['--client-access-server']],
    ['half an address', { 'client-access-server': '10.1' }, ['--client-access-server', 'IP address']],
    ['an address of five', { 'client-access-server': '1.2.3.4.5' }, ['--client-access-server']],
    ['an address beyond 255', { 'client-access-server': '192.0.2.256' }, ['--client-access-server']],
    ['a number', { 'client-access-server': '3221225985' }, ['--client-access-server']],
    ['an IPv6 address spelt wrong', { 'client-access-server': '2001:db8:::1' }, ['--client-access-server']],
    ['a name in brackets that is open', { 'client-access-server': '[::1' }, ['--client-access-server']],
    ['a bad address to connect to', { address: '10.1' }, ['--address', 'IP address']],
    ['no address to connect to', { address: '' }, ['--address']],
    ['a bad SNI', { sni: 'a b' }, ['--sni', 'host name']],
    ['a port beyond 65535', { 'port-client-access-server': '65536' }, ['--port-client-access-server', '0 to 65535']],
    ['a negative port', { 'port-client-access-server': '-1' }, ['--port-client-access-server', '65535']],
    ['a fraction of a port', { 'port-client-access-server': '110.5' }, ['--port-client-access-server']],
    ['a port by name', { 'port-client-access-server': 'pop3' }, ['--port-client-access-server', 'whole number']],
    ['a hexadecimal port', { 'port-client-access-server': '0x6e' }, ['--port-client-access-server']],
    ['a port with an exponent', { 'port-client-access-server': '1e2' }, ['--port-client-access-server']],
    ['a port with a blank', { 'port-client-access-server': ' 110' }, ['--port-client-access-server']],
    ['a connection type of no kind', { 'connection-type': 'starttls' }, ['--connection-type', 'plaintext, tls, ssl']],
    ['an authentication of no kind', { auth: 'telepathy' }, ['--auth', 'auto', 'user', 'plain', 'scram-sha-256']],
    ['one that is not there yet', { auth: 'GSSAPI' }, ['--auth gssapi is not there yet', 'scram-sha-256']],
    ['a token mechanism without a token', { auth: 'xoauth2' }, ['--auth xoauth2 takes a token', '--oauth-']],
    ['a certificate that is not there', { auth: 'external' }, ['--auth external', '--client-certificate']],
    ['a timeout of 0', { timeout: '0' }, ['--timeout', 'above 0', '3600']],
    ['a timeout of 0.000', { timeout: '0.000' }, ['--timeout']],
    ['a negative timeout', { timeout: '-5' }, ['--timeout', 'seconds']],
    ['a timeout beyond an hour', { timeout: '3601' }, ['--timeout', '3600']],
    ['one just beyond an hour', { timeout: '3600.5' }, ['--timeout', '3600']],
    ['a timeout with its unit', { timeout: '10s' }, ['--timeout', 'seconds']],
    ['a timeout with an exponent', { timeout: '1e3' }, ['--timeout']],
    ['a timeout without end', { timeout: 'Infinity' }, ['--timeout']],
    ['a per-connection timeout of 0', { 'per-connection-timeout': '0' }, ['--per-connection-timeout', '120']],
    ['one beyond two minutes', { 'per-connection-timeout': '121' }, ['--per-connection-timeout', '120']],
    ['a range that is none', { warning: ['1e3'] }, ['--warning', '[METRIC=]RANGE']],
    ['a range the wrong way round', { critical: ['20:10'] }, ['--critical', '20:10']],
    ['a metric there is not', { warning: ['latency=5'] }, ['--warning', 'latency', 'messages', 'certificate']],
    ['a phase there is not', { critical: ['time_logon=5'] }, ['--critical', 'time_logon']],
    ['a metric of an object', { warning: ['__proto__=5'] }, ['--warning', '__proto__']],
    ['no metric before the equals sign', { warning: ['=5'] }, ['--warning']],
    ['no range behind it', { warning: ['time='] }, ['--warning', 'RANGE']],
    ['the good one before the bad one', { warning: ['5', 'x'] }, ['--warning', '"x"']],
    ['no user', { 'mailbox-credential': undefined }, ['--mailbox-credential', 'USER', '@FILE']],
    ['an empty user', { 'mailbox-credential': '' }, ['--mailbox-credential', 'USER']],
    ['no password', { 'password-file': undefined }, ['--password-file', '--password-env', '--password-stdin']],
    ['a client key without a certificate', { 'client-key': 'client.key' }, ['--client-key', '--client-certificate']],
  ])('%s', async (_, settings, told) => {
    const { reason, message } = await refusal(settings);
    expect(reason).toBe('usage');
    for (const each of told) expect(message).toMatch(each instanceof RegExp ? each : literally(each));
  });

  test.each<[Settings, readonly string[]]>([
    [{ ipv4: true, ipv6: true }, ['--ipv4', '--ipv6']],
    [{ 'light-mode': true, 'full-test': true }, ['--light-mode', '--full-test']],
    [{ 'light-mode': true, split: true }, ['--light-mode', '--split']],
    [{ 'trust-any-ssl-certificate': true, 'ca-file': 'ca.pem' }, ['--trust-any-ssl-certificate', '--ca-file']],
    [{ ssl: true, 'connection-type': 'tls' }, ['-S', '--connection-type tls']],
    [{ ssl: true, 'connection-type': 'Plaintext' }, ['-S', '--connection-type plaintext']],
    [{ 'connection-type': 'plaintext', 'ca-file': 'ca.pem' }, ['--ca-file', 'plaintext']],
    [{ 'connection-type': 'plaintext', sni: 'x' }, ['--sni', 'plaintext']],
    [{ 'connection-type': 'plaintext', 'client-certificate': 'client.pem' }, ['--client-certificate', 'plaintext']],
    [{ 'connection-type': 'plaintext', 'client-key': 'client.key' }, ['--client-key', 'plaintext']],
    [
      { 'connection-type': 'PLAINTEXT', 'trust-any-ssl-certificate': true },
      ['--trust-any-ssl-certificate', 'plaintext'],
    ],
    [{ ipv4: true, 'client-access-server': '::1' }, ['-4', 'IPv6 address ::1']],
    [{ ipv6: true, 'client-access-server': '192.0.2.1' }, ['-6', 'IPv4 address 192.0.2.1']],
    [{ ipv6: true, address: '192.0.2.1' }, ['-6', 'IPv4 address 192.0.2.1']],
    [{ 'password-env': 'X' }, ['--password-file', '--password-env', 'contradict']],
    [{ 'password-stdin': true, password: PASSWORD }, ['--password-stdin', '--password', 'contradict']],
    [{ 'mailbox-credential': '@both' }, ['@FILE', '--password-file']],
  ])('what cannot both be meant: %j', async (settings, told) => {
    const { reason, message } = await refusal(settings);
    expect(reason).toBe('usage');
    for (const each of told) expect(message).toContain(each);
  });

  test('no file is read before the command line is understood', async () => {
    const from = sources();
    await refusal({ timeout: 'x' }, from);
    await refusal({ 'port-client-access-server': 'x' }, from);
    expect(from.asked).toEqual([]);
  });
});

const literally = (text: string): RegExp => new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));

describe('the server', () => {
  test.each<[string, Settings, unknown, string, string | null]>([
    ['a name', {}, 'mail.example.com', 'mail.example.com', 'mail.example.com'],
    ['a name of one label', { 'client-access-server': 'mail' }, 'mail', 'mail', 'mail'],
    [
      'one with an underscore',
      { 'client-access-server': 'my_mail.example.com' },
      'my_mail.example.com',
      'my_mail.example.com',
      'my_mail.example.com',
    ],
    [
      'one that begins with a digit',
      { 'client-access-server': '1und1.example' },
      '1und1.example',
      '1und1.example',
      '1und1.example',
    ],
    [
      'an absolute name: the dot is for DNS alone',
      { 'client-access-server': 'mail.example.com.' },
      'mail.example.com.',
      'mail.example.com',
      'mail.example.com',
    ],
    [
      'an IDN, in the form of DNS (RFC 5890)',
      { 'client-access-server': 'müller.example' },
      'xn--mller-kva.example',
      'xn--mller-kva.example',
      'xn--mller-kva.example',
    ],
    [
      'an IPv4 address: no SNI (RFC 6066 §3)',
      { 'client-access-server': '192.0.2.1' },
      { address: '192.0.2.1', family: 4 },
      '192.0.2.1',
      null,
    ],
    [
      'an IPv6 address',
      { 'client-access-server': '2001:db8::1' },
      { address: '2001:db8::1', family: 6 },
      '2001:db8::1',
      null,
    ],
    [
      'one in brackets',
      { 'client-access-server': '[2001:db8::1]' },
      { address: '2001:db8::1', family: 6 },
      '2001:db8::1',
      null,
    ],
    [
      'one with a zone',
      { 'client-access-server': 'fe80::1%eth0' },
      { address: 'fe80::1%eth0', family: 6 },
      'fe80::1%eth0',
      null,
    ],
    [
      '-I: connect there, verify and name -H',
      { address: '192.0.2.7' },
      { address: '192.0.2.7', family: 4 },
      'mail.example.com',
      'mail.example.com',
    ],
    ['-I with a name', { address: 'node1.example.com' }, 'node1.example.com', 'mail.example.com', 'mail.example.com'],
    ['-I in brackets', { address: '[::1]' }, { address: '::1', family: 6 }, 'mail.example.com', 'mail.example.com'],
    [
      '--sni asks for another name',
      { sni: 'pop.example.com' },
      'mail.example.com',
      'mail.example.com',
      'pop.example.com',
    ],
    ['--sni with an address asks for none', { sni: '192.0.2.1' }, 'mail.example.com', 'mail.example.com', null],
    [
      '--sni for a server by address',
      { 'client-access-server': '192.0.2.1', sni: 'pop.example.com' },
      { address: '192.0.2.1', family: 4 },
      '192.0.2.1',
      'pop.example.com',
    ],
  ])('%s', async (_, settings, to, identity, sni) => {
    const { plan } = await accept(settings);
    expect(plan.visit.to).toEqual(to);
    expect(plan.link.tls).toMatchObject({ identity, sni });
  });

  test('an IDN is shown as it was written, an address without its brackets', async () => {
    expect((await accept({ 'client-access-server': 'müller.example' })).plan.server).toBe('müller.example');
    expect((await accept({ 'client-access-server': '[::1]' })).plan.server).toBe('::1');
  });

  test.each<[Settings, 0 | 4 | 6]>([
    [{}, 0],
    [{ ipv4: true }, 4],
    [{ ipv6: true }, 6],
    [{ ipv4: true, 'client-access-server': '192.0.2.1' }, 4],
    [{ ipv6: true, address: '::1' }, 6],
  ])('%j: addresses of family %d', async (settings, family) => {
    expect((await accept(settings)).plan.link.family).toBe(family);
  });
});

describe('time', () => {
  test.each<[Settings, number, number]>([
    [{}, 50_000, 120_000],
    [{ timeout: '10' }, 10_000, 120_000],
    [{ timeout: '3600' }, 3_600_000, 120_000],
    [{ timeout: '2.5' }, 2500, 120_000],
    [{ timeout: '0.001' }, 1, 120_000],
    [{ timeout: '10', 'per-connection-timeout': '5' }, 10_000, 5000],
    [{ 'per-connection-timeout': '120' }, 50_000, 120_000],
  ])('%j is %d ms in all, %d ms a connection', async (settings, timeoutMs, perConnectionTimeoutMs) => {
    expect((await accept(settings)).plan).toMatchObject({ timeoutMs, perConnectionTimeoutMs });
  });
});

describe('certificates', () => {
  test('authorities and a client certificate come from their files', async () => {
    const from = sources();
    const { plan } = await accept(
      { 'ca-file': 'ca.pem', 'client-certificate': 'client.pem', 'client-key': 'client.key' },
      from,
    );
    expect(plan.link.tls?.authorities).toBe('an authority');
    expect(plan.link.tls?.clientCertificate).toEqual({ certificate: 'a certificate', key: 'a key' });
    expect(from.asked).toContain('--ca-file ca.pem');
  });

  test('the client key may be in the same file', async () => {
    const { plan } = await accept({ 'client-certificate': 'client.pem' });
    expect(plan.link.tls?.clientCertificate).toEqual({ certificate: 'a certificate', key: 'a certificate' });
  });

  test.each(['ca-file', 'client-certificate', 'password-file'])('a --%s that is missing is named', async (option) => {
    const { reason, message } = await refusal({ [option]: 'missing' });
    expect(reason).toBe('configuration');
    expect(message).toContain(`--${option} missing: no such file`);
  });

  test('whoever trusts any certificate is not warned of its end', async () => {
    const { plan, policy } = await accept({ 'trust-any-ssl-certificate': true });
    expect(plan.visit.trustAnyCertificate).toBe(true);
    expect(policy.certificateDefaults).toBe(false);
  });
});

describe('the password', () => {
  /** What a source gives, as text of that source, and the password it means. */
  const GIVEN: readonly [string, string, string][] = [
    ['as it is', PASSWORD, PASSWORD],
    ['with blanks around it', '  a b  ', '  a b  '],
    ['that is a blank', ' ', ' '],
    ['with a hash', '#a#b', '#a#b'],
    ['with quotes', `"a'b"`, `"a'b"`],
    ['with a backslash', 'a\\nb', 'a\\nb'],
    ['with a colon and a percent sign', 'a:b%c$d', 'a:b%c$d'],
    ['beyond ASCII', 'pässwörd 密码 📧', 'pässwörd 密码 📧'],
    ['that begins with an at', '@home', '@home'],
  ];
  const SYSTEMD = { CREDENTIALS_DIRECTORY: '/run/credentials/probe.service' };
  const CREDENTIAL = '/run/credentials/probe.service/pop3-password';
  const BLAMED: Readonly<Record<string, RegExp>> = {
    '@FILE': /^given: /,
    ini: /^--extra-opts password: /,
    terminal: /^terminal: /,
    systemd: /^\/run\/credentials\/probe\.service\/pop3-password: /,
  };
  const by = (source: string, content: string): [Settings, Sources] => {
    const none = { 'password-file': undefined };
    if (source === 'file') return [{ 'password-file': 'given' }, sources({ files: { given: content } })];
    if (source === 'stdin') return [{ ...none, 'password-stdin': true }, sources({ stdin: content })];
    if (source === 'env') return [{ ...none, 'password-env': 'GIVEN' }, sources({ environment: { GIVEN: content } })];
    if (source === 'option') return [{ ...none, password: content }, sources()];
    if (source === 'ini') return [{ ...none, 'extra-opts password': content }, sources()];
    if (source === 'terminal') return [none, sources({ typed: content })];
    if (source === 'systemd') return [none, sources({ files: { [CREDENTIAL]: content }, environment: SYSTEMD })];
    return [{ ...none, 'mailbox-credential': '@given' }, sources({ files: { given: `alice\n${content}` } })];
  };
  const passwordBy = async (source: string, content: string): Promise<string> =>
    passwordIn((await accept(...by(source, content))).plan.visit.login).reveal();

  describe.each(['file', 'stdin', 'env', 'option', 'ini', 'systemd', 'terminal', '@FILE'])('by %s', (source) => {
    test.each(GIVEN)('%s', async (_, content, password) => {
      expect(await passwordBy(source, content)).toBe(password);
    });

    test.each([
      ['empty', ''],
      ['with a NUL', `${PASSWORD}\0`],
      ['with an escape', `\x1b[2J${PASSWORD}`],
      ['with a tab', `${PASSWORD}\t`],
      ['with DEL', `${PASSWORD}\x7f`],
      ['of two lines', `${PASSWORD}\nDELE 1`],
      ['of two lines, CR alone', `${PASSWORD}\rDELE 1`],
    ])('%s is refused, and not repeated', async (_, content) => {
      const { reason, message } = await refusal(...by(source, content));
      expect(reason).toBe('configuration');
      expect(message).toMatch(BLAMED[source] ?? /^--password/);
      expect(message).not.toContain('DELE');
    });
  });

  describe.each(['file', 'stdin', 'systemd', '@FILE'])('by %s, the last line end is the editor’s', (source) => {
    test.each([
      ['LF', `${PASSWORD}\n`, PASSWORD],
      ['CRLF', `${PASSWORD}\r\n`, PASSWORD],
      ['a blank before it stays', `${PASSWORD} \n`, `${PASSWORD} `],
    ])('%s', async (_, content, password) => {
      expect(await passwordBy(source, content)).toBe(password);
    });

    test.each([
      ['two line ends', `${PASSWORD}\n\n`],
      ['a line end alone', '\n'],
    ])('%s are more than a password', async (_, content) => {
      expect((await refusal(...by(source, content))).reason).toBe('configuration');
    });
  });

  test.each(['env', 'option', 'ini', 'terminal'])('by %s, a line end is part of it and refused', async (source) => {
    expect((await refusal(...by(source, `${PASSWORD}\n`))).reason).toBe('configuration');
  });

  test('by a variable that is not set: the variable is named', async () => {
    const { reason, message } = await refusal({ 'password-file': undefined, 'password-env': 'POP3_PASSWORD' });
    expect(reason).toBe('configuration');
    expect(message).toContain('--password-env');
    expect(message).toContain('POP3_PASSWORD');
  });

  test('is asked of a secret file, not a public one', async () => {
    const from = sources();
    await accept({}, from);
    expect(from.asked).toEqual(['--password-file pw']);
  });

  test('on the command line works and is remarked on, wherever else it comes from it is not', async () => {
    const { policy } = await accept({ 'password-file': undefined, password: PASSWORD });
    expect(policy.remarks).toHaveLength(1);
    expect(policy.remarks[0]).toContain('command line');
    for (const source of ['file', 'stdin', 'env', 'ini', 'systemd', 'terminal', '@FILE']) {
      expect((await accept(...by(source, PASSWORD))).policy.remarks).toEqual([]);
    }
  });
});

describe('where no option says where the password is', () => {
  const NONE = { 'password-file': undefined };
  const environment = { CREDENTIALS_DIRECTORY: '/run/c' };
  const files = { '/run/c/pop3-password': PASSWORD };

  test('systemd’s credential is read as a secret file, and nobody is asked', async () => {
    const from = sources({ files, environment, typed: 'another' });
    expect(passwordIn((await accept(NONE, from)).plan.visit.login).reveal()).toBe(PASSWORD);
    expect(from.asked).toEqual(['systemd credential /run/c/pop3-password']);
  });

  test.each<[string, Settings, readonly string[]]>([
    ['an option', { 'password-file': 'pw' }, ['--password-file pw']],
    ['@FILE', { ...NONE, 'mailbox-credential': '@both' }, ['--mailbox-credential both']],
  ])('it and the terminal are left alone beside %s', async (_, settings, asked) => {
    const from = sources({ files: { ...files, both: `alice\n${PASSWORD}` }, environment, typed: 'another' });
    await accept(settings, from);
    expect(from.asked).toEqual(asked);
  });

  test.each([
    ['no such credential', environment],
    ['an empty variable', { CREDENTIALS_DIRECTORY: '' }],
    ['no variable', {}],
  ])('with %s the terminal is asked, by user and server', async (_, variables) => {
    const from = sources({ files: { '/pop3-password': 'x' }, environment: variables, typed: PASSWORD });
    expect(passwordIn((await accept(NONE, from)).plan.visit.login).reveal()).toBe(PASSWORD);
    expect(from.asked).toEqual(['Password for alice on mail.example.com: ']);
  });

  test('a user name drives no terminal', async () => {
    const from = sources({ typed: PASSWORD });
    await accept({ ...NONE, 'mailbox-credential': 'a\u202eb\u009b2J' }, from);
    expect(from.asked).toEqual(['Password for a\\u{202e}b\\x9b2J on mail.example.com: ']);
    expect((await refusal({ ...NONE, 'mailbox-credential': 'a\x1b[2J' }, from)).message).toContain('control character');
    expect(from.asked).toHaveLength(1);
  });

  test('and nobody to ask, every source is named in one line that is shown whole', async () => {
    const { reason, message } = await refusal(NONE);
    expect(reason).toBe('usage');
    for (const source of ['--password-file', '--password-env', '--password-stdin', '@FILE', '--extra-opts']) {
      expect(message).toContain(source);
    }
    expect(message).toContain('systemd credential pop3-password');
    expect(message).toContain('terminal');
    expect(message.length).toBeLessThan(200);
  });

  test('an ini’s password and another option beside it in the file contradict each other', async () => {
    const { reason, message } = await refusal({ 'extra-opts password': PASSWORD });
    expect(reason).toBe('usage');
    expect(message).toBe('--password-file and --extra-opts password contradict each other: give one');
  });
});

describe('@FILE', () => {
  const login = async (content: string): Promise<string> => {
    const settings = { 'mailbox-credential': '@given', 'password-file': undefined };
    const { plan } = await accept(settings, sources({ files: { given: content } }));
    return `${plan.visit.login.userName} / ${passwordIn(plan.visit.login).reveal()}`;
  };

  test.each([
    ['two lines', 'alice\nsecret', 'alice / secret'],
    ['with a last line end', 'alice\nsecret\n', 'alice / secret'],
    ['from Windows', 'alice\r\nsecret\r\n', 'alice / secret'],
    ['a user name beyond ASCII', 'zoë@example.com\nsecret\n', 'zoë@example.com / secret'],
    ['a password that begins with an at', 'alice\n@secret', 'alice / @secret'],
  ])('%s', async (_, content, expected) => {
    expect(await login(content)).toBe(expected);
  });

  test.each([
    ['nothing', ''],
    ['a user name alone', 'alice'],
    ['a user name and a line end', 'alice\n'],
    ['no user name', `\n${PASSWORD}\n`],
    ['three lines', `alice\n${PASSWORD}\nmore\n`],
    ['a blank line between', `alice\n\n${PASSWORD}`],
    ['a control character in the user name', `al\x1bice\n${PASSWORD}\n`],
  ])('that holds %s is refused, and its content is not repeated', async (_, content) => {
    const settings = { 'mailbox-credential': '@given', 'password-file': undefined };
    const { reason, message } = await refusal(settings, sources({ files: { given: content } }));
    expect(reason).toBe('configuration');
    expect(message).toMatch(/^given: /);
    expect(message).not.toContain('alice');
  });

  test('that is missing is named', async () => {
    const { message } = await refusal({ 'mailbox-credential': '@missing', 'password-file': undefined });
    expect(message).toContain('--mailbox-credential missing: no such file');
  });
});

describe('the user name', () => {
  test.each(['alice', 'alice@example.com', 'DOMAIN\\alice', 'a b', 'zoë', '#alice', "o'brien"])('%s', async (name) => {
    expect((await accept({ 'mailbox-credential': name })).plan.visit.login.userName).toBe(name);
  });

  test.each(['ali\nce', 'alice\r\nDELE 1', 'ali\0ce', 'ali\x1bce', 'alice\x7f', 'alice\t'])(
    'with a control character is refused: %j',
    async (name) => {
      const { reason, message } = await refusal({ 'mailbox-credential': name });
      expect(['usage', 'configuration']).toContain(reason);
      expect(message).toContain('user name');
      expect(message).not.toContain('DELE');
    },
  );

  // What is at fault is the user name, not the file the password came from.
  test('is blamed itself when it is at fault', async () => {
    expect((await refusal({ 'mailbox-credential': 'ali\x1bce' })).message).toContain('--mailbox-credential');
  });
});

describe('the verdict', () => {
  test('thresholds by metric, time where none is named, the last one on a metric counts', async () => {
    const { policy } = await accept({
      warning: ['5', 'messages=~:1000', 'time_login=@1:2', '6'],
      critical: ['certificate=7:'],
    });
    expect([...policy.warning].map(([name, { text }]) => `${name}=${text}`)).toEqual([
      'time=6',
      'messages=~:1000',
      'time_login=@1:2',
    ]);
    expect([...policy.critical].map(([name, { text }]) => `${name}=${text}`)).toEqual(['certificate=7:']);
  });

  test.each([
    [undefined, 0, false],
    [1, 1, false],
    [2, 2, false],
    [3, 3, true],
    [7, 3, true],
  ])('-v given %s times: verbosity %d, conversation kept: %s', async (verbose, verbosity, trace) => {
    const request = await accept({ verbose });
    expect(request.verbosity).toBe(verbosity);
    expect(request.plan.trace).toBe(trace);
  });

  test.each(['auto', 'user', 'plain', 'PLAIN'])('--auth %s', async (auth) => {
    expect((await accept({ auth })).plan.visit.login.method).toBe(auth.toLowerCase());
  });
});

describe('on this machine', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'request-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('a password file becomes a password', async () => {
    const path = join(folder, 'good');
    writeFileSync(path, `${PASSWORD}\n`, { mode: 0o600 });
    const { plan } = await accept({ 'password-file': path }, nodeSources);
    expect(passwordIn(plan.visit.login).reveal()).toBe(PASSWORD);
  });

  test.each(['password-file', 'mailbox-credential'])('a --%s everyone may read is refused', async (option) => {
    const path = join(folder, `open-${option}`);
    writeFileSync(path, `alice\n${PASSWORD}\n`);
    const settings =
      option === 'password-file' ? { [option]: path } : { [option]: `@${path}`, 'password-file': undefined };
    const { reason, message } = await refusal(settings, nodeSources);
    expect(reason).toBe('configuration');
    expect(message).toContain(`--${option} ${path}`);
    expect(message).toContain('everyone may read it');
  });
});
