import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UidSet } from '../src/probe/uid-set.ts';

const filled = (uids: Iterable<string>): UidSet => {
  const set = new UidSet();
  for (const uid of uids) set.add(uid);
  return set;
};

/** How servers name messages: by counters, file names, hashes. */
const SHAPES: readonly (readonly [string, (at: number) => string])[] = [
  ['Dovecot, UID and UIDVALIDITY in hexadecimal', (at) => `${(at + 1).toString(16).padStart(8, '0')}65a6f1c0`],
  ['Cyrus, UIDVALIDITY and UID', (at) => `1705406400.${at + 1}`],
  ['Courier, the name of a file', (at) => `${1_705_406_400 + at}.M${at % 1000}P${at % 32768}_0.mail`],
  ['a number alone', (at) => `${at}`],
  ['hMailServer, a long counter', (at) => `${at}`.padStart(70, '0')],
  ['a counter before what never changes', (at) => `${at}-${'x'.repeat(60)}`],
];

describe('a set of identifiers', () => {
  test('is what a Set is', () => {
    const uid = fc.oneof(fc.constantFrom('a', 'b', 'ab', 'ba', ''), fc.string({ maxLength: 8 }));
    fc.assert(
      fc.property(fc.array(uid, { maxLength: 400 }), fc.array(uid, { maxLength: 50 }), (added, asked) => {
        const set = filled(added);
        const model = new Set(added);
        expect(set.size).toBe(model.size);
        for (const each of [...added, ...asked]) expect(set.has(each)).toBe(model.has(each));
      }),
    );
  });

  test('has nothing in it at first, the empty text neither', () => {
    expect(new UidSet().size).toBe(0);
    for (const uid of ['', '0', '\0', 'a']) expect(new UidSet().has(uid)).toBe(false);
  });

  test('is right at every size while it grows', () => {
    const set = new UidSet();
    for (let at = 0; at < 1500; at++) {
      expect(set.has(`u${at}`)).toBe(false);
      set.add(`u${at}`);
      set.add(`u${at}`);
      expect(set.size).toBe(at + 1);
      expect(set.has('u0') && set.has(`u${at >> 1}`) && set.has(`u${at}`)).toBe(true);
    }
    for (let at = 0; at < 1500; at++) expect(set.has(`u${at}`)).toBe(true);
  });

  test.each(SHAPES)('tells 100,000 messages apart as named by %s', (_, named) => {
    const set = filled(Array.from({ length: 100_000 }, (_unused, at) => named(at)));
    expect(set.size).toBe(100_000);
    for (let at = 0; at < 100_000; at += 97) {
      expect(set.has(named(at))).toBe(true);
      expect(set.has(named(100_000 + at))).toBe(false);
    }
  });

  test('keeps 100,000 identifiers of seventy characters in less than their text', () => {
    const set = filled(Array.from({ length: 100_000 }, (_, at) => `${at}`.padStart(70, '0')));
    // The text alone is 7 MB; a cell is 8 octets, and no more than three of four are free just after it grew.
    const kept = Object.values(set).filter((value): value is Uint32Array => value instanceof Uint32Array);
    expect(kept).toHaveLength(1);
    expect((kept[0] as Uint32Array).byteLength).toBeLessThanOrEqual(100_000 * 8 * 4);
    expect(Object.values(set).filter((value) => typeof value === 'object')).toHaveLength(1);
  });
});
