import type { KeyObject, SignKeyObjectInput, X509Certificate } from 'node:crypto';
import { ProbeFailure } from '../dialogue/failure.ts';
import { Secret } from '../dialogue/secret.ts';
import { builtin } from '../runtimes/node/builtin.ts';

/** What an assertion says. */
export interface Claims {
  readonly clientId: string;
  /** The URL of the token end point it is meant for. */
  readonly audience: string;
  /** Seconds since 1970. */
  readonly now: number;
}

/**
 * A JSON Web Token with which a client proves who it is (RFC 7523 §3), as Microsoft's identity platform wants it
 * (https://learn.microsoft.com/entra/identity-platform/certificate-credentials): signed by the key of a certificate that
 * is known there, which the header names by its fingerprint. Whoever has it is the client for as long as it lasts.
 *
 * @param certificate PEM; of several, as in a chain, the first
 * @param key its private key, PEM, not encrypted
 * @throws ProbeFailure `configuration`, without a word of the key
 */
export function clientAssertion(certificate: string, key: Secret, { clientId, audience, now }: Claims): Secret {
  const shown = certificateIn(certificate);
  const signing = keyIn(key);
  if (!shown.checkPrivateKey(signing)) throw refused('the private key is not the key of the client certificate');
  const { algorithm, digest, terms } = signatureOf(signing);
  const header = { alg: algorithm, typ: 'JWT', 'x5t#S256': fingerprint(shown) };
  const claims = {
    aud: audience,
    iss: clientId,
    sub: clientId,
    jti: builtin.crypto().randomUUID(),
    iat: now,
    nbf: now,
    exp: now + LIFETIME,
  };
  const signed = `${encoded(header)}.${encoded(claims)}`;
  let signature: Buffer;
  try {
    signature = builtin.crypto().sign(digest, Buffer.from(signed), { key: signing, ...terms });
  } catch {
    // Such as an RSA-PSS key that is for other digests alone.
    throw refused(`the private key cannot sign as ${algorithm}`);
  }
  return new Secret(`${signed}.${signature.toString('base64url')}`);
}

/** Seconds: as long as the identity platform advises at the most, for clocks differ. */
const LIFETIME = 600;

interface Signature {
  /** RFC 7518 §3.1. */
  readonly algorithm: string;
  readonly digest: string;
  readonly terms: Omit<SignKeyObjectInput, 'key'>;
}

/**
 * How a key signs. Of the two ways an RSA key can, the identity platform documents PSS and calls the other, RS256, old;
 * elliptic curves are for other providers, it knows none.
 */
function signatureOf(key: KeyObject): Signature {
  const { RSA_PKCS1_PSS_PADDING, RSA_PSS_SALTLEN_DIGEST } = builtin.crypto().constants;
  const pss: Signature = {
    algorithm: 'PS256',
    digest: 'sha256',
    terms: { padding: RSA_PKCS1_PSS_PADDING, saltLength: RSA_PSS_SALTLEN_DIGEST },
  };
  const curve = (algorithm: string, digest: string): Signature => ({
    algorithm,
    digest,
    terms: { dsaEncoding: 'ieee-p1363' }, // RFC 7518 §3.4
  });
  const signatures: Readonly<Record<string, Signature>> = {
    rsa: pss,
    'rsa-pss': pss,
    prime256v1: curve('ES256', 'sha256'),
    secp384r1: curve('ES384', 'sha384'),
    secp521r1: curve('ES512', 'sha512'),
  };
  const kind = key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? '';
  const signature = signatures[kind];
  if (signature === undefined) throw refused(`a private key of the kind ${kind} cannot sign: RSA is wanted`);
  return signature;
}

function certificateIn(pem: string): X509Certificate {
  try {
    return new (builtin.crypto().X509Certificate)(pem);
  } catch {
    throw refused('the client certificate cannot be read: not PEM, or damaged');
  }
}

function keyIn(pem: Secret): KeyObject {
  try {
    return builtin.crypto().createPrivateKey(pem.reveal());
  } catch {
    throw refused('the private key cannot be read: not PEM, damaged, or encrypted');
  }
}

const refused = (why: string): ProbeFailure => new ProbeFailure('configuration', why);

/** RFC 7515 §4.1.8: over the certificate as it is, in DER. */
const fingerprint = ({ raw }: X509Certificate): string =>
  builtin.crypto().createHash('sha256').update(raw).digest('base64url');

const encoded = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url');
