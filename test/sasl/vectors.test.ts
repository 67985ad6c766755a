import { describe, expect, test } from 'vitest';
import { ProbeFailure } from '../../src/dialogue/failure.ts';
import { Secret } from '../../src/dialogue/secret.ts';
import { hash } from '../../src/runtimes/node/hashing.ts';
import { cramMd5 } from '../../src/sasl/cram-md5.ts';
import { external } from '../../src/sasl/external.ts';
import { login } from '../../src/sasl/login.ts';
import { md4 } from '../../src/sasl/md4.ts';
import type { PasswordCredential } from '../../src/sasl/mechanism.ts';
import { oauthbearer } from '../../src/sasl/oauthbearer.ts';
import { plain } from '../../src/sasl/plain.ts';
import { scramSha1, scramSha256 } from '../../src/sasl/scram.ts';
import { xoauth2 } from '../../src/sasl/xoauth2.ts';
import { challenge, exchanged, OK } from '../support/sasl-server.ts';

const byPassword = (userName: string, password: string): PasswordCredential => ({
  kind: 'password',
  userName,
  password: new Secret(password),
});

test('PLAIN as in RFC 4616 §4', async () => {
  const { result, heard } = await exchanged(plain, byPassword('tim', 'tanstaaftanstaaf'), [OK]);
  expect(result).toBe('success');
  expect(heard).toEqual(['\0tim\0tanstaaftanstaaf']);
});

test('LOGIN answers two prompts, whatever their words', async () => {
  for (const [first, second] of [
    ['Username:', 'Password:'],
    ['User Name\0', 'Password\0'],
    ['', ''],
    ['Benutzer?', 'Kennwort?'],
  ] as const) {
    const { result, heard } = await exchanged(login, byPassword('tim', 'tanstaaf'), [
      challenge(first),
      challenge(second),
      OK,
    ]);
    expect(result).toBe('success');
    expect(heard).toEqual(['tim', 'tanstaaf']);
  }
});

test('CRAM-MD5 as in RFC 2195 §2', async () => {
  const server = [challenge('<1896.697170952@postoffice.reston.mci.net>'), OK];
  const { result, heard } = await exchanged(cramMd5, byPassword('tim', 'tanstaaftanstaaf'), server);
  expect(result).toBe('success');
  expect(heard).toEqual(['tim b913a602c7eda7a495b4e6e7334d3890']);
});

describe('SCRAM', () => {
  test.each([
    {
      from: 'RFC 5802 §5',
      mechanism: scramSha1,
      nonce: 'fyko+d2lbbFgONRv9qkxdawL',
      exchange: [
        'n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL',
        'r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096',
        'c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=',
        'v=rmF9pqV8S7suAoZWja4dJRkFsKQ=',
      ],
    },
    {
      from: 'RFC 7677 §3',
      mechanism: scramSha256,
      nonce: 'rOprNGfwEbeRWgbNEkqO',
      exchange: [
        'n,,n=user,r=rOprNGfwEbeRWgbNEkqO',
        'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
        'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
        'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=',
      ],
    },
  ])('as in $from', async ({ mechanism, nonce, exchange }) => {
    const [first, serverFirst, final, serverFinal] = exchange as [string, string, string, string];
    const random = Buffer.from(nonce, 'base64');
    const server = [challenge(serverFirst), challenge(serverFinal), OK];
    const { result, heard } = await exchanged(mechanism, byPassword('user', 'pencil'), server, { random });
    expect(result).toBe('success');
    // The server's proof is acknowledged by an empty line: POP3's +OK carries nothing (RFC 5034 §4).
    expect(heard).toEqual([first, final, '']);
  });
});

