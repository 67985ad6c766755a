import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import type { Options, Pop3Error, ProbeOptions } from '../../plugins/k6/pop3.d.ts';
import { type FakeK6, loadBundle, type Sample } from '../support/k6-fake.ts';
import { type FakeSockets, scriptedPop3, scriptedTcp, transportError } from '../support/k6-transports.ts';
import { GOOD_TLS } from '../support/samples.ts';
import { ScriptedLink } from '../support/scripted-link.ts';
import { parseTranscript } from '../support/transcript.ts';

const PASSWORD = 'correct horse';
const LOGON = { server: '192.0.2.1', connectionType: 'plaintext', userName: 'alice', password: PASSWORD } as const;

const ARRIVAL = `(connect)
S: +OK ready
C: CAPA
S: +OK
S: USER
S: .
C: USER alice
S: +OK
C: PASS ${PASSWORD}
S: +OK
`;
const GOOD = `${ARRIVAL}C: STAT
S: +OK 2 320
C: QUIT
S: +OK
`;
const REFUSED = GOOD.replace(/S: \+OK\nC: STAT[\s\S]*/, 'S: -ERR [AUTH] no\n');
const TLS = GOOD.replace('(connect)', '(connect)\n(secure)');

async function withXk6(script: string, plan = 'plaintext') {
  const { module, k6 } = await loadBundle('pop3.xk6');
  const { steps, secured } = parseTranscript('here', `plan: ${plan}\n${script}`);
  const link = new ScriptedLink(steps, 0, secured);
  k6.transport = scriptedPop3(link, secured);
  return { module, k6, link };
}

async function withTcp(script: string) {
  const { module, k6 } = await loadBundle('pop3.k6');
  const { steps, secured } = parseTranscript('here', `plan: plaintext\n${script}`);
  const link = new ScriptedLink(steps, 0, secured);
  const sockets = scriptedTcp(link);
  k6.transport = sockets;
  return { module, k6, link, sockets };
}

const valuesOf = (k6: FakeK6, metric: string): readonly number[] =>
  k6.samples.filter((sample) => sample.metric === metric).map(({ value }) => value);

describe('probe()', () => {
  test('gives the result of every platform', async () => {
    const { module } = await withXk6(GOOD);
    const result = await module.probe(LOGON);
    expect(result).toMatchObject({
      schema: 1,
      casServer: '192.0.2.1',
      result: 'Success',
      error: null,
      connectionType: 'plaintext',
      port: 110,
      address: '192.0.2.1',
      userName: 'alice',
      mailbox: { messages: 2, octets: 320 },
      capabilities: ['USER'],
      tls: null,
    });
    expect(result.phases.map(({ name }) => name)).toEqual([
      'connect',
      'greeting',
      'capabilities',
      'login',
      'mailbox',
      'quit',
    ]);
    expectByTheSchema(result);
  });

  test('a failure is a result', async () => {
    const { module } = await withXk6(REFUSED);
    const result = await module.probe(LOGON);
    expect(result.error).toEqual({
      phase: 'login',
      reason: 'login-refused',
      message: 'server said "-ERR [AUTH] no"',
      hint: 'check the user name and password of alice; the server may want TLS first',
    });
    expectByTheSchema(result);
  });

  test('a fault of ours is one too', async () => {
    const { module, k6 } = await withXk6(GOOD);
    k6.transport = { now: () => 0, connect: () => Promise.reject(new TypeError('a bug')) };
    const result = await module.probe(LOGON);
    expect(result.error).toMatchObject({ reason: 'internal-error', phase: null });
    expect(k6.pendingTimers()).toBe(0);
    expectByTheSchema(result);
  });

  test('the end of the iteration is no failure of the server', async () => {
    const { module, k6 } = await withXk6(GOOD);
    k6.transport = {
      now: () => 0,
      connect: () => Promise.reject(transportError('ECLOSED', 'the iteration has ended')),
    };
    expect((await module.probe(LOGON)).error).toMatchObject({ reason: 'interrupted', phase: 'connect' });
  });

  test.each([
    ['ECONNREFUSED', 'connection-refused', 'connect'],
    ['EHOSTUNREACH', 'unreachable', 'connect'],
    ['ETIMEDOUT', 'timed-out', 'connect'],
    ['EMFILE', 'local-resources', 'connect'],
    ['ENOTFOUND', 'dns-not-found', 'dns'],
    ['EDNS', 'dns-unavailable', 'dns'],
    ['EBLOCKED', 'configuration', 'connect'],
    ['EIO', 'hung-up', 'connect'],
  ])('%s is %s', async (code, reason, phase) => {
    const { module, k6 } = await withXk6(GOOD);
    k6.transport = { now: () => 0, connect: () => Promise.reject(transportError(code, 'said of it')) };
    const { error } = await module.probe(LOGON);
    expect(error).toMatchObject({ reason, phase });
    expect(error?.message).toContain(code);
  });

  test('a certificate at fault ends it, and is told of', async () => {
    const { module } = await withXk6('(connect)\n(secure)', 'ssl, certificate=certificate-expired');
    const result = await module.probe({ ...LOGON, connectionType: 'ssl' });
    expect(result.error).toMatchObject({ phase: 'tls', reason: 'certificate-expired' });
    expect(result.tls).toMatchObject({
      subject: GOOD_TLS.subject,
      fingerprint: GOOD_TLS.fingerprint,
      lifetimeDays: 90,
    });
    expectByTheSchema(result);
  });
});

