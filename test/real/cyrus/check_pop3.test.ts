import { writeFileSync } from 'node:fs';
import { chown, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Authority, createAuthority } from '../../../src/sandbox/authority.ts';
import { CYRUS, type Cyrus, type CyrusOptions, startCyrus } from '../../support/cyrus.ts';
import { missing } from '../../support/installed.ts';
import { startRecordingProxy } from '../../support/recording-proxy.ts';
import { CHECK_POP3, type Ended, keepSecret, privateFolder, run } from '../../support/run.ts';

const USER = 'alice';
const PASSWORD = keepSecret('opén sesame "#1" \\o/');
const WRONG = keepSecret('open sesame number two');

describe.skipIf(missing(CYRUS))('check_pop3 against a real Cyrus', () => {
  const folder = privateFolder();
  const passwordFile = folder.file('password', PASSWORD);
  const wrongFile = folder.file('wrong', WRONG);
  const caFile = join(folder.path, 'ca.pem');
  const running: Cyrus[] = [];
  let authority: Authority;
  let cyrus: Cyrus;

  async function start(options: Partial<CyrusOptions> = {}): Promise<Cyrus> {
    const identity = options.identity ?? (await authority.issue({ names: ['localhost', '127.0.0.1'] }));
    const started = await startCyrus({ users: { [USER]: PASSWORD }, ...options, identity });
    running.push(started);
    return started;
  }

  beforeAll(async () => {
    authority = await createAuthority('Example Test CA');
    writeFileSync(caFile, authority.certificate);
    cyrus = await start();
  });
  afterAll(async () => {
    await Promise.all(running.map((each) => each.stop()));
  });

  const logon = (port: number, ...options: readonly string[]): Promise<Ended> =>
    run(CHECK_POP3, [
      ...(options.includes('-H') ? [] : ['-H', 'localhost']),
      ...['-I', '127.0.0.1', '-p', String(port)],
      ...['--light-mode', '-t', '20', ...(options.includes('-u') ? [] : ['-u', USER])],
      ...(options.includes('--password-file') ? [] : ['--password-file', passwordFile]),
      ...options,
    ]);

  const PLAINTEXT = ['--connection-type', 'plaintext'] as const;
  const LINKS = [
    ['in the clear, by name', () => cyrus.port, PLAINTEXT],
    ['over STLS', () => cyrus.port, ['--ca-file', caFile]],
    ['over implicit TLS', () => cyrus.tlsPort, ['-S', '--ca-file', caFile]],
  ] as const;

  describe.each(LINKS)('%s', (_, port, options) => {
    test.each(['auto', 'user', 'plain'])('the right password lets us on (--auth %s)', async (method) => {
      const { code, line } = await logon(port(), ...options, '--auth', method);
      expect(line).toMatch(/^POP3 OK - localhost: logon \d+ ms, login \d+ ms, 0 messages/);
      expect(code).toBe(0);
    });

    test('a wrong one does not, and the three seconds Cyrus takes to say so are no timeout', async () => {
      const wrong = (method: string): Promise<Ended> =>
        logon(port(), ...options, '--password-file', wrongFile, '--auth', method);
      const [user, plain] = await Promise.all([wrong('user'), wrong('plain')]);
      expect(user.line).toContain('login-refused, server said "-ERR [AUTH] Invalid login" - check the user name');
      expect(plain.line).toMatch(/login-refused, server said "-ERR \[AUTH\] authenticating: authentication failure"/);
      for (const { code, tookMs } of [user, plain]) {
        expect(code).toBe(2);
        expect(tookMs).toBeGreaterThan(2_500);
      }
    });
  });

  test('messages and octets are counted', async () => {
    const other = await start();
    await logon(other.port, ...PLAINTEXT); // makes the mailbox
    await other.deliver('From: bob@example.com\r\nSubject: one\r\n\r\n1\r\n');
    await other.deliver('From: bob@example.com\r\nSubject: two\r\n\r\n2\r\n');
    const { line } = await logon(other.port, ...PLAINTEXT, '-w', 'messages=~:1');
    expect(line).toMatch(/^POP3 WARNING - localhost: 2 messages \(warning above 1\) \| .* messages=2;~:1;;0 /);
    expect(Number(/ octets=(\d+);/.exec(line)?.[1])).toBeGreaterThan(2 * 44); // what it adds on delivery varies
  });

  test('a greeting for APOP, and a session in the answer to the password, are part of the conversation', async () => {
    const { code, stdout } = await logon(cyrus.port, '--ca-file', caFile, '-vvv');
    expect(stdout).toMatch(/ S \+OK localhost Cyrus POP3 .* server ready <\d+\.\d+@localhost>$/m);
    expect(stdout).toMatch(/ S \+OK Mailbox locked and ready SESSIONID=<localhost-\S+>$/m);
    expect(code).toBe(0);
  });

  test('of its capabilities those under TLS are shown', async () => {
    const { stdout } = await logon(cyrus.port, '--ca-file', caFile, '-vv');
    const capabilities = /^capabilities: (.*)$/m.exec(stdout)?.[1]?.split(', ') ?? [];
    expect(capabilities).toEqual(expect.arrayContaining(['SASL PLAIN LOGIN', 'EXPIRE NEVER', 'LOGIN-DELAY 0', 'USER']));
    expect(capabilities).not.toContain('STLS');
  });

  test('the end of TLS without close_notify is no fault', async () => {
    const proxy = await startRecordingProxy(cyrus.tlsPort);
    const { code, stdout } = await logon(proxy.port, '-S', '--ca-file', caFile, '-vvv');
    await proxy.close();
    expect(tlsRecordLengths(proxy.serverBytes).at(-1)).not.toBe(ALERT_LENGTH);
    expect(stdout).toMatch(/^POP3 OK - localhost: logon /);
    expect(stdout).not.toMatch(/warning/i);
    expect(code).toBe(0);
  });

  test.each(['al%ce', 'al/ce*'])('a name no mailbox can have is refused at once: %s', async (name) => {
    const { code, line, tookMs } = await logon(cyrus.port, '--ca-file', caFile, '--auth', 'user', '-u', name);
    expect(line).toContain(
      'login-refused, server said "-ERR [AUTH] Invalid user" - check the user name and password of',
    );
    expect(code).toBe(2);
    expect(tookMs).toBeLessThan(2_500); // only passwords are answered late
  });

  test.each(['user', 'plain'])(
    'as Debian configures it, a second logon within a minute is a warning (--auth %s)',
    async (method) => {
      const patient = await start({ settings: { popminpoll: '1' } });
      expect(await logon(patient.port, '--ca-file', caFile, '--auth', method)).toMatchObject({ code: 0 });
      const { code, line } = await logon(patient.port, '--ca-file', caFile, '--auth', method);
      expect(line).toContain(
        'login-delay, server said "-ERR [LOGIN-DELAY] Logins must be at least 1 minute apart" - the server wants longer between logons',
      );
      expect(line).toMatch(/^POP3 WARNING /);
      expect(code).toBe(1);
    },
  );

  test('a server closed by its administrator says so, unasked', async () => {
    const closed = await start();
    const notice = join(closed.folder, 'conf/msg/shutdown');
    await writeFile(notice, 'we are away until noon\n', { mode: 0o600 });
    await chown(notice, closed.account.uid, closed.account.gid);
    const { code, line } = await logon(closed.port, '--ca-file', caFile);
    expect(line).toContain('-ERR [SYS/TEMP] we are away until noon');
    expect(code).toBe(2);
  });

  describe('the certificate', () => {
    const TLS = [
      ['over STLS', () => cyrus.port, []],
      ['over implicit TLS', () => cyrus.tlsPort, ['-S']],
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
      const proxy = await startRecordingProxy(cyrus.port);
      const { code } = await logon(proxy.port, '--ca-file', caFile, '--auth', method);
      await proxy.close();
      expect(code).toBe(0);
      expect(proxy.clientBytes.subarray(0, 14).toString('latin1')).toBe('CAPA\r\nSTLS\r\n\u0016\u0003');
      for (const secret of [...IN_CLEAR, USER]) expect(proxy.clientBytes.includes(secret)).toBe(false);
    });

    test('the same search finds it where plaintext was asked for', async () => {
      const proxy = await startRecordingProxy(cyrus.port);
      await logon(proxy.port, ...PLAINTEXT, '--auth', 'user');
      await logon(proxy.port, ...PLAINTEXT, '--auth', 'plain');
      await proxy.close();
      for (const secret of IN_CLEAR) expect(proxy.clientBytes.includes(secret)).toBe(true);
    });

    test('one that wants TLS first is not sent the password in the clear', async () => {
      const strict = await start({ settings: { allowplaintext: 'no' } });
      const proxy = await startRecordingProxy(strict.port);
      const { code, line } = await logon(proxy.port, ...PLAINTEXT);
      await proxy.close();
      expect(line).toContain('mechanism-not-offered, ');
      expect(code).toBe(2);
      for (const secret of IN_CLEAR) expect(proxy.clientBytes.includes(secret)).toBe(false);
      expect(await logon(strict.port, '--ca-file', caFile)).toMatchObject({ code: 0 });
    });
  });

  test('a server that was stopped refuses the connection', async () => {
    const stopped = await start();
    await stopped.stop();
    const { code, line } = await logon(stopped.port, '--ca-file', caFile);
    expect(line).toContain(`connection-refused, 127.0.0.1 port ${stopped.port}: `);
    expect(code).toBe(2);
  });
});

/** A TLS 1.3 alert, close_notify for one: two octets, the type hidden with them, and a tag (RFC 8446 §5.2). */
const ALERT_LENGTH = 2 + 1 + 16;

function tlsRecordLengths(octets: Buffer): readonly number[] {
  const lengths: number[] = [];
  for (let at = 0; at < octets.length; at += 5 + (lengths.at(-1) ?? 0)) lengths.push(octets.readUInt16BE(at + 3));
  return lengths;
}
