import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../../src/dialogue/secret.ts';
import type { LoginPlan } from '../../../src/pop3/login.ts';
import { type Authority, createAuthority, type Identity } from '../../../src/sandbox/authority.ts';
import { carries } from '../../support/carries.ts';
import { DOVECOT, type Dovecot, type DovecotOptions, startDovecot } from '../../support/dovecot.ts';
import { missing, type Program, pathOf } from '../../support/installed.ts';
import { byPassword, type Door, ending, logOn } from '../../support/logon.ts';
import { startRecordingProxy } from '../../support/recording-proxy.ts';
import { CHECK_POP3, keepSecret, privateFolder, run } from '../../support/run.ts';
import { tokenFor, VERIFYING_TOKENS } from '../../support/tokens.ts';

const USER = 'alice';
const PASSWORD = keepSecret('open sesame #1');
const WRONG = keepSecret('battery staple');
const REFUSED = 'login-refused, -ERR [AUTH] Authentication failed.';

const PLAIN_TEXT = ['user', 'plain', 'login'] as const;
const SECRETIVE = ['apop', 'cram-md5', 'scram-sha-1', 'scram-sha-256'] as const;

describe.skipIf(missing(DOVECOT))('ways to log on to a real Dovecot', () => {
  const folder = privateFolder();
  const caFile = join(folder.path, 'ca.pem');
  const running: Dovecot[] = [];
  let authority: Authority;
  let dovecot: Dovecot;

  async function start(options: Partial<DovecotOptions>): Promise<Dovecot> {
    const identity = await authority.issue({ names: ['localhost'] });
    const started = await startDovecot({ users: { [USER]: PASSWORD }, ...options, identity });
    running.push(started);
    return started;
  }

  const inClear = (port: number): Door => ({ port, connectionType: 'plaintext' });
  const overTls = (port: number, clientCertificate?: Identity): Door => ({
    port,
    connectionType: 'ssl',
    authorities: authority.certificate,
    ...(clientCertificate === undefined ? {} : { clientCertificate }),
  });

  beforeAll(async () => {
    authority = await createAuthority('Example Test CA');
    writeFileSync(caFile, authority.certificate);
    const mechanisms = ['plain', 'login', 'apop', 'cram-md5', 'digest-md5', 'scram-sha-1', 'scram-sha-256'];
    dovecot = await start({ mechanisms });
  });
  afterAll(async () => {
    await Promise.all(running.map((each) => each.stop()));
  });

  describe.each([...PLAIN_TEXT, ...SECRETIVE])('--auth %s', (method) => {
    test('the right password lets us on, a wrong one does not', async () => {
      for (const door of [inClear(dovecot.port), overTls(dovecot.tlsPort)]) {
        expect(ending(await logOn(door, byPassword(method, USER, PASSWORD)))).toBe('success');
        expect(ending(await logOn(door, byPassword(method, USER, WRONG)))).toBe(REFUSED);
        expect(ending(await logOn(door, byPassword(method, 'nobody', PASSWORD)))).toBe(REFUSED);
      }
    });

    test('the command says so too', async () => {
      const files = [PASSWORD, WRONG].map((password, at) => folder.file(`password-${method}-${at}`, password));
      const argv = ['-H', 'localhost', '-I', '127.0.0.1', '-p', String(dovecot.tlsPort), '-S', '--ca-file', caFile];
      const check = (file: string) =>
        run(CHECK_POP3, [...argv, '-u', USER, '--password-file', file, '--auth', method, '--light-mode']);
      const [right, wrong] = await Promise.all(files.map(check));
      expect(right?.line).toMatch(/^POP3 OK - localhost: logon /);
      expect(wrong?.line).toContain('login-refused, server said "-ERR [AUTH] Authentication failed."');
    });
  });

  test('auto takes SCRAM-SHA-256, and shows nothing of it', async () => {
    const { conversation, ...account } = await logOn(overTls(dovecot.tlsPort), byPassword('auto', USER, PASSWORD));
    expect(ending({ conversation, ...account })).toBe('success');
    const said = conversation.filter(({ who }) => who === 'C').map(({ words }) => words);
    expect(said).toEqual(['CAPA', 'AUTH SCRAM-SHA-256 ****', '****', '****', 'STAT', 'QUIT']);
  });

  test('a password beyond ASCII, a user name with = and ,', async () => {
    const [userName, password] = ['a=b,c', 'pässwörd ≠ 漢字'];
    const server = await start({
      users: { [userName]: password },
      mechanisms: ['plain', 'scram-sha-256', 'cram-md5'],
      config: 'auth_username_chars =\n',
    });
    for (const method of ['plain', 'scram-sha-256', 'cram-md5'] as const)
      expect(ending(await logOn(inClear(server.port), byPassword(method, userName, password)))).toBe('success');
  });

  test('APOP without a timestamp in the greeting is not tried', async () => {
    const server = await start({ mechanisms: ['plain'] });
    expect(ending(await logOn(inClear(server.port), byPassword('apop', USER, PASSWORD)))).toBe(
      'mechanism-not-offered, there is no timestamp for APOP in the greeting',
    );
  });

  test('a mechanism that is not offered is told with those that are', async () => {
    const server = await start({ mechanisms: ['plain', 'digest-md5'] });
    expect(ending(await logOn(inClear(server.port), byPassword('cram-md5', USER, PASSWORD)))).toBe(
      'mechanism-not-offered, the server offers USER, PLAIN, DIGEST-MD5, not CRAM-MD5',
    );
  });

  describe('what crosses a link in clear', () => {
    async function recorded(method: LoginPlan['method']): Promise<Buffer> {
      const proxy = await startRecordingProxy(dovecot.port);
      const account = await logOn(inClear(proxy.port), byPassword(method, USER, PASSWORD));
      await proxy.close();
      expect(ending(account)).toBe('success');
      return proxy.clientBytes;
    }

    test.each(SECRETIVE)('nothing of the password with %s', async (method) => {
      expect(carries(await recorded(method), PASSWORD)).toBe(false);
    });

    test.each(PLAIN_TEXT)('the same search finds it with %s', async (method) => {
      expect(carries(await recorded(method), PASSWORD)).toBe(true);
    });
  });

  describe('tokens, which Dovecot verifies by itself', () => {
    const good = tokenFor(USER, { validFromS: -10, validToS: 600 });
    const expired = tokenFor(USER, { validFromS: -900, validToS: -300 });
    const forged = tokenFor(USER, { validFromS: -10, validToS: 600, key: 'another key' });
    let server: Dovecot;

    beforeAll(async () => {
      server = await start(VERIFYING_TOKENS);
    });

    const byToken = (method: LoginPlan['method'], token: string, userName = USER): LoginPlan => ({
      kind: 'bearer',
      method,
      userName,
      token: new Secret(token),
    });

    test.each(['xoauth2', 'oauthbearer', 'auto'] as const)('a good one lets us on (--auth %s)', async (method) => {
      for (const door of [inClear(server.port), overTls(server.tlsPort)])
        expect(ending(await logOn(door, byToken(method, good)))).toBe('success');
    });

    test.each([
      ['xoauth2', 'status 401'],
      ['oauthbearer', 'status invalid_token'],
    ] as const)('one that is expired or forged, or somebody else’s, does not (--auth %s)', async (method, status) => {
      for (const plan of [byToken(method, expired), byToken(method, forged), byToken(method, good, 'bob')])
        expect(ending(await logOn(overTls(server.tlsPort), plan))).toBe(`${REFUSED} (${status})`);
    });

    test('it shows nowhere in the conversation', async () => {
      for (const token of [good, expired]) {
        const { conversation } = await logOn(overTls(server.tlsPort), byToken('oauthbearer', token));
        expect(JSON.stringify(conversation)).not.toContain(token.slice(-20));
      }
    });

    test('who has a token alone is not logged on by a password mechanism', async () => {
      expect(ending(await logOn(overTls(dovecot.tlsPort), byToken('auto', good)))).toMatch(/^mechanism-not-offered, /);
    });
  });

  describe('a certificate', () => {
    let server: Dovecot;
    beforeAll(async () => {
      server = await start({
        mechanisms: ['external', 'plain'],
        files: { 'clients.pem': authority.certificate },
        config: (place) => `
ssl_ca = <${place}/clients.pem
ssl_verify_client_cert = yes
ssl_require_crl = no
auth_ssl_username_from_cert = yes
protocol pop3 {
  auth_ssl_require_client_cert = yes
}
passdb {
  driver = static
  mechanisms = external
  args = nopassword=y
}
`,
      });
    });

    const certified = (userName: string, method: LoginPlan['method'] = 'external'): LoginPlan => ({
      kind: 'certificate',
      method,
      userName,
    });
    const ofClient = (commonName: string, issuer = authority): Promise<Identity> =>
      issuer.issue({ names: [], commonName, usage: 'client' });

    test.each([
      [USER, 'external'],
      ['', 'external'],
      [USER, 'auto'],
    ] as const)('lets us on as "%s" (--auth %s)', async (userName, method) => {
      const account = await logOn(overTls(server.tlsPort, await ofClient(USER)), certified(userName, method));
      expect(ending(account)).toBe('success');
    });

    test('of somebody else does not let us on as alice', async () => {
      const account = await logOn(overTls(server.tlsPort, await ofClient('bob')), certified(USER));
      expect(ending(account)).toBe(REFUSED);
    });

    test('of an authority the server does not know is refused', async () => {
      const stranger = await ofClient(USER, await createAuthority('Example Other CA'));
      expect(ending(await logOn(overTls(server.tlsPort, stranger), certified(USER)))).toMatch(
        /^login-refused, -ERR \[AUTH\] Client did/,
      );
    });

    test('that is not shown lets nobody on', async () => {
      expect(ending(await logOn(overTls(server.tlsPort), certified(USER)))).toMatch(
        /^login-refused, -ERR \[AUTH\] Client did/,
      );
    });
  });
});

