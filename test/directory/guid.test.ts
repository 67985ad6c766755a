import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { guidOf, parseGuid } from '../../src/directory/guid.ts';

const octets = (hex: string): Uint8Array => Buffer.from(hex, 'hex');

describe('a GUID', () => {
  test.each([
    // MS-DTYP §2.3.4: the first three groups are numbers, their least significant octet first.
    ['00112233445566778899aabbccddeeff', '33221100-5544-7766-8899-aabbccddeeff'],
    ['a1fda54c99c31b4f9b7e0123456789ab', '4ca5fda1-c399-4f1b-9b7e-0123456789ab'],
    ['00000000000000000000000000000000', '00000000-0000-0000-0000-000000000000'],
    ['ffffffffffffffffffffffffffffffff', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
  ])('of the octets %s is %s', (hex, text) => {
    expect(guidOf(octets(hex))).toBe(text);
  });

  test.each([
    '4ca5fda1-c399-4f1b-9b7e-0123456789ab',
    '4CA5FDA1-C399-4F1B-9B7E-0123456789AB',
    '{4ca5fda1-c399-4f1b-9b7e-0123456789ab}',
    '{4CA5fda1-C399-4f1b-9B7E-0123456789Ab}',
  ])('is %s, as people write it', (text) => {
    expect(parseGuid(text)).toBe('4ca5fda1-c399-4f1b-9b7e-0123456789ab');
  });

  test.each([
    '',
    '{}',
    'EX01',
    '4ca5fda1c3994f1b9b7e0123456789ab',
    '4ca5fda1-c399-4f1b-9b7e-0123456789a',
    '4ca5fda1-c399-4f1b-9b7e-0123456789abc',
    '4ca5fda1-c399-4f1b-9b7e-0123456789ag',
    '{4ca5fda1-c399-4f1b-9b7e-0123456789ab',
    '4ca5fda1-c399-4f1b-9b7e-0123456789ab}',
    '{{4ca5fda1-c399-4f1b-9b7e-0123456789ab}}',
    '(4ca5fda1-c399-4f1b-9b7e-0123456789ab)',
    ' 4ca5fda1-c399-4f1b-9b7e-0123456789ab',
    '4ca5fda1-c399-4f1b-9b7e-0123456789ab\n',
    '4ca5fda1-c399-4f1b-9b7e-0123456789ab*',
    String.raw`\a1\fd\a5\4c\99\c3\1b\4f\9b\7e\01\23\45\67\89\ab`,
  ])('is not %j', (text) => {
    expect(parseGuid(text)).toBe(null);
  });

  test('of any 16 octets is read back, whatever its case and with braces or without', () => {
    const sixteen = fc.uint8Array({ minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(sixteen, fc.boolean(), fc.boolean(), (some, braces, upper) => {
        const text = guidOf(some);
        const written = upper ? text.toUpperCase() : text;
        expect(parseGuid(braces ? `{${written}}` : written)).toBe(text);
      }),
    );
  });
});
