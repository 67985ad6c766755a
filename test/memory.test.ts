import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ProbeFailure } from '../src/dialogue/failure.ts';
import type { Left, Memory } from '../src/probe/world.ts';
import { openMemory } from '../src/runtimes/node/memory.ts';
import { inProcesses, isRoot, NOBODY, temporaryFolder } from './support/node-processes.ts';

let folder: ReturnType<typeof temporaryFolder>;
let stateDir: string;
const opened: Memory[] = [];

beforeEach(() => {
  folder = temporaryFolder();
  stateDir = join(folder.path, 'state');
});
afterEach(() => {
  for (const memory of opened.splice(0)) memory.close();
  vi.unstubAllEnvs();
  folder.remove();
});

const MAILBOX = 'probe@example.com\nmail.example.com';
function open(markerKeyFile: string | null = null, mailbox = MAILBOX, dir: string | null = stateDir): Memory {
  const memory = openMemory(mailbox, { stateDir: dir, markerKeyFile }, 60_000);
  if (memory === null) throw new Error('somebody has it');
  opened.push(memory);
  return memory;
}
function reopened(): Memory {
  for (const memory of opened.splice(0)) memory.close();
  return open();
}
const failureOf = (what: () => unknown): ProbeFailure => {
  try {
    what();
  } catch (problem) {
    if (problem instanceof ProbeFailure) return problem;
    throw problem;
  }
  throw new Error('it did not fail');
};
const LEFT: Left = {
  runs: [{ run: '0123456789abcdef', sentAt: 1_768_564_800, expiresAt: 1_768_568_400, state: 'pending', uids: ['u1'] }],
  seen: ['u2', '../../etc/passwd'],
  deleted: ['u3'],
};
const NOTHING: Left = { runs: [], seen: [], deleted: [] };
const fileOf = (ending: string): string =>
  join(stateDir, readdirSync(stateDir).find((name) => name.endsWith(ending)) ?? `none${ending}`);

