import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lock } from '../src/runtimes/node/lock.ts';
import { inProcesses, isRoot, NOBODY, temporaryFolder } from './support/node-processes.ts';

let folder: ReturnType<typeof temporaryFolder>;
let path: string;

beforeEach(() => {
  folder = temporaryFolder();
  path = join(folder.path, 'mailbox.lock');
});
afterEach(() => folder.remove());

interface Holder {
  readonly pid: number;
  readonly started?: string | null;
  readonly until?: number;
}
const held = (holder: Holder | string): void =>
  writeFileSync(path, typeof holder === 'string' ? holder : JSON.stringify(holder));
const take = (): (() => void) | null => lock(path, 60_000);
const MINUTE = 60_000;

/** What the lock tells of us. */
function own(): Required<Holder> {
  const release = take();
  const holder = JSON.parse(readFileSync(path, 'utf8'));
  release?.();
  return holder;
}

/** The number of a process that has ended. */
const ended = (): Promise<number> =>
  new Promise((resolve) => {
    const child = spawn(process.execPath, ['-e', '']);
    child.on('close', () => resolve(child.pid as number));
  });

const hasProc = existsSync('/proc/self/stat');

describe('a lock', () => {
  test('is held by one, and free when given back', () => {
    const release = take();
    expect(release).not.toBeNull();
    expect(take()).toBeNull();
    release?.();
    expect(readdirSync(folder.path)).toEqual([]);
    const again = take();
    expect(again).not.toBeNull();
    again?.();
  });

  test('leaves nothing but itself behind, for us alone, whether it was had or not', () => {
    const release = take();
    take();
    expect(readdirSync(folder.path)).toEqual(['mailbox.lock']);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    release?.();
  });

  test('that is somebody else\u2019s by now is not taken from him', () => {
    const release = take();
    held({ ...own(), until: Date.now() + 2 * MINUTE });
    const content = readFileSync(path, 'utf8');
    release?.();
    expect(readFileSync(path, 'utf8')).toBe(content);
  });

  test('given back twice, or after it is gone, does no harm', () => {
    const release = take();
    rmSync(path);
    release?.();
    release?.();
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test.each<[string, () => Promise<Holder | string>]>([
    ['has died', async () => ({ pid: await ended(), started: '1', until: Date.now() + MINUTE })],
    ['has died, where nothing tells when it started', async () => ({ pid: await ended(), until: Date.now() + MINUTE })],
    ['cannot be read, being empty', async () => ''],
    ['cannot be read, being half', async () => '{"pid": 1'],
    ['is no object', async () => 'null'],
    ['is a list', async () => '[1]'],
    ['has no number', async () => '{"started": "1", "until": 99999999999999}'],
    ['is nobody: 0 would be all of our own group', async () => ({ pid: 0, until: Date.now() + MINUTE })],
    ['is a group: -1 would be everybody', async () => ({ pid: -1, until: Date.now() + MINUTE })],
    ['is no whole number', async () => ({ pid: process.pid + 0.5, until: Date.now() + MINUTE })],
    ['is beyond all numbers', async () => ({ pid: 1e300, until: Date.now() + MINUTE })],
    [
      'is over its time, where nothing tells when it started',
      async () => ({ pid: process.pid, until: Date.now() - 1 }),
    ],
    ['has no time, where nothing tells when it started', async () => ({ pid: process.pid })],
  ])('lapses where its holder %s', async (_, holder) => {
    held(await holder());
    const release = take();
    expect(release).not.toBeNull();
    expect(JSON.parse(readFileSync(path, 'utf8')).pid).toBe(process.pid);
    release?.();
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test.skipIf(!hasProc)('lapses where its holder\u2019s number is that of another process by now', () => {
    held({ ...own(), started: '1' });
    const release = take();
    expect(release).not.toBeNull();
    release?.();
  });

  test.skipIf(!hasProc)('does not lapse by time alone while its holder lives: a laptop may have slept', () => {
    held({ ...own(), until: 0 });
    expect(take()).toBeNull();
  });

  test('does not lapse within its time where nothing tells when its holder started', () => {
    held({ pid: process.pid, started: null, until: Date.now() + MINUTE });
    expect(take()).toBeNull();
  });

  test.skipIf(!isRoot)('does not lapse where its holder is another user\u2019s process', async () => {
    const code = `import { lock } from '../../src/runtimes/node/lock.ts';
      process.stdout.write(String(lock(${JSON.stringify(path)}, 60000) === null))`;
    const { chmodSync, chownSync } = await import('node:fs');
    chownSync(folder.path, NOBODY, NOBODY);
    held(own());
    chmodSync(path, 0o644);
    expect(await inProcesses(code, { uid: NOBODY })).toEqual(['true']);
  });

  test('is told where no file can be made', () => {
    expect(() => lock(join(folder.path, 'nowhere', 'mailbox.lock'), 1000)).toThrow('ENOENT');
  });

  test('that is a folder is told, and left', () => {
    mkdirSync(path);
    expect(take).toThrow();
    expect(readdirSync(folder.path)).toEqual(['mailbox.lock']);
  });

  test('is had by one of many processes that want it at once', async () => {
    const code = `import { lock } from '../../src/runtimes/node/lock.ts';
      process.stdout.write(lock(${JSON.stringify(path)}, 60000) === null ? 'no' : 'yes');
      setTimeout(() => {}, 800);`;
    const answers = await inProcesses(code, { count: 4 });
    expect(answers.filter((answer) => answer === 'yes')).toHaveLength(1);
  });

  test('of a process that was killed is had by the next one', async () => {
    const code = `import { lock } from '../../src/runtimes/node/lock.ts';
      lock(${JSON.stringify(path)}, 60000);
      process.stdout.write('held', () => process.kill(process.pid, 'SIGKILL'));`;
    await expect(inProcesses(code)).rejects.toThrow();
    expect(JSON.parse(readFileSync(path, 'utf8')).pid).not.toBe(process.pid);
    const release = take();
    expect(release).not.toBeNull();
    release?.();
  });
});
