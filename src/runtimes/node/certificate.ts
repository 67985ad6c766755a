import type { X509Certificate } from 'node:crypto';
import type { TlsFacts } from '../../dialogue/dialogue.ts';

const DAY_MS = 86_400_000;

/**
 * What a certificate says about itself.
 *
 * @param chain the leaf, and what vouches for it
 * @param isVerified whether OpenSSL found its way to a trusted root: then an expired certificate beside that way, such
 *   as the old one of an authority that was signed anew, is nobody's loss
 */
export function factsOf(
  leaf: X509Certificate,
  chain: readonly X509Certificate[],
  isVerified: boolean,
  now: Date,
): Omit<TlsFacts, 'protocol' | 'cipher' | 'authorized'> {
  const from = timeOf(leaf.validFrom);
  const to = timeOf(leaf.validTo);
  // The first of the chain to go takes the others with it; a root's own date is its keeper's affair.
  const ends = chain
    .map(({ validTo }) => timeOf(validTo) ?? Number.POSITIVE_INFINITY)
    .filter((end) => !isVerified || end > now.getTime());
  return {
    subject: distinguished(leaf.subject),
    issuer: distinguished(leaf.issuer),
    names: namesOf(leaf),
    validFrom: from === null ? leaf.validFrom : new Date(from).toISOString(),
    validTo: to === null ? leaf.validTo : new Date(to).toISOString(),
    daysLeft: to === null || ends.length === 0 ? 0 : hundredths((Math.min(to, ...ends) - now.getTime()) / DAY_MS),
    lifetimeDays: from === null || to === null ? 0 : hundredths((to - from) / DAY_MS),
    fingerprint: fingerprintOf(leaf),
  };
}

const hundredths = (days: number): number => Math.floor(days * 100) / 100;

/** Milliseconds since 1970 of a date in a certificate, or null where it cannot be read. */
export function timeOf(date: string): number | null {
  const time = new Date(date).getTime();
  return Number.isNaN(time) ? null : time;
}

/** SHA-256, 64 hexadecimal digits in lower case. */
export const fingerprintOf = (leaf: X509Certificate): string => leaf.fingerprint256.replace(/:/g, '').toLowerCase();

/** The leaf and what the server sent after it, without a self-signed root. */
export function chainOf(leaf: X509Certificate): readonly X509Certificate[] {
  const chain = [leaf];
  for (let next = leaf.issuerCertificate; next !== undefined && chain.length < 10; next = next.issuerCertificate) {
    if (next.subject === next.issuer || next.fingerprint256 === chain[chain.length - 1]?.fingerprint256) break;
    chain.push(next);
  }
  return chain;
}

/** The DNS names and addresses of a certificate, for people; what decides is OpenSSL's own reading. */
export const namesOf = (leaf: X509Certificate): readonly string[] =>
  (leaf.subjectAltName ?? '')
    .split(', ')
    .filter((name) => /^(?:DNS|IP Address):/.test(name))
    .map((name) => name.slice(name.indexOf(':') + 1));

/** A distinguished name on one line, as Node has it on several. */
const distinguished = (name: string): string => name.split('\n').join(', ');

/** The common name in a distinguished name, or all of it. */
export const commonName = (name: string): string => /(?:^|\n)CN=([^\n]+)/.exec(name)?.[1] ?? distinguished(name);
