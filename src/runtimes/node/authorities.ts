import type { SecureContext } from 'node:tls';
import { builtin } from './builtin.ts';
import { readRegularFile } from './files.ts';

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
    // One that cannot be read is passed over, and keeps nobody from trusting the others.
    if (!own.has(body(certificate))) context.context.addCACert(certificate);
  }
}

/** All that is trusted without `--ca-file`: Node's own roots and the system's. */
export const trustedCertificates = (): readonly string[] => [
  ...builtin.tls().rootCertificates,
  ...systemCertificates(),
];

function systemCertificates(): readonly string[] {
  const named = process.env.SSL_CERT_FILE;
  for (const path of named === undefined || named === '' ? BUNDLES : [named, ...BUNDLES]) {
    try {
      return certificatesIn(readRegularFile(path).octets.toString('latin1'));
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

/** A certificate without its armour and line breaks, which differ from file to file. */
const body = (certificate: string): string => certificate.replace(/-----[^-]*-----|\s/g, '');
