import type { Address } from '../../dialogue/dialogue.ts';

/** 4 or 6 for an IP address, else 0: what Node's net.isIP says, without Node. */
export function familyOf(text: string): 0 | 4 | 6 {
  if (!text.includes(':')) return IPV4.test(text) ? 4 : 0;
  return isIpv6(text) ? 6 : 0;
}

/** The address in a text, or null where it is none. */
export function parseAddress(text: string): Address | null {
  const family = familyOf(text);
  return family === 0 ? null : { address: text, family };
}

const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)';
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`);

/** RFC 4291 §2.2, and a zone behind it (RFC 4007 §11). */
function isIpv6(text: string): boolean {
  const [, digits = '', zone] = /^([^%]*)(?:%(.*))?$/.exec(text) ?? [];
  if (zone !== undefined && !/^[0-9A-Za-z.:-]+$/.test(zone)) return false;
  const halves = digits.split('::');
  if (halves.length > 2) return false;
  const groups = halves.map((half) => (half === '' ? [] : half.split(':')));
  const all = ([] as string[]).concat(...groups);
  const last = all[all.length - 1] ?? '';
  // An IPv4 address may stand in the place of the last two, and nowhere else.
  const endsInIpv4 = IPV4.test(last) && !digits.endsWith('::');
  const hex = endsInIpv4 ? all.slice(0, -1) : all;
  const count = hex.length + (endsInIpv4 ? 2 : 0);
  return hex.every((group) => /^[0-9a-f]{1,4}$/i.test(group)) && (halves.length === 2 ? count <= 7 : count === 8);
}
