import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Authority, createAuthority } from '../../../src/sandbox/authority.ts';
import { DOVECOT, type Dovecot, startDovecot } from '../../support/dovecot.ts';
import { missing } from '../../support/installed.ts';
import { inEngine } from '../../support/k6-engine.ts';
import { type EngineLogon, probeInEngine, resultOf, scriptIn } from '../../support/k6-logon.ts';
import { builtRunner, GO } from '../../support/k6-runner.ts';
import { silentPort } from '../../support/platform-command.ts';
import { keepSecret, privateFolder } from '../../support/run.ts';

const USER = 'alice';
const PASSWORD = keepSecret('opén sesame "#1" \\o/');
const WRONG = keepSecret('open sesame number two');

/** The built modules in k6's JavaScript engine, over the transport of xk6-pop3, against a real Dovecot. */
describe.skipIf(missing(GO, DOVECOT))("the modules for k6, in k6's JavaScript engine, and a real Dovecot", () => {
  const folder = privateFolder();
  const caFile = join(folder.path, 'ca.pem');
  const silent = silentPort();
  const running: Dovecot[] = [];
  let authority: Authority;
  let dovecot: Dovecot;

  async function start(names: readonly string[], terms: Partial<Parameters<Authority['issue']>[0]> = {}) {
    const identity = await authority.issue({ names, ...terms });
    const mechanisms = ['plain', 'login', 'cram-md5', 'scram-sha-1', 'scram-sha-256', 'apop'];
    const started = await startDovecot({ users: { [USER]: PASSWORD }, identity, mechanisms });
    running.push(started);
    return started;
  }

  beforeAll(async () => {
    await builtRunner();
    authority = await createAuthority('Example Test CA');
    writeFileSync(caFile, authority.certificate);
    dovecot = await start(['localhost', '127.0.0.1']);
    await dovecot.deliver('Subject: one\r\n\r\n.a dot\r\n');
  });
  afterAll(async () => {
    await Promise.all(running.map((each) => each.stop()));
  });

  const there = (port: number, more: object = {}) => ({
    server: 'localhost',
    address: '127.0.0.1',
    port,
    userName: USER,
    password: PASSWORD,
    ...more,
  });
  const probed = async (logon: EngineLogon) => resultOf(await probeInEngine(folder.path, logon));

  const LINKS = [
    ['plaintext', () => dovecot.port, undefined],
    ['tls', () => dovecot.port, caFile],
    ['ssl', () => dovecot.tlsPort, caFile],
  ] as const;

  describe.each(LINKS)('%s', (connectionType, port, ca) => {
    const withCa = ca === undefined ? {} : { caFile: ca };

    test.each(['auto', 'user', 'plain', 'login', 'cram-md5', 'scram-sha-1', 'scram-sha-256'])(
      'logs on (auth %s), and tells no password',
      async (auth) => {
        const came = await probeInEngine(folder.path, {
          options: there(port(), { connectionType, auth }),
          ...withCa,
        });
        const result = resultOf(came);
        expect(result).toMatchObject({
          result: 'Success',
          error: null,
          address: '127.0.0.1',
          mailbox: { messages: 1 },
        });
        expect(result.tls?.authorized).toBe(connectionType === 'plaintext' ? undefined : true);
        expect(JSON.stringify(came)).not.toContain(JSON.stringify(PASSWORD).slice(1, -1));
      },
    );

    test('a wrong password is refused', async () => {
      const options = there(port(), { connectionType, password: WRONG });
      const { error } = await probed({ options, ...withCa });
      expect(error).toMatchObject({ reason: 'login-refused', phase: 'login' });
    });

    test('silence is told of in time, and nothing is left that would hold up the iteration', async () => {
      const came = await probeInEngine(folder.path, {
        options: there(silent(), { connectionType, timeout: 0.5 }),
        ...withCa,
      });
      expect(resultOf(came).error).toMatchObject({
        reason: 'timed-out',
        phase: connectionType === 'ssl' ? 'tls' : 'greeting',
      });
      expect(came.iterations[0]?.tookMs).toBeLessThan(2000);
    });
  });

  test('APOP works over implicit TLS', async () => {
    const options = there(dovecot.tlsPort, { connectionType: 'ssl', auth: 'apop' });
    expect((await probed({ options, caFile })).result).toBe('Success');
  });

  test('SCRAM is tied to the TLS link (tls-unique, tls-exporter are what Dovecot 2.3 has none of)', async () => {
    const options = there(dovecot.port, { auth: 'scram-sha-256-plus' });
    const { error } = await probed({ options, caFile });
    expect(error?.reason).toBe('mechanism-not-offered');
  });

  test('what is known of the certificate is what Node tells of it', async () => {
    const { tls } = await probed({ options: there(dovecot.port), caFile });
    expect(tls).toMatchObject({
      protocol: 'TLSv1.3',
      subject: 'CN=localhost',
      issuer: 'CN=Example Test CA',
      names: ['localhost', '127.0.0.1'],
      authorized: true,
    });
    expect(tls?.fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect(tls?.validTo).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/);
  });

  describe('a certificate', () => {
    test('from an authority nobody knows is a failure, and a warning by request', async () => {
      const options = there(dovecot.port);
      const refused = await probed({ options });
      expect(refused.error).toMatchObject({ reason: 'certificate-untrusted', phase: 'tls' });
      expect(refused.tls).toMatchObject({ authorized: false });
      const trusted = await probed({ options: { ...options, trustAnySslCertificate: true } });
      expect(trusted).toMatchObject({ result: 'Success', warnings: [{ reason: 'certificate-untrusted' }] });
    });

    test('for another host', async () => {
      const { error } = await probed({ options: there(dovecot.port, { server: 'mail.example.com' }), caFile });
      expect(error).toMatchObject({ reason: 'certificate-wrong-host', phase: 'tls' });
    });

    test('that is pinned needs neither name nor authority; another one is refused', async () => {
      const { tls } = await probed({ options: there(dovecot.port), caFile });
      const pin = tls?.fingerprint as string;
      const options = there(dovecot.port, { server: 'mail.example.com' });
      expect((await probed({ options: { ...options, pin } })).result).toBe('Success');
      const { error } = await probed({ options: { ...options, pin: 'ab'.repeat(32) } });
      expect(error?.reason).toBe('certificate-untrusted');
      expect(error?.message).toContain(pin);
    });
  });

  test('a name nobody has, and a port nobody listens on', async () => {
    const unknown = await probed({
      options: { ...there(110), server: 'nobody.invalid', address: undefined, timeout: 5 },
    });
    expect(['dns-not-found', 'dns-unavailable']).toContain(unknown.error?.reason);
    const { error } = await probed({ options: there(1) });
    expect(error).toMatchObject({ reason: 'connection-refused', phase: 'connect' });
  });

  test('the password is a secret of k6, else the variable of that name', async () => {
    const { password: _, ...nobody } = there(dovecot.port, { passwordSecret: 'POP3_PASSWORD' });
    const bySecret = { options: nobody, caFile, argv: ['-secret', `POP3_PASSWORD=${PASSWORD}`] };
    expect((await probed(bySecret)).result).toBe('Success');
    const byVariable = { options: nobody, caFile, argv: ['-e', `POP3_PASSWORD=${PASSWORD}`] };
    expect((await probed(byVariable)).result).toBe('Success');
    expect((await probed({ options: nobody, caFile })).error).toMatchObject({ reason: 'configuration' });
  });

  describe('a session', () => {
    const SESSION = `
      const given = { ...JSON.parse(__ENV.OPTIONS), ca: globalThis.open(__ENV.CA) };
      const flow = async (session) => {
        const size = await session.stat();
        const entries = await session.uidl();
        const message = await session.retr(1);
        const missing = await session.retr(99);
        await session.dele(1);
        await session.rset();
        return { messages: size.messages, entries: entries.length, text: message.text(), missing };
      };`;
    const run = (name: string, body: string, argv: readonly string[] = []) =>
      inEngine<{ readonly [name: string]: unknown }>([
        ...['-e', `OPTIONS=${JSON.stringify(there(dovecot.port, { timeout: 5 }))}`, '-e', `CA=${caFile}`, ...argv],
        scriptIn(folder.path, name, 'pop3.xk6', SESSION + body),
      ]);

    test('does what it is told', async () => {
      const { iterations, samples } = await run(
        'flow.js',
        `export default async () => {
           const session = await open(given);
           try {
             const came = await flow(session);
             await session.quit();
             return came;
           } finally {
             session.close();
           }
         };`,
      );
      expect(iterations[0]?.returned).toEqual({
        messages: 1,
        entries: 1,
        text: 'Subject: one\r\n\r\n.a dot\r\n',
        missing: null,
      });
      expect(await dovecot.messages()).toBe(1);
      const commands = samples.filter(({ metric }) => metric === 'pop3_command_duration');
      expect(commands.map(({ tags }) => tags.command)).toEqual([
        'STAT',
        'UIDL',
        'RETR',
        'RETR',
        'DELE',
        'RSET',
        'QUIT',
      ]);
      expect(samples.find(({ metric }) => metric === 'pop3_session_success')?.value).toBe(1);
    });

    test('that is forgotten does not hold up the iteration', async () => {
      const { iterations } = await run('leak.js', `export default async () => { await flow(await open(given)); };`);
      expect(iterations[0]).not.toHaveProperty('thrown');
      expect(iterations[0]?.tookMs).toBeLessThan(2000);
    });

    test('in the init context is a mistake', async () => {
      const calling = run('init.js', 'await open(given); export default () => undefined;');
      await expect(calling).rejects.toThrow('open() belongs into the test, not into the init context');
    });
  });

  describe('by the sockets of k6/x/tcp', () => {
    const bundle = 'pop3.k6';
    const by = (port: number, more: object) => ({
      server: 'localhost',
      port,
      userName: USER,
      password: PASSWORD,
      ...more,
    });

    test.each([
      ['plaintext', () => dovecot.port],
      ['ssl', () => dovecot.tlsPort],
    ] as const)('%s', async (connectionType, port) => {
      const came = await probeInEngine(folder.path, {
        bundle,
        options: by(port(), { connectionType }),
        env: { SSL_CERT_FILE: caFile },
      });
      expect(resultOf(came)).toMatchObject({ result: 'Success', tls: null, mailbox: { messages: 1 } });
    });

    test('an authority nobody knows', async () => {
      const { error } = await probed({ bundle, options: by(dovecot.tlsPort, { connectionType: 'ssl' }) });
      expect(error).toMatchObject({ reason: 'certificate-untrusted', phase: 'tls' });
    });

    test('a wrong password; a port nobody listens on', async () => {
      const options = by(dovecot.port, { connectionType: 'plaintext', password: WRONG });
      expect((await probed({ bundle, options })).error?.reason).toBe('login-refused');
      expect((await probed({ bundle, options: { ...options, port: 1 } })).error).toMatchObject({
        reason: 'connection-refused',
        phase: 'connect',
      });
    });

    test('silence, and no socket is left that would hold up the iteration', async () => {
      const options = by(silent(), { connectionType: 'plaintext', timeout: 0.5 });
      const came = await probeInEngine(folder.path, { bundle, options });
      expect(resultOf(came).error).toMatchObject({ reason: 'timed-out', phase: 'greeting' });
      expect(came.iterations[0]?.tookMs).toBeLessThan(2000);
    });

    test('STLS is refused, and nobody is connected to', async () => {
      const { error } = await probed({ bundle, options: by(dovecot.port, { connectionType: 'tls' }) });
      expect(error?.message).toContain("connectionType 'tls' is not supported by this transport (k6/x/tcp)");
    });

    test('a forgotten session holds up the iteration until it is closed by itself', async () => {
      const script = scriptIn(
        folder.path,
        'leak.js',
        bundle,
        `export default async () => { await open(JSON.parse(__ENV.OPTIONS)); };`,
      );
      const options = by(dovecot.port, { connectionType: 'plaintext', timeout: 1 });
      const { iterations } = await inEngine(['-e', `OPTIONS=${JSON.stringify(options)}`, script]);
      expect(iterations[0]?.tookMs).toBeGreaterThan(1000);
      expect(iterations[0]?.tookMs).toBeLessThan(4000);
    });
  });
});