describe('what runs remember', () => {
  test('is nothing at first', () => {
    const memory = open();
    expect([memory.left, memory.trouble()]).toEqual([NOTHING, null]);
    expect(memory.key.length).toBe(32);
  });

  test('is what was kept last, for the same mailbox and no other', () => {
    open().keep(NOTHING);
    opened[0]?.keep(LEFT);
    expect(open(null, 'another').left).toEqual(NOTHING);
    expect(reopened().left).toEqual(LEFT);
  });

  test('is for us alone to read, in files whose names tell nothing of the mailbox', () => {
    open().keep(LEFT);
    for (const name of readdirSync(stateDir)) {
      expect(statSync(join(stateDir, name)).mode & 0o777, name).toBe(0o600);
      expect(name).toMatch(/^(marker\.key|[0-9a-f]{24}\.(json|lock))$/);
    }
  });

  test('is for one run at a time, a mailbox', () => {
    open();
    expect(openMemory(MAILBOX, { stateDir, markerKeyFile: null }, 1000)).toBeNull();
    expect(open(null, 'another').left).toEqual(NOTHING);
    opened[0]?.close();
    expect(reopened().trouble()).toBeNull();
  });

  test.each<[string, string]>([
    ['empty', ''],
    ['half', '{"version":1,"runs":['],
    ['zeros of a crash', '\0'.repeat(100)],
    ['not text', '\xff\xfe'],
  ])('is begun anew with a word where the file is %s', (_, content) => {
    open().keep(LEFT);
    writeFileSync(fileOf('.json'), content, 'latin1');
    const memory = reopened();
    expect(memory.left).toEqual(NOTHING);
    expect(memory.trouble()).toContain('damaged, and is written anew');
    memory.keep(LEFT);
    expect([reopened().left, opened[0]?.trouble()]).toEqual([LEFT, null]);
  });

  test.each<[string, unknown, Left]>([
    ['nothing', null, NOTHING],
    ['a number', 7, NOTHING],
    ['a list', [], NOTHING],
    ['lists that are none', { runs: {}, seen: 'u1', deleted: 1 }, NOTHING],
    ['identifiers that are none', { seen: ['u2', 1, null, {}], deleted: [[]] }, { ...NOTHING, seen: ['u2'] }],
    ['a run without a name', { runs: [{ ...LEFT.runs[0], run: 1 }] }, NOTHING],
    ['a run without a time', { runs: [{ ...LEFT.runs[0], sentAt: '1' }] }, NOTHING],
    ['a run that never expires', { runs: [{ ...LEFT.runs[0], expiresAt: null }] }, NOTHING],
    ['a run in another state', { runs: [{ ...LEFT.runs[0], state: 'lost' }] }, NOTHING],
    ['a run whose identifiers are none', { runs: [{ ...LEFT.runs[0], uids: [1] }] }, NOTHING],
    ['null for a run, and a good one', { runs: [null, LEFT.runs[0]] }, { ...NOTHING, runs: LEFT.runs }],
    ['fields of a later version', { version: 2, ...LEFT, more: true }, LEFT],
  ])('is what can be made out of %s', (_, content, expected) => {
    open().keep(LEFT);
    writeFileSync(fileOf('.json'), JSON.stringify(content));
    const { left } = reopened();
    expect({
      ...left,
      runs: left.runs.map(({ run, sentAt, expiresAt, state, uids }) => ({ run, sentAt, expiresAt, state, uids })),
    }).toEqual(expected);
  });

  test('is nothing, and said so, where there is no folder; the run goes on with a key of its own', () => {
    writeFileSync(join(folder.path, 'file'), '');
    const one = open(null, MAILBOX, join(folder.path, 'file'));
    const other = open(null, MAILBOX, join(folder.path, 'file'));
    one.keep(LEFT);
    expect(one.trouble()).toMatch(/^what this run leaves behind will not be remembered: E/);
    expect(one.key.length).toBe(32);
    expect(Buffer.from(one.key).equals(other.key)).toBe(false);
  });

  test.skipIf(!isRoot)('is read and not written where the folder named is read-only, and said so', async () => {
    open().keep(LEFT);
    for (const memory of opened.splice(0)) memory.close();
    chmodSync(folder.path, 0o755);
    chmodSync(stateDir, 0o755);
    for (const name of readdirSync(stateDir)) chmodSync(join(stateDir, name), 0o644);
    const [said] = await inProcesses(
      `import { openMemory } from '../../src/runtimes/node/memory.ts';
       const memory = openMemory(${JSON.stringify(MAILBOX)}, { stateDir: ${JSON.stringify(stateDir)}, markerKeyFile: null }, 1000);
       memory.keep({ runs: [], seen: [], deleted: [] });
       process.stdout.write(JSON.stringify({ left: memory.left, trouble: memory.trouble() }));
       memory.close();`,
      { uid: NOBODY },
    );
    const { left, trouble } = JSON.parse(said as string);
    expect(left).toEqual(LEFT);
    expect(trouble).toContain('EACCES');
    expect(reopened().left).toEqual(LEFT);
  });

  const canMount = isRoot && process.platform === 'linux' && spawnSync('/bin/mount', ['--version']).status === 0;
  test.skipIf(!canMount)('keeps what it had, and says so, where the disk is full', (context) => {
    mkdirSync(stateDir);
    if (spawnSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=700', 'none', stateDir]).status !== 0)
      return context.skip('no file system can be mounted here');
    try {
      open().keep(LEFT);
      const memory = reopened();
      writeFileSync(join(stateDir, 'ballast'), Buffer.alloc(4096));
      for (let at = 0; at < 20; at++) {
        try {
          writeFileSync(join(stateDir, `ballast${at}`), Buffer.alloc(4096));
        } catch {}
      }
      memory.keep({ ...LEFT, seen: Array.from({ length: 400 }, (_, at) => `u${at}`.padEnd(70, 'x')) });
      expect(memory.trouble()).toContain('ENOSPC');
      expect(JSON.parse(readFileSync(fileOf('.json'), 'utf8'))).toEqual({ version: 1, ...LEFT });
      memory.close();
    } finally {
      execFileSync('/bin/umount', ['-l', stateDir]);
    }
  });
});

describe('the key of the markers', () => {
  const keyFile = (content: string | Buffer, mode = 0o600): string => {
    const path = join(folder.path, 'shared.key');
    writeFileSync(path, content);
    chmodSync(path, mode);
    return path;
  };
  const KEY = Buffer.from(Array.from({ length: 32 }, (_, at) => at));

  test('is made once, and stays', () => {
    const { key } = open();
    expect(Buffer.from(reopened().key).equals(key)).toBe(true);
    expect(Buffer.from(open(null, 'another').key).equals(key)).toBe(true);
    expect(readFileSync(join(stateDir, 'marker.key'), 'utf8')).toBe(`${Buffer.from(key).toString('base64')}\n`);
  });

  test('is the same for processes that make it at the same time', async () => {
    const keys = await inProcesses(
      `import { openMemory } from '../../src/runtimes/node/memory.ts';
       const memory = openMemory(String(process.pid), { stateDir: ${JSON.stringify(stateDir)}, markerKeyFile: null }, 1000);
       process.stdout.write(Buffer.from(memory.key).toString('hex') + ' ' + memory.trouble());
       memory.close();`,
      { count: 6 },
    );
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^[0-9a-f]{64} null$/);
  });

  test('is the first one where another run makes one at the same moment', () => {
    const fs = process.getBuiltinModule('fs');
    const { linkSync } = fs;
    const link = vi.spyOn(fs, 'linkSync').mockImplementation((from, to) => {
      if (String(to).endsWith('marker.key')) writeFileSync(to, KEY.toString('base64'));
      linkSync(from, to);
    });
    try {
      expect(Buffer.from(open().key).equals(KEY)).toBe(true);
      expect(opened[0]?.trouble()).toBeNull();
    } finally {
      link.mockRestore();
    }
  });

  test.each<[string, string]>([
    ['empty', ''],
    ['short by an octet', Buffer.alloc(31).toString('base64')],
    ['not base 64', `${'*'.repeat(44)}`],
    ['two lines', `${KEY.toString('base64')}\n${KEY.toString('base64')}`],
  ])('that is there and %s stops the run before anything is sent, and gives the mailbox back', (_, content) => {
    mkdirSync(stateDir);
    writeFileSync(join(stateDir, 'marker.key'), content);
    const failure = failureOf(() => open());
    expect(failure.reason).toBe('configuration');
    expect(failure.message).toContain('marker.key: not a key');
    expect(readFileSync(join(stateDir, 'marker.key'), 'utf8')).toBe(content);
    expect(readdirSync(stateDir)).toEqual(['marker.key']);
  });

  test('that is there and cannot be read is not replaced', () => {
    mkdirSync(join(stateDir, 'marker.key'), { recursive: true });
    const failure = failureOf(() => open());
    expect([failure.reason, failure.message.includes('cannot be read')]).toEqual(['configuration', true]);
  });

  test.each([
    ['for us alone', 0o600],
    ['for our group', 0o640],
  ])('of several machines is taken from the file named, %s', (_, mode) => {
    expect(Buffer.from(open(keyFile(`${KEY.toString('base64')}\n`, mode)).key).equals(KEY)).toBe(true);
    expect(readdirSync(stateDir)).not.toContain('marker.key');
  });

  test('longer than the hash is taken whole', () => {
    expect(open(keyFile(Buffer.alloc(48, 7).toString('base64'))).key.length).toBe(48);
  });

  test.each<[string, () => string, string]>([
    ['everyone may read', () => keyFile(KEY.toString('base64'), 0o644), 'everyone may read or write it'],
    ['everyone may write', () => keyFile(KEY.toString('base64'), 0o602), 'everyone may read or write it'],
    ['is short', () => keyFile('c2hvcnQ='), 'not a key'],
    ['is the octets themselves', () => keyFile(KEY), 'not a key'],
    ['is not there', () => join(folder.path, 'nothing'), 'cannot be read (ENOENT)'],
    ['is a folder', () => folder.path, 'cannot be read (EFTYPE)'],
    ['is a device without an end', () => '/dev/zero', 'cannot be read (EFTYPE)'],
  ])('in a file that %s is refused, and the mailbox given back', (_, file, why) => {
    const failure = failureOf(() => open(file()));
    expect(failure.reason).toBe('configuration');
    expect(failure.message).toContain(`--marker-key-file`);
    expect(failure.message).toContain(why);
    expect(failure.message).not.toContain(KEY.toString('base64'));
    expect(readdirSync(stateDir)).toEqual([]);
  });

  test('in a pipe that nobody writes to holds nobody up', () => {
    const pipe = join(folder.path, 'pipe');
    execFileSync('mkfifo', [pipe]);
    chmodSync(pipe, 0o600);
    expect(failureOf(() => open(pipe)).message).toContain('EFTYPE');
  });
});
