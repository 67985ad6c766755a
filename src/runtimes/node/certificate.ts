import type { X509Certificate } from 'node:crypto';
import type { TlsFacts } from '../../dialogue/dialogue.ts';
import { ProbeFailure } from '../../dialogue/failure.ts';
import type { TlsTerms } from '../../probe/world.ts';
import { familyOf } from './address.ts';

const DAY_MS = 86_400_000;

/** RSA below this can be broken; OpenSSL lets 1024 pass (NIST SP 800-131A). */
const SHORTEST_RSA = 2048;

/** What a certificate says about itself. */
export function factsOf(leaf: X509Certificate, now: Date): Omit<TlsFacts, 'protocol' | 'cipher' | 'authorized'> {
  const from = new Date(leaf.validFrom);
  const to = new Date(leaf.validTo);
  // The first of the chain to go takes the others with it; a root's own date is its keeper's affair.
  const ends = chainOf(leaf).map((each) => new Date(each.validTo).getTime());
  return {
    subject: distinguished(leaf.subject),
    issuer: distinguished(leaf.issuer),
    names: namesOf(leaf),
    validFrom: from.toISOString(),
    validTo: to.toISOString(),
    daysLeft: Math.floor(((Math.min(...ends) - now.getTime()) / DAY_MS) * 100) / 100,
    fingerprint: fingerprintOf(leaf),
    lifetimeDays: Math.round(((to.getTime() - from.getTime()) / DAY_MS) * 100) / 100,
  };
}

/**
 * What is wrong with a certificate, the gravest first. OpenSSL names one fault of the chain; dates, names and keys
 * are looked at here, for a certificate may have several and each wants its own cure.
 *
 * @param terms the name or address the user asked for; with pins, a pinned certificate needs neither name nor authority
 * @param verifyError OpenSSL's code, or null where the chain leads to a trusted root
 */
