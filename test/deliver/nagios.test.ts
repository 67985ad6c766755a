import { execFileSync } from 'node:child_process';
import { chmodSync, closeSync, constants, mkdirSync, openSync, readFileSync, readSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { PassiveResult } from '../../src/deliver/destination.ts';
import { commandOf, nagiosCommandFile } from '../../src/deliver/nagios.ts';
import type { ProbeFailure } from '../../src/dialogue/failure.ts';
import { isRoot } from '../support/own-server.ts';
import { privateFolder } from '../support/run.ts';
import { until } from '../support/until.ts';
import { deliver, delivering, numbered, RESULT, servicesOf } from './samples.ts';

const BEGINNING = '[1767323045] PROCESS_SERVICE_CHECK_RESULT;mail.example.com;POP3;2;';
const CUT = '\\n… the rest is left out\n';
/** PIPE_BUF of Linux: what is longer may be written in pieces, with those of another writer between them. */
const LONGEST = 4096;

const PLAIN: PassiveResult = { ...RESULT, output: 'POP3 OK', perfdata: [] };
const octetsOf = (text: string): number => Buffer.byteLength(text, 'utf8');

describe('a command', () => {
  test('is a line: when the test ended, what to do, for which service, its state, its text', () => {
    expect(commandOf(RESULT)).toBe(
      `${BEGINNING}POP3 CRITICAL - mail.example.com: login-refused | time=0.112s;5;10;0 certificate=74;21:;7:\n`,
    );
  });

  test.each<[string, Partial<PassiveResult>, string]>([
    ['of no performance data has no bar', {}, 'POP3 OK\n'],
    [
      'of long text has its line ends written out',
      { output: 'POP3 OK - 2\nmail1\nmail2' },
      'POP3 OK - 2\\nmail1\\nmail2\n',
    ],
    [
      'of both has the performance data on the first line',
      { output: 'POP3 OK - 2\nmail1\nmail2', perfdata: ['time=1s', "'mail1::time'=1s"] },
      "POP3 OK - 2 | time=1s 'mail1::time'=1s\\nmail1\\nmail2\n",
    ],
    ['of backslashes has them twice', { output: 'C:\\new\\\\table\\' }, 'C:\\\\new\\\\\\\\table\\\\\n'],
    ['of a backslash before a line end keeps the two apart', { output: 'C:\\\nD:' }, 'C:\\\\\\nD:\n'],
    ['of semicolons has them: the text is what comes last', { output: 'a; b;c;' }, 'a; b;c;\n'],
    ['of letters beyond ASCII is UTF-8', { output: 'Postfach „Müller“ – 密码 🐟' }, 'Postfach „Müller“ – 密码 🐟\n'],
    ['of an empty line keeps it', { output: 'POP3 OK\n\nmail1' }, 'POP3 OK\\n\\nmail1\n'],
    ['of no text has none', { output: '' }, '\n'],
  ])('%s', (_, result, text) => {
    expect(commandOf({ ...PLAIN, ...result })).toBe(BEGINNING + text);
  });

  test.each([0, 1, 2, 3])('has state %i', (state) => {
    expect(commandOf({ ...PLAIN, state })).toBe(
      `[1767323045] PROCESS_SERVICE_CHECK_RESULT;mail.example.com;POP3;${state};POP3 OK\n`,
    );
  });

  test('has the names of host and service', () => {
    expect(commandOf({ ...PLAIN, host: 'Büro 1', service: 'Postfächer, täglich' })).toBe(
      '[1767323045] PROCESS_SERVICE_CHECK_RESULT;Büro 1;Postfächer, täglich;2;POP3 OK\n',
    );
  });
});

describe('a command that is too long for the pipe', () => {
  const room = LONGEST - octetsOf(`${BEGINNING}\n`);
  const cutRoom = LONGEST - octetsOf(BEGINNING + CUT);
  /** Two lines of so many octets together, with the line end between them. */
  const twoLines = (octets: number): string => `first\n${'x'.repeat(octets - 'first\\n'.length)}`;

  test('is not one of 4096 octets exactly', () => {
    const command = commandOf({ ...PLAIN, output: twoLines(room) });
    expect(octetsOf(command)).toBe(LONGEST);
    expect(command).toBe(`${BEGINNING}first\\n${'x'.repeat(room - 7)}\n`);
  });

  test('is one of 4097: the line that is too much is left out, and that is said', () => {
    expect(commandOf({ ...PLAIN, output: twoLines(room + 1) })).toBe(`${BEGINNING}first${CUT}`);
  });

  test('loses whole lines of its long text, from the end', () => {
    const lines = Array.from({ length: 100 }, (_, at) => `[OK] mail${at}.example.com: ${'x'.repeat(60)}`);
    const command = commandOf({
      ...PLAIN,
      output: ['POP3 OK - 100 servers', ...lines].join('\n'),
      perfdata: ['time=1s'],
    });
    expect(octetsOf(command)).toBeLessThanOrEqual(LONGEST);
    expect(command.endsWith(CUT)).toBe(true);
    const [first, ...kept] = command.slice(BEGINNING.length, -CUT.length).split('\\n');
    expect(first).toBe('POP3 OK - 100 servers | time=1s');
    expect(kept).toEqual(lines.slice(0, kept.length));
    // As many as fit.
    expect(octetsOf(command) + octetsOf(`\\n${lines[kept.length]}`)).toBeGreaterThan(LONGEST);
  });

  test('keeps a line that fits to the octet, beside the words that there was more', () => {
    const command = commandOf({ ...PLAIN, output: `${twoLines(cutRoom)}\n${'y'.repeat(100)}` });
    expect(octetsOf(command)).toBe(LONGEST);
    expect(command).toBe(`${BEGINNING}first\\n${'x'.repeat(cutRoom - 7)}${CUT}`);
  });

  test('stops at the first line that does not fit: what comes after it is no continuation', () => {
    const output = ['first', 'x'.repeat(2000), 'y'.repeat(3000), 'z'].join('\n');
    expect(commandOf({ ...PLAIN, output })).toBe(`${BEGINNING}first\\n${'x'.repeat(2000)}${CUT}`);
  });

  test('loses long text before performance data', () => {
    const perfdata = Array.from({ length: 100 }, (_, at) => `'mail${at}.example.com::time'=0.112s`);
    const command = commandOf({ ...PLAIN, output: `first\n${'x'.repeat(1000)}`, perfdata });
    expect(command).toBe(`${BEGINNING}first | ${perfdata.join(' ')}${CUT}`);
  });

  test('loses whole values of its performance data, from the end, and that is said', () => {
    const perfdata = Array.from({ length: 200 }, (_, at) => `'mail${at}.example.com::time'=0.112s`);
    const command = commandOf({ ...PLAIN, perfdata });
    expect(octetsOf(command)).toBeLessThanOrEqual(LONGEST);
    const [text, data = ''] = command.slice(BEGINNING.length, -CUT.length).split(' | ');
    expect(command.endsWith(CUT)).toBe(true);
    expect(text).toBe('POP3 OK');
    const kept = data.split(' ');
    expect(kept).toEqual(perfdata.slice(0, kept.length));
    expect(octetsOf(command) + octetsOf(` ${perfdata[kept.length]}`)).toBeGreaterThan(LONGEST);
  });

  test.each([
    ['x', 'x'.repeat(cutRoom - 3)],
    // Of 2, 3 and 4 octets: what is left of the room is less than one of them.
    ['ü', 'ü'.repeat(Math.floor((cutRoom - 3) / 2))],
    ['密', '密'.repeat(Math.floor((cutRoom - 3) / 3))],
    ['🐟', '🐟'.repeat(Math.floor((cutRoom - 3) / 4))],
  ])('of one line of %s is cut between two characters', (character, kept) => {
    expect(commandOf({ ...PLAIN, output: character.repeat(5000) })).toBe(`${BEGINNING}${kept}…${CUT}`);
  });

  describe('whatever there is to say', () => {
    const text = fc
      .tuple(fc.string({ unit: 'grapheme', maxLength: 40 }), fc.integer({ min: 1, max: 40 }))
      // Line ends stand between lines, the reporter leaves no bar in a text, and the sign for half a character is ours.
      .map(([some, times]) => some.replace(/[\n\r|\ufffd]/g, ' ').repeat(times));
    const name = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
      .map((some) => some.replace(/[\n\r;!\ufffd]/g, ' '))
      .filter(({ length }) => length <= 250);
    const value = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_]{0,18}=[0-9.]{1,12}[a-z%]{0,2};[0-9:.]{0,9};[0-9:.]{0,9}$/);
    const many = { maxLength: 200, size: 'max' } as const;
    const anything = fc.record({
      host: name,
      service: name,
      lines: fc.array(text, { minLength: 1, maxLength: 20, size: 'max' }),
      perfdata: fc.oneof(fc.constant([]), fc.array(value, many)),
    });

    /** Nagios makes a line end of a backslash and an n, and one backslash of two. */
    const asNagiosReads = (said: string): string =>
      said.replace(/\\([\\n])/g, (_, what) => (what === 'n' ? '\n' : '\\'));

    test('it is one line that fits, without half a character', () => {
      fc.assert(
        fc.property(anything, ({ host, service, lines, perfdata }) => {
          const command = commandOf({ ...RESULT, host, service, output: lines.join('\n'), perfdata });
          expect(octetsOf(command)).toBeLessThanOrEqual(LONGEST);
          expect(command.indexOf('\n')).toBe(command.length - 1);
          expect(Buffer.from(command, 'utf8').toString('utf8')).toBe(command);
          expect(command).not.toContain('\ufffd');
        }),
      );
    });

    test('Nagios reads what was said, from its beginning, in whole lines and values; and whether there was more', () => {
      fc.assert(
        fc.property(anything, ({ host, service, lines, perfdata }) => {
          const command = commandOf({ ...RESULT, host, service, output: lines.join('\n'), perfdata });
          const before = `[1767323045] PROCESS_SERVICE_CHECK_RESULT;${host};${service};2;`;
          expect(command.startsWith(before)).toBe(true);
          const isCut = command.endsWith(CUT);
          const [first = '', ...more] = asNagiosReads(command.slice(before.length, isCut ? -CUT.length : -1)).split(
            '\n',
          );
          const [said = '', data = ''] = first.split(' | ');
          const values = data === '' ? [] : data.split(' ');
          expect(values).toEqual(perfdata.slice(0, values.length));
          expect(more).toEqual(lines.slice(1, 1 + more.length));
          if (said !== lines[0]) {
            expect(isCut).toBe(true);
            expect(said.endsWith('…')).toBe(true);
            expect(lines[0]?.startsWith(said.slice(0, -1))).toBe(true);
          }
          const isWhole = said === lines[0] && values.length === perfdata.length && more.length === lines.length - 1;
          expect(isCut).toBe(!isWhole);
        }),
      );
    });
  });
});

