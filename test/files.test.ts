import { expect, test } from 'vitest';
import { openToAll } from '../src/runtimes/node/files.ts';

test.each([
  [0o100600, 'linux', null],
  [0o100640, 'linux', null],
  [0o100660, 'linux', null],
  [0o100644, 'linux', 'to read'],
  [0o100606, 'linux', 'to read'],
  [0o100602, 'linux', 'to write'],
  [0o100666, 'freebsd', 'to read'],
  // What Node says of any file there, whatever its access control list.
  [0o100666, 'win32', null],
  [0o100444, 'win32', null],
] as const)('a file of mode %o on %s is open to everyone: %s', (mode, system, open) => {
  expect(openToAll(mode, system)).toBe(open);
});