/** What the extension is told of TLS. */
test('the terms of TLS go to the extension as they were given', async () => {
  const { module, k6, link } = await withXk6('(connect)\n(secure)\nS: +OK\nC: CAPA\n(close)', 'ssl');
  const terms: unknown[] = [];
  const transport = k6.transport as { connect: (to: unknown) => Promise<{ startTLS: (given: unknown) => unknown }> };
  k6.transport = {
    ...transport,
    async connect(to: unknown) {
      terms.push(to);
      const connection = await transport.connect(to);
      const { startTLS } = connection;
      return Object.assign(connection, {
        startTLS(given: unknown) {
          terms.push(given);
          return startTLS(given);
        },
      });
    },
  };
  const pem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  const pin = 'AB:'.repeat(31).concat('AB');
  await module.probe({
    ...LOGON,
    server: 'mail.example.com',
    address: '192.0.2.1',
    connectionType: 'ssl',
    ca: pem,
    sni: 'pop.example.com',
    pin,
    ipv4: true,
    timeout: 3,
    tags: { site: 'one' },
  });
  expect(link.closed).toBe(true);
  expect(JSON.parse(JSON.stringify(terms))).toEqual([
    { host: '192.0.2.1', port: 995, family: 4, tags: { site: 'one' }, timeoutMs: 3250 },
    {
      serverName: 'pop.example.com',
      identity: 'mail.example.com',
      ca: pem,
      pins: ['ab'.repeat(32)],
      clientCertificate: null,
    },
  ]);
});

test('a name is resolved first, and connected to by its name: k6 may have another port for it', async () => {
  const { module, k6 } = await withXk6(`(resolve)\n${GOOD}`);
  const hosts: unknown[] = [];
  const transport = k6.transport as { connect: (to: { host: string }) => unknown };
  k6.transport = {
    ...transport,
    connect(to: { host: string }) {
      hosts.push(to.host);
      return transport.connect(to);
    },
  };
  const result = await module.probe({ ...LOGON, server: 'mail.example.com' });
  expect(result.phases[0]?.name).toBe('dns');
  expect(hosts).toEqual(['mail.example.com']);
});

describe('a mistake in the script is thrown, in one line', () => {
  const MISTAKES: readonly (readonly [unknown, unknown])[] = [
    [null, 'probe(): takes an object of options'],
    ['mail.example.com', 'probe(): takes an object of options'],
    [{ ...LOGON, passwrod: 'x' }, 'probe(): there is no option "passwrod"'],
    [{ ...LOGON, constructor: 'x' }, 'probe(): there is no option "constructor"'],
    [{ ...LOGON, server: 5.5 }, 'probe(): server takes a host name or an IP address, not "5.5"'],
    [{ ...LOGON, server: ['a'] }, 'probe(): server takes a text'],
    [{ ...LOGON, server: undefined }, 'probe(): no server: give server HOST'],
    [{ ...LOGON, clientAccessServer: 'b.example.com' }, 'probe(): clientAccessServer is given under two names'],
    [{ ...LOGON, port: 70_000 }, 'probe(): port takes a whole number from 0 to 65535, not "70000"'],
    [{ ...LOGON, port: true }, 'probe(): port takes a number'],
    [{ ...LOGON, connectionType: 'starttls' }, 'probe(): connectionType takes plaintext, tls, ssl, not "starttls"'],
    [{ ...LOGON, trustAnySslCertificate: 'yes' }, 'probe(): trustAnySslCertificate takes true or false'],
    [
      { ...LOGON, trustAnySSLCertificate: true },
      'probe(): trustAnySslCertificate has no meaning with connectionType plaintext',
    ],
    [{ ...LOGON, ipv4: true, ipv6: true }, 'probe(): ipv4 and ipv6 contradict each other'],
    [{ ...LOGON, timeout: 0 }, 'probe(): timeout takes seconds above 0, up to 3600, not "0"'],
    [{ ...LOGON, expect: 'usage' }, 'probe(): expect takes a reason that is about the server; usage is not'],
    [{ ...LOGON, auth: 'plian' }, expect.stringContaining('probe(): auth takes auto, user, apop')],
    [{ ...LOGON, certificateDays: 'soon' }, 'probe(): certificateDays takes a whole number of days'],
    [
      { ...LOGON, password: undefined, userName: '@cred' },
      'probe(): userName takes a name: inside k6 there are no files',
    ],
    [{ ...LOGON, server: 'póst.example.com' }, expect.stringContaining('is an international name')],
    [{ ...LOGON, password: undefined }, 'probe(): no password: give passwordSecret, passwordEnv or password'],
    [{ ...LOGON, passwordSecret: 'pw' }, 'probe(): passwordSecret and password contradict each other: give one'],
    [{ ...LOGON, passwordEnv: 'PW' }, 'probe(): passwordEnv and password contradict each other: give one'],
    [{ ...LOGON, tags: 'x' }, 'probe(): tags takes an object of texts'],
    [{ ...LOGON, tags: { n: 1 } }, 'probe(): tags takes an object of texts'],
    ...['fullTest', 'split', 'mailTo', 'mailFrom', 'smtpServer', 'smtpPort', 'sendVia', 'stateDir'].map(
      (name) =>
        [
          { ...LOGON, [name]: 'x' },
          `probe(): ${name} is of the full test, which sends mail: inside k6 there is none`,
        ] as const,
    ),
  ];

  test.each(MISTAKES)('%j', async (options, words) => {
    const { module, k6, link } = await withXk6(GOOD);
    const error = (await module.probe(options as ProbeOptions).catch((problem) => problem)) as Error;
    expect(error.message).toEqual(words);
    expect(error.message).not.toContain(PASSWORD);
    expect(error.message).not.toContain('\n');
    expect(link.wants).toBe(0);
    // k6 passes a threshold on a Rate that has no value: a check that is wrong would be green for ever.
    expect(k6.samples).toEqual([
      { metric: 'pop3_errors', type: 'Counter', value: 1, tags: { reason: 'usage', phase: 'none' } },
      { metric: 'pop3_session_success', type: 'Rate', value: 0, tags: {} },
      { metric: 'pop3_session_duration', type: 'Trend', value: 0, tags: {} },
    ]);
  });

  test('a call in the init context', async () => {
    const { module, k6 } = await withXk6(GOOD);
    k6.isInInit = true;
    await expect(module.probe(LOGON)).rejects.toThrow('probe() belongs into the test, not into the init context');
    await expect(module.open(LOGON)).rejects.toThrow('open() belongs into the test, not into the init context');
  });

  test.each(['expect', 'certificateDays', 'severity', 'lightMode'])('%s for a session', async (name) => {
    const { module } = await withXk6(GOOD);
    await expect(module.open({ ...LOGON, [name]: 1 } as Options)).rejects.toThrow(
      `open(): ${name} has no meaning for open()`,
    );
  });
});

