import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isSame, nameOf, partsOf } from '../../src/directory/entry.ts';

describe('a distinguished name', () => {
  test.each<[string, string, readonly string[]]>([
    ['from the object upwards', 'CN=EX01,OU=Servers,DC=example,DC=com', ['EX01', 'Servers', 'example', 'com']],
    ['with a comma in a value', String.raw`CN=Site A\, old,CN=Sites`, ['Site A, old', 'Sites']],
    ['with a backslash at the end of a value', String.raw`CN=one\\,CN=two`, ['one\\', 'two']],
    ['with a backslash and a comma in a value', String.raw`CN=one\\\,two,CN=three`, ['one\\,two', 'three']],
    ['with hexadecimal digits after an escaped backslash', String.raw`CN=\\ab`, ['\\ab']],
    ['with what else is escaped', String.raw`CN=\#1 \+ \"x\" \<y\> \; \=`, ['#1 + "x" <y> ; =']],
    ['with an octet in hexadecimal', String.raw`CN=a\2Cb\0Ac`, ['a,b\nc']],
    ['with one letter of two octets', String.raw`CN=K\C3\B6ln,DC=x`, ['Köln', 'x']],
    ['with that letter as it is', 'CN=Köln,DC=x', ['Köln', 'x']],
    ['with blanks around its parts, as people paste it', ' CN = EX01 , DC= example ', ['EX01', 'example']],
    ['with blanks that belong to the value', String.raw`CN=\ EX01\ ,DC=x`, [' EX01 ', 'x']],
    ['with an equals sign in a value', 'CN=a=b,DC=x', ['a=b', 'x']],
    ['with a part of two values', 'CN=EX01+OU=Servers,DC=x', ['EX01+OU=Servers', 'x']],
    ['with an empty value', 'CN=,DC=x', ['', 'x']],
  ])('is read %s', (_, dn, values) => {
    expect(partsOf(dn).map(({ value }) => value)).toEqual(values);
  });

  test('has types that know no case', () => {
    expect(partsOf('Cn=a,dC=b').map(({ type }) => type)).toEqual(['cn', 'dc']);
  });

  test.each(['', 'EX01', 'CN=EX01,,DC=x', 'CN=EX01,Servers,DC=x', 'CN=EX01,', ',CN=EX01'])('is not %j', (text) => {
    expect(partsOf(text)).toEqual([]);
    expect(nameOf(text)).toBe(text);
  });

  test.each<[string, string, boolean]>([
    ['CN=EX01,DC=example', 'cn=ex01, dc=EXAMPLE', true],
    [String.raw`CN=K\C3\B6ln`, 'CN=KÖLN', true],
    [String.raw`CN=a\,b`, String.raw`CN=a\2cb`, true],
    ['CN=EX01,DC=example', 'CN=EX01', false],
    ['CN=EX01,DC=example', 'CN=EX01,OU=example', false],
    ['CN=EX01,DC=example', 'DC=example,CN=EX01', false],
    [String.raw`CN=a\\,CN=b`, 'CN=a,CN=b', false],
    ['CN=EX01,DC=example', 'CN=EX01,x,DC=example', false],
  ])('%s and %s: the same object? %s', (one, other, same) => {
    expect(isSame(one, other)).toBe(same);
    expect(isSame(other, one)).toBe(same);
  });

  test('gives back every value that was escaped as RFC 4514 has it', () => {
    const escaped = (value: string): string => value.replace(/[,+"\\<>;=#]|^ | $/g, '\\$&');
    const values = fc.array(fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(values, (all) => {
        // Other blanks have no escape but their octets.
        fc.pre(all.every((value) => !/^\s|\s$/.test(value.replace(/^ | $/g, ''))));
        const dn = all.map((value) => `CN=${escaped(value)}`).join(',');
        expect(partsOf(dn).map(({ value }) => value)).toEqual(all);
      }),
    );
  });
});
