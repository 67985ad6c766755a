import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { COLUMNS, cmdletRow, footerOf } from '../../src/reporters/cmdlet.ts';
import { columnsOf } from '../../src/reporters/layout.ts';
import { list } from '../../src/reporters/list.ts';
import { eventsOf } from '../../src/reporters/monitoring-context.ts';
import { table } from '../../src/reporters/table.ts';
import { gather, judge, refuse, testsIn, type Verdict } from '../../src/verdict/judge.ts';
import { missing } from '../support/installed.ts';
import { failed, GOOD, HOSTILE, hostile, made, on, PIPED, policy, REFUSED, SWEEP, skipped } from '../support/people.ts';
import { PYTHON } from '../support/python.ts';
import { readTable } from '../support/read-table.ts';

const golden = (name: string): string => readFileSync(new URL(`../golden/people/${name}.txt`, import.meta.url), 'utf8');

const USAGE = refuse({
  phase: null,
  reason: 'usage',
  message: 'no server: give --client-access-server HOST (-H)',
  hint: 'see --help',
});
const CONTEXT = { ...PIPED, monitoringContext: true };

/**
 * Golden files were written by hand and are never written by a test. A table is the six columns of the cmdlet, one
 * space apart, each as wide as its longest cell, Latency(MS) to the right; a list is the fields of exchange.md §1.
 */
describe('what people read, whole', () => {
  test('piped: a row a server, nothing wrapped', () => {
    expect(table(SWEEP, PIPED)).toEqual({ stdout: golden('table'), exitCode: 2 });
  });
  test.each([80, 40])('on a terminal of %d columns', (width) => {
    expect(table(SWEEP, on(width)).stdout).toBe(golden(`table-${width}`));
  });
  test('a terminal that is wide enough shows what a pipe gets', () => {
    expect(table(SWEEP, on(200)).stdout).toBe(golden('table'));
  });
  test('with events and performance counters', () => {
    expect(table(judge(GOOD, policy()), CONTEXT)).toEqual({ stdout: golden('table-context'), exitCode: 0 });
  });
  test('a list with events and performance counters', () => {
    const [, second, third] = testsIn(SWEEP);
    const two = gather(
      'two',
      [second, third].filter((each) => each !== undefined),
    );
    expect(list(two, CONTEXT)).toEqual({ stdout: golden('list-context'), exitCode: 2 });
  });
  test('no golden file is left over', () => {
    const tables = ['table.txt', 'table-80.txt', 'table-40.txt', 'table-context.txt'];
    const files = readdirSync(new URL('../golden/people/', import.meta.url));
    expect(files.sort()).toEqual([...tables, 'list-context.txt', 'refused.txt', 'sweep.csv'].sort());
  });
  test.each([table, list])('nothing tested is one line', (reporter) => {
    expect(reporter(USAGE, PIPED)).toEqual({ stdout: golden('refused'), exitCode: 3 });
  });
});

describe('colours', () => {
  const SGR = new RegExp(`${String.fromCharCode(0x1b)}\\[\\d+m`);
  const GREEN = '\x1b[32mSuccess\x1b[0m';
  const all = gather('', [judge(GOOD, policy()), judge(failed(REFUSED), policy()), judge(skipped('a'), policy())]);
  test.each([table, list])('tell the result on a terminal that may be coloured', (reporter) => {
    for (const width of [40, 80, 200]) {
      const { stdout } = reporter(all, on(width, true));
      for (const words of [GREEN, '\x1b[31mFailure\x1b[0m', '\x1b[33mSkipped\x1b[0m']) expect(stdout).toContain(words);
      expect(stdout.split(SGR).join('')).toBe(reporter(all, on(width)).stdout);
    }
  });
  test.each([table, list])('are nowhere else', (reporter) => {
    expect(reporter(all, on(80)).stdout).not.toContain('\x1b');
    expect(reporter(all, { ...PIPED, isColoured: true }).stdout).not.toContain('\x1b');
  });
});

describe('a piped table read back by its columns', () => {
  test.each(HOSTILE)('with %j has the values it was given', (words) => {
    const verdict = gather('sweep', [judge(GOOD, policy()), hostile(words), judge(skipped('ex03'), policy())]);
    const rows = testsIn(verdict).map(({ result }) => cmdletRow(result));
    expect(readTable(table(verdict, PIPED).stdout)).toEqual(rows);
  });
});

