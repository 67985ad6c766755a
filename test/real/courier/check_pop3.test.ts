import { writeFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Authority, createAuthority } from '../../../src/sandbox/authority.ts';
import { COURIER, type Courier, type CourierOptions, startCourier } from '../../support/courier.ts';
import { missing } from '../../support/installed.ts';
import { VIEW_OF_FILES } from '../../support/own-view.ts';
import { startRecordingProxy } from '../../support/recording-proxy.ts';
import { CHECK_POP3, type Ended, keepSecret, privateFolder, run } from '../../support/run.ts';

const USER = 'alice';
const PASSWORD = keepSecret('opén sesame "#1" \\o/');
const WRONG = keepSecret('open sesame number two');

describe.skipIf(missing(COURIER, VIEW_OF_FILES))('check_pop3 against a real Courier', () => {
  const folder = privateFolder();
  const passwordFile = folder.file('password', PASSWORD);
  const wrongFile = folder.file('wrong', WRONG);
  const caFile = join(folder.path, 'ca.pem');
  const running: Courier[] = [];
  let authority: Authority;
  let courier: Courier;

  async function start(options: Partial<CourierOptions> = {}): Promise<Courier> {
    const identity = options.identity ?? (await authority.issue({ names: ['localhost', '127.0.0.1'] }));
    const started = await startCourier({ users: { [USER]: PASSWORD }, ...options, identity });
    running.push(started);
    return started;
  }

  beforeAll(async () => {
    authority = await createAuthority('Example Test CA');
    writeFileSync(caFile, authority.certificate);
    courier = await start();
  });
  afterAll(async () => {
    await Promise.all(running.map((each) => each.stop()));
  });

  const logon = (port: number, ...options: readonly string[]): Promise<Ended> =>
    run(CHECK_POP3, [
      ...(options.includes('-H') ? [] : ['-H', 'localhost']),
      ...['-I', '127.0.0.1', '-p', String(port), '-u', USER],
      ...[
        '--light-mode',
        '-t',
        '20',
        ...(options.includes('--password-file') ? [] : ['--password-file', passwordFile]),
      ],
      ...options,
    ]);

  const PLAINTEXT = ['--connection-type', 'plaintext'] as const;
  const LINKS = [
    ['in the clear, by name', () => courier.port, PLAINTEXT],
    ['over STLS', () => courier.port, ['--ca-file', caFile]],
    ['over implicit TLS', () => courier.tlsPort, ['-S', '--ca-file', caFile]],
  ] as const;

  describe.each(LINKS)('%s', (_, port, options) => {
    test.each(['auto', 'user', 'plain'])('the right password lets us on (--auth %s)', async (method) => {
      const { code, line } = await logon(port(), ...options, '--auth', method);
      expect(line).toMatch(/^POP3 OK - localhost: logon \d+ ms, login \d+ ms, 0 messages/);
      expect(code).toBe(0);
    });

    test('a wrong one does not, and the five seconds Courier takes to say so are no timeout', async () => {
      const wrong = (method: string): Promise<Ended> =>
        logon(port(), ...options, '--password-file', wrongFile, '--auth', method);
      const [user, plain] = await Promise.all([wrong('user'), wrong('plain')]);
      expect(user.line).toContain('login-refused, server said "-ERR Login failed." - check the user name and password');
      expect(plain.line).toContain('login-refused, server said "-ERR Authentication failed." - check the user name');
      for (const { code, tookMs } of [user, plain]) {
        expect(code).toBe(2);
        expect(tookMs).toBeGreaterThan(4_000);
      }
    });
  });

  test('messages and octets are counted', async () => {
    const other = await start();
    await other.deliver('Subject: one\n\n1\n'); // a Maildir's line ends; they are counted as those of the wire
    await other.deliver('Subject: two\n\n2\n');
    const { line } = await logon(other.port, ...PLAINTEXT);
    expect(line).toMatch(/^POP3 OK - localhost: logon \d+ ms, login \d+ ms, 2 messages \| .* octets=38;;;0$/);
  });

  test('its greeting, its unknown capabilities and its LOGIN-DELAY trouble nobody, however often we come', async () => {
    for (let visit = 0; visit < 3; visit += 1) {
      const { code, stdout } = await logon(courier.port, '--ca-file', caFile, '-vvv');
      expect(stdout).toMatch(/ S \+OK Hello there\.$/m);
      expect(stdout).toMatch(
        /^capabilities: .*\bLOGIN-DELAY 10\b.*\bUTF8 USER\b.*\bIMPLEMENTATION Courier Mail Server$/m,
      );
      expect(code).toBe(0);
    }
  });

  test('as Debian configures it, without SASL, USER is what is left', async () => {
    const bare = await start({ settings: { POP3AUTH: '', POP3AUTH_TLS: '' } });
    const { code, stdout } = await logon(bare.port, '--ca-file', caFile, '-vvv');
    expect(stdout).toMatch(/ C USER alice$/m);
    expect(code).toBe(0);
    const plain = await logon(bare.port, '--ca-file', caFile, '--auth', 'plain');
    expect(plain.line).toContain('mechanism-not-offered, the server offers USER, not PLAIN');
  });

  describe('the certificate', () => {
    const TLS = [
      ['over STLS', () => courier.port, []],
      ['over implicit TLS', () => courier.tlsPort, ['-S']],
    ] as const;

    test.each(TLS)('of an authority we do not know, %s', async (_, port, options) => {
      const { code, line } = await logon(port(), ...options);
      expect(line).toContain('certificate-untrusted, Example Test CA is ');
      expect(code).toBe(2);
    });

    test.each(TLS)('for another name, %s', async (_, port, options) => {
      const { code, line } = await logon(port(), ...options, '-H', 'pop.example.com', '--ca-file', caFile);
      expect(line).toContain(
        'certificate-wrong-host, the certificate is for localhost, 127.0.0.1, not pop.example.com',
      );
      expect(code).toBe(2);
    });
  });

  describe('what crosses the wire', () => {
    const IN_CLEAR = [PASSWORD, Buffer.from(`\0${USER}\0${PASSWORD}`).toString('base64')];

    test.each(['user', 'plain'])('nothing of the logon where TLS was asked for (--auth %s)', async (method) => {
      const proxy = await startRecordingProxy(courier.port);
      const { code } = await logon(proxy.port, '--ca-file', caFile, '--auth', method);
      await proxy.close();
      expect(code).toBe(0);
      expect(proxy.clientBytes.subarray(0, 14).toString('latin1')).toBe('CAPA\r\nSTLS\r\n\u0016\u0003');
      for (const secret of [...IN_CLEAR, USER]) expect(proxy.clientBytes.includes(secret)).toBe(false);
    });

    test('the same search finds it where plaintext was asked for', async () => {
      const proxy = await startRecordingProxy(courier.port);
      await logon(proxy.port, ...PLAINTEXT, '--auth', 'user');
      await logon(proxy.port, ...PLAINTEXT, '--auth', 'plain');
      await proxy.close();
      for (const secret of IN_CLEAR) expect(proxy.clientBytes.includes(secret)).toBe(true);
    });

    test('a server without STLS is not told who we are', async () => {
      const without = await start({ settings: { POP3_STARTTLS: 'NO' } });
      const proxy = await startRecordingProxy(without.port);
      const { code, line } = await logon(proxy.port, '--ca-file', caFile);
      await proxy.close();
      expect(line).toContain('stls-not-offered, CAPA does not list STLS');
      expect(code).toBe(2);
      expect(proxy.clientBytes.toString()).toBe('CAPA\r\n');
    });

    test('nor is one that promises TLS and then excuses itself in the clear: its couriertls finds no user courier', async () => {
      const broken = await start();
      await writeFile(join(broken.folder, 'etc/passwd'), '');
      const proxy = await startRecordingProxy(broken.port);
      const { code, line } = await logon(proxy.port, '--ca-file', caFile);
      await proxy.close();
      expect(proxy.serverBytes.toString()).toContain('+OK Begin SSL/TLS negotiation now.\r\n-ERR STARTTLS failed: ');
      expect(line).toContain('plaintext-after-stls');
      expect(code).toBe(2);
      for (const secret of [...IN_CLEAR, USER]) expect(proxy.clientBytes.includes(secret)).toBe(false);
    });

    test('one that wants TLS first lists USER all the same, yet refuses it before the password is out', async () => {
      const strict = await start({ settings: { POP3_TLS_REQUIRED: '1' } });
      const proxy = await startRecordingProxy(strict.port);
      const { code, line } = await logon(proxy.port, ...PLAINTEXT, '--auth', 'user');
      await proxy.close();
      expect(line).toMatch(/login-refused, server said "-ERR TLS required to log in\." - .*may want TLS first/);
      expect(code).toBe(2);
      for (const secret of IN_CLEAR) expect(proxy.clientBytes.includes(secret)).toBe(false);
      expect(await logon(strict.port, '--ca-file', caFile)).toMatchObject({ code: 0 });
    });
  });

  describe('a server that dies of our password', () => {
    // Without this variable courierpop3login reads from address 0 as soon as it has to check a password.
    let dying: Courier;
    beforeAll(async () => {
      dying = await start({ settings: { TCPLOCALPORT: null } });
    });

    test.each([
      ['over STLS', () => dying.port, 'user', 'PASS', ['--ca-file', caFile]],
      ['over STLS', () => dying.port, 'plain', 'AUTH', ['--ca-file', caFile]],
      ['over implicit TLS', () => dying.tlsPort, 'user', 'PASS', ['-S', '--ca-file', caFile]],
      ['in the clear', () => dying.port, 'user', 'PASS', PLAINTEXT],
    ] as const)('hung up on us, %s (--auth %s)', async (_, port, method, verb, options) => {
      const { code, line, tookMs } = await logon(port(), ...options, '--auth', method);
      expect(line).toContain(`hung-up in login, the server closed the connection instead of answering ${verb}`);
      expect(code).toBe(2);
      expect(tookMs).toBeLessThan(10_000);
    });
  });

  test('more connections than one address may have are closed without a greeting', async () => {
    const narrow = await start({ settings: { MAXPERIP: '1' } });
    const other = await holdConnection(narrow.port);
    const { code, line } = await logon(narrow.port, '--ca-file', caFile);
    other.destroy();
    expect(line).toContain('hung-up in greeting');
    expect(line).toContain('connection limits are the usual cause');
    expect(code).toBe(2);
  });

  test.each([
    ['the home directory', USER, /server said "-ERR Temporary problem, please try again later"/],
    ['the Maildir', join(USER, 'Maildir'), /server said "-ERR chdir \/\S+ failed"/],
  ])('%s is gone: there is no response code, so its words are shown', async (_, lost, words) => {
    const homeless = await start();
    const mail = join(homeless.folder, 'mail');
    await rename(join(mail, lost), join(mail, 'elsewhere'));
    const { code, line } = await logon(homeless.port, '--ca-file', caFile);
    expect(line).toMatch(words);
    expect(code).toBe(2);
  });

  test('a server that was stopped refuses the connection', async () => {
    const stopped = await start();
    await stopped.stop();
    const { code, line } = await logon(stopped.tlsPort, '-S', '--ca-file', caFile);
    expect(line).toContain(`connection-refused, 127.0.0.1 port ${stopped.tlsPort}: `);
    expect(code).toBe(2);
  });

  /** Another client, greeted and staying. */
  async function holdConnection(port: number): Promise<Socket> {
    const socket = connect(port, '127.0.0.1');
    await new Promise((resolve, reject) => {
      socket.once('data', resolve);
      socket.once('error', reject);
    });
    return socket;
  }
});