export function faultsOf(
  leaf: X509Certificate,
  { identity, pins }: Pick<TlsTerms, 'identity' | 'pins'>,
  verifyError: string | null,
  now: Date,
): ProbeFailure[] {
  const faults: ProbeFailure[] = [];
  const fault = (reason: ProbeFailure['reason'], message: string): number =>
    faults.push(new ProbeFailure(reason, message));
  for (const each of chainOf(leaf)) {
    const whose =
      each === leaf ? 'the certificate' : `the certificate of ${commonName(each.subject)}, which vouches for it,`;
    if (new Date(each.validTo) <= now) fault('certificate-expired', `${whose} expired on ${day(each.validTo)}`);
    if (new Date(each.validFrom) > now)
      fault('certificate-not-yet-valid', `${whose} is valid from ${day(each.validFrom)}`);
  }
  const isPinned = pins.includes(fingerprintOf(leaf));
  if (pins.length > 0 && !isPinned) {
    fault('certificate-untrusted', `the certificate is not the one pinned; its SHA-256 is ${fingerprintOf(leaf)}`);
  }
  if (!isPinned && !isFor(leaf, identity)) {
    fault('certificate-wrong-host', `the certificate is for ${several(namesOf(leaf))}, not ${identity}`);
  }
  const untrusted = verifyError === null ? null : untrustedBecause(verifyError, leaf);
  const isExcused = isPinned && untrusted?.[0] === 'certificate-untrusted';
  // A date fault of the chain has been told above, unless it is that of a root nobody sent.
  if (untrusted !== null && !isExcused && (!DATES.includes(verifyError as string) || faults.length === 0)) {
    fault(untrusted[0], untrusted[1]);
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = leaf.publicKey;
  if (type === 'rsa' && (details?.modulusLength ?? 0) < SHORTEST_RSA) {
    fault('certificate-weak', `the certificate has an RSA key of ${details?.modulusLength} bits`);
  }
  return faults;
}

const fingerprintOf = (leaf: X509Certificate): string => leaf.fingerprint256.replace(/:/g, '').toLowerCase();

const DATES = ['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'];

/** Why OpenSSL does not trust a chain. The codes: `man 3 X509_STORE_CTX_get_error`, as Node spells them. */
function untrustedBecause(code: string, leaf: X509Certificate): readonly [ProbeFailure['reason'], string] {
  const issuer = commonName(leaf.issuer);
  const alone = chainOf(leaf).length === 1;
  switch (code) {
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return ['certificate-untrusted', 'the certificate is self-signed'];
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      if (!alone)
        return [
          'certificate-untrusted',
          `the chain leads to no trusted authority; the certificate was issued by ${issuer}`,
        ];
      // Who tells where the issuer's certificate is to be had (RFC 5280 §4.2.2.1) expects it to be needed: no root.
      return /CA Issuers/.test(leaf.infoAccess ?? '')
        ? ['certificate-untrusted', `the server does not send the intermediate certificate of ${issuer}`]
        : [
            'certificate-untrusted',
            `${issuer} is no trusted authority, or an intermediate one the server does not send`,
          ];
    case 'SELF_SIGNED_CERT_IN_CHAIN':
      return [
        'certificate-untrusted',
        `the chain leads to an authority that is not trusted; the certificate was issued by ${issuer}`,
      ];
    case 'CERT_REVOKED':
      return ['certificate-revoked', 'the certificate was revoked'];
    case 'INVALID_PURPOSE':
      return ['certificate-untrusted', 'the certificate is not one for servers'];
    case 'CERT_HAS_EXPIRED':
      return ['certificate-expired', 'an authority of the chain has expired'];
    case 'CERT_NOT_YET_VALID':
      return ['certificate-not-yet-valid', 'an authority of the chain is not yet valid'];
    case 'UNSPECIFIED': // "CA signature digest algorithm too weak", "EE certificate key too weak"
    case 'CA_MD_TOO_WEAK':
    case 'EE_KEY_TOO_SMALL':
    case 'CA_KEY_TOO_SMALL':
      return ['certificate-weak', 'a key or a signature in the chain is too weak'];
    default:
      return ['certificate-untrusted', `the chain was not accepted (${code})`];
  }
}

/** RFC 9525 §6: subject alternative names alone, no common name; a wildcard is the whole of the left-most label. */
function isFor(leaf: X509Certificate, identity: string): boolean {
  if (familyOf(identity) !== 0) return leaf.checkIP(identity) !== undefined;
  const options = { subject: 'never', partialWildcards: false, multiLabelWildcards: false } as const;
  return leaf.checkHost(identity, options) !== undefined;
}

/** The leaf and what the server sent after it, without a self-signed root. */
function chainOf(leaf: X509Certificate): readonly X509Certificate[] {
  const chain = [leaf];
  for (let next = leaf.issuerCertificate; next !== undefined && chain.length < 10; next = next.issuerCertificate) {
    if (next.subject === next.issuer || next.fingerprint256 === chain[chain.length - 1]?.fingerprint256) break;
    chain.push(next);
  }
  return chain;
}

/** The DNS names and addresses of a certificate, for people; what decides is OpenSSL's own reading. */
const namesOf = (leaf: X509Certificate): readonly string[] =>
  (leaf.subjectAltName ?? '')
    .split(', ')
    .filter((name) => /^(?:DNS|IP Address):/.test(name))
    .map((name) => name.slice(name.indexOf(':') + 1));

/** A distinguished name on one line, as Node has it on several. */
const distinguished = (name: string): string => name.split('\n').join(', ');

/** The common name in a distinguished name, or all of it. */
const commonName = (name: string): string => /(?:^|\n)CN=([^\n]+)/.exec(name)?.[1] ?? distinguished(name);

const day = (date: string): string => new Date(date).toISOString().slice(0, 10);

const several = (names: readonly string[]): string =>
  names.length === 0
    ? 'no host name'
    : names.length > 3
      ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`
      : names.join(', ');