const words = fc.oneof(
  fc.constantFrom(...HOSTILE),
  fc
    .array(fc.oneof(fc.nat(0x7f), fc.nat(0x10ffff), fc.constant(0x20)), { maxLength: 80 })
    .map((points) => String.fromCodePoint(...points)),
);
const verdicts: fc.Arbitrary<Verdict> = fc
  .array(
    fc.oneof(
      words.map((each) => hostile(each)),
      words.map((message) => judge(failed({ ...REFUSED, message }), policy())),
      words.map((casServer) => judge(made({ casServer }), policy())),
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((tests) => gather('sweep', tests));

const bare = (text: string): string => text.replace(/\s/g, '');

describe.each([
  ['a table', table],
  ['a list', list],
] as const)('%s on a terminal', (_, reporter) => {
  test('is never wider than it, and loses no word of any error or warning', () => {
    fc.assert(
      fc.property(verdicts, fc.integer({ min: 12, max: 240 }), fc.boolean(), (verdict, width, monitoringContext) => {
        const { stdout } = reporter(verdict, { ...on(width), monitoringContext });
        const lines = stdout.split('\n');
        for (const line of lines) expect(columnsOf(line), line).toBeLessThanOrEqual(width);
        const shown = stdout.replace(/\s+/g, ' ');
        const errors = testsIn(verdict).map(({ result }) => cmdletRow(result).Error);
        for (const word of [...errors, ...footerOf(verdict)].join(' ').split(' ')) {
          // A word of more columns than there may be in a line is broken, and nothing of it left out.
          if (columnsOf(word) <= Math.min(20, width - 2)) expect(shown).toContain(word);
        }
        // As a list each error stands in one piece, whatever breaks it.
        if (width < 50) for (const error of errors) expect(bare(stdout)).toContain(bare(error));
        for (const line of footerOf(verdict)) expect(bare(stdout)).toContain(bare(line));
        if (monitoringContext && width < 50) {
          for (const { message } of testsIn(verdict).flatMap(eventsOf)) expect(bare(stdout)).toContain(bare(message));
        }
      }),
      { numRuns: 200 },
    );
  });
});

test('loses nothing of an error that breaks in its column', () => {
  const word = 'q'.repeat(90);
  const { stdout } = table(judge(failed({ ...REFUSED, message: word }), policy()), on(100));
  expect(stdout.match(/q/g)).toHaveLength(90);
});

test('a table that breaks its rows has every letter of every cell in its own column', () => {
  let tables = 0;
  fc.assert(
    fc.property(verdicts, fc.integer({ min: 75, max: 240 }), (verdict, width) => {
      const { stdout } = table(verdict, on(width));
      if (!/^CasServer +LocalSite +Scenario/.test(stdout)) return; // too narrow: a list
      tables++;
      const read = readTable(stdout);
      const rows = testsIn(verdict).map(({ result }) => cmdletRow(result));
      for (const name of COLUMNS) {
        const whole = (all: readonly Readonly<Record<string, string>>[]) => bare(all.map((row) => row[name]).join(''));
        expect(whole(read)).toBe(whole(rows));
      }
    }),
    { numRuns: 300 },
  );
  expect(tables).toBeGreaterThan(50);
});

test('the columns are named as the cmdlet names them', () => {
  expect(COLUMNS.join(' ')).toBe('CasServer LocalSite Scenario Result Latency(MS) Error');
});

/** Python's own table of UAX #11, where there is one. */
test.skipIf(missing(PYTHON))('no character is taken for narrower than Unicode has it', () => {
  const program = `
import sys, unicodedata
print(' '.join(str(c) for c in range(0xa0, 0x110000)
  if unicodedata.east_asian_width(chr(c)) in 'WF' and unicodedata.category(chr(c))[0] in 'LNPS'))`;
  const wide = execFileSync('python3', ['-c', program], { encoding: 'utf8' }).trim().split(' ').map(Number);
  expect(wide.length).toBeGreaterThan(50_000);
  const narrow = wide.filter((point) => columnsOf(String.fromCodePoint(point)) < 2).map((point) => point.toString(16));
  expect(narrow).toEqual([]);
  expect([...'aé€ж｡ｱ'].map(columnsOf)).toEqual([1, 1, 1, 1, 1, 1]);
  expect(columnsOf('e\u0301')).toBe(1);
});
