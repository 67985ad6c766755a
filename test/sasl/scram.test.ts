import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/dialogue/secret.ts';
import type { Mechanism, PasswordCredential } from '../../src/sasl/mechanism.ts';
import { scramSha1, scramSha1Plus, scramSha256, scramSha256Plus } from '../../src/sasl/scram.ts';
import {
  type Circumstances,
  challenge,
  type Exchanged,
  exchanged,
  OK,
  REFUSED,
  type Turn,
} from '../support/sasl-server.ts';

const ALICE: PasswordCredential = { kind: 'password', userName: 'alice', password: new Secret('Correct Horse') };
const SALT = Buffer.from('salt of the earth').toString('base64');

/** What the client's first message has after `r=`. */
const nonceIn = (heard: readonly string[]): string => /,r=([^,]+)$/.exec(heard[0] as string)?.[1] as string;

const first =
  (rest = `s=${SALT},i=4096`, server = 'server'): Turn =>
  (heard) =>
    challenge(`r=${nonceIn(heard)}${server},${rest}`);

/** The server's side, written apart from the client's (RFC 5802 §3). */
function serverFinal(
  mechanism: Mechanism,
  password: string,
  { binding = new Uint8Array(0), extension = '' }: { readonly binding?: Uint8Array; readonly extension?: string } = {},
): Turn {
  const algorithm = mechanism.name.includes('256') ? 'sha256' : 'sha1';
  const hmac = (key: Buffer, text: string): Buffer => createHmac(algorithm, key).update(text).digest();
  return ([opening = '', closing = '']) => {
    const [, header = '', bare = ''] = /^([^,]*,[^,]*,)(.*)$/.exec(opening) ?? [];
    const [, withoutProof = '', c = '', nonce, proof = ''] = /^(c=([^,]+),r=([^,]+)),p=(.+)$/.exec(closing) ?? [];
    expect(Buffer.from(c, 'base64')).toEqual(Buffer.concat([Buffer.from(header), binding]));
    const salted = pbkdf2Sync(password, Buffer.from(SALT, 'base64'), 4096, algorithm === 'sha1' ? 20 : 32, algorithm);
    const agreed = `${bare},r=${nonce},s=${SALT},i=4096${extension},${withoutProof}`;
    const clientKey = hmac(salted, 'Client Key');
    const signature = hmac(createHash(algorithm).update(clientKey).digest(), agreed);
    const recovered = Buffer.from(proof, 'base64').map((octet, at) => octet ^ (signature[at] as number));
    if (!clientKey.equals(recovered)) return REFUSED;
    return challenge(`v=${hmac(hmac(salted, 'Server Key'), agreed).toString('base64')}${extension}`);
  };
}

const scram = (
  server: readonly Turn[],
  circumstances: Circumstances = {},
  mechanism = scramSha256,
): Promise<Exchanged> => exchanged(mechanism, ALICE, server, circumstances);

describe('each side proves that it knows the password', () => {
  test.each([scramSha1, scramSha256])('$name', async (mechanism) => {
    const { result } = await scram([first(), serverFinal(mechanism, 'Correct Horse'), OK], {}, mechanism);
    expect(result).toBe('success');
  });

  test('a wrong password is refused', async () => {
    const { result, failure } = await scram([first(), serverFinal(scramSha256, 'battery staple')]);
    expect(result).toBe('login-refused');
    expect(failure?.said).toBe('-ERR [AUTH] no');
  });

  test('an extension after what is known is let pass, in both messages', async () => {
    const server = [
      first(`s=${SALT},i=4096,x=later`),
      serverFinal(scramSha256, 'Correct Horse', { extension: ',x=later' }),
      OK,
    ];
    expect((await scram(server)).result).toBe('success');
  });

  test('no two first messages have a nonce in common', async () => {
    const nonces = await Promise.all([1, 2, 3].map(async () => nonceIn((await scram([REFUSED])).heard)));
    expect(new Set(nonces).size).toBe(3);
    for (const nonce of nonces) expect(nonce).toMatch(/^[\x21-\x2b\x2d-\x7e]{24}$/);
  });
});