describe('OAUTHBEARER as in RFC 7628 §4', () => {
  const credential = {
    kind: 'bearer',
    userName: 'user@example.com',
    token: new Secret('vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=='),
  } as const;

  test('a token, §4.1', async () => {
    const server = { host: 'server.example.com', port: 143 };
    const { result, heard } = await exchanged(oauthbearer, credential, [OK], server);
    expect(result).toBe('success');
    expect(Buffer.from(heard[0] as string, 'latin1').toString('base64')).toBe(
      'bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyI' +
        'HZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB',
    );
  });

  test('one that is refused, §4.3', async () => {
    const why =
      'eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NvcGUiOiJleGFtcGxlX3Njb3BlIiwib3BlbmlkLWNvbmZpZ3VyYX' +
      'Rpb24iOiJodHRwczovL2V4YW1wbGUuY29tLy53ZWxsLWtub3duL29wZW5pZC1jb25maWd1cmF0aW9uIn0=';
    const refusing = () => {
      throw new ProbeFailure('login-refused', '', { said: '-ERR no' });
    };
    const { result, failure, heard } = await exchanged(oauthbearer, credential, [challenge(why, 'base64'), refusing]);
    expect(result).toBe('login-refused');
    expect(failure?.said).toBe('-ERR no (status invalid_token)');
    expect(heard[1]).toBe('\u0001');
  });
});

test('XOAUTH2 as Google and Microsoft have it', async () => {
  const credential = {
    kind: 'bearer',
    userName: 'someuser@example.com',
    token: new Secret('ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg'),
  } as const;
  const { heard } = await exchanged(xoauth2, credential, [OK]);
  expect(Buffer.from(heard[0] as string, 'latin1').toString('base64')).toBe(
    'dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhk' +
      'SFJoZG1semRHRXVZMjl0Q2cBAQ==',
  );
});

test.each(['fred@example.com', ''])('EXTERNAL tells as whom to be treated, or nothing: "%s"', async (userName) => {
  const { result, heard } = await exchanged(external, { kind: 'certificate', userName }, [OK]);
  expect(result).toBe('success');
  expect(heard).toEqual([userName]);
});

describe('MD4 as in RFC 1320 A.5', () => {
  test.each([
    ['', '31d6cfe0d16ae931b73c59d7e0c089c0'],
    ['a', 'bde52cb31de33e46245e05fbdbd6fb24'],
    ['abc', 'a448017aaf21d8525fc10ae87aa6729d'],
    ['message digest', 'd9130a8164549fe818874806e1c7014b'],
    ['abcdefghijklmnopqrstuvwxyz', 'd79e1c308aa5bbcdeea8ed63df412da9'],
    ['ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', '043f8582f241db351ce627e153e7f0e4'],
    ['1234567890'.repeat(8), 'e33b4ddc9c38f2199c3e7b164fcc0536'],
  ])('"%s"', (said, expected) => {
    expect(Buffer.from(md4(Buffer.from(said))).toString('hex')).toBe(expected);
  });
});

describe('SASLprep as in RFC 4013 §3', () => {
  const prepared = async (spelt: string): Promise<string> =>
    Buffer.from(await hash({ compute: 'saslprep', text: new Secret(spelt) })).toString('utf8');

  test.each([
    ['a soft hyphen is mapped to nothing', 'I\u00adX', 'IX'],
    ['nothing is changed', 'user', 'user'],
    ['the case stays', 'USER', 'USER'],
    ['compatibility, \u00aa', '\u00aa', 'a'],
    ['compatibility, \u2168', '\u2168', 'IX'],
  ])('%s', async (_, spelt, expected) => {
    expect(await prepared(spelt)).toBe(expected);
  });

  test.each([
    ['a prohibited character', 'a\u0007b'],
    ['both directions', '\u0627\u0031'],
  ])('%s is an error that does not tell what it is about', async (_, spelt) => {
    const failure = await prepared(spelt).catch((problem: unknown) => problem as ProbeFailure);
    expect(failure).toBeInstanceOf(ProbeFailure);
    expect(failure).toMatchObject({ reason: 'configuration' });
    expect((failure as ProbeFailure).message).not.toContain(spelt);
  });
});