describe('the password', () => {
  const { password: _, ...NOBODY } = LOGON;
  const succeeds = async (given: object, arrange: (k6: FakeK6) => void): Promise<void> => {
    const { module, k6 } = await withXk6(GOOD);
    arrange(k6);
    const result = await module.probe({ ...NOBODY, ...given });
    expect(result.result).toBe('Success');
    expect(JSON.stringify([result, k6.samples])).not.toContain(PASSWORD);
  };

  test('is a secret of k6', () =>
    succeeds({ passwordSecret: 'pop3' }, (k6) => {
      k6.secrets = { pop3: PASSWORD };
      k6.env.pop3 = 'another';
    }));

  test('is the variable of that name, without a source of secrets', () =>
    succeeds({ passwordSecret: 'POP3_PASSWORD' }, (k6) => {
      k6.env.POP3_PASSWORD = PASSWORD;
    }));

  test('is a variable', () =>
    succeeds({ passwordEnv: 'POP3_PASSWORD' }, (k6) => {
      k6.env.POP3_PASSWORD = PASSWORD;
    }));

  test.each([
    ['passwordSecret', 'there is neither a secret nor a variable POP3_PASSWORD (no secret sources are configured)'],
    ['passwordEnv', 'there is no variable POP3_PASSWORD'],
  ])('that %s names and that is nowhere is a failure, not a mistake', async (option, words) => {
    const { module, k6, link } = await withXk6(GOOD);
    const result = await module.probe({ ...NOBODY, [option]: 'POP3_PASSWORD' });
    expect(result.error).toMatchObject({ reason: 'configuration', phase: null, message: `${option}: ${words}` });
    expectByTheSchema(result);
    expect(link.wants).toBe(0);
    expect(k6.samples).toEqual([
      { metric: 'pop3_errors', type: 'Counter', value: 1, tags: { reason: 'configuration', phase: 'none' } },
      { metric: 'pop3_session_success', type: 'Rate', value: 0, tags: {} },
      { metric: 'pop3_session_duration', type: 'Trend', value: 0, tags: {} },
    ]);
  });

  test.each(['passwordSecret', 'oauthTokenSecret'])('put into %s by mistake is not shown', async (option) => {
    for (const secret of ['Hunter2-Pa$$', 'hunter', 'Tr0ub4dor']) {
      const { module, k6 } = await withXk6(GOOD);
      const result = await module.probe({ ...NOBODY, [option]: secret });
      expect(result.error?.message).toBe(`${option}: there is neither a secret nor a variable of that name`);
      expect(JSON.stringify([result, k6.samples])).not.toContain(secret);
    }
  });

  test('is not asked of whoever logs on by certificate, however that is spelt', async () => {
    const { module } = await withXk6(GOOD);
    const given = { ...NOBODY, connectionType: 'ssl', auth: 'EXTERNAL' };
    await expect(module.probe(given)).rejects.toThrow('probe(): auth external needs clientCertificate');
  });

  test('with a line end in it goes nowhere', async () => {
    const { module, link } = await withXk6(GOOD);
    const result = await module.probe({ ...LOGON, password: 'a\r\nDELE 1' });
    expect(result.error).toMatchObject({
      reason: 'configuration',
      message: 'password: the password is more than one line',
    });
    expect(link.wants).toBe(0);
  });

  test('that a server echoes is covered', async () => {
    const { module, k6 } = await withXk6(REFUSED.replace('no', `no such thing as ${PASSWORD}`));
    const result = await module.probe(LOGON);
    expect(result.error?.message).toContain('****');
    expect(JSON.stringify([result, k6.samples])).not.toContain(PASSWORD);
  });
});

