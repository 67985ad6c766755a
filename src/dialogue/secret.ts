import { BASE64, utf8 } from './bytes.ts';

/** What stands in the place of a secret wherever it would have been shown. */
export const STARS = '****';

/**
 * A password or token. Interpolated, logged or serialised by mistake it shows stars: a forgotten mark breaks the
 * logon, it never leaks.
 */
export class Secret {
  private readonly value: () => string;

  constructor(value: string) {
    // Held in a closure: an object dump (console.log, a crash report) shows a function, not the password.
    this.value = () => value;
  }

  /** The secret itself. Only what writes to the wire, and what searches output for it, has business calling this. */
  reveal(): string {
    return this.value();
  }

  toString(): string {
    return STARS;
  }

  toJSON(): string {
    return STARS;
  }
}

/** Replaces every secret in a text by stars. */
export type Mask = (shown: string) => string;

/**
 * Makes the mask for some secrets. Servers echo what they were sent, in clear or as the base 64 of AUTH, and not
 * always faithfully: mailutils returns an over-long line whole, others cut it, put it in capitals or in quotes. So a
 * secret is looked for in each spelling, in any case, and half of it from its beginning is enough.
 */
export function maskFor(secrets: readonly Secret[]): Mask {
  const known = secrets.map((secret) => secret.reveal()).filter((secret) => secret !== '');
  if (known.length === 0) return (shown) => shown;
  const coded = known.map(codedOf);
  // Longest first, so that a secret that contains another is covered whole.
  const spellings = known
    .reduce<string[]>((all, secret) => all.concat(spellingsOf(secret)), [])
    .sort((a, b) => b.length - a.length);
  // Whole ones first: what is left of one spelling may be the beginning of another.
  const sought = [
    ...spellings.map((spelling) => ({ spelling, least: spelling.length })),
    ...spellings.map((spelling) => ({ spelling, least: tellingPart(spelling) })),
  ];
  return (shown) => {
    let masked = shown.replace(/[A-Za-z0-9+/_-]{4,}={0,2}/g, (run) =>
      coded.some((secret) => encodes(run, secret)) ? STARS : run,
    );
    let lower = folded(masked);
    for (const { spelling, least } of sought) {
      if (lower.indexOf(spelling.slice(0, least)) < 0) continue;
      masked = covered(masked, lower, spelling, least);
      lower = folded(masked);
    }
    return masked;
  };
}

