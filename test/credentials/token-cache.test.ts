import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { type Kept, openTokenCache, usableToken } from '../../src/credentials/token-cache.ts';
import { Secret } from '../../src/dialogue/secret.ts';
import type { TokenPlan } from '../../src/probe/world.ts';
import { privateFolder } from '../support/run.ts';
import { ACCESS_TOKEN, CLIENT_SECRET, planFor, REFRESH_TOKEN, ROTATED, refreshing, SCOPE } from './samples.ts';

const NOW = 1_767_323_045;
const KEPT: Kept = { accessToken: ACCESS_TOKEN, obtainedAt: NOW, expiresAt: NOW + 3600, refreshToken: null };

const folder = privateFolder();
let state: string;
let plan: TokenPlan;
beforeEach(() => {
  state = folder.state();
  plan = planFor(state);
});

const files = (): string[] => readdirSync(state);
const file = (): string => {
  const [name, ...others] = files();
  expect(others).toEqual([]);
  return join(state, name as string);
};
const keep = (kept: Kept = KEPT): void => openTokenCache(plan).write(kept);
const found = (): Kept | null => openTokenCache(plan).read();

describe('a token', () => {
  test('that was kept is found again', () => {
    expect(found()).toBeNull();
    keep();
    expect(found()).toEqual(KEPT);
    expect(JSON.parse(readFileSync(file(), 'utf8'))).toEqual({ version: 1, ...KEPT });
  });

  test('is kept for its owner alone, and nothing else is left', () => {
    keep();
    keep({ ...KEPT, refreshToken: ROTATED });
    expect(files()).toEqual([expect.stringMatching(/^token-[0-9a-f]{24}\.json$/)]);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(found()).toMatchObject({ refreshToken: ROTATED });
  });

  test('is kept in a file whose name tells no secret', () => {
    for (const grant of [plan.grant, refreshing()]) openTokenCache({ ...plan, grant }).write(KEPT);
    const names = files().join();
    for (const secret of [CLIENT_SECRET, REFRESH_TOKEN, ACCESS_TOKEN]) {
      expect(names).not.toContain(secret);
      expect(names).not.toContain(Buffer.from(secret).toString('hex').slice(0, 12));
    }
  });

  const proof = { kind: 'secret', secret: new Secret('fake, another') } as const;
  const certificate = { kind: 'certificate', certificate: 'fake certificate', key: new Secret('fake key') } as const;
  test.each<[string, Partial<TokenPlan>]>([
    ['end point', { url: 'https://login.example.com/other.example.com/oauth2/v2.0/token' }],
    ['application', { clientId: 'another' }],
    ['scope', { scope: `${SCOPE} offline_access` }],
    ['scope, none', { scope: null }],
    ['client secret', { grant: { kind: 'client-credentials', proof } }],
    ['proof', { grant: { kind: 'client-credentials', proof: certificate } }],
    ['grant', { grant: refreshing() }],
    ['refresh token', { grant: refreshing('0.fake-other-refresh-token') }],
    ['grant, without a proof', { grant: { ...refreshing(), kind: 'refresh-token', proof: null } as never }],
  ])('of another %s is another one', (_, other) => {
    keep();
    const cache = openTokenCache({ ...plan, ...other });
    expect(cache.read()).toBeNull();
    cache.write({ ...KEPT, accessToken: 'another' });
    expect(files()).toHaveLength(2);
    expect(cache.read()).toMatchObject({ accessToken: 'another' });
    expect(found()).toEqual(KEPT);
  });

  test.each([
    ['key', { ...certificate, key: new Secret('another fake key') }],
    ['certificate', { ...certificate, certificate: 'another fake certificate' }],
  ])('of another %s is another one', (_, other) => {
    plan = { ...plan, grant: { kind: 'client-credentials', proof: certificate } };
    keep();
    expect(openTokenCache({ ...plan, grant: { kind: 'client-credentials', proof: other } }).read()).toBeNull();
    expect(found()).toEqual(KEPT);
  });

  test('is the same by another way through the network', () => {
    keep();
    expect(openTokenCache({ ...plan, http: { family: 6, proxy: null, authorities: 'x' } }).read()).toEqual(KEPT);
  });
});