describe('metrics', () => {
  const TAGS = { site: 'one' };

  test('of a logon that is well', async () => {
    const { module, k6 } = await withXk6(TLS, 'ssl');
    const { latencyMs, phases } = await module.probe({ ...LOGON, connectionType: 'ssl', tags: TAGS });
    expect(k6.samples).toEqual([
      ...phases.map(
        ({ name, ms }): Sample => ({ metric: `pop3_${name}_duration`, type: 'Trend', value: ms, tags: TAGS }),
      ),
      { metric: 'pop3_certificate_days_left', type: 'Gauge', value: expect.any(Number), tags: TAGS },
      { metric: 'pop3_mailbox_messages', type: 'Gauge', value: 2, tags: TAGS },
      { metric: 'pop3_mailbox_octets', type: 'Gauge', value: 320, tags: TAGS },
      { metric: 'pop3_session_success', type: 'Rate', value: 1, tags: TAGS },
      { metric: 'pop3_session_duration', type: 'Trend', value: latencyMs, tags: TAGS },
    ]);
    expect(phases.map(({ name }) => name)).toContain('tls');
  });

  test('of one that is refused: the phases it reached, and why', async () => {
    const { module, k6 } = await withXk6(REFUSED);
    await module.probe({ ...LOGON, tags: TAGS });
    expect(k6.samples.map(({ metric }) => metric)).toEqual([
      'pop3_connect_duration',
      'pop3_greeting_duration',
      'pop3_capabilities_duration',
      'pop3_login_duration',
      'pop3_errors',
      'pop3_session_success',
      'pop3_session_duration',
    ]);
    expect(k6.samples.find(({ metric }) => metric === 'pop3_errors')).toEqual({
      metric: 'pop3_errors',
      type: 'Counter',
      value: 1,
      tags: { ...TAGS, reason: 'login-refused', phase: 'login' },
    });
  });

  test('no sample names a user or a host', async () => {
    const { module, k6 } = await withXk6(TLS, 'ssl');
    await module.probe({ ...LOGON, connectionType: 'ssl' });
    expect(k6.samples.every(({ tags }) => Object.keys(tags).length === 0)).toBe(true);
  });

  const GOES = [
    ['a logon that works', GOOD, {}, 1],
    ['a logon that is refused', REFUSED, {}, 0],
    ['one that is to be refused, and is', REFUSED, { expect: 'login-refused' }, 1],
    ['one that is to be refused, and works', GOOD, { expect: 'login-refused' }, 0],
    ['a mailbox somebody else has', REFUSED.replace('AUTH', 'IN-USE'), {}, 0],
    [
      'the same, where that is to count as good',
      REFUSED.replace('AUTH', 'IN-USE'),
      { severity: 'mailbox-in-use=ok' },
      1,
    ],
    ['a warning', GOOD.replace(/S: \+OK\n$/, 'S: -ERR no\n'), {}, 1],
  ] as const;
  test.each(GOES)('%s', async (_, script, options, good) => {
    const { module, k6 } = await withXk6(script);
    await module.probe({ ...LOGON, ...options });
    expect(valuesOf(k6, 'pop3_session_success')).toEqual([good]);
  });

  test.each([
    [{}, 1],
    [{ certificateDays: 21 }, 0],
  ])('a certificate that is nearly over, with %j', async (options, good) => {
    const { module, k6 } = await withXk6(TLS, 'ssl');
    const transport = k6.transport as { connect: () => Promise<{ startTLS: () => Promise<object> }> };
    k6.transport = {
      ...transport,
      async connect() {
        const connection = await transport.connect();
        const { startTLS } = connection;
        const validTo = new Date(Date.now() + 20.5 * 86_400_000).toISOString();
        return Object.assign(connection, {
          startTLS: async () => {
            const shown = (await startTLS()) as { peerCertificates: object[] };
            return { ...shown, peerCertificates: shown.peerCertificates.map((each) => ({ ...each, validTo })) };
          },
        });
      },
    };
    const result = await module.probe({ ...LOGON, connectionType: 'ssl', ...options });
    expect(result.result).toBe('Success');
    expect(valuesOf(k6, 'pop3_certificate_days_left')[0]).toBeCloseTo(20.5, 1);
    expect(valuesOf(k6, 'pop3_session_success')).toEqual([good]);
  });
});

