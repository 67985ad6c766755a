import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { base64, fromBase64, join, text, utf8 } from '../src/dialogue/bytes.ts';

/** Text of any characters at all, halves of one and controls too; fast-check's own takes a second to set up. */
const anyText = (maxLength = 20): fc.Arbitrary<string> =>
  fc.array(fc.oneof(fc.nat(0x7f), fc.nat(0x10ffff)), { maxLength }).map((points) => String.fromCodePoint(...points));

const octets = (...each: number[]): Uint8Array => Uint8Array.from(each);
const plain = (each: Uint8Array): number[] => Array.from(each);

/** The characters at the edges of each length: RFC 3629 §3, its table. */
const CHARACTERS: readonly [string, string, number[]][] = [
  ['the first of one octet', '\u0000', [0x00]],
  ['a letter', 'A', [0x41]],
  ['the last of one octet', '\u007f', [0x7f]],
  ['the first of two', '\u0080', [0xc2, 0x80]],
  ['a letter with an accent', 'é', [0xc3, 0xa9]],
  ['the last of two', '\u07ff', [0xdf, 0xbf]],
  ['the first of three', '\u0800', [0xe0, 0xa0, 0x80]],
  ['the euro', '€', [0xe2, 0x82, 0xac]],
  ['the last before the surrogates', '\ud7ff', [0xed, 0x9f, 0xbf]],
  ['the first after them', '\ue000', [0xee, 0x80, 0x80]],
  ['the last of three', '\uffff', [0xef, 0xbf, 0xbf]],
  ['the first of four', '\u{10000}', [0xf0, 0x90, 0x80, 0x80]],
  ['an envelope', '📧', [0xf0, 0x9f, 0x93, 0xa7]],
  ['the last there is', '\u{10ffff}', [0xf4, 0x8f, 0xbf, 0xbf]],
];

describe('text as UTF-8', () => {
  test.each(CHARACTERS)('%s there and back', (_, character, expected) => {
    expect(plain(utf8(character))).toEqual(expected);
    expect(text(Uint8Array.from(expected))).toBe(character);
  });

  test.each([
    ['a high one alone', '\ud83d'],
    ['a low one alone', '\udce7'],
    ['two high ones', '\ud83d\ud83d'],
    ['low before high', '\udce7\ud83d'],
    ['one before a letter', '\ud83dA'],
  ])('half a character becomes U+FFFD: %s', (_, halves) => {
    expect(text(utf8(halves))).toBe(halves.replace(/[\ud800-\udfff]/g, '\ufffd'));
  });

  test('any text has the octets Node gives it', () => {
    fc.assert(
      fc.property(anyText(), (said) => {
        expect(Buffer.from(utf8(said))).toEqual(Buffer.from(said, 'utf8'));
      }),
    );
  });
});

describe('octets as text', () => {
  // RFC 3629 §3 and §10: overlong forms, surrogates and what lies above U+10FFFF are no UTF-8.
  test.each([
    ['Latin-1', [0xe9, 0x74, 0xe9], 'été'],
    ['a tail without a lead', [0x80], '\u0080'],
    ['two octets, the second missing', [0xc3], 'Ã'],
    ['two octets, the second a letter', [0xc3, 0x41], 'ÃA'],
    ['three octets cut after two', [0xe2, 0x82], 'â\u0082'],
    ['four octets cut after three', [0xf0, 0x9f, 0x93], 'ð\u009f\u0093'],
    ['three octets broken off by good UTF-8', [0xe2, 0x82, 0xc3, 0xa9], 'â\u0082é'],
    ['an overlong slash of two', [0xc0, 0xaf], 'À¯'],
    ['the other lead of overlong forms', [0xc1, 0xbf], 'Á¿'],
    ['an overlong slash of three', [0xe0, 0x80, 0xaf], 'à\u0080¯'],
    ['an overlong slash of four', [0xf0, 0x80, 0x80, 0xaf], 'ð\u0080\u0080¯'],
    ['an overlong line feed', [0xc0, 0x8a], 'À\u008a'],
    ['a surrogate', [0xed, 0xa0, 0x80], 'í\u00a0\u0080'],
    ['above the last character', [0xf4, 0x90, 0x80, 0x80], 'ô\u0090\u0080\u0080'],
    ['a lead that never is one', [0xf5, 0x80, 0x80, 0x80], 'õ\u0080\u0080\u0080'],
    ['FE and FF', [0xfe, 0xff], 'þÿ'],
  ])('what is not UTF-8 is read as Latin-1, octet by octet: %s', (_, given, expected) => {
    expect(text(Uint8Array.from(given))).toBe(expected);
  });

  test('a byte order mark is kept: nothing is lost', () => {
    expect(text(octets(0xef, 0xbb, 0xbf, 0x41))).toBe('\ufeffA');
  });

  test('any octets read as the grammar of RFC 3629 §4 has them, the rest as Latin-1', () => {
    const lead = fc.constantFrom(0x41, 0x80, 0xbf, 0xc2, 0xdf, 0xe0, 0xe2, 0xed, 0xef, 0xf0, 0xf3, 0xf4, 0xf5, 0xff);
    const tail = fc.constantFrom(0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf);
    fc.assert(
      fc.property(fc.array(fc.oneof(lead, tail, tail, fc.nat(255)), { maxLength: 12 }), (given) => {
        const expected = Buffer.from(given)
          .toString('latin1')
          .replace(UTF8, (sequence) => Buffer.from(sequence, 'latin1').toString('utf8'));
        expect(text(Uint8Array.from(given))).toBe(expected);
      }),
      { numRuns: 5000 },
    );
  });

  test('any text survives the way there and back', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (said) => text(utf8(said)) === said));
  });
});

