import type { Address } from '../../dialogue/dialogue.ts';
import { builtin } from './builtin.ts';

/**
 * 4 or 6 for an IP address, else 0: what net.isIP says, which is only asked where a colon makes IPv6 possible. Its
 * pattern for IPv6 takes longer to compile than a whole logon on the wire.
 */
export function familyOf(text: string): 0 | 4 | 6 {
  if (text.includes(':')) return builtin.net().isIPv6(text) ? 6 : 0;
  return builtin.net().isIPv4(text) ? 4 : 0;
}

/** The address in a text, or null where it is none. */
export function parseAddress(text: string): Address | null {
  const family = familyOf(text);
  return family === 0 ? null : { address: text, family };
}