describe('a session', () => {
  const during = (lines: string): string => `${ARRIVAL}${lines}`;

  test('does what it is told, and each command is timed', async () => {
    const { module, k6, link } = await withXk6(
      during(`C: STAT
S: +OK 2 320
C: UIDL
S: +OK
S: 1 u1
S: 2 u2
S: .
C: LIST 2
S: +OK 2 200
C: RETR 1
S: +OK
S: Subject: caf\\xc3\\xa9
S:
S: ..and a dot
S: .
C: DELE 1
S: +OK
C: RSET
S: +OK
C: NOOP
S: +OK
C: QUIT
S: +OK
`),
    );
    const session = await module.open({ ...LOGON, tags: { site: 'one' } });
    expect(session.capabilities).toEqual(['USER']);
    expect(session.address).toBe('192.0.2.1');
    expect(session.tls).toBeNull();
    expect(await session.stat()).toEqual({ messages: 2, octets: 320 });
    expect(await session.uidl()).toEqual([
      { message: 1, uid: 'u1' },
      { message: 2, uid: 'u2' },
    ]);
    expect(await session.list(2)).toEqual({ message: 2, octets: 200 });
    const message = await session.retr(1);
    expect(message).toMatchObject({ octets: 30, lines: 3 });
    expect(message?.text()).toBe('Subject: café\r\n\r\n.and a dot\r\n');
    expect(await session.dele(1)).toBe(true);
    await session.rset();
    await session.noop();
    await session.quit();
    session.close();

    expect(link.left()).toEqual([]);
    expect(link.closed).toBe(true);
    const commands = k6.samples.filter(({ metric }) => metric === 'pop3_command_duration');
    expect(commands.map(({ tags }) => tags.command)).toEqual('STAT UIDL LIST RETR DELE RSET NOOP QUIT'.split(' '));
    expect(valuesOf(k6, 'pop3_session_success')).toEqual([1]);
    expect(valuesOf(k6, 'pop3_session_duration')).toHaveLength(1);
    expect(valuesOf(k6, 'pop3_login_duration')).toHaveLength(1);
    expect(valuesOf(k6, 'pop3_mailbox_messages')).toEqual([2]);
    expect(k6.samples.every(({ tags }) => tags.site === 'one')).toBe(true);
  });

  test('that cannot be opened is an error with its reason, and no session', async () => {
    const { module, k6, link } = await withXk6(REFUSED);
    const error = (await module.open(LOGON).catch((problem) => problem)) as Pop3Error;
    expect(error).toMatchObject({ name: 'Pop3Error', reason: 'login-refused', phase: 'login' });
    expect(error.message).toBe(
      'login-refused, server said "-ERR [AUTH] no" - check the user name and password of alice; the server may want TLS first',
    );
    expect(link.closed).toBe(true);
    expect(valuesOf(k6, 'pop3_session_success')).toEqual([0]);
    expect(k6.pendingTimers()).toBe(0);
  });

  test('that fails of a fault of ours is let go like any other', async () => {
    const { module, k6 } = await withTcp(GOOD);
    let destroyed = 0;
    k6.transport = {
      Socket: class {
        connected = true;
        on(): void {}
        async connect(): Promise<void> {}
        write(): Promise<void> {
          throw new TypeError('a bug');
        }
        destroy(): void {
          destroyed++;
        }
      },
    };
    await expect(module.open({ ...LOGON, timeout: 0.2 })).rejects.toMatchObject({ name: 'Pop3Error' });
    expect(destroyed).toBe(1);
    expect(k6.pendingTimers()).toBe(0);
  });

  test('goes on after a server has said no', async () => {
    const { module, k6 } = await withXk6(
      during(
        'C: STAT\nS: -ERR [SYS/TEMP] later\nC: DELE 9\nS: -ERR no such message\nC: RETR 9\nS: -ERR no such message\nC: NOOP\nS: +OK\nC: QUIT\nS: +OK\n',
      ),
    );
    const session = await module.open(LOGON);
    await expect(session.stat()).rejects.toMatchObject({ reason: 'server-temporary', phase: 'mailbox' });
    expect(await session.dele(9)).toBe(false);
    expect(await session.retr(9)).toBeNull();
    await session.noop();
    await session.quit();
    expect(valuesOf(k6, 'pop3_errors')).toEqual([1]);
    expect(valuesOf(k6, 'pop3_session_success')).toEqual([0]);
  });

  test.each([
    ['a line of a listing that looks like a refusal', '1 120\nS: -ERR [SYS/TEMP] disk trouble'],
    ['a line that is none', 'one 120'],
  ])('is over after %s: nothing is deleted where the protocol was broken', async (_, lines) => {
    const { module, k6, link } = await withXk6(during(`C: LIST\nS: +OK\nS: ${lines}\nS: .\n`));
    const session = await module.open(LOGON);
    await expect(session.list()).rejects.toMatchObject({ reason: 'protocol-violation' });
    await expect(session.dele(1)).rejects.toThrow('dele(): the session is over: protocol-violation');
    await expect(session.quit()).rejects.toThrow('quit(): the session is over: protocol-violation');
    expect(link.sent.join('')).not.toMatch(/DELE|QUIT/);
    expect(valuesOf(k6, 'pop3_session_success')).toEqual([0]);
  });

  test('is over when the server breaks off, and says why', async () => {
    const { module, k6, link } = await withXk6(during('C: STAT\n(close)\n'));
    const session = await module.open(LOGON);
    await expect(session.stat()).rejects.toMatchObject({ reason: 'hung-up', phase: 'mailbox' });
    await expect(session.noop()).rejects.toThrow('noop(): the session is over: hung-up in mailbox');
    expect(link.closed).toBe(true);
    expect(valuesOf(k6, 'pop3_session_success')).toEqual([0]);
  });

  test('is over when the server does not answer in time', async () => {
    const { module, k6, link } = await withXk6(during('C: STAT\n(silence)\n'));
    const session = await module.open({ ...LOGON, timeout: 0.1 });
    await expect(session.stat()).rejects.toMatchObject({ reason: 'timed-out', phase: 'mailbox' });
    expect(link.closed).toBe(true);
    expect(k6.pendingTimers()).toBe(0);
  });

  test('takes one command at a time', async () => {
    const { module } = await withXk6(during('C: STAT\nS: +OK 0 0\nC: QUIT\nS: +OK\n'));
    const session = await module.open(LOGON);
    const first = session.stat();
    await expect(session.noop()).rejects.toThrow('noop(): another command is under way: await each');
    expect(await first).toEqual({ messages: 0, octets: 0 });
    await session.quit();
  });

  test('may be closed at any time, and more than once', async () => {
    const { module, k6, link } = await withXk6(during('C: STAT\n(silence)\n'));
    const session = await module.open(LOGON);
    const waiting = session.stat();
    session.close();
    session.close();
    await expect(waiting).rejects.toThrow('the session was closed');
    await expect(session.noop()).rejects.toThrow('noop(): the session was closed');
    expect(link.closed).toBe(true);
    expect(k6.pendingTimers()).toBe(0);
    // Nobody but the script ended it.
    expect(valuesOf(k6, 'pop3_errors')).toEqual([]);
    expect(valuesOf(k6, 'pop3_session_success')).toEqual([1]);
  });

  test('that is forgotten leaves no timer behind', async () => {
    const { module, k6 } = await withXk6(during('C: NOOP\nS: +OK\n'));
    const session = await module.open(LOGON);
    await session.noop();
    expect(k6.pendingTimers()).toBe(0);
  });

  test('that is forgotten with k6/x/tcp is closed after a while, for it would hold up the iteration', async () => {
    const { module, k6, sockets } = await withTcp(during('C: NOOP\nS: +OK\n'));
    const session = await module.open({ ...LOGON, timeout: 0.2 });
    await session.noop();
    expect(sockets.undestroyed()).toBe(1);
    await expect.poll(() => sockets.undestroyed()).toBe(0);
    expect(k6.pendingTimers()).toBe(0);
    await expect(session.noop()).rejects.toThrow('noop(): the session was closed after 0.2 s without a command');
  });

  test.each([
    ['retr', [0], 'retr() takes a whole number from 1'],
    ['retr', ['1'], 'retr() takes a whole number from 1'],
    ['dele', [1.5], 'dele() takes a whole number from 1'],
    ['top', [1, -1], 'top() takes a whole number from 0'],
    ['list', [Number.NaN], 'list() takes a whole number from 1'],
  ] as const)('%s(%j) is a mistake', async (command, given, words) => {
    const { module, link } = await withXk6(during(''));
    const session = await module.open(LOGON);
    const before = link.wants;
    const call = session[command] as (...given: unknown[]) => Promise<unknown>;
    await expect(call.apply(session, [...given])).rejects.toThrow(words);
    expect(link.wants).toBe(before);
    session.close();
  });
});