describe('a user name', () => {
  test.each([
    ['a=b,c', 'n=a=3Db=2Cc,'],
    ['\u2168', 'n=IX,'],
    ['übung', 'n=Ã¼bung,'],
  ])('%s is sent as %s', async (userName, expected) => {
    const { heard } = await exchanged(scramSha256, { ...ALICE, userName }, [REFUSED]);
    expect(heard[0]).toContain(expected);
  });

  test('a password that SASLprep prohibits is not silently changed, and nothing is sent', async () => {
    const password = new Secret('pass\u0007word');
    const { result, heard } = await exchanged(scramSha256, { ...ALICE, password }, []);
    expect(result).toBe('configuration');
    expect(heard).toEqual([]);
  });

  test('a password is prepared: with and without a soft hyphen it is the same', async () => {
    const password = new Secret('Correct\u00ad Horse');
    const server = [first(), serverFinal(scramSha256, 'Correct Horse'), OK];
    expect((await exchanged(scramSha256, { ...ALICE, password }, server)).result).toBe('success');
  });
});

describe('what ties it to the TLS link (RFC 5802 §6)', () => {
  const EXPORTER = new Map([['tls-exporter', Buffer.from('exported under TLS 1.3')]]);
  const UNIQUE = new Map([['tls-unique', Buffer.from('finished')]]);
  const NONE: ReadonlyMap<string, Uint8Array> = new Map();
  const PLUS = ['SCRAM-SHA-256', 'SCRAM-SHA-256-PLUS'];

  test.each([
    ['nothing to tie it to', NONE, ['SCRAM-SHA-256'], 'n,,'],
    ['nothing to tie it to, though the server would', NONE, PLUS, 'n,,'],
    ['the server does not offer to, and would notice that this was taken out', EXPORTER, ['SCRAM-SHA-256'], 'y,,'],
    ['the same before TLS 1.3', UNIQUE, ['SCRAM-SHA-256'], 'y,,'],
    ['the server offers to, and the other was asked for by name', EXPORTER, PLUS, 'n,,'],
    ['nobody knows what the server offers', EXPORTER, null, 'n,,'],
    ['it offers so for the other digest alone', EXPORTER, ['SCRAM-SHA-256', 'SCRAM-SHA-1-PLUS'], 'y,,'],
    ['something we do not know how to use', new Map([['tls-odd', Buffer.from('1')]]), ['SCRAM-SHA-256'], 'n,,'],
  ])('%s', async (_, bindings, offers, header) => {
    const { heard } = await scram([REFUSED], { bindings, offers });
    expect(heard[0]).toMatch(new RegExp(`^${header}n=alice,`));
  });

  test.each([
    [scramSha256Plus, 'tls-exporter', EXPORTER],
    [scramSha256Plus, 'tls-unique', UNIQUE],
    [scramSha1Plus, 'tls-exporter', new Map([...UNIQUE, ...EXPORTER])],
  ] as const)('$name by %s', async (mechanism, name, bindings) => {
    const server = [
      first(),
      serverFinal(mechanism, 'Correct Horse', { binding: bindings.get(name) as Uint8Array }),
      OK,
    ];
    const { result, heard } = await scram(server, { bindings }, mechanism);
    expect(result).toBe('success');
    expect(heard[0]).toMatch(new RegExp(`^p=${name},,n=alice,`));
  });

  test('a refusal tells by what: a server that knows another kind says no more than to a wrong password', async () => {
    const { result, failure } = await scram([first(), REFUSED], { bindings: EXPORTER }, scramSha256Plus);
    expect(result).toBe('login-refused');
    expect(failure?.message).toBe('tied to the TLS link by tls-exporter');
    expect(failure?.said).toBe('-ERR [AUTH] no');
  });

  test('without any there is no -PLUS', async () => {
    expect(await scram([], {}, scramSha256Plus)).toMatchObject({ result: 'mechanism-not-offered', heard: [] });
  });
});

