import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Maildrop } from '../../src/sandbox/maildrop.ts';
import { bytes } from './client.ts';

function filled(count: number): Maildrop {
  const maildrop = new Maildrop();
  for (let number = 1; number <= count; number += 1) maildrop.deliver(bytes(`Subject: ${number}`, '', 'x'));
  return maildrop;
}

test('a marked message is gone only once the session commits', () => {
  const maildrop = filled(3);
  const open = maildrop.open();
  const second = open?.find(2);
  if (open == null || second == null) throw new Error('nothing to mark');
  open.mark(second);
  expect(open.find(2)).toBeNull();
  expect(open.remaining().map(({ number }) => number)).toEqual([1, 3]); // numbers do not shift
  expect(maildrop.messages).toHaveLength(3);
  open.commit();
  expect(maildrop.messages.map(({ uid }) => uid)).not.toContain(second.uid);
  expect(maildrop.messages).toHaveLength(2);
});

test('mail that arrives during a session is seen by the next one', () => {
  const maildrop = filled(1);
  const early = maildrop.open();
  maildrop.deliver(bytes('Subject: late', '', 'x'));
  expect(early?.remaining()).toHaveLength(1);
  expect(maildrop.open()?.remaining()).toHaveLength(2);
});

test('an exclusive session locks others out until it is released', () => {
  const maildrop = filled(1);
  const first = maildrop.open(true);
  expect(maildrop.open(true)).toBeNull();
  first?.release();
  const second = maildrop.open(true);
  expect(second).not.toBeNull();
  first?.release(); // a second time: the lock is no longer its own
  expect(maildrop.open(true)).toBeNull();
});

test('a message keeps its UID and its octets, whoever else changes the array it came in', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 20 }), (contents) => {
      const maildrop = new Maildrop();
      for (const content of contents) {
        const given = Uint8Array.from(content);
        maildrop.deliver(given);
        given.fill(0);
      }
      const uids = maildrop.messages.map(({ uid }) => uid);
      expect(new Set(uids).size).toBe(contents.length);
      for (const uid of uids) expect(uid).toMatch(/^[\x21-\x7e]{1,70}$/);
      expect(maildrop.messages.map((message) => [...message.bytes])).toEqual(contents.map((content) => [...content]));
    }),
    { numRuns: 50 },
  );
});
