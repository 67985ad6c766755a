/**
 * Octets and text without Buffer, TextEncoder or atob: the same code runs inside k6, which has none of them everywhere.
 */

/** UTF-8 octets of a text (RFC 3629). A lone surrogate becomes U+FFFD. */
export function utf8(text: string): Uint8Array {
  const octets: number[] = [];
  for (const character of text) {
    const point = scalar(character.codePointAt(0) as number);
    if (point < 0x80) octets.push(point);
    else if (point < 0x800) octets.push(0xc0 | (point >> 6), tail(point));
    else if (point < 0x10000) octets.push(0xe0 | (point >> 12), tail(point >> 6), tail(point));
    else octets.push(0xf0 | (point >> 18), tail(point >> 12), tail(point >> 6), tail(point));
  }
  return Uint8Array.from(octets);
}

/** The text of UTF-8 octets; what is not UTF-8 is read as Latin-1, octet by octet, so that nothing is lost. */
export function text(octets: Uint8Array): string {
  let result = '';
  for (let at = 0; at < octets.length; ) {
    const { point, length } = decodeAt(octets, at);
    result += String.fromCodePoint(point);
    at += length;
  }
  return result;
}

/** One character of UTF-8 at an offset; a malformed one is the octet itself (overlong forms and surrogates too). */
function decodeAt(octets: Uint8Array, at: number): { point: number; length: number } {
  const lead = octets[at] as number;
  const length = lead < 0xc2 || lead > 0xf4 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (length === 1 || at + length > octets.length) return { point: lead, length: 1 };
  let point = lead & (0x7f >> length);
  for (let next = 1; next < length; next++) {
    const octet = octets[at + next] as number;
    if ((octet & 0xc0) !== 0x80) return { point: lead, length: 1 };
    point = (point << 6) | (octet & 0x3f);
  }
  const smallest = [0, 0, 0x80, 0x800, 0x10000][length] as number;
  return point < smallest || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)
    ? { point: lead, length: 1 }
    : { point, length };
}

const scalar = (point: number): number => (point >= 0xd800 && point < 0xe000 ? 0xfffd : point);
const tail = (point: number): number => 0x80 | (point & 0x3f);

/** Several runs of octets as one. */
export function join(...parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0] as Uint8Array;
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** A number of 32 bits in four octets, the least first. */
export const leastFirst = (value: number): Uint8Array => Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);

/** Octets in hexadecimal, in lower case. */
export const hex = (octets: Uint8Array): string =>
  Array.from(octets, (octet) => (octet < 16 ? '0' : '') + octet.toString(16)).join('');

/** The digits of base 64 by their value (RFC 4648 §4). */
export const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Base 64 with padding (RFC 4648 §4). */
export function base64(octets: Uint8Array): string {
  let result = '';
  for (let at = 0; at < octets.length; at += 3) {
    const left = octets.length - at;
    const group = ((octets[at] as number) << 16) | ((octets[at + 1] ?? 0) << 8) | (octets[at + 2] ?? 0);
    result += BASE64[group >> 18] as string;
    result += BASE64[(group >> 12) & 63] as string;
    result += left > 1 ? (BASE64[(group >> 6) & 63] as string) : '=';
    result += left > 2 ? (BASE64[group & 63] as string) : '=';
  }
  return result;
}

/**
 * The octets of a base 64 text, or null where it is not strict base 64 (RFC 4648 §3.3 and §3.5: no foreign
 * characters, padding only at the end and complete, no stray bits): RFC 5034 §4 has a client cancel on anything else.
 */
export function fromBase64(encoded: string): Uint8Array | null {
  if (encoded.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(encoded)) return null;
  const digits = encoded.replace(/=+$/, '');
  const octets = new Uint8Array((digits.length * 3) >> 2);
  let bits = 0;
  let held = 0;
  let at = 0;
  for (const digit of digits) {
    bits = ((bits << 6) | BASE64.indexOf(digit)) & 0xffffff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      octets[at++] = (bits >> held) & 0xff;
    }
  }
  return (bits & ((1 << held) - 1)) === 0 ? octets : null;
}
