import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { alerts, describeAlert, parseRange, type Range } from '../src/verdict/range.ts';

const range = (text: string): Range => {
  const parsed = parseRange(text);
  if (parsed === null) throw new Error(`${text} was refused`);
  return parsed;
};

/** Monitoring Plugins Development Guidelines, "Threshold and ranges": its own examples, then the edges of each form. */
describe('a threshold', () => {
  test.each([
    // `10`: outside 0 to 10.
    ['10', -0.001, true],
    ['10', 0, false],
    ['10', 5, false],
    ['10', 10, false],
    ['10', 10.001, true],
    // `10:`: below 10.
    ['10:', 9.999, true],
    ['10:', 10, false],
    ['10:', 1e9, false],
    ['10:', -1, true],
    // `~:10`: above 10.
    ['~:10', -1e9, false],
    ['~:10', 10, false],
    ['~:10', 10.001, true],
    // `10:20`: outside 10 to 20.
    ['10:20', 9.999, true],
    ['10:20', 10, false],
    ['10:20', 15, false],
    ['10:20', 20, false],
    ['10:20', 20.001, true],
    // `@10:20`: inside 10 to 20, ends included.
    ['@10:20', 9.999, false],
    ['@10:20', 10, true],
    ['@10:20', 15, true],
    ['@10:20', 20, true],
    ['@10:20', 20.001, false],
    // The guidelines' examples of command lines.
    ['1:1', 0, true],
    ['1:1', 1, false],
    ['1:1', 2, true],
    ['@0:4', 0, true],
    ['@0:4', 5, false],
    // Shortened, open and negative ones.
    [':10', -0.5, true],
    [':10', 10, false],
    ['@10', 0, true],
    ['@10', 10, true],
    ['@10', -1, false],
    ['@10', 10.5, false],
    ['@10:', 10, true],
    ['@10:', 9.9, false],
    ['@~:10', 10, true],
    ['@~:10', -1e9, true],
    ['@~:10', 10.1, false],
    ['-10:-5', -10.1, true],
    ['-10:-5', -7, false],
    ['-10:-5', -4.9, true],
    ['~:-1', 0, true],
    ['~:-1', -1, false],
    ['0', 0, false],
    ['0', 0.001, true],
    ['0:0', 0, false],
    ['@0', 0, true],
    ['0.5', 0.5, false],
    ['0.5', 0.501, true],
    ['.5', 0.5, false],
    ['0:', -0.1, true],
    ['~:', -1e300, false],
    ['~:', 1e300, false],
    ['5:5.5', 5.5, false],
    ['4294967296:', 4294967295, true],
  ])('%s on %d alerts: %s', (text, value, expected) => {
    expect(alerts(range(text), value)).toBe(expected);
  });

  test.each([
    ['nothing', ''],
    ['a blank', ' '],
    ['a colon alone', ':'],
    ['an at alone', '@'],
    ['an at and a colon', '@:'],
    ['no end', '~'],
    ['the wrong way round', '20:10'],
    ['the wrong way round, inside', '@20:10'],
    ['below zero without a start', '-5'],
    ['an exponent', '1e3'],
    ['an exponent in the end', '1:1e3'],
    ['hexadecimal', '0x10'],
    ['a decimal comma', '1,5'],
    ['a comma for two thresholds', '5,10'],
    ['a unit', '5s'],
    ['letters behind', '5abc'],
    ['letters', 'abc'],
    ['three parts', '10:20:30'],
    ['two colons', '10::20'],
    ['a blank before', ' 10'],
    ['a blank behind', '10 '],
    ['a blank within', '10: 20'],
    ['a line end behind', '10\n'],
    ['no end in the end', '10:~'],
    ['no end on both sides', '~:~'],
    ['two ats', '@@10'],
    ['an at within', '10:@20'],
    ['a plus', '+5'],
    ['two minuses', '--5:5'],
    ['a minus alone', '-:5'],
    ['a point alone', '.'],
    ['a point behind', '5.'],
    ['two points', '1.2.3'],
    ['per cent', '90%'],
    ['no number', 'NaN'],
    ['infinite', 'Infinity'],
    ['infinite in short', 'inf:'],
    ['digits of another script', '١٠'],
    ['a longer dash', '–5:5'],
  ])('%s is refused: %j', (_, text) => {
    expect(parseRange(text)).toBeNull();
  });

  test.each(['10', '10:', '~:10', '10:20', '@10:20', '.5', '5.0:10.00'])(
    'keeps its text for performance data: %s',
    (text) => {
      expect(range(text).text).toBe(text);
    },
  );

  test('with @ alerts exactly where the one without does not', () => {
    const bounds = fc.tuple(fc.integer({ min: -99, max: 99 }), fc.integer({ min: 0, max: 99 }));
    fc.assert(
      fc.property(bounds, fc.double({ min: -250, max: 250, noNaN: true }), ([start, length], value) => {
        const text = `${start}:${start + length}`;
        expect(alerts(range(`@${text}`), value)).toBe(!alerts(range(text), value));
      }),
    );
  });
});

describe('what a threshold objects to, in words', () => {
  test.each([
    ['10', 10.5, 'above 10'],
    ['~:10', 10.5, 'above 10'],
    ['10:', 9, 'below 10'],
    ['21:', 3, 'below 21'],
    ['10', -1, 'below 0'],
    ['10:20', 25, 'above 20'],
    ['10:20', 5, 'below 10'],
    ['@10:20', 15, 'from 10 to 20'],
    ['@10', 5, 'from 0 to 10'],
    ['@10:', 11, 'at 10 or above'],
    ['@~:10', -3, 'at 10 or below'],
  ])('%s', (text, value, words) => {
    expect(alerts(range(text), value)).toBe(true);
    expect(describeAlert(range(text), value)).toBe(words);
  });

  test('one that always alerts names no infinity', () => {
    expect(alerts(range('@~:'), 1)).toBe(true);
    expect(describeAlert(range('@~:'), 1)).not.toContain('Infinity');
  });
});
