/**
 * A GUID as Active Directory keeps it: 16 octets, of which the first three groups have the least significant octet first
 * (MS-DTYP §2.3.4).
 *
 * @returns `4ca5fda1-c399-4f1b-9b7e-0123456789ab`
 */
export function guidOf(octets: Uint8Array): string {
  const hex = Array.from(ORDER, (at) => (octets[at] ?? 0).toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

const ORDER = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

/** A GUID as people write it, in the form of `guidOf`; null for what is none. Braces and case are free. */
export function parseGuid(text: string): string | null {
  const [, braced, bare = braced] = /^(?:\{(.*)\}|(.*))$/.exec(text) ?? [];
  return bare !== undefined && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(bare) ? bare.toLowerCase() : null;
}
