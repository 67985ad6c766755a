import './reflect.ts'; // before @peculiar/x509, which does not load without it
import { webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';

/** A certificate and its private key, both PEM. `certificate` may hold a chain, the leaf first. */
export interface Identity {
  readonly certificate: string;
  readonly key: string;
}

export interface Leaf {
  /** DNS names and IP literals, in subjectAltName as dNSName and iPAddress. May be empty: then there is none. */
  readonly names: readonly string[];
  /** Default: one hour ago. */
  readonly notBefore?: Date;
  /** Default: 90 days after notBefore. */
  readonly notAfter?: Date;
  readonly keyType?: KeyType; // default ec (P-256)
  /** The one extended key usage; default server. */
  readonly usage?: 'server' | 'client';
  /** Default: the first name. */
  readonly commonName?: string;
  /** The digest it is signed with; default SHA-256. */
  readonly digest?: 'SHA-256' | 'SHA-1';
}

export interface Authority extends Identity {
  /** A certificate signed by this authority; an intermediate's chain comes with it. */
  issue(leaf: Leaf): Promise<Identity>;
  /** An authority under this one. Clients trust the root; what it issues carries it along. */
  intermediate(name: string): Promise<Authority>;
}

/** Makes a throw-away certificate authority (RFC 5280) whose keys live in this process alone. */
export async function createAuthority(name: string): Promise<Authority> {
  const keys = await generateKeys('ec');
  const certificate = await x509.X509CertificateGenerator.create({
    ...validity(),
    subject: distinguish(name),
    issuer: distinguish(name),
    publicKey: keys.publicKey,
    signingKey: keys.privateKey,
    signingAlgorithm: SIGNATURE,
    extensions: await authorityExtensions(keys, keys),
  });
  return armAuthority({ name, keys, chain: '', certificate: certificate.toString('pem') });
}

/** A server's certificate that vouches for itself, as appliances are delivered with. */
export async function selfSign(names: readonly string[], notAfter?: Date): Promise<Identity> {
  const keys = await generateKeys('ec');
  const signer = { name: names[0] ?? 'nameless', keys, certificate: '', chain: '' };
  const notBefore = notAfter === undefined ? undefined : new Date(notAfter.getTime() - 90 * DAY_MS);
  return issueLeaf(signer, { names, ...(notBefore && notAfter ? { notBefore, notAfter } : {}) }, keys);
}

type KeyType = 'ec' | 'rsa2048' | 'rsa1024';
type Keys = webcrypto.CryptoKeyPair;

interface Signer {
  readonly name: string;
  readonly keys: Keys;
  readonly certificate: string;
  /** What leaves carry along: nothing under the root, else the intermediates up to it. */
  readonly chain: string;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', publicExponent: new Uint8Array([1, 0, 1]) };

/** Authorities have EC keys, so this signs every certificate, whatever its own key is. */
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' };

const GENERATION: Readonly<Record<KeyType, webcrypto.EcKeyGenParams | webcrypto.RsaHashedKeyGenParams>> = {
  ec: { name: 'ECDSA', namedCurve: 'P-256' },
  rsa2048: { ...RSA, modulusLength: 2048 },
  rsa1024: { ...RSA, modulusLength: 1024 }, // too weak on purpose: a probe has to notice it
};

const ISSUERS = 'http://ca.example.com/intermediate.der';

const USAGE = {
  server: x509.ExtendedKeyUsage.serverAuth,
  client: x509.ExtendedKeyUsage.clientAuth,
} as const;

x509.cryptoProvider.set(webcrypto);

async function armAuthority(signer: Signer): Promise<Authority> {
  return {
    certificate: signer.certificate,
    key: await exportKey(signer.keys),
    issue: (leaf) => issueLeaf(signer, leaf),
    intermediate: (name) => createIntermediate(signer, name),
  };
}

async function createIntermediate(signer: Signer, name: string): Promise<Authority> {
  const keys = await generateKeys('ec');
  const signed = await x509.X509CertificateGenerator.create({
    ...validity(),
    subject: distinguish(name),
    issuer: distinguish(signer.name),
    publicKey: keys.publicKey,
    signingKey: signer.keys.privateKey,
    signingAlgorithm: SIGNATURE,
    extensions: await authorityExtensions(keys, signer.keys),
  });
  const certificate = signed.toString('pem');
  return armAuthority({ name, keys, certificate, chain: `${certificate}\n${signer.chain}` });
}

async function issueLeaf(signer: Signer, leaf: Leaf, own?: Keys): Promise<Identity> {
  const keyType = leaf.keyType ?? 'ec';
  const keys = own ?? (await generateKeys(keyType));
  const names = leaf.names.map((value) => ({ type: isIP(value) === 0 ? x509.DNS : x509.IP, value }));
  const encipher = keyType === 'ec' ? 0 : x509.KeyUsageFlags.keyEncipherment; // RSA key exchange: RFC 5280 §4.2.1.3
  const certificate = await x509.X509CertificateGenerator.create({
    ...validity(leaf.notBefore, leaf.notAfter),
    subject: distinguish(leaf.commonName ?? leaf.names[0] ?? 'nameless'),
    issuer: distinguish(signer.name),
    publicKey: keys.publicKey,
    signingKey: signer.keys.privateKey,
    signingAlgorithm: { ...SIGNATURE, hash: leaf.digest ?? SIGNATURE.hash },
    extensions: [
      // Where an intermediate's own certificate is to be had, as public authorities tell: RFC 5280 §4.2.2.1.
      ...(signer.chain === '' ? [] : [new x509.AuthorityInfoAccessExtension({ caIssuers: ISSUERS })]),
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | encipher, true),
      new x509.ExtendedKeyUsageExtension([USAGE[leaf.usage ?? 'server']]),
      ...(names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : []),
      ...(await keyIdentifiers(keys, signer.keys)),
    ],
  });
  return { certificate: `${certificate.toString('pem')}\n${signer.chain}`, key: await exportKey(keys) };
}

async function authorityExtensions(keys: Keys, signer: Keys): Promise<x509.Extension[]> {
  return [
    new x509.BasicConstraintsExtension(true, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ...(await keyIdentifiers(keys, signer)),
  ];
}

async function keyIdentifiers(keys: Keys, signer: Keys): Promise<x509.Extension[]> {
  return [
    await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    await x509.AuthorityKeyIdentifierExtension.create(signer.publicKey),
  ];
}

function validity(notBefore = new Date(Date.now() - HOUR_MS), notAfter = new Date(notBefore.getTime() + 90 * DAY_MS)) {
  return { notBefore, notAfter }; // the serial number is left to the library: 16 random octets, RFC 5280 §4.1.2.2
}

/** As structured values: a comma or an equals sign in a name stays part of the name. */
function distinguish(commonName: string): x509.JsonName {
  return [{ CN: [commonName] }];
}

function generateKeys(keyType: KeyType): Promise<Keys> {
  return webcrypto.subtle.generateKey(GENERATION[keyType], true, ['sign', 'verify']) as Promise<Keys>;
}

async function exportKey(keys: Keys): Promise<string> {
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return x509.PemConverter.encode(pkcs8, 'PRIVATE KEY');
}