describe('a server that', () => {
  const cancelled = { cancelled: true, iterations: [] };

  test.each<[string, Turn, string]>([
    ['has another nonce', challenge(`r=AAAAAAAAAAAAAAAAAAAAAAAAserver,s=${SALT},i=4096`), 'does not continue ours'],
    ['adds nothing to ours', first(undefined, ''), 'does not continue ours'],
    ['has a nonce with a control character', first(undefined, 'a\u0007b'), 'malformed'],
    ['has a nonce with a blank', first(undefined, 'a b'), 'malformed'],
    ['demands an extension', challenge(`m=wild,r=x,s=${SALT},i=4096`), 'an extension of SCRAM'],
    ['wants one iteration', first(`s=${SALT},i=1`), 'the server wants 1 iterations'],
    ['wants 4,095', first(`s=${SALT},i=4095`), 'the server wants 4095 iterations'],
    ['wants a million and one', first(`s=${SALT},i=1000001`), 'the server wants 1000001 iterations'],
    ['wants a hundred thousand million', first(`s=${SALT},i=100000000000`), 'the server wants 100000000000 iterations'],
    ['wants a number with a hundred digits', first(`s=${SALT},i=${'9'.repeat(100)}`), 'malformed'],
    ['wants less than nothing', first(`s=${SALT},i=-4096`), 'malformed'],
    ['wants a number with an exponent', first(`s=${SALT},i=1e6`), 'malformed'],
    ['has salt that is not base 64', first('s=!!!!,i=4096'), 'malformed'],
    ['has no salt', first('s=,i=4096'), 'malformed'],
    ['says things out of order', first(`i=4096,s=${SALT}`), 'malformed'],
    ['says nothing', challenge(''), 'malformed'],
    ['says octets', challenge('fffefd00', 'hex'), 'malformed'],
    ['shows its proof too early', challenge('v=AAAA'), 'malformed'],
  ])('%s is answered by *, before anything is derived of the password', async (_, turn, words) => {
    const exchange = await scram([turn]);
    expect(exchange).toMatchObject({ result: 'protocol-violation', ...cancelled });
    expect(exchange.failure?.message).toContain(words);
    expect(exchange.heard).toHaveLength(1);
  });

  test('wants as many iterations as are allowed gets them', async () => {
    const { iterations } = await scram([first(`s=${SALT},i=1000000`), REFUSED]);
    expect(iterations).toEqual([1_000_000]);
  });

  test.each<[string, Turn]>([
    ['has a wrong proof', challenge(`v=${Buffer.alloc(32).toString('base64')}`)],
    ['has a proof that is cut', challenge('v=AAAA')],
    ['has an empty proof', challenge('v=')],
    ['has no proof', challenge('')],
    ['begins anew', first()],
    ['has octets for a proof', challenge('fffefd00', 'hex')],
  ])('%s has not proved that it knows the password', async (_, turn) => {
    const exchange = await scram([first(), turn]);
    expect(exchange).toMatchObject({ result: 'server-not-authenticated', cancelled: true });
    expect(exchange.heard).toHaveLength(2);
  });

  test.each<[string, readonly Turn[]]>([
    ['at once', [OK]],
    ['after our proof', [first(), OK]],
  ])('lets us on %s, without its own proof, is no server of ours', async (_, server) => {
    expect((await scram(server)).result).toBe('server-not-authenticated');
  });

  test.each<[string, readonly Turn[]]>([
    ['first', [challenge('e=unknown-user')]],
    ['last', [first(), challenge('e=invalid-proof')]],
  ])('tells an error in its %s message refuses the logon, in its own words', async (_, server) => {
    const { result, failure, cancelled: isCancelled } = await scram(server);
    expect(result).toBe('login-refused');
    expect(failure?.said).toMatch(/^e=(unknown-user|invalid-proof)$/);
    expect(isCancelled).toBe(true);
  });

  test('wants more after both have proved themselves breaks the protocol', async () => {
    const server = [first(), serverFinal(scramSha256, 'Correct Horse'), challenge('more')];
    expect(await scram(server)).toMatchObject({ result: 'protocol-violation', cancelled: true });
  });

  test('refuses when both have proved themselves refuses', async () => {
    const server = [first(), serverFinal(scramSha256, 'Correct Horse'), REFUSED];
    expect((await scram(server)).result).toBe('login-refused');
  });
});