/** How a secret may be written: as it is, octet by octet, as a string of C or JSON, in a URL, in hexadecimal. */
function spellingsOf(secret: string): readonly string[] {
  const octets = Array.from(utf8(secret));
  const hex = octets.map((octet) => (octet < 16 ? '0' : '') + octet.toString(16));
  const html: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  const inUrl = (safe: RegExp): string =>
    hex
      .map((digits, at) =>
        safe.test(String.fromCharCode(octets[at] as number)) ? String.fromCharCode(octets[at] as number) : `%${digits}`,
      )
      .join('');
  const spellings = [
    secret,
    octets.map((octet) => String.fromCharCode(octet)).join(''),
    ...[/["'\\]/g, /["\\]/g, /['\\]/g, /\\/g].map((quoted) => secret.replace(quoted, '\\$&')),
    secret.replace(/[&<>"']/g, (character) => html[character] as string),
    hex.join(''),
    inUrl(/[A-Za-z0-9]/),
    inUrl(/[A-Za-z0-9._~-]/),
    inUrl(/[A-Za-z0-9._~ -]/).replace(/ /g, '+'),
  ];
  return Array.from(new Set(spellings.map(folded)));
}

/**
 * A text without its case, unit by unit: the lower case of a whole text may be longer (`İ`), or depend on what stands
 * beside it (`Σ`), and then would not be found where it is.
 */
const folded = (cased: string): string =>
  /[^ -~]/.test(cased)
    ? cased.replace(/[^a-z]/g, (unit) => (unit.toLowerCase().length === 1 ? unit.toLowerCase() : unit))
    : cased.toLowerCase();

/** Fewer characters of a secret than this tell nothing, and are the beginning of every other word. */
const TELLING = 4;

/** How much of a spelling gives it away: half of it. */
const tellingPart = ({ length }: string): number => Math.min(length, Math.max(TELLING, Math.ceil(length / 2)));

/**
 * A text with one spelling replaced, in any case, where at least so much of its beginning stands.
 *
 * @param lower the text, folded
 */
function covered(shown: string, lower: string, spelling: string, least: number): string {
  const beginning = spelling.slice(0, least);
  let masked = '';
  let from = 0;
  for (let at = lower.indexOf(beginning); at >= 0; at = lower.indexOf(beginning, from)) {
    let end = at + beginning.length;
    while (end - at < spelling.length && lower[end] === spelling[end - at] && end < lower.length) end++;
    masked += shown.slice(from, at) + STARS;
    from = end;
  }
  return masked + shown.slice(from);
}

/** What of a secret gives it away, as the octets base 64 is made of. */
interface Coded {
  /** In UTF-8, and in Latin-1 where that is another spelling; in lower case. */
  readonly beginnings: readonly Uint8Array[];
  /** The digits without which nothing is told. */
  readonly fewestDigits: number;
}

function codedOf(secret: string): Coded {
  // Not half of a character: nothing is encoded so.
  const telling = secret.slice(0, tellingPart(secret)).replace(/[\uD800-\uDBFF]$/, '');
  const units = Array.from({ length: telling.length }, (_, at) => telling.charCodeAt(at));
  const isLatin1 = units.some((unit) => unit > 0x7f) && units.every((unit) => unit <= 0xff);
  const spellings = [utf8(telling), ...(isLatin1 ? [new Uint8Array(units)] : [])];
  return {
    beginnings: spellings.map((octets) => octets.map(lowered)),
    // Six bits a digit.
    fewestDigits: (Math.min(secret.length, TELLING) * 8) / 6,
  };
}

/** Whether a run of base 64, of either alphabet, carries a secret, or the beginning of one where it was cut. */
function encodes(run: string, { beginnings, fewestDigits }: Coded): boolean {
  const digits: number[] = [];
  for (let at = 0; at < run.length; at++) {
    const digit = DIGITS.get(run.charCodeAt(at));
    if (digit !== undefined) digits.push(digit);
  }
  if (digits.length < fewestDigits) return false;
  for (let skipped = 0; skipped < 4; skipped++) {
    const octets = decoded(digits, skipped);
    if (beginnings.some((beginning) => holds(octets, beginning))) return true;
  }
  return false;
}

/** The digits of base 64 and of its alphabet for URLs (RFC 4648 §5) by their character. */
const DIGITS: ReadonlyMap<number, number> = new Map([
  ...Array.from(BASE64, (digit, at): [number, number] => [digit.charCodeAt(0), at]),
  ['-'.charCodeAt(0), 62],
  ['_'.charCodeAt(0), 63],
]);

const lowered = (octet: number): number => (octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet);

/** The octets of base 64 digits, those of an incomplete last group too, in lower case. */
function decoded(digits: readonly number[], from: number): readonly number[] {
  const octets: number[] = [];
  let bits = 0;
  let held = 0;
  for (let at = from; at < digits.length; at++) {
    bits = ((bits << 6) | (digits[at] as number)) & 0xffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      octets.push(lowered((bits >> held) & 0xff));
    }
  }
  return octets;
}

function holds(octets: readonly number[], wanted: Uint8Array): boolean {
  for (let at = 0; at + wanted.length <= octets.length; at++) {
    let same = 0;
    while (same < wanted.length && octets[at + same] === wanted[same]) same++;
    if (same === wanted.length) return true;
  }
  return false;
}
