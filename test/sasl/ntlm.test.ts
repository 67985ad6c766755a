import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/dialogue/secret.ts';
import { hash } from '../../src/runtimes/node/hashing.ts';
import { md4 } from '../../src/sasl/md4.ts';
import type { PasswordCredential } from '../../src/sasl/mechanism.ts';
import { ntlm } from '../../src/sasl/ntlm.ts';
import { challenge, type Exchanged, exchanged, OK, REFUSED, type Turn } from '../support/sasl-server.ts';

/** [MS-NLMP] §4.2.1 and §4.2.4.3. */
const CREDENTIAL: PasswordCredential = { kind: 'password', userName: 'Domain\\User', password: new Secret('Password') };
const CIRCUMSTANCES = { random: Buffer.alloc(8, 0xaa), filetime: Buffer.alloc(8) };
const CHALLENGE = Buffer.from(
  '4e544c4d53535000020000000c000c003800000033828ae20123456789abcdef0000000000000000240024004400000006007017' +
    '0000000f53006500720076006500720002000c0044006f006d00610069006e0001000c0053006500720076006500720000000000',
  'hex',
);

const logOn = (server: readonly Turn[], userName = 'Domain\\User'): Promise<Exchanged> =>
  exchanged(ntlm, { ...CREDENTIAL, userName }, server, CIRCUMSTANCES);

/** AUTHENTICATE_MESSAGE ([MS-NLMP] §2.2.1.3), taken apart. */
function answerIn({ heard }: Exchanged): Readonly<Record<string, string>> {
  const message = Buffer.from(heard[1] as string, 'latin1');
  expect(message.toString('latin1', 0, 8)).toBe('NTLMSSP\0');
  expect(message.readUInt32LE(8)).toBe(3);
  const field = (at: number): Buffer => {
    const [length, offset] = [message.readUInt16LE(at), message.readUInt32LE(at + 4)];
    expect(message.readUInt16LE(at + 2)).toBe(length);
    expect(offset + length).toBeLessThanOrEqual(message.length);
    return message.subarray(offset, offset + length);
  };
  return {
    lm: field(12).toString('hex'),
    nt: field(20).toString('hex'),
    domain: field(28).toString('utf16le'),
    user: field(36).toString('utf16le'),
    workstation: field(44).toString('utf16le'),
    sessionKey: field(52).toString('hex'),
    flags: message.readUInt32LE(60).toString(16),
  };
}

const changed = (at: number, octets: string): Buffer => {
  const message = Buffer.from(CHALLENGE);
  message.write(octets, at, 'hex');
  return message;
};

/** The challenge with other pairs in it, each an identifier and octets in hexadecimal; with an end where there is one. */
function withPairs(pairs: readonly (readonly [number, string])[], end = '00000000'): Buffer {
  const info = Buffer.concat([
    ...pairs.map(([id, value]) => {
      const head = Buffer.alloc(4);
      head.writeUInt16LE(id, 0);
      head.writeUInt16LE(value.length / 2, 2);
      return Buffer.concat([head, Buffer.from(value, 'hex')]);
    }),
    Buffer.from(end, 'hex'),
  ]);
  const message = Buffer.concat([CHALLENGE.subarray(0, 68), info]);
  message.writeUInt16LE(info.length, 40);
  message.writeUInt16LE(info.length, 42);
  return message;
}

describe('NTLMv2 as in [MS-NLMP] §4.2.4', () => {
  test('NTOWFv2, §4.2.4.1.1', async () => {
    const key = md4(Buffer.from('Password', 'utf16le'));
    const octets = Buffer.from('USERDomain', 'utf16le');
    const owf = await hash({ compute: 'hmac', algorithm: 'md5', key, octets });
    expect(Buffer.from(owf).toString('hex')).toBe('0c868a403bfd7a93a3001ef22ef02e3f');
  });

  test('both responses, §4.2.4.2', async () => {
    const exchange = await logOn([CHALLENGE, OK]);
    expect(exchange.result).toBe('success');
    const answer = answerIn(exchange);
    expect(answer).toMatchObject({ domain: 'Domain', user: 'User', workstation: '', sessionKey: '' });
    expect(answer.lm).toBe('86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa');
    // The proof, then what §4.2.4.1.3 calls temp, with the pairs of the challenge in it as they came.
    expect(answer.nt).toBe(
      `68cd0ab851e51c96aabc927bebef6a1c01010000000000000000000000000000aaaaaaaaaaaaaaaa00000000${CHALLENGE.toString('hex', 68)}00000000`,
    );
  });

  test('no more is agreed on than both can, and no session security', async () => {
    const exchange = await logOn([CHALLENGE, OK]);
    const [SIGN, SEAL, KEY_EXCHANGE] = [0x10, 0x20, 0x40000000];
    const asked = Buffer.from(exchange.heard[0] as string, 'latin1').readUInt32LE(12);
    const agreed = Number.parseInt(answerIn(exchange).flags as string, 16);
    expect(asked & (SIGN | SEAL | KEY_EXCHANGE)).toBe(0);
    expect(agreed & ~asked).toBe(0);
    expect(agreed & ~CHALLENGE.readUInt32LE(20)).toBe(0);
  });
});

