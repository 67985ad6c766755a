import { writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Authority, createAuthority } from '../../../src/sandbox/authority.ts';
import { DOVECOT, type Dovecot, type DovecotOptions, startDovecot } from '../../support/dovecot.ts';
import { missing } from '../../support/installed.ts';
import { startRecordingProxy } from '../../support/recording-proxy.ts';
import { CHECK_POP3, type Circumstances, type Ended, keepSecret, privateFolder, run } from '../../support/run.ts';

const USER = 'alice';
const PASSWORD = keepSecret('opén sesame "#1" \\o/');
const WRONG = keepSecret('open sesame number two');
const DAY = 86_400_000;

describe.skipIf(missing(DOVECOT))('check_pop3 against a real Dovecot', () => {
  const folder = privateFolder();
  const passwordFile = folder.file('password', `${PASSWORD}\n`);
  const wrongFile = folder.file('wrong', WRONG);
  const caFile = join(folder.path, 'ca.pem');
  const running: Dovecot[] = [];
  let authority: Authority;
  let dovecot: Dovecot;

  async function start(options: Partial<DovecotOptions> = {}): Promise<Dovecot> {
    const identity = options.identity ?? (await authority.issue({ names: ['localhost', '127.0.0.1'] }));
    const started = await startDovecot({ users: { [USER]: PASSWORD }, ...options, identity });
    running.push(started);
    return started;
  }

  beforeAll(async () => {
    authority = await createAuthority('Example Test CA');
    writeFileSync(caFile, authority.certificate);
    dovecot = await start();
  });
  afterAll(async () => {
    await Promise.all(running.map((each) => each.stop()));
  });

  const check = (argv: readonly string[], circumstances?: Circumstances): Promise<Ended> =>
    run(CHECK_POP3, argv, circumstances);
  const logon = (port: number, password = passwordFile): readonly string[] => [
    ...[
      '-H',
      'localhost',
      '-I',
      '127.0.0.1',
      '-p',
      String(port),
      '-u',
      USER,
      '--password-file',
      password,
      '--light-mode',
    ],
  ];

  const LINKS = [
    ['in the clear, by name', () => dovecot.port, ['--connection-type', 'plaintext']],
    ['over STLS', () => dovecot.port, ['--ca-file', caFile]],
    ['over implicit TLS', () => dovecot.tlsPort, ['-S', '--ca-file', caFile]],
  ] as const;

  describe.each(LINKS)('%s', (_, port, options) => {
    test.each(['auto', 'user', 'plain'])('the right password lets us on (--auth %s)', async (method) => {
      const { code, line } = await check([...logon(port()), ...options, '--auth', method]);
      expect(line).toMatch(/^POP3 OK - localhost: logon \d+ ms, login \d+ ms, 0 messages/);
      expect(code).toBe(0);
    });

    test.each(['user', 'plain'])('a wrong one does not (--auth %s)', async (method) => {
      const { code, line } = await check([...logon(port(), wrongFile), ...options, '--auth', method]);
      expect(line).toContain(
        'login-refused, server said "-ERR [AUTH] Authentication failed." - check the user name and password of alice',
      );
      expect(code).toBe(2);
    });
  });

  test('messages and octets are counted', async () => {
    await dovecot.deliver('Subject: one\r\n\r\n1\r\n');
    await dovecot.deliver('Subject: two\r\n\r\n2\r\n');
    const { line } = await check([...logon(dovecot.port), '--connection-type', 'plaintext', '-w', 'messages=~:1']);
    expect(line).toMatch(
      /^POP3 WARNING - localhost: 2 messages \(warning above 1\) \| .* messages=2;~:1;;0 octets=38;;;0$/,
    );
  });

  test('under an address the certificate names, by the name of the link', async () => {
    const argv = [
      '-H',
      '127.0.0.1',
      '-p',
      String(dovecot.port),
      '-u',
      USER,
      '--password-file',
      passwordFile,
      '--light-mode',
    ];
    expect(await check([...argv, '--ca-file', caFile])).toMatchObject({ code: 0 });
  });

  test('by a name that has to be looked up', async () => {
    const argv = [
      '-H',
      'localhost',
      '-4',
      '-p',
      String(dovecot.port),
      '-u',
      USER,
      '--password-file',
      passwordFile,
      '--light-mode',
    ];
    const { line } = await check([...argv, '--ca-file', caFile]);
    expect(line).toContain(' time_dns=');
    expect(line).toMatch(/^POP3 OK /);
  });

  describe('the certificate', () => {
    test('of an authority we do not know', async () => {
      const { code, line } = await check(logon(dovecot.port));
      expect(line).toContain('certificate-untrusted, Example Test CA is no trusted authority');
      expect(code).toBe(2);
    });

    test('for another name', async () => {
      const argv = [
        ...logon(dovecot.port).map((each) => (each === 'localhost' ? 'pop.example.com' : each)),
        '--ca-file',
        caFile,
      ];
      const { line } = await check(argv);
      expect(line).toContain(
        'certificate-wrong-host, the certificate is for localhost, 127.0.0.1, not pop.example.com',
      );
    });

    test('expired, with the days since', async () => {
      const identity = await authority.issue({
        names: ['localhost'],
        notBefore: new Date(Date.now() - 90 * DAY),
        notAfter: new Date(Date.now() - 2 * DAY),
      });
      const expired = await start({ identity });
      const { code, line } = await check([...logon(expired.port), '--ca-file', caFile]);
      expect(line).toContain('certificate-expired, the certificate expired on ');
      expect(line).toMatch(/ certificate=-3$/);
      expect(code).toBe(2);
      const trusted = await check([...logon(expired.tlsPort), '-S', '--trust-any-ssl-certificate']);
      expect(trusted.line).toMatch(/^POP3 WARNING - localhost: certificate-expired, /);
    });

    test('that expires soon is a warning, sooner critical', async () => {
      const left = async (days: number): Promise<Ended> => {
        const notAfter = new Date(Date.now() + (days + 0.5) * DAY);
        const identity = await authority.issue({
          names: ['localhost'],
          notBefore: new Date(notAfter.getTime() - 90 * DAY),
          notAfter,
        });
        const soon = await start({ identity });
        return await check([...logon(soon.port), '--ca-file', caFile]);
      };
      expect((await left(12)).line).toMatch(
        /^POP3 WARNING - localhost: certificate expires in 12 days \(warning below 21\)/,
      );
      expect((await left(3)).line).toMatch(
        /^POP3 CRITICAL - localhost: certificate expires in 3 days \(critical below 7\)/,
      );
    });

    test('with its intermediate is good, without it is told apart', async () => {
      const intermediate = await authority.intermediate('Example Intermediate CA');
      const identity = await intermediate.issue({ names: ['localhost'] });
      const whole = await start({ identity });
      expect(await check([...logon(whole.port), '--ca-file', caFile])).toMatchObject({ code: 0 });
      const alone = {
        ...identity,
        certificate: identity.certificate.split(/(?<=-----END CERTIFICATE-----\n?)/)[0] as string,
      };
      const { line } = await check([...logon((await start({ identity: alone })).port), '--ca-file', caFile]);
      expect(line).toContain('the server does not send the intermediate certificate of Example Intermediate CA');
    });
  });

  describe('what crosses the wire', () => {
    const IN_CLEAR = [PASSWORD, Buffer.from(`\0${USER}\0${PASSWORD}`).toString('base64')];

    test.each(['user', 'plain'])('nothing of the logon where TLS was asked for (--auth %s)', async (method) => {
      const proxy = await startRecordingProxy(dovecot.port);
      const { code } = await check([...logon(proxy.port), '--ca-file', caFile, '--auth', method]);
      await proxy.close();
      expect(code).toBe(0);
      // What follows STLS is a TLS handshake record.
      expect(proxy.clientBytes.subarray(0, 14).toString('latin1')).toBe('CAPA\r\nSTLS\r\n\u0016\u0003');
      for (const secret of [...IN_CLEAR, USER]) expect(proxy.clientBytes.includes(secret)).toBe(false);
    });

    test('the same search finds it where plaintext was asked for', async () => {
      const proxy = await startRecordingProxy(dovecot.port);
      await check([...logon(proxy.port), '--connection-type', 'plaintext', '--auth', 'user']);
      await check([...logon(proxy.port), '--connection-type', 'plaintext', '--auth', 'plain']);
      await proxy.close();
      for (const secret of IN_CLEAR) expect(proxy.clientBytes.includes(secret)).toBe(true);
    });

    test('a server that has no STLS is not told who we are', async () => {
      const without = await start({ config: 'ssl = no' });
      const proxy = await startRecordingProxy(without.port);
      const { code, line } = await check(logon(proxy.port));
      await proxy.close();
      expect(line).toContain('stls-not-offered, CAPA does not list STLS');
      expect(code).toBe(2);
      expect(proxy.clientBytes.toString()).toBe('CAPA\r\n');
    });

    test('a server that wants TLS first takes no password in the clear, and is not sent one', async () => {
      const strict = await start({ config: 'disable_plaintext_auth = yes' });
      // Dovecot calls a link from its own address secure.
      const proxy = await startRecordingProxy(strict.port, { from: '127.0.0.2' });
      const { line } = await check([...logon(proxy.port), '--connection-type', 'plaintext']);
      await proxy.close();
      expect(line).toContain('mechanism-not-offered, the server offers no way to log on');
      for (const secret of IN_CLEAR) expect(proxy.clientBytes.includes(secret)).toBe(false);
    });
  });

  test('a mailbox that another session holds is a warning', async () => {
    const locking = await start({ lockSession: true });
    const other = await holdMailbox(locking.port);
    const { code, line } = await check([...logon(locking.port), '--connection-type', 'plaintext', '-t', '30']);
    other.destroy();
    expect(line).toContain('mailbox-in-use, server said "-ERR [IN-USE] Mailbox is locked by another POP3 session."');
    expect(code).toBe(1);
  });

  test('a server that was stopped refuses the connection', async () => {
    const stopped = await start();
    await stopped.stop();
    const { code, line } = await check([...logon(stopped.port), '--ca-file', caFile]);
    expect(line).toContain(`connection-refused, 127.0.0.1 port ${stopped.port}: `);
    expect(code).toBe(2);
  });

  /** Another mail client, logged on and staying. */
  async function holdMailbox(port: number): Promise<Socket> {
    const socket = connect(port, '127.0.0.1');
    socket.write(`USER ${USER}\r\nPASS ${PASSWORD}\r\n`);
    let heard = '';
    for await (const octets of socket.iterator({ destroyOnReturn: false })) {
      heard += String(octets);
      if (heard.includes('Logged in')) break;
    }
    return socket;
  }
});