const NTLM_AUTH: Program = { name: "Samba's ntlm_auth", commands: ['ntlm_auth'], install: 'apt-get install winbind' };

describe.skipIf(missing(DOVECOT, NTLM_AUTH))('NTLM on a real Dovecot, by the code of Samba', () => {
  let authority: Authority;
  let dovecot: Dovecot;

  beforeAll(async () => {
    authority = await createAuthority('Example Test CA');
    dovecot = await startDovecot({
      identity: await authority.issue({ names: ['localhost'] }),
      users: { [USER]: PASSWORD },
      mechanisms: ['plain', 'ntlm'],
      files: {
        'smb.conf': (place) =>
          [
            '[global]',
            'workgroup = EXAMPLE',
            'server role = standalone server',
            ...['private dir', 'state directory', 'cache directory', 'lock directory', 'pid directory'].map(
              (name) => `${name} = ${place}/samba`,
            ),
            '',
          ].join('\n'),
        'samba/.keep': '',
        // With a password it is a server by itself, without winbindd or a domain.
        'ntlm.sh': (place) =>
          `#!/bin/sh\nexec ${pathOf('ntlm_auth')} --configfile=${place}/smb.conf --username=${USER} ` +
          `--password='${PASSWORD}' --domain=EXAMPLE "$@"\n`,
      },
      config: (place) => `auth_use_winbind = yes\nauth_winbind_helper_path = ${place}/ntlm.sh\n`,
    });
  });
  afterAll(() => dovecot.stop());

  const logOnAs = (userName: string, password: string, port = dovecot.port) =>
    logOn({ port, connectionType: 'plaintext' }, byPassword('ntlm', userName, password));

  test.each([USER, `EXAMPLE\\${USER}`, USER.toUpperCase()])('the right password lets %s on', async (userName) => {
    expect(ending(await logOnAs(userName, PASSWORD))).toBe('success');
  });

  // It looks at no user name: that is its password's alone.
  test.each([USER, `EXAMPLE\\${USER}`])('a wrong one does not let %s on', async (userName) => {
    expect(ending(await logOnAs(userName, WRONG))).toBe(REFUSED);
  });

  test('over TLS as well', async () => {
    const door = { port: dovecot.tlsPort, connectionType: 'ssl', authorities: authority.certificate } as const;
    expect(ending(await logOn(door, byPassword('ntlm', USER, PASSWORD)))).toBe('success');
  });

  test('nothing of the password crosses a link in clear', async () => {
    const proxy = await startRecordingProxy(dovecot.port);
    expect(ending(await logOnAs(USER, PASSWORD, proxy.port))).toBe('success');
    await proxy.close();
    expect(carries(proxy.clientBytes, PASSWORD)).toBe(false);
    expect(carries(proxy.clientBytes, USER)).toBe(true);
  });
});