/** UTF8-2, UTF8-3 and UTF8-4 of RFC 3629 §4. */
const UTF8 =
  /[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}/g;

describe('base 64', () => {
  // RFC 4648 §10.
  const VECTORS = [
    ['', ''],
    ['f', 'Zg=='],
    ['fo', 'Zm8='],
    ['foo', 'Zm9v'],
    ['foob', 'Zm9vYg=='],
    ['fooba', 'Zm9vYmE='],
    ['foobar', 'Zm9vYmFy'],
  ] as const;

  test.each(VECTORS)('"%s" is "%s"', (said, encoded) => {
    expect(base64(utf8(said))).toBe(encoded);
  });

  test.each(VECTORS)('"%s" comes back from "%s"', (said, encoded) => {
    expect(text(fromBase64(encoded) as Uint8Array)).toBe(said);
  });

  test('the whole alphabet is in order', () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
    const given = fromBase64(alphabet) as Uint8Array;
    expect(Buffer.from(given)).toEqual(Buffer.from(alphabet, 'base64'));
    expect(base64(given)).toBe(alphabet);
  });

  // RFC 4648 §3.2, §3.3, §3.5; RFC 5034 §4 has a client cancel on what is not base 64.
  test.each([
    ['padding missing', 'Zg'],
    ['half the padding missing', 'Zg='],
    ['padding missing after three', 'Zm8'],
    ['padding too long', 'Zg==='],
    ['padding of four', '===='],
    ['padding after a whole group', 'Zm9v===='],
    ['padding in the middle', 'Zg==Zg=='],
    ['padding at the front', '=Zg='],
    ['one digit alone', 'Z==='],
    ['stray bits in the last of two digits', 'Zh=='],
    ['stray bits in the last of three digits', 'Zm9='],
    ['a blank', 'Zm9v '],
    ['a blank within', 'Zm 9v'],
    ['a line end at the end', 'Zm9v\n'],
    ['a line break', 'Zm9v\r\nYmFy'],
    ['the alphabet of URLs, minus', 'Zm-v'],
    ['the alphabet of URLs, underscore', 'Zm_v'],
    ['a letter beyond ASCII', 'Zmév'],
    ['a NUL', 'Zm9\0'],
    ['no base 64 at all', '!!!!'],
  ])('%s is refused: %j', (_, encoded) => {
    expect(fromBase64(encoded)).toBeNull();
  });

  test('any octets are encoded as Node encodes them, and come back', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (given) => {
        expect(base64(given)).toBe(Buffer.from(given).toString('base64'));
        expect(plain(fromBase64(base64(given)) as Uint8Array)).toEqual(plain(given));
      }),
    );
  });

  test('what is accepted is exactly what Node would have written', () => {
    const digits = fc.string({ unit: fc.constantFrom(...'ABgwZz09+/=-_ \n'), maxLength: 8 });
    fc.assert(
      fc.property(digits, (encoded) => {
        const canonical = Buffer.from(encoded, 'base64').toString('base64') === encoded;
        const decoded = fromBase64(encoded);
        expect(decoded === null ? null : Buffer.from(decoded)).toEqual(
          canonical ? Buffer.from(encoded, 'base64') : null,
        );
      }),
      { numRuns: 5000 },
    );
  });
});

describe('several runs of octets as one', () => {
  test.each([
    ['none', [], []],
    ['one', [[1, 2]], [1, 2]],
    ['two', [[1], [2, 3]], [1, 2, 3]],
    ['an empty one between', [[1], [], [2]], [1, 2]],
  ])('%s', (_, parts, expected) => {
    expect(plain(join(...parts.map((part) => Uint8Array.from(part))))).toEqual(expected);
  });
});
