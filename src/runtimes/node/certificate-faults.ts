import type { X509Certificate } from 'node:crypto';
import { ProbeFailure } from '../../dialogue/failure.ts';
import type { TlsTerms } from '../../probe/world.ts';
import { familyOf } from './address.ts';
import { certificatesIn, trustedCertificates } from './authorities.ts';
import { builtin } from './builtin.ts';
import { chainOf, commonName, fingerprintOf, namesOf, timeOf } from './certificate.ts';

/** What a server showed, and what there is to hold it against. */
export interface Shown {
  readonly leaf: X509Certificate;
  /** The leaf, and what vouches for it. */
  readonly chain: readonly X509Certificate[];
  readonly terms: Pick<TlsTerms, 'identity' | 'pins' | 'authorities'>;
  /** OpenSSL's code, or null where the chain leads to a trusted root. */
  readonly verifyError: string | null;
  readonly now: Date;
}

/**
 * What is wrong with a certificate, the gravest first. OpenSSL names one fault of the chain; dates, names and keys
 * are looked at here, for a certificate may have several and each wants its own cure.
 */
export const faultsOf = (shown: Shown): readonly ProbeFailure[] => LOOKS.flatMap((look) => look(shown));

type Look = (shown: Shown) => readonly ProbeFailure[];

const dates: Look = ({ leaf, chain, verifyError, now }) =>
  // Where OpenSSL found a way, what lies beside it does no harm.
  (verifyError === null ? [leaf] : chain).flatMap((each) => {
    const whose =
      each === leaf ? 'the certificate' : `the certificate of ${commonName(each.subject)}, which vouches for it,`;
    const from = timeOf(each.validFrom);
    const to = timeOf(each.validTo);
    if (from === null || to === null)
      return [new ProbeFailure('certificate-untrusted', `${whose} has a date nobody can read`)];
    if (to <= now.getTime()) return [new ProbeFailure('certificate-expired', `${whose} expired on ${day(to)}`)];
    if (from > now.getTime())
      return [new ProbeFailure('certificate-not-yet-valid', `${whose} is valid from ${day(from)}`)];
    return [];
  });

const pin: Look = ({ leaf, terms: { pins } }) =>
  pins.length === 0 || pins.includes(fingerprintOf(leaf))
    ? []
    : [
        new ProbeFailure(
          'certificate-untrusted',
          `the certificate is not the one pinned; if it was renewed, pin its SHA-256 ${fingerprintOf(leaf)}`,
        ),
      ];

/** A pinned certificate needs neither name nor authority: its fingerprint vouches for it. */
export const isPinned = ({ leaf, terms }: Pick<Shown, 'leaf' | 'terms'>): boolean =>
  terms.pins.includes(fingerprintOf(leaf));

/** RFC 9525 §6: subject alternative names alone, no common name; a wildcard is the whole of the left-most label. */
const name: Look = (shown) => {
  const { leaf, terms } = shown;
  const isAddress = familyOf(terms.identity) !== 0;
  const options = { subject: 'never', partialWildcards: false, multiLabelWildcards: false } as const;
  const isFor = isAddress ? leaf.checkIP(terms.identity) : leaf.checkHost(terms.identity, options);
  if (isFor !== undefined || isPinned(shown)) return [];
  const asked = isAddress ? `the address ${terms.identity}` : terms.identity;
  return [new ProbeFailure('certificate-wrong-host', `the certificate is for ${several(namesOf(leaf))}, not ${asked}`)];
};

const trust: Look = (shown) => {
  const { leaf, verifyError } = shown;
  if (verifyError === null) return [];
  // OpenSSL's last word is on dates; whether it knew the authority at all it then does not say.
  const isDate = verifyError === 'CERT_HAS_EXPIRED' || verifyError === 'CERT_NOT_YET_VALID';
  const hidden = leaf.subject === leaf.issuer ? 'DEPTH_ZERO_SELF_SIGNED_CERT' : 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY';
  const code = isDate && !isVouchedFor(shown) ? hidden : verifyError;
  const [reason, message] = untrustedBecause(code, leaf);
  if (reason === 'certificate-untrusted' && isPinned(shown)) return [];
  // Told already, unless the date is that of a root nobody sent.
  if (code === verifyError && isDate && dates(shown).length > 0) return [];
  return [new ProbeFailure(reason, message)];
};

/** Whether an authority we trust signed the end of the chain, or is it. */
function isVouchedFor({ chain, terms }: Shown): boolean {
  const { X509Certificate } = builtin.crypto();
  const end = chain[chain.length - 1] as X509Certificate;
  const trusted = terms.authorities === null ? trustedCertificates() : certificatesIn(terms.authorities);
  return trusted.some((pem) => {
    try {
      return end.checkIssued(new X509Certificate(pem));
    } catch {
      return false; // one of the system's that we cannot read vouches for nothing
    }
  });
}

/** RSA below this can be broken; OpenSSL lets 1024 pass (NIST SP 800-131A). */
const SHORTEST_RSA = 2048;

const keys: Look = ({ leaf, chain }) =>
  chain.flatMap((each) => {
    const bits = rsaBits(each);
    if (bits === null || bits >= SHORTEST_RSA) return [];
    const whose = each === leaf ? 'the certificate' : `the certificate of ${commonName(each.subject)}`;
    return [new ProbeFailure('certificate-weak', `${whose} has an RSA key of ${bits} bits`)];
  });

/** The length of an RSA key, or null for another kind, or one that Node cannot read. */
function rsaBits(certificate: X509Certificate): number | null {
  try {
    const { asymmetricKeyType: type, asymmetricKeyDetails: details } = certificate.publicKey;
    return type === 'rsa' || type === 'rsa-pss' ? (details?.modulusLength ?? 0) : null;
  } catch {
    return null;
  }
}

/** In the order in which they are told: the first decides. */
const LOOKS: readonly Look[] = [dates, pin, name, trust, keys];

/** Why OpenSSL does not trust a chain. The codes: `man 3 X509_STORE_CTX_get_error`, as Node spells them. */
function untrustedBecause(code: string, leaf: X509Certificate): readonly [ProbeFailure['reason'], string] {
  const issuer = commonName(leaf.issuer);
  switch (code) {
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return ['certificate-untrusted', 'the certificate is self-signed'];
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return ['certificate-untrusted', unknownIssuer(leaf, issuer)];
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

/** An authority nobody knows, or one between that the server should have sent. */
function unknownIssuer(leaf: X509Certificate, issuer: string): string {
  if (chainOf(leaf).length > 1)
    return `the chain leads to no trusted authority; the certificate was issued by ${issuer}`;
  // Who tells where the issuer's certificate is to be had (RFC 5280 §4.2.2.1) expects it to be needed: no root.
  return /CA Issuers/.test(leaf.infoAccess ?? '')
    ? `the server does not send the intermediate certificate of ${issuer}`
    : `${issuer} is no trusted authority, or an intermediate one the server does not send`;
}

const day = (time: number): string => new Date(time).toISOString().slice(0, 10);

const several = (names: readonly string[]): string => {
  if (names.length === 0) return 'no host name';
  return names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
};
