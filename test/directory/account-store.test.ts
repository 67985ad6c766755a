import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import { type Kept, openAccountStore } from '../../src/directory/account-store.ts';
import { lock } from '../../src/runtimes/node/lock.ts';
import { privateFolder } from '../support/run.ts';

const folder = privateFolder();
const GUID = '4ca5fda1-c399-4f1b-9b7e-0123456789ab';
const KEPT: Kept = {
  userName: 'extest_4ca5fda1c3994@example.com',
  current: { password: 'Morning-Coffee-4', passwordSet: '134000000000000000', refusedAt: null },
  next: null,
};
const opened = (state = folder.state()) => ({ state, store: openAccountStore(state, 'example.com', GUID) });
const { XDG_STATE_HOME, STATE_DIRECTORY, HOME } = process.env;
afterEach(() => {
  Object.assign(process.env, { HOME });
  for (const [name, value] of Object.entries({ XDG_STATE_HOME, STATE_DIRECTORY })) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
});

test('keeps what is written, in one file that nobody else may read', () => {
  const { state, store } = opened();
  expect(store.read()).toBeNull();
  store.write(KEPT);
  expect(store.read()).toEqual(KEPT);
  expect(readdirSync(state)).toEqual([expect.stringMatching(/^test-account-[0-9a-f]{24}\.json$/)]);
  expect(statSync(store.path).mode & 0o777).toBe(0o600);
  expect(JSON.parse(readFileSync(store.path, 'utf8'))).toMatchObject({
    version: 1,
    domain: 'example.com',
    siteGuid: GUID,
  });
});

test('has a file for each domain and site, whatever the case of the domain', () => {
  const { state, store } = opened();
  store.write(KEPT);
  expect(openAccountStore(state, 'EXAMPLE.com', GUID).read()).toEqual(KEPT);
  expect(openAccountStore(state, 'example.net', GUID).read()).toBeNull();
  expect(openAccountStore(state, 'example.com', GUID.replace('4', '5')).read()).toBeNull();
});

test.each<[string, string, RegExp]>([
  ['damaged', '{"version":1,"userName":"x"', /is damaged: -ResetTestAccountCredentials makes it anew/],
  ['of another kind', '[]', /is damaged/],
  [
    'without a password',
    JSON.stringify({ version: 1, ...KEPT, current: { passwordSet: null, refusedAt: null } }),
    /is damaged/,
  ],
  [
    'with an empty one',
    JSON.stringify({ version: 1, ...KEPT, current: { password: '', passwordSet: null, refusedAt: null } }),
    /is damaged/,
  ],
  [
    'with an instant that is none',
    JSON.stringify({ version: 1, ...KEPT, current: { ...KEPT.current, passwordSet: 'yesterday' } }),
    /is damaged/,
  ],
  ['of a later version', JSON.stringify({ version: 2, ...KEPT }), /is of another version of this program/],
])('refuses a file that is %s, and repeats nothing of it', (_, content, why) => {
  const { store } = opened();
  writeFileSync(store.path, content, { mode: 0o600 });
  expect(() => store.read()).toThrow(why);
  expect(() => store.read()).not.toThrow(/Coffee/);
});

test.each([0o644, 0o640, 0o602])('refuses a file of mode %o', (mode) => {
  const { store } = opened();
  store.write(KEPT);
  chmodSync(store.path, mode);
  expect(() => store.read()).toThrow(/has to be ours alone/);
});

test('refuses something that is no file', () => {
  const { store } = opened();
  mkdirSync(store.path);
  expect(() => store.read()).toThrow(/cannot be read \(EFTYPE\)/);
});

test('keeps no password where it would be lost with the next restart', () => {
  for (const name of ['XDG_STATE_HOME', 'STATE_DIRECTORY']) delete process.env[name];
  // Where not even root can make one.
  process.env.HOME = '/proc/nowhere';
  const store = openAccountStore(null, 'example.com', GUID);
  expect(store.read()).toBeNull();
  expect(() => store.write(KEPT)).toThrow(/is emptied when the machine restarts: give --state-dir/);
});

test('says so where a folder was named that cannot be one', () => {
  expect(() => openAccountStore('/dev/null/state', 'example.com', GUID)).toThrow(/has no place: .*; give --state-dir/);
});

test('lets one run at a time have it', async () => {
  const { store } = opened();
  const order: string[] = [];
  const hold = (name: string) =>
    store.alone(1000, async () => {
      order.push(`${name} in`);
      await new Promise((resolve) => setTimeout(resolve, 150));
      order.push(`${name} out`);
    });
  await Promise.all([hold('one'), hold('two')]);
  expect(order).toEqual(['one in', 'one out', 'two in', 'two out']);
});

test('tells whoever has waited long enough', async () => {
  const { store } = opened();
  const release = lock(`${store.path}.lock`, 60_000);
  await expect(store.alone(1000, async () => 'in')).rejects.toMatchObject({ reason: 'already-running' });
  release?.();
  expect(await store.alone(1000, async () => 'in')).toBe('in');
});