test('where the Web Crypto of k6 cannot derive keys, SCRAM by k6/x/tcp is refused by its name', async () => {
  const { module, k6 } = await withTcp(`(connect)
S: +OK
C: CAPA
S: +OK
S: SASL SCRAM-SHA-256
S: .
C: AUTH SCRAM-SHA-256 ${Buffer.from('n,,n=alice,r=AAAA').toString('base64')}
S: + ${Buffer.from('r=AAAAserver,s=QSXCR+Q6sek8bf92,i=4096').toString('base64')}
`);
  k6.random = Uint8Array.of(0, 0, 0);
  k6.subtle = { importKey: () => Promise.reject(new Error('not supported')) };
  const { error } = await module.probe({ ...LOGON, auth: 'scram-sha-256' });
  expect(error).toMatchObject({
    reason: 'configuration',
    phase: 'login',
    message: 'this k6 cannot derive keys (PBKDF2), as SCRAM does: name another way to log on',
  });
});

describe('k6/x/tcp', () => {
  const NOT_SUPPORTED =
    "is not supported by this transport (k6/x/tcp): use connectionType 'ssl' and k6's own options, or k6 with xk6-pop3";
  const PEM = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  const LACKING: readonly (readonly [object, string])[] = [
    [{ connectionType: 'tls' }, "connectionType 'tls'"],
    [{ connectionType: undefined }, "connectionType 'tls'"],
    [{ ca: PEM }, 'ca'],
    [{ pin: 'ab'.repeat(32) }, 'pin'],
    [{ sni: 'pop.example.com' }, 'sni'],
    [{ trustAnySslCertificate: true }, 'trustAnySslCertificate'],
    [{ certificateDays: 21 }, 'certificateDays'],
    [{ ipv4: true }, 'ipv4'],
    [{ address: '192.0.2.2' }, 'address with TLS'],
  ];

  test.each(LACKING)('what it cannot do is refused by its name, and nothing is tried: %j', async (options, what) => {
    const { module, k6, sockets } = await withTcp(GOOD);
    const asked = { ...LOGON, connectionType: 'ssl', ...options };
    const result = await module.probe(asked);
    expect(result.error).toMatchObject({ reason: 'configuration', message: `${what} ${NOT_SUPPORTED}` });
    expectByTheSchema(result);
    await expect(module.open(asked))
      .rejects.toMatchObject({ reason: 'configuration' })
      .catch((problem) => {
        // What means nothing to a session is a mistake there.
        if (!('certificateDays' in options)) throw problem;
      });
    expect(sockets.connects).toEqual([]);
    expect(valuesOf(k6, 'pop3_session_success')[0]).toBe(0);
  });

  test('TLS is asked for with the connection, by the name of the server', async () => {
    const { module, sockets } = await withTcp(TLS.replace('(connect)', '(resolve)\n(connect)'));
    const result = await module.probe({ ...LOGON, server: 'mail.example.com', connectionType: 'ssl' });
    expect(result).toMatchObject({
      result: 'Success',
      connectionType: 'ssl',
      port: 995,
      tls: null,
      address: '192.0.2.1',
    });
    expect(sockets.connects).toEqual([{ port: 995, host: 'mail.example.com', tls: true }]);
    // What cannot be timed by itself is not there, and no zero.
    expect(result.phases.map(({ name }) => name)).toEqual([
      'connect',
      'greeting',
      'capabilities',
      'login',
      'mailbox',
      'quit',
    ]);
    expectByTheSchema(result);
  });

  test('in clear it connects without TLS', async () => {
    const { module, sockets } = await withTcp(GOOD);
    expect((await module.probe(LOGON)).result).toBe('Success');
    expect(sockets.connects).toEqual([{ port: 110, host: '192.0.2.1', tls: false }]);
  });

  const SAID: readonly (readonly [string, string, string])[] = [
    ['dial tcp 192.0.2.1:110: connect: connection refused', 'connection-refused', 'connect'],
    ['lookup mail.example.com: no such host', 'dns-not-found', 'dns'],
    ['lookup mail.example.com on 192.0.2.53:53: server misbehaving', 'dns-unavailable', 'dns'],
    ['dial tcp 192.0.2.1:110: i/o timeout', 'timed-out', 'connect'],
    ['dial tcp 192.0.2.1:110: connect: no route to host', 'unreachable', 'connect'],
    ['dial tcp: IP (192.0.2.1) is in a blacklisted range (192.0.2.0/24)', 'configuration', 'connect'],
    ['hostname (mail.example.com) is in a blocked pattern (*.example.com)', 'configuration', 'connect'],
    [
      'tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-03-02T00:00:00Z is after 2026-03-01T00:00:00Z',
      'certificate-expired',
      'tls',
    ],
    [
      'tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-03-02T00:00:00Z is before 2026-03-03T00:00:00Z',
      'certificate-not-yet-valid',
      'tls',
    ],
    [
      'tls: failed to verify certificate: x509: certificate is valid for a.example.com, not mail.example.com',
      'certificate-wrong-host',
      'tls',
    ],
    [
      "tls: failed to verify certificate: x509: cannot validate certificate for 192.0.2.1 because it doesn't contain any IP SANs",
      'certificate-wrong-host',
      'tls',
    ],
    [
      'tls: failed to verify certificate: x509: certificate signed by unknown authority',
      'certificate-untrusted',
      'tls',
    ],
    ['remote error: tls: no application protocol', 'tls-failed', 'tls'],
    ['tls: first record does not look like a TLS handshake', 'tls-failed', 'tls'],
    ['dial tcp 192.0.2.1:110: socket: too many open files', 'local-resources', 'connect'],
    ['EOF', 'hung-up', 'connect'],
    ['nobody knows', 'hung-up', 'connect'],
  ];

  test.each(SAID)('%s', async (said, reason, phase) => {
    const { module, k6 } = await withTcp(GOOD);
    const sockets = failing({ name: 'TCPError', method: 'connect', message: said });
    k6.transport = sockets;
    const { error } = await module.probe({ ...LOGON, connectionType: 'ssl' });
    expect(error).toMatchObject({ reason, phase });
    expect(error?.message).toContain(said.slice(0, 100));
    expect(sockets.undestroyed()).toBe(0);
  });

  test('while it connects it is not destroyed, for that would hold up the VU; as soon as that ends, it is', async () => {
    const { module, k6 } = await withTcp(GOOD);
    let connected: () => void = () => undefined;
    let destroyed = 0;
    k6.transport = {
      Socket: class {
        on(): void {}
        connect(): Promise<void> {
          return new Promise((resolve) => {
            connected = resolve;
          });
        }
        destroy(): void {
          destroyed++;
        }
      },
    };
    const { error } = await module.probe({ ...LOGON, timeout: 0.2 });
    expect(error).toMatchObject({ reason: 'timed-out', phase: 'connect', message: 'no connection within 0.2 s' });
    expect(destroyed).toBe(0);
    connected();
    await expect.poll(() => destroyed).toBe(1);
  });
});

