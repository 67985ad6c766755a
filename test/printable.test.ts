import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { printable } from '../src/probe/printable.ts';

/** Text of any characters at all, halves of one and controls too; fast-check's own takes a second to set up. */
const anyText = (maxLength = 20): fc.Arbitrary<string> =>
  fc.array(fc.oneof(fc.nat(0x7f), fc.nat(0x10ffff)), { maxLength }).map((points) => String.fromCodePoint(...points));

describe('foreign text on a line of ours', () => {
  test.each([
    ['plain words', '-ERR [AUTH] Authentication failed.', '-ERR [AUTH] Authentication failed.'],
    ['nothing', '', ''],
    ['letters of any language', 'Fehler: ungültig, ошибка, 错误, 📧', 'Fehler: ungültig, ошибка, 错误, 📧'],
    ['a line end', 'one\r\ntwo', 'one\\x0d\\x0atwo'],
    ['a tab', 'a\tb', 'a\\x09b'],
    ['a NUL', 'a\0b', 'a\\x00b'],
    ['an escape sequence that colours', '\x1b[31mred', '\\x1b[31mred'],
    ['DEL', 'a\x7fb', 'a\\x7fb'],
    ['a C1 control that starts a sequence', '\u009b31m', '\\x9b31m'],
    ['next line', 'a\u0085b', 'a\\x85b'],
    ['a soft hyphen', 'a\u00adb', 'a\\xadb'],
    ['a space of no width', 'a\u200bb', 'a\\u{200b}b'],
    ['a mark of direction', 'a\u200fb', 'a\\u{200f}b'],
    ['text turned round', 'gpj.\u202eexe', 'gpj.\\u{202e}exe'],
    ['an isolate', '\u2066abc\u2069', '\\u{2066}abc\\u{2069}'],
    ['line and paragraph separators', 'a\u2028b\u2029c', 'a\\u{2028}b\\u{2029}c'],
    ['a byte order mark', '\ufeffa', '\\u{feff}a'],
    ['half a character', 'a\ud83d', 'a\\u{d83d}'],
    ['a no-break space stays', 'a\u00a0b', 'a\u00a0b'],
  ])('%s', (_, foreign, expected) => {
    expect(printable(foreign, 100)).toBe(expected);
  });

  test.each([
    ['shorter than the limit', 'abcd', 10, 'abcd'],
    ['one below the limit', 'abcd', 5, 'abcd'],
    ['beyond it', 'abcdefghij', 5, 'abcd…'],
    ['an escape that would be cut stays out', 'ab\nz', 5, 'ab…'],
    ['a character of two units that would be cut stays out', 'abc📧z', 5, 'abc…'],
  ])('is cut: %s', (_, foreign, limit, expected) => {
    expect(printable(foreign, limit)).toBe(expected);
  });

  test('is never longer than its limit, and never holds a control character', () => {
    fc.assert(
      fc.property(anyText(), fc.integer({ min: 2, max: 60 }), (foreign, limit) => {
        const shown = printable(foreign, limit);
        expect(shown.length).toBeLessThanOrEqual(limit);
        expect(shown).toMatch(/^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u200b-\u200f\u202a-\u202e\u2066-\u2069]*$/u);
      }),
      { numRuns: 2000 },
    );
  });

  test('keeps what it does not cut or escape', () => {
    fc.assert(fc.property(fc.string(), (foreign) => printable(foreign, 1000) === foreign));
  });
});
