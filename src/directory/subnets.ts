/** A subnet of Active Directory: `10.1.0.0/16`, `2001:db8:1::/48`, and the name of its site. */
export interface Subnet {
  readonly name: string;
  readonly site: string;
}

/**
 * The site of an address: that of the smallest subnet it is in.
 *
 * @param address IPv4 or IPv6, without a zone
 * @returns null where it is in none
 */
export function siteOf(address: string, subnets: readonly Subnet[]): string | null {
  const own = bitsOf(address);
  if (own === null) return null;
  let best: { readonly length: number; readonly site: string } | null = null;
  for (const { name, site } of subnets) {
    const [, network = '', length = ''] = /^(.*)\/(\d{1,3})$/.exec(name) ?? [];
    const bits = bitsOf(network);
    const prefix = Number(length);
    if (bits === null || bits.length !== own.length || prefix > bits.length) continue;
    if (bits.slice(0, prefix) !== own.slice(0, prefix)) continue;
    if (best === null || prefix > best.length) best = { length: prefix, site };
  }
  return best?.site ?? null;
}

/** An address as a text of its bits; null for what is none. */
function bitsOf(address: string): string | null {
  const groups = address.includes(':') ? groupsOfIPv6(address) : groupsOf(address.split('.'), 4, 10, 255);
  if (groups === null) return null;
  return groups.map((group) => group.toString(2).padStart(groups.length === 4 ? 8 : 16, '0')).join('');
}

function groupsOf(texts: readonly string[], count: number, base: 10 | 16, most: number): readonly number[] | null {
  const digits = base === 10 ? /^\d{1,3}$/ : /^[0-9a-f]{1,4}$/i;
  const groups = texts.map((text) => (digits.test(text) ? Number.parseInt(text, base) : Number.NaN));
  return groups.length === count && groups.every((group) => group <= most) ? groups : null;
}

/** RFC 4291 §2.2, the form with an IPv4 address at its end too. */
function groupsOfIPv6(address: string): readonly number[] | null {
  const [, before = '', tail = ''] = /^(.*?)(\d+\.\d+\.\d+\.\d+)?$/.exec(address) ?? [];
  const last = tail === '' ? [] : groupsOf(tail.split('.'), 4, 10, 255);
  if (last === null) return null;
  const [a = 0, b = 0, c = 0, d = 0] = last;
  const end = tail === '' ? '' : `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  const halves = `${before}${end}`.split('::').map((half) => (half === '' ? [] : half.split(':')));
  const [left = [], right] = halves;
  if (halves.length > 2) return null;
  if (right === undefined) return groupsOf(left, 8, 16, 0xffff);
  const missing = 8 - left.length - right.length;
  return missing < 1 ? null : groupsOf([...left, ...Array<string>(missing).fill('0'), ...right], 8, 16, 0xffff);
}