describe('summary()', () => {
  const spread = { avg: 12, min: 5, med: 10, max: 40, 'p(90)': 20, 'p(95)': 30.25 };
  const ended = {
    metrics: {
      pop3_session_success: {
        type: 'rate',
        values: { rate: 0.9, passes: 90, fails: 10 },
        thresholds: { 'rate==1': { ok: false } },
      },
      pop3_session_duration: { values: spread },
      pop3_login_duration: { values: spread },
      'pop3_command_duration{command:RETR}': { values: spread, thresholds: { 'p(95)<50': { ok: true } } },
      pop3_errors: { values: { count: 10, rate: 1 } },
      'pop3_errors{reason:login-refused}': { values: { count: 7, rate: 1 }, thresholds: { 'count>=0': { ok: true } } },
      'pop3_errors{reason:timed-out}': { values: { count: 0, rate: 0 }, thresholds: { 'count>=0': { ok: true } } },
      'pop3_errors{reason:hung-up}': { values: { count: 3, rate: 1 }, thresholds: { 'count>=0': { ok: true } } },
      pop3_certificate_days_left: { values: { value: 74, min: 74, max: 74 } },
      pop3_mailbox_messages: { values: { value: 3, min: 0, max: 3 } },
      pop3_mailbox_octets: { values: { value: 4096, min: 0, max: 4096 } },
      http_reqs: { values: { count: 1 } },
    },
  };

  test('takes what k6 hands over as it comes, and says so of the other form', async () => {
    const { module } = await loadBundle('pop3.xk6');
    expect(() => module.summary({ results: { metrics: [] } })).toThrow(
      /^summary\(\) takes what k6 hands to handleSummary/,
    );
  });

  test("keeps a script's own threshold on a reason", async () => {
    const { module } = await loadBundle('pop3.xk6');
    const metric = 'pop3_errors{reason:hung-up}';
    const own = { values: { count: 7 }, thresholds: { 'count<5': { ok: false }, 'count>=0': { ok: true } } };
    const { stdout = '' } = module.summary({ metrics: { [metric]: own } });
    expect(JSON.parse(stdout).thresholds).toEqual([{ metric, threshold: 'count<5', ok: false }]);
  });

  test('tells what came of all sessions', async () => {
    const { module } = await loadBundle('pop3.xk6');
    const { stdout = '', ...others } = module.summary(ended);
    expect(others).toEqual({});
    expect(JSON.parse(stdout)).toEqual({
      schema: 1,
      scenario: 'Test POP3 Connectivity',
      result: 'Failure',
      sessions: 100,
      failed: 10,
      latencyMs: spread,
      phases: [{ name: 'login', ms: spread }],
      commands: [{ name: 'RETR', ms: spread }],
      errors: {
        count: 10,
        reasons: [
          { reason: 'login-refused', count: 7 },
          { reason: 'hung-up', count: 3 },
        ],
      },
      certificateDaysLeft: 74,
      mailbox: { messages: 3, octets: 4096 },
      thresholds: [
        { metric: 'pop3_session_success', threshold: 'rate==1', ok: false },
        { metric: 'pop3_command_duration{command:RETR}', threshold: 'p(95)<50', ok: true },
      ],
      results: [],
    });
  });

  test('writes a file, and a line for people', async () => {
    const { module } = await loadBundle('pop3.xk6');
    const { stdout, 'pop3.json': document = '' } = module.summary(ended, { file: 'pop3.json' });
    expect(stdout).toBe(
      'POP3: 90 of 100 sessions went well, session 10.0 ms (median), 30.3 ms (95 %); 7 login-refused, 3 hung-up\n',
    );
    expect(JSON.parse(document)).toMatchObject({ sessions: 100 });
  });

  test('has the results that setup() gave back', async () => {
    const { module } = await withXk6(GOOD);
    const result = await module.probe(LOGON);
    const { stdout = '' } = module.summary({ ...ended, setup_data: result });
    expect(JSON.parse(stdout).results).toEqual([JSON.parse(JSON.stringify(result))]);
    const several = module.summary({ ...ended, setup_data: [result, { other: 1 }] });
    expect(JSON.parse(several.stdout ?? '').results).toHaveLength(1);
  });

  test('of no session at all', async () => {
    const { module } = await loadBundle('pop3.xk6');
    const { stdout } = module.summary({ metrics: {} }, { file: 'pop3.json' });
    expect(stdout).toBe('POP3: no session was made\n');
    expect(JSON.parse(module.summary({ metrics: {} }).stdout ?? '')).toMatchObject({ result: 'Skipped', sessions: 0 });
  });

  test('counts every reason there is, if asked to', async () => {
    const { module } = await loadBundle('pop3.k6');
    expect(module.thresholds).toEqual({ pop3_session_success: ['rate==1'] });
    expect(module.thresholdsByReason).toMatchObject({ 'pop3_errors{reason:login-refused}': ['count>=0'] });
  });
});

