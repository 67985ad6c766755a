/** An object of a directory, as far as it was asked for. Names of attributes are those that were asked for. */
export interface Entry {
  readonly dn: string;
  /** Every value of an attribute as its octets, none where it has none or may not be read. */
  readonly values: (attribute: string) => readonly Uint8Array[];
  /** The first value as a text, or null. */
  readonly text: (attribute: string) => string | null;
}

/**
 * The values of the parts of a distinguished name (RFC 4514), from the object upwards, as they were before escaping.
 *
 * @returns none for what is no distinguished name
 */
export function partsOf(dn: string): readonly { readonly type: string; readonly value: string }[] {
  // A comma with an even number of backslashes before it; blanks around a part are no part of it, escaped ones are.
  const parts = dn
    .split(/(?<=(?<!\\)(?:\\\\)*),/)
    .map((part) => /^\s*([^=]*?)\s*=\s*((?:\\.|[^\\])*?)\s*$/s.exec(part));
  return parts.every((part) => part !== null)
    ? parts.map(([, type = '', value = '']) => ({ type: type.toLowerCase(), value: unescaped(value) }))
    : [];
}

/** The value of the first part: what the object is called where it stands. */
export const nameOf = (dn: string): string => partsOf(dn)[0]?.value ?? dn;

/** RFC 4514 §2.4: a backslash before two hexadecimal digits or before the character itself. */
function unescaped(value: string): string {
  const octets: number[] = [];
  const encoder = new TextEncoder();
  for (const [piece = '', hex, character] of value.matchAll(/\\([0-9a-f]{2})|\\(.)|[^\\]+/gis)) {
    if (hex !== undefined) octets.push(Number.parseInt(hex, 16));
    else octets.push(...encoder.encode(character ?? piece));
  }
  return new TextDecoder().decode(new Uint8Array(octets));
}

/** Whether two distinguished names are of the same object: types and values of Active Directory know no case. */
export const isSame = (one: string, other: string): boolean =>
  JSON.stringify(partsOf(one)).toLowerCase() === JSON.stringify(partsOf(other)).toLowerCase();
