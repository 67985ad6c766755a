import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { newPassword } from '../../src/directory/new-password.ts';

const CLASSES = [/[A-Z]/, /[a-z]/, /[0-9]/, /[^A-Za-z0-9]/];

test('a new password has 32 characters, of four classes, and no other is like it', () => {
  const made = Array.from({ length: 500 }, () => newPassword((length) => randomBytes(length)));
  for (const password of made) {
    expect(password).toMatch(/^[\x21-\x7e]{32}$/);
    for (const one of CLASSES) expect(password).toMatch(one);
    // What shells, ini files, XML and LDAP take for their own.
    expect(password).not.toMatch(/["'`$\\<>&;,()/]/);
  }
  expect(new Set(made).size).toBe(made.length);
});

test('no character is likelier than another', () => {
  const octets = randomBytes(2_000_000);
  let at = 0;
  const counts = new Map<string, number>();
  for (let made = 0; made < 20_000; made++) {
    for (const character of newPassword(() => octets.subarray(at, ++at))) {
      counts.set(character, (counts.get(character) ?? 0) + 1);
    }
  }
  const all = [...counts.values()];
  // Some 8600 each, give or take a hundred. The remainder of a division would have some a third likelier than others.
  expect(Math.max(...all) / Math.min(...all)).toBeLessThan(1.2);
});

test('one without a class is drawn again', () => {
  const octets = [...Array(32).fill(0), ...Array.from({ length: 4096 }, (_, at) => (at * 7) % 256)];
  const password = newPassword(() => new Uint8Array([octets.shift()]));
  expect(password).not.toBe('A'.repeat(32));
  for (const one of CLASSES) expect(password).toMatch(one);
});
