import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LoginMethod } from '../../../src/pop3/choice.ts';
import { type Authority, createAuthority } from '../../../src/sandbox/authority.ts';
import { carries } from '../../support/carries.ts';
import { CYRUS, type Cyrus, startCyrus } from '../../support/cyrus.ts';
import { missing } from '../../support/installed.ts';
import { byPassword, type Door, ending, logOn } from '../../support/logon.ts';
import { startRecordingProxy } from '../../support/recording-proxy.ts';

const USER = 'alice';
const PASSWORD = 'opén sesame #1';
const WRONG = 'battery staple';
/** Its NTLM takes UTF-8 for Latin-1: with a password beyond ASCII nobody logs on by that. */
const OF_NTLM = { userName: 'bob', password: 'open sesame #2' };

describe.skipIf(missing(CYRUS))('ways to log on to a real Cyrus', () => {
  const running: Cyrus[] = [];
  let authority: Authority;
  let cyrus: Cyrus;
  let before13: Cyrus;

  async function start(settings: Readonly<Record<string, string>> = {}): Promise<Cyrus> {
    const mechanisms = 'PLAIN LOGIN CRAM-MD5 DIGEST-MD5 NTLM SCRAM-SHA-1 SCRAM-SHA-256';
    const started = await startCyrus({
      identity: await authority.issue({ names: ['localhost'] }),
      users: { [USER]: PASSWORD, [OF_NTLM.userName]: OF_NTLM.password },
      settings: { sasl_mech_list: mechanisms, ...settings },
    });
    running.push(started);
    return started;
  }

  const inClear = ({ port }: Cyrus): Door => ({ port, connectionType: 'plaintext' });
  const overTls = ({ tlsPort }: Cyrus): Door => ({
    port: tlsPort,
    connectionType: 'ssl',
    authorities: authority.certificate,
  });
  const overStls = ({ port }: Cyrus): Door => ({ ...overTls(cyrus), port, connectionType: 'tls' });
  const whoFor = (method: LoginMethod): { readonly userName: string; readonly password: string } =>
    method === 'ntlm' ? OF_NTLM : { userName: USER, password: PASSWORD };
  const tried = async (door: Door, method: LoginMethod, password = whoFor(method).password): Promise<string> =>
    ending(await logOn(door, byPassword(method, whoFor(method).userName, password)));

  beforeAll(async () => {
    authority = await createAuthority('Example Test CA');
    [cyrus, before13] = await Promise.all([start(), start({ tls_versions: 'tls1_2' })]);
  });
  afterAll(async () => {
    await Promise.all(running.map((each) => each.stop()));
  });

  describe.each(['user', 'plain', 'login', 'apop', 'cram-md5', 'scram-sha-1', 'scram-sha-256', 'ntlm'] as const)(
    '--auth %s',
    (method) => {
      test('the right password lets us on', async () => {
        for (const door of [inClear(cyrus), overTls(cyrus), overTls(before13)])
          expect(await tried(door, method)).toBe('success');
      });

      test('a wrong one does not', async () => {
        expect(await tried(overTls(cyrus), method, WRONG)).toMatch(/^login-refused, -ERR \[AUTH\] /);
      });
    },
  );

  describe('SCRAM tied to the link', () => {
    const PLUS = ['scram-sha-1-plus', 'scram-sha-256-plus'] as const;

    test.each(PLUS)('before TLS 1.3: --auth %s', async (method) => {
      expect(await tried(overTls(before13), method)).toBe('success');
      expect(await tried(overStls(before13), method)).toBe('success');
      expect(await tried(overTls(before13), method, WRONG)).toMatch(
        /^login-refused, tied to the TLS link by tls-unique, /,
      );
    });

    // It would be tied by `tls-unique` there too, which TLS 1.3 does not have (RFC 8446 appendix C.5, RFC 9266 §3).
    test.each(PLUS)(
      'under TLS 1.3 Cyrus knows no binding there is, and what we used is told: --auth %s',
      async (method) => {
        expect(await tried(overTls(cyrus), method)).toBe(
          'login-refused, tied to the TLS link by tls-exporter, -ERR [AUTH] authenticating: bad protocol / cancel',
        );
      },
    );

    test.each(PLUS)('in clear it is not offered: --auth %s', async (method) => {
      expect(await tried(inClear(cyrus), method)).toMatch(/^mechanism-not-offered, the server offers USER, PLAIN, /);
    });

    test.each([
      ['before TLS 1.3, over TLS', () => overTls(before13), 'SCRAM-SHA-256-PLUS'],
      ['before TLS 1.3, over STLS', () => overStls(before13), 'SCRAM-SHA-256-PLUS'],
      ['under TLS 1.3', () => overTls(cyrus), 'SCRAM-SHA-256'],
      ['in clear', () => inClear(cyrus), 'SCRAM-SHA-256'],
    ])('auto takes what is sure to work, %s', async (_, door, mechanism) => {
      const account = await logOn(door(), byPassword('auto', USER, PASSWORD));
      expect(ending(account)).toBe('success');
      const said = account.conversation.filter(({ who }) => who === 'C').map(({ words }) => words);
      expect(said.filter((words) => words.startsWith('AUTH'))).toEqual([`AUTH ${mechanism} ****`]);
    });
  });

  test('what we do not speak is told as what there is', async () => {
    const odd = await start({ sasl_mech_list: 'DIGEST-MD5', allowplaintext: 'no' });
    expect(await tried(inClear(odd), 'auto')).toBe('mechanism-not-offered, the server offers DIGEST-MD5');
    expect(await tried(inClear(odd), 'cram-md5')).toBe(
      'mechanism-not-offered, the server offers DIGEST-MD5, not CRAM-MD5',
    );
  });

  test('its challenge of NTLM tells nothing of itself, and is answered all the same', async () => {
    const { conversation } = await logOn(inClear(cyrus), byPassword('ntlm', OF_NTLM.userName, WRONG));
    const [, challenge] = conversation.filter(({ who, words }) => who === 'S' && words.startsWith('+ '));
    const message = Buffer.from(challenge?.words.slice(2) ?? '', 'base64');
    expect(message.toString('latin1', 0, 8)).toBe('NTLMSSP\0');
    expect(message.readUInt32LE(20) & 0x800000).toBe(0);
  });

  test.each(['apop', 'cram-md5', 'scram-sha-1', 'scram-sha-256', 'ntlm'] as const)(
    'nothing of the password crosses a link in clear with %s',
    async (method) => {
      const proxy = await startRecordingProxy(cyrus.port);
      expect(await tried({ port: proxy.port, connectionType: 'plaintext' }, method)).toBe('success');
      await proxy.close();
      expect(carries(proxy.clientBytes, whoFor(method).password)).toBe(false);
      expect(carries(proxy.clientBytes, whoFor(method).userName)).toBe(true);
    },
  );
});
