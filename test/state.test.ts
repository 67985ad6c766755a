import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openState } from '../src/runtimes/node/state.ts';
import { inProcesses, isRoot, NOBODY, temporaryFolder } from './support/node-processes.ts';

let folder: ReturnType<typeof temporaryFolder>;
let root: string;

beforeEach(() => {
  folder = temporaryFolder();
  root = folder.path;
  for (const name of ['STATE_DIRECTORY', 'XDG_STATE_HOME', 'HOME', 'LOCALAPPDATA']) vi.stubEnv(name, '');
  vi.stubEnv('TMPDIR', join(root, 'tmp'));
  mkdirSync(join(root, 'tmp'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  folder.remove();
});

const user = process.getuid?.();
const shared = (): string => join(root, 'tmp', `pop-connectivity-${user}`);
const mode = (path: string): number => statSync(path).mode & 0o777;

describe('the folder of the state', () => {
  test('is the one named, made where it is not there, for us alone', () => {
    const path = join(root, 'a', 'b');
    vi.stubEnv('STATE_DIRECTORY', join(root, 'other'));
    expect(openState(path).path).toBe(path);
    expect(mode(path)).toBe(0o700);
    expect(existsSync(join(root, 'other'))).toBe(false);
  });

  test.each<[string, Readonly<Record<string, string>>, string]>([
    ['systemd\u2019s', { STATE_DIRECTORY: '/systemd', XDG_STATE_HOME: '/xdg', HOME: '/home' }, '/systemd'],
    ['the first of systemd\u2019s', { STATE_DIRECTORY: '/systemd:/second' }, '/systemd'],
    ['the user\u2019s own by XDG', { XDG_STATE_HOME: '/xdg', HOME: '/home' }, '/xdg/pop-connectivity'],
    ['the user\u2019s own', { HOME: '/home' }, '/home/.local/state/pop-connectivity'],
  ])('is %s', (_, environment, expected) => {
    for (const [name, value] of Object.entries(environment))
      vi.stubEnv(
        name,
        value.replace(/(^|:)\//g, (start) => `${start.slice(0, -1)}${root}/`),
      );
    expect(openState(null).path).toBe(root + expected);
  });

  test('is not one by XDG that is no whole path', () => {
    vi.stubEnv('XDG_STATE_HOME', 'relative');
    vi.stubEnv('HOME', `${root}/home`);
    expect(openState(null).path).toBe(`${root}/home/.local/state/pop-connectivity`);
    expect(existsSync('relative')).toBe(false);
  });

  test('is one of ours among the temporary files where there is nothing else', () => {
    expect(openState(null).path).toBe(shared());
    expect(mode(shared())).toBe(0o700);
    expect(openState(null).path).toBe(shared());
  });

  test('is the next one where one cannot be made', () => {
    writeFileSync(join(root, 'file'), '');
    vi.stubEnv('STATE_DIRECTORY', join(root, 'file'));
    vi.stubEnv('HOME', join(root, 'file', 'home'));
    expect(openState(null).path).toBe(shared());
  });

  test('is not another one where the one named cannot be made: that is told', () => {
    writeFileSync(join(root, 'file'), '');
    expect(() => openState(join(root, 'file'))).toThrow(/EEXIST|ENOTDIR/);
    expect(() => openState(join(root, 'file', 'below'))).toThrow('ENOTDIR');
  });

  test.each<[string, (path: string) => void]>([
    ['others may look into', (path) => mkdirSync(path, { mode: 0o700 }) ?? chmodSync(path, 0o755)],
    ['others may write to', (path) => mkdirSync(path, { mode: 0o700 }) ?? chmodSync(path, 0o722)],
    ['is a link to a folder', (path) => mkdirSync(`${path}-x`, { mode: 0o700 }) ?? symlinkSync(`${path}-x`, path)],
    ['is a link to nothing', (path) => symlinkSync(`${path}-x`, path)],
    ['is a file', (path) => writeFileSync(path, '')],
  ])('is none at all among the temporary files where what is there %s', (_, prepare) => {
    prepare(shared());
    expect(() => openState(null)).toThrow();
    expect(existsSync(`${shared()}-x`) ? readdirSync(`${shared()}-x`) : []).toEqual([]);
  });

  const asNobody = async (named: string | null, environment: NodeJS.ProcessEnv = {}): Promise<string> => {
    const code = `import { openState } from '../../src/runtimes/node/state.ts';
      try { process.stdout.write(openState(${JSON.stringify(named)}).path) } catch (error) { process.stdout.write(error.message) }`;
    return (await inProcesses(code, { uid: NOBODY, env: { TMPDIR: join(root, 'tmp'), ...environment } }))[0] as string;
  };

  test.skipIf(!isRoot)('is none that somebody else made for us among the temporary files', async () => {
    chmodSync(root, 0o755);
    chmodSync(join(root, 'tmp'), 0o777);
    mkdirSync(join(root, 'tmp', `pop-connectivity-${NOBODY}`), { mode: 0o700 });
    expect(await asNobody(null)).toContain('is not ours alone');
  });

  test.skipIf(!isRoot)('is passed over where it may only be read, unless it was named', async () => {
    chmodSync(root, 0o755);
    chmodSync(join(root, 'tmp'), 0o777);
    mkdirSync(join(root, 'read-only'), { mode: 0o755 });
    const path = join(root, 'read-only');
    expect(await asNobody(null, { STATE_DIRECTORY: path })).toBe(join(root, 'tmp', `pop-connectivity-${NOBODY}`));
    expect(await asNobody(path)).toBe(path);
  });
});

describe.skipIf(process.platform !== 'linux')('a folder that can never be made', () => {
  test('is told at once, and does not hold the run for ever', () => {
    expect(() => openState('/proc/pop-connectivity')).toThrow(/ENOENT/);
    expect(() => openState('/proc/1/pop/connectivity')).toThrow(/ENOENT|EACCES/);
  });
});

describe('a file in it', () => {
  test('is written whole, for us alone, and read back; nothing else is left lying about', () => {
    const state = openState(join(root, 'state'));
    state.write('one', 'content');
    state.write('one', 'anew');
    expect(state.read('one')?.toString()).toBe('anew');
    expect(mode(join(root, 'state', 'one'))).toBe(0o600);
    expect(readdirSync(join(root, 'state'))).toEqual(['one']);
  });

  test('that is not there is none', () => {
    expect(openState(root).read('nothing')).toBeNull();
  });

  test('that is there and cannot be read is told', () => {
    mkdirSync(join(root, 'folder'));
    expect(() => openState(root).read('folder')).toThrow('regular file');
  });

  test('is made once: who comes second leaves it as it is', () => {
    const state = openState(root);
    state.create('key', 'first');
    state.create('key', 'second');
    expect(state.read('key')?.toString()).toBe('first');
    expect(readdirSync(root).sort()).toEqual(['key', 'tmp']);
  });

  test('keeps what it had where it cannot be written anew', () => {
    const state = openState(root);
    state.write('one', 'content');
    // What it would be written as first is in the way.
    mkdirSync(join(root, `.one.${process.pid}`));
    expect(() => state.write('one', 'anew')).toThrow();
    expect(readFileSync(join(root, 'one'), 'utf8')).toBe('content');
  });
});

test('the temporary files are where the system says', () => {
  expect(tmpdir()).toBe(join(root, 'tmp'));
});
