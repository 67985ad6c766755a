import type { SecureContext } from 'node:tls';
import { builtin } from './builtin.ts';

/** Where systems keep the certificates of authorities, in one file: Debian, Fedora, SUSE, Alpine and the BSDs. */
const BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/**
 * Adds what the system trusts to a context that holds Node's own roots. Only what Node lacks is added, and to the
 * store it already has: naming all of them as `ca` would parse hundreds of certificates for every logon (30 ms).
 */
export function trustSystem(context: SecureContext): void {
  const own = new Set(builtin.tls().rootCertificates.map(body));
  for (const certificate of systemCertificates()) {
    if (!own.has(body(certificate))) context.context.addCACert(certificate);
  }
}

function systemCertificates(): readonly string[] {
  const named = process.env.SSL_CERT_FILE;
  for (const path of named === undefined || named === '' ? BUNDLES : [named, ...BUNDLES]) {
    try {
      return certificatesIn(builtin.fs().readFileSync(path, 'latin1'));
    } catch {
      // Not this kind of system: the next one.
    }
  }
  return [];
}

/** The certificates of a PEM text, one by one. */
export function certificatesIn(pem: string): readonly string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}

/**
 * Whether a PEM certificate is whole: base 64 of one ASN.1 SEQUENCE that holds a SEQUENCE, a SEQUENCE and a BIT STRING
 * and nothing else (RFC 5280 §4.1). What they hold is left to OpenSSL; loading `crypto` to ask it beforehand costs as
 * much as a handshake.
 */
export function isWhole(certificate: string): boolean {
  const der = Buffer.from(body(certificate), 'base64');
  const whole = elementAt(der, 0);
  if (whole === null || whole.tag !== SEQUENCE || whole.end !== der.length) return false;
  let at = whole.start;
  for (const tag of [SEQUENCE, SEQUENCE, BIT_STRING]) {
    const part = elementAt(der, at);
    if (part === null || part.tag !== tag || part.end > der.length) return false;
    at = part.end;
  }
  return at === der.length;
}

const SEQUENCE = 0x30;
const BIT_STRING = 0x03;

/** An element of ASN.1's distinguished encoding: tag, length in one octet or more, content (X.690 §8.1). */
function elementAt(
  der: Buffer,
  at: number,
): { readonly tag: number; readonly start: number; readonly end: number } | null {
  const tag = der[at];
  const short = der[at + 1];
  if (tag === undefined || short === undefined) return null;
  if (short < 0x80) return { tag, start: at + 2, end: at + 2 + short };
  const octets = short & 0x7f;
  if (octets === 0 || octets > 4 || at + 2 + octets > der.length) return null;
  return { tag, start: at + 2 + octets, end: at + 2 + octets + der.readUIntBE(at + 2, octets) };
}

/** A certificate without its armour and line breaks, which differ from file to file. */
const body = (certificate: string): string => certificate.replace(/-----[^-]*-----|\s/g, '');
