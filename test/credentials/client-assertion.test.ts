import {
  constants,
  createHash,
  generateKeyPairSync,
  type VerifyKeyObjectInput,
  verify,
  X509Certificate,
} from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { clientAssertion } from '../../src/credentials/client-assertion.ts';
import { ProbeFailure } from '../../src/dialogue/failure.ts';
import { Secret } from '../../src/dialogue/secret.ts';
import { createAuthority, type Identity } from '../../src/sandbox/authority.ts';
import { withPssKey } from '../support/odd-certificates.ts';
import { CLIENT_ID, clientIdentity, HOST, otherKey, PATH } from './samples.ts';

const CLAIMS = { clientId: CLIENT_ID, audience: HOST + PATH, now: 1_767_323_045 };

interface Assertion {
  readonly header: unknown;
  readonly claims: { readonly jti: string };
  readonly signed: Buffer;
  readonly signature: Buffer;
}

function asserted({ certificate, key }: Identity): Assertion {
  const parts = clientAssertion(certificate, new Secret(key), CLAIMS).reveal().split('.');
  expect(parts).toHaveLength(3);
  for (const part of parts) expect(part).toMatch(/^[A-Za-z0-9_-]+$/);
  const [header, claims, signature] = parts.map((part) => Buffer.from(part, 'base64url')) as [Buffer, Buffer, Buffer];
  return {
    header: JSON.parse(header.toString()),
    claims: JSON.parse(claims.toString()),
    signed: Buffer.from(parts.slice(0, 2).join('.')),
    signature,
  };
}

/** Held against the public key of the certificate, as the identity provider does. */
const isSigned = (
  { signed, signature }: Assertion,
  certificate: string,
  digest: string,
  terms: Omit<VerifyKeyObjectInput, 'key'>,
): boolean => verify(digest, signed, { key: new X509Certificate(certificate).publicKey, ...terms }, signature);

/** RFC 7518 §3.5: the salt is as long as the digest. */
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
const P1363 = { dsaEncoding: 'ieee-p1363' } as const;

let rsa: Identity;
let elliptic: Identity;
beforeAll(async () => {
  rsa = await clientIdentity();
  elliptic = await clientIdentity('ec');
});

describe('an assertion', () => {
  test('is signed with an RSA key as Microsoft documents it', () => {
    const assertion = asserted(rsa);
    expect(assertion.header).toEqual({
      alg: 'PS256',
      typ: 'JWT',
      'x5t#S256': createHash('sha256').update(new X509Certificate(rsa.certificate).raw).digest('base64url'),
    });
    expect(isSigned(assertion, rsa.certificate, 'sha256', PSS)).toBe(true);
    expect(isSigned(assertion, rsa.certificate, 'sha256', { padding: constants.RSA_PKCS1_PADDING })).toBe(false);
  });

  test('names the certificate by the fingerprint that openssl shows too', () => {
    const { fingerprint256 } = new X509Certificate(rsa.certificate);
    const { 'x5t#S256': named } = asserted(rsa).header as { 'x5t#S256': string };
    expect(Buffer.from(named, 'base64url').toString('hex')).toBe(fingerprint256.replaceAll(':', '').toLowerCase());
  });

  test('tells who it is of, for whom, and for how long: ten minutes', () => {
    expect(asserted(rsa).claims).toEqual({
      aud: 'https://login.example.com/tenant.example.com/oauth2/v2.0/token',
      iss: CLIENT_ID,
      sub: CLIENT_ID,
      jti: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
      iat: 1_767_323_045,
      nbf: 1_767_323_045,
      exp: 1_767_323_645,
    });
  });

  test('is never the same twice', () => {
    const ids = Array.from({ length: 20 }, () => asserted(rsa).claims.jti);
    expect(new Set(ids).size).toBe(20);
  });

  test('is signed with a key on an elliptic curve, for those who take one', () => {
    const assertion = asserted(elliptic);
    expect(assertion.header).toMatchObject({ alg: 'ES256' });
    expect(assertion.signature).toHaveLength(64); // RFC 7518 §3.4: two numbers of 32 octets, no ASN.1
    expect(isSigned(assertion, elliptic.certificate, 'sha256', P1363)).toBe(true);
  });

  test('is signed with a key that is for PSS alone', async () => {
    const identity = await withPssKey(await createAuthority('throw-away CA'), 'monitoring.example.com', 2048);
    const assertion = asserted(identity);
    expect(assertion.header).toMatchObject({ alg: 'PS256' });
    expect(isSigned(assertion, identity.certificate, 'sha256', PSS)).toBe(true);
  });

  test('names the first of several certificates, which is the client’s own', async () => {
    const chain = rsa.certificate + elliptic.certificate;
    expect(asserted({ ...rsa, certificate: chain }).header).toEqual(asserted(rsa).header);
  });

  test('is a secret', () => {
    expect(`${clientAssertion(rsa.certificate, new Secret(rsa.key), CLAIMS)}`).toBe('****');
  });
});

describe('no assertion is made', () => {
  const refusal = (certificate: string, key: string): ProbeFailure => {
    try {
      clientAssertion(certificate, new Secret(key), CLAIMS);
    } catch (problem) {
      if (problem instanceof ProbeFailure) return problem;
      throw problem;
    }
    throw new Error('an assertion was made');
  };

  test.each<[string, () => [string, string], string]>([
    ['with the key of another', () => [rsa.certificate, otherKey()], 'not the key of the client certificate'],
    ['without a certificate', () => ['', rsa.key], 'the client certificate cannot be read'],
    ['with a damaged certificate', () => [rsa.certificate.slice(0, 200), rsa.key], 'the client certificate cannot be'],
    ['without a key', () => [rsa.certificate, ''], 'the private key cannot be read'],
    ['with a damaged key', () => [rsa.certificate, rsa.key.slice(0, 300)], 'the private key cannot be read'],
    [
      'with an encrypted key',
      () => [
        rsa.certificate,
        generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({
          type: 'pkcs8',
          format: 'pem',
          cipher: 'aes-256-cbc',
          passphrase: 'obviously fake',
        }) as string,
      ],
      'encrypted',
    ],
  ])('%s', (_, given, message) => {
    const [certificate, key] = given();
    const failure = refusal(certificate, key);
    expect(failure).toMatchObject({ reason: 'configuration', message: expect.stringContaining(message) });
    const [, inside = ''] = /-----\n(\S{40})/.exec(key) ?? [];
    if (inside !== '') expect(`${failure.message}${failure.stack}`).not.toContain(inside);
  });
});