describe('the command file', () => {
  const folder = privateFolder();
  let count = 0;
  const newPath = (): string => join(folder.path, `nagios-${count++}.cmd`);

  function makePipe(): string {
    const path = newPath();
    execFileSync('mkfifo', [path]);
    return path;
  }

  /** Nagios at the other end: reads when it is told to, and never waits. */
  function reading(path: string) {
    let end: number | null = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const close = (): void => {
      if (end !== null) closeSync(end);
      end = null;
    };
    onTestFinished(close);
    /** @returns null where nothing is in the pipe now, '' where nobody writes any more */
    const read = (): string | null => {
      const octets = Buffer.alloc(65_536);
      try {
        return octets.toString('utf8', 0, readSync(end as number, octets));
      } catch (error) {
        if ((error as { code?: string }).code === 'EAGAIN') return null;
        throw error;
      }
    };
    return { read, close };
  }

  /** All there is until nobody writes any more. */
  async function readToEnd(read: () => string | null): Promise<string> {
    let all = '';
    await until('the pipe is closed', () => {
      for (let some = read(); some !== null; some = read()) {
        if (some === '') return true;
        all += some;
      }
      return false;
    });
    return all;
  }

  /** A result whose command is of 4096 octets, the most that a pipe takes in one piece. */
  const large = (results: readonly PassiveResult[]): readonly PassiveResult[] =>
    results.map((result) => {
      const bare = octetsOf(commandOf({ ...result, output: '', perfdata: [] }));
      return { ...result, output: 'x'.repeat(LONGEST - bare), perfdata: [] };
    });
  /** Twice what a pipe holds (pipe(7): 64 KiB). */
  const MANY = large(numbered(32));

  test('takes a line for each result', async () => {
    const path = makePipe();
    const { read } = reading(path);
    const results = numbered(3);
    expect(await deliver(nagiosCommandFile(path), results)).toEqual({
      delivered: servicesOf(results),
      refused: {},
      failure: null,
    });
    expect(await readToEnd(read)).toBe(results.map(commandOf).join(''));
  });

  describe('that cannot be opened', () => {
    const told = async (path: string): Promise<Pick<ProbeFailure, 'reason' | 'message'>> => {
      const { delivered, refused, failure } = await deliver(nagiosCommandFile(path), numbered(2));
      expect([delivered, refused]).toEqual([[], {}]);
      return { reason: failure?.reason as ProbeFailure['reason'], message: failure?.message as string };
    };

    test('has no reader', async () => {
      expect(await told(makePipe())).toEqual({
        reason: 'connection-refused',
        message: 'nobody reads the command file: Nagios does not run',
      });
    });

    test('is not there', async () => {
      expect(await told(newPath())).toEqual({
        reason: 'connection-refused',
        message: 'there is no command file: Nagios does not run, or check_external_commands is 0',
      });
    });

    test('is not in a folder', async () => {
      const path = newPath();
      writeFileSync(path, '');
      expect(await told(join(path, 'nagios.cmd'))).toEqual({
        reason: 'configuration',
        message: 'there is no such folder',
      });
    });

    test('is a folder', async () => {
      const path = newPath();
      mkdirSync(path);
      expect(await told(path)).toEqual({ reason: 'configuration', message: 'this is a folder' });
    });

    test('is a file: nobody would ever read what it took, and it takes nothing', async () => {
      const path = newPath();
      writeFileSync(path, 'what was there\n');
      expect(await told(path)).toEqual({
        reason: 'configuration',
        message: 'this is no named pipe: it has to be the command_file of nagios.cfg',
      });
      expect(readFileSync(path, 'utf8')).toBe('what was there\n');
    });

    test('is not for us to write to', async () => {
      const path = makePipe();
      reading(path);
      chmodSync(folder.path, 0o755);
      chmodSync(path, 0o444);
      const { seteuid } = process;
      // To root nothing is forbidden.
      if (isRoot()) seteuid?.('nobody');
      try {
        expect(await told(path)).toEqual({
          reason: 'configuration',
          message: 'this user may not write to it: it has to be in the group of the command file',
        });
      } finally {
        if (isRoot()) seteuid?.(0); // the user it belongs to is still root
      }
    });
  });

  test('that is full is waited for, while everything else goes on', async () => {
    const path = makePipe();
    const { read } = reading(path);
    const under = delivering(nagiosCommandFile(path), MANY);
    await until('the pipe is full', () => under.delivered.length === 16);
    await new Promise((resolve) => setTimeout(resolve, 100)); // Nagios reads each half second or so
    expect(under.delivered).toHaveLength(16);
    expect(await readToEnd(read)).toBe(MANY.map(commandOf).join(''));
    expect(await under.done).toBe(null);
    expect(under.delivered).toEqual(servicesOf(MANY));
  });

  test('whose reader goes away while it is full: what was written is settled, the rest waits', async () => {
    const path = makePipe();
    const { close } = reading(path);
    const under = delivering(nagiosCommandFile(path), MANY);
    await until('the pipe is full', () => under.delivered.length === 16);
    close();
    expect(await under.done).toMatchObject({
      reason: 'hung-up',
      message: 'Nagios stopped reading the command file (EPIPE)',
    });
    expect(under.delivered).toEqual(servicesOf(MANY.slice(0, 16)));
    expect(under.refused.size).toBe(0);
  });

  test('that stays full until the time is over is let go of, and holds whole lines alone', async () => {
    const path = makePipe();
    const { read } = reading(path);
    const under = delivering(nagiosCommandFile(path), MANY);
    await until('the pipe is full', () => under.delivered.length === 16);
    under.letGo();
    // It ends when nobody writes any more: nothing is left open, and nothing more is written.
    expect(await readToEnd(read)).toBe(MANY.slice(0, 16).map(commandOf).join(''));
    expect(under.delivered).toHaveLength(16);
  });

  test('never has half of a command, whatever room there is', async () => {
    const path = makePipe();
    const { read } = reading(path);
    // Not of 4096 octets: the room that is left is now and then less than one.
    const results = numbered(100).map((result) => ({ ...result, output: 'x'.repeat(1500), perfdata: [] }));
    const under = delivering(nagiosCommandFile(path), results);
    let all = '';
    await until('all is delivered', () => {
      for (let some = read(); some !== null && some !== ''; some = read()) {
        // What another writer would put there now stands between two lines.
        expect(some.endsWith('\n')).toBe(true);
        all += some;
      }
      return under.delivered.length === results.length;
    });
    expect(await under.done).toBe(null);
    expect(all + (await readToEnd(read))).toBe(results.map(commandOf).join(''));
  });
});