describe('a file that cannot be trusted counts as none, and is written anew:', () => {
  const isRoot = process.geteuid?.() === 0;
  const write = (content: string): void => writeFileSync(file(), content, { mode: 0o600 });
  const altered = (change: object): void => write(JSON.stringify({ version: 1, ...KEPT, ...change }));

  test.each<[string, () => void]>([
    ['everybody may read it', () => chmodSync(file(), 0o604)],
    ['a group may read it', () => chmodSync(file(), 0o640)],
    ['everybody may write it', () => chmodSync(file(), 0o602)],
    ['it is empty', () => write('')],
    ['it is cut off', () => write(readFileSync(file(), 'utf8').slice(0, 40))],
    ['it is no object', () => write('null')],
    ['it is a list', () => write('[]')],
    ['it is of another version', () => altered({ version: 2 })],
    ['its token is none', () => altered({ accessToken: undefined })],
    ['its token has a line end', () => altered({ accessToken: 'a\r\nDELE 1' })],
    ['its token is a number', () => altered({ accessToken: 1 })],
    ['its time is text', () => altered({ obtainedAt: '1767323045' })],
    ['its end is missing', () => altered({ expiresAt: null })],
    ['it ends before it begins', () => altered({ expiresAt: NOW - 1 })],
    ['its refresh token is a list', () => altered({ refreshToken: [] })],
    ['its refresh token has a control character', () => altered({ refreshToken: 'a\n' })],
  ])('%s', (_, spoil) => {
    keep();
    spoil();
    expect(found()).toBeNull();
    keep();
    expect(found()).toEqual(KEPT);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
  });

  test.runIf(isRoot)('it is somebody else’s', () => {
    keep();
    chownSync(file(), 65534, 65534);
    expect(found()).toBeNull();
    keep();
    expect(found()).toEqual(KEPT);
  });

  test('it is a folder: then nothing is kept, and nothing fails', () => {
    keep();
    const path = file();
    rmSync(path);
    mkdirSync(join(path, 'full'), { recursive: true });
    expect(found()).toBeNull();
    keep();
    expect(found()).toBeNull();
    expect(files()).toHaveLength(1);
  });
});

describe('without a folder to keep it in nothing fails:', () => {
  const nothingKept = (stateDir: string): void => {
    const cache = openTokenCache({ ...plan, stateDir });
    expect(cache.read()).toBeNull();
    cache.write(KEPT);
    expect(cache.read()).toBeNull();
  };

  test('it is a file', () => nothingKept(folder.file('a-file', '')));
  test('it cannot be made', () => nothingKept(`${folder.file('another-file', '')}/state`));
  test('nobody can write it', () => nothingKept('/proc/self'));

  test('this user may not write it', () => {
    const isRoot = process.geteuid?.() === 0;
    // The folder above is root's alone.
    chmodSync(folder.path, 0o711);
    chmodSync(state, 0o555);
    if (isRoot) process.seteuid?.('nobody');
    try {
      nothingKept(state);
    } finally {
      if (isRoot) process.seteuid?.(0);
      chmodSync(state, 0o700);
      chmodSync(folder.path, 0o700);
    }
    expect(files()).toEqual([]);
  });
});

describe('a kept token is used', () => {
  const usable = (secondsLater: number, kept: Partial<Kept> = {}): string | null =>
    usableToken({ ...KEPT, ...kept }, NOW + secondsLater);

  test.each([
    [0, true],
    [3299, true],
    [3300, false],
    [3600, false],
    [7200, false],
  ])('%i s after it was given for an hour: %s', (secondsLater, isUsed) => {
    expect(usable(secondsLater)).toBe(isUsed ? ACCESS_TOKEN : null);
  });

  test.each([
    [100, 89, true],
    [100, 90, false],
    [600, 539, true],
    [600, 540, false],
    [1, 0, true],
    [1, 1, false],
    [0, 0, false],
  ])('until a tenth of a short life is left: of %i s, after %i s: %s', (lifetime, secondsLater, isUsed) => {
    expect(usable(secondsLater, { expiresAt: NOW + lifetime })).toBe(isUsed ? ACCESS_TOKEN : null);
  });

  test('although this clock was put back a little since, and not when it was put back far', () => {
    expect(usable(-300)).toBe(ACCESS_TOKEN);
    expect(usable(-301)).toBeNull();
    expect(usable(-86_400 * 365)).toBeNull();
  });

  test('only where there is one', () => {
    expect(usable(0, { accessToken: null })).toBeNull();
    expect(usableToken(null, NOW)).toBeNull();
  });
});
