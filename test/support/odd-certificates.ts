import '../../src/sandbox/reflect.ts'; // before @peculiar/x509, which does not load without it
import { createPrivateKey, createPublicKey, generateKeyPairSync, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';
import type { Identity } from '../../src/sandbox/authority.ts';

/** Certificates no authority of good sense issues, and some that only history explains. */

const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256', namedCurve: 'P-256' };
const DAY = 86_400_000;

/** A server's certificate with an RSA-PSS key of so many bits. */
export async function withPssKey(authority: Identity, name: string, bits: number): Promise<Identity> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa-pss', { modulusLength: bits });
  const certificate = await x509.X509CertificateGenerator.create({
    ...validity(90),
    subject: `CN=${name}`,
    issuer: new x509.X509Certificate(authority.certificate).subject,
    publicKey: new x509.PublicKey(publicKey.export({ type: 'spki', format: 'der' })),
    signingKey: await signingKey(authority.key),
    signingAlgorithm: SIGNATURE,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }])],
  });
  return {
    certificate: certificate.toString('pem'),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  };
}

/** The authority's own name and key, signed by an old root and expired: what a server may still send along. */
export async function crossSignedAndExpired(authority: Identity): Promise<string> {
  const old = (await webcrypto.subtle.generateKey(SIGNATURE, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const own = createPublicKey(createPrivateKey(authority.key)).export({ type: 'spki', format: 'der' });
  const certificate = await x509.X509CertificateGenerator.create({
    ...validity(-30),
    subject: new x509.X509Certificate(authority.certificate).subject,
    issuer: 'CN=Old Root',
    publicKey: new x509.PublicKey(own),
    signingKey: old.privateKey,
    signingAlgorithm: SIGNATURE,
    extensions: [new x509.BasicConstraintsExtension(true, undefined, true)],
  });
  return certificate.toString('pem');
}

const validity = (daysLeft: number): { readonly notBefore: Date; readonly notAfter: Date } => ({
  notBefore: new Date(Date.now() - 400 * DAY),
  notAfter: new Date(Date.now() + daysLeft * DAY),
});

const signingKey = (pem: string): Promise<webcrypto.CryptoKey> =>
  webcrypto.subtle.importKey(
    'pkcs8',
    createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' }),
    SIGNATURE,
    false,
    ['sign'],
  );