describe('the types', () => {
  const declared = readFileSync('dist/pop3.xk6.d.ts', 'utf8');
  const namesIn = (type: string): readonly string[] => {
    const [, body = ''] =
      new RegExp(`interface ${type}(?: extends \\w+)? \\{\\n([\\s\\S]*?)\\n\\}`).exec(declared) ?? [];
    return [...body.matchAll(/^ {2}(?:readonly )?(\w+)\??[:(]/gm)].map(([, name]) => name as string);
  };

  test('are the same for both', () => {
    expect(readFileSync('dist/pop3.k6.d.ts', 'utf8')).toBe(declared);
  });

  test('name every field of a result', () => {
    const { required, properties, $defs } = JSON.parse(readFileSync('docs/probe-result.schema.json', 'utf8'));
    expect([...namesIn('ProbeResult')].sort()).toEqual([...required].sort());
    expect([...namesIn('TlsFacts')].sort()).toEqual([...properties.tls.required].sort());
    expect([...namesIn('Problem')].sort()).toEqual([...$defs.problem.required].sort());
  });

  test('name options there are', async () => {
    const names = [...namesIn('Options'), ...namesIn('ProbeOptions')];
    expect(names.length).toBeGreaterThan(25);
    for (const name of names) {
      const { module } = await withXk6(GOOD);
      const message = await module.probe({ [name]: [] } as never).then(
        () => '',
        (problem: Error) => problem.message,
      );
      expect(message).not.toContain('there is no option');
    }
  });

  test('and the README have the same options and metrics', async () => {
    const readme = readFileSync('plugins/k6/README.md', 'utf8');
    const names = [...namesIn('Options'), ...namesIn('ProbeOptions')].filter(
      // Spelt as the cmdlet has it; the only test there is; and what is there twice is told once.
      (name) => !['trustAnySSLCertificate', 'lightMode', 'portClientAccessServer'].includes(name),
    );
    for (const name of names) expect(readme, name).toContain(`\`${name}\``);
    const { k6 } = await loadBundle('pop3.xk6');
    for (const metric of k6.metrics) expect(readme).toContain(metric.replace(/^pop3_(\w+)_duration$/, '_$1_'));
  });

  test('name what a session has', async () => {
    const { module } = await withXk6(ARRIVAL);
    const session = await module.open(LOGON);
    for (const name of namesIn('Session')) expect(name in session, name).toBe(true);
    session.close();
  });
});

/** Sockets that fail to connect. */
function failing(error: unknown): Pick<FakeSockets, 'Socket' | 'undestroyed'> {
  let undestroyed = 0;
  return {
    Socket: class {
      private handler: (given: unknown) => void = () => undefined;
      constructor() {
        undestroyed++;
      }
      on(event: string, handler: (given: unknown) => void): void {
        if (event === 'error') this.handler = handler;
      }
      async connect(): Promise<void> {
        this.handler(error);
        throw error;
      }
      destroy(): void {
        undestroyed--;
      }
    },
    undestroyed: () => undestroyed,
  };
}

const validate = new Ajv2020({ allowUnionTypes: true, formats: { 'date-time': true } }).compile(
  JSON.parse(readFileSync('docs/probe-result.schema.json', 'utf8')),
);

function expectByTheSchema(result: unknown): void {
  validate(JSON.parse(JSON.stringify(result)));
  expect(validate.errors).toBeNull();
}