test('a server that tells its time gets that back, and nothing in the older place (§3.1.5.1.2)', async () => {
  const time = '0123456789abcd01';
  const exchange = await logOn([
    withPairs([
      [2, '44006f00'],
      [7, time],
    ]),
    OK,
  ]);
  const { lm, nt } = answerIn(exchange);
  expect(lm).toBe('00'.repeat(24));
  expect(nt?.slice(32)).toBe(
    `0101000000000000${time}aaaaaaaaaaaaaaaa0000000002000400` + `44006f0007000800${time}0000000000000000`,
  );
});

test('a server of old, without a word about itself, gets an answer over that', async () => {
  const challengeOfCyrus = 'TlRMTVNTUAACAAAAEgASADAAAAAFggIAuzkv1yc0WQUAAAAAAAAAAAAAAAAAAAAATABPAEMAQQBMAEgATwBTAFQA';
  const exchange = await logOn([challenge(challengeOfCyrus, 'base64'), OK]);
  expect(exchange.result).toBe('success');
  expect(answerIn(exchange).nt).toHaveLength(2 * (16 + 32));
});

test('the time, where the server does not tell it, is that of Windows', async () => {
  const { heard } = await exchanged(ntlm, CREDENTIAL, [CHALLENGE, OK], { random: CIRCUMSTANCES.random });
  const message = Buffer.from(heard[1] as string, 'latin1');
  const nt = message.readUInt32LE(24);
  const ms = Number(message.readBigUInt64LE(nt + 24) / 10_000n) - Date.UTC(1970, 0, 1) + Date.UTC(1601, 0, 1);
  expect(Math.abs(ms - Date.now())).toBeLessThan(60_000);
});

describe('a user name', () => {
  test.each([
    ['Domain\\User', 'User', 'Domain'],
    ['user@example.com', 'user@example.com', ''],
    ['user', 'user', ''],
    ['A\\b\\c', 'b\\c', 'A'],
    ['straße', 'straße', ''],
  ])('%s', async (userName, user, domain) => {
    const exchange = await logOn([CHALLENGE, OK], userName);
    expect(answerIn(exchange)).toMatchObject({ user, domain });
  });

  test('is put in capitals unit by unit: no letter becomes two', async () => {
    const { lm } = answerIn(await logOn([CHALLENGE, OK], 'straße'));
    const hmac = (key: Buffer, octets: Buffer): Buffer => createHmac('md5', key).update(octets).digest();
    const key = hmac(Buffer.from(md4(Buffer.from('Password', 'utf16le'))), Buffer.from('STRAßE', 'utf16le'));
    expect(lm?.slice(0, 32)).toBe(
      hmac(key, Buffer.concat([CHALLENGE.subarray(24, 32), Buffer.alloc(8, 0xaa)])).toString('hex'),
    );
  });
});

describe('a challenge', () => {
  test.each<[string, Buffer]>([
    ['empty', Buffer.alloc(0)],
    ['cut in its head', CHALLENGE.subarray(0, 31)],
    ['cut before its pairs', CHALLENGE.subarray(0, 47)],
    ['cut before its pairs, its name whole', changed(12, '0000000000000000').subarray(0, 47)],
    ['cut in its pairs', CHALLENGE.subarray(0, CHALLENGE.length - 1)],
    ['that is something else', Buffer.from('-ERR no NTLM here, but a long text in its place')],
    ['of another type', changed(8, '03000000')],
    ['whose name lies beyond its end', changed(16, 'ffffff7f')],
    ['whose name has an offset with the sign bit', changed(16, 'ffffffff')],
    ['whose name is too long', changed(12, 'ffff')],
    ['whose pairs lie beyond its end', changed(44, 'f0ffffff')],
    ['whose pairs are too long', changed(40, '2500')],
    ['whose pairs have no end', withPairs([[2, '44006f00']], '')],
    ['with a pair longer than they are', withPairs([[2, '4400']], '0100ffff')],
    ['whose time is cut', withPairs([[2, '4400']], '0700080000000000')],
    ['with half a pair', withPairs([[2, '4400']], '0100')],
    ['whose time is too short', withPairs([[7, '00000000']])],
    ['whose time is too long', withPairs([[7, '00'.repeat(9)]])],
  ])('%s is malformed, and answered by *', async (_, message) => {
    const exchange = await logOn([message]);
    expect(exchange).toMatchObject({ result: 'protocol-violation', cancelled: true });
    expect(exchange.failure?.message).toBe('the challenge of NTLM is malformed');
    expect(exchange.heard).toHaveLength(1);
  });

  test('without Unicode is one we cannot answer, and it says so', async () => {
    const exchange = await logOn([changed(20, '32828ae2')]);
    expect(exchange).toMatchObject({ result: 'protocol-violation', cancelled: true });
    expect(exchange.failure?.message).toBe('the server has NTLM without Unicode');
  });
});

test.each<[string, readonly Turn[], string]>([
  ['is refused', [CHALLENGE, REFUSED], 'login-refused'],
  ['is refused before a challenge', [REFUSED], 'login-refused'],
  ['is accepted before any answer', [OK], 'protocol-violation'],
  ['is to go on after its end', [CHALLENGE, CHALLENGE], 'protocol-violation'],
])('a logon that %s', async (_, server, reason) => {
  expect((await logOn(server)).result).toBe(reason);
});
