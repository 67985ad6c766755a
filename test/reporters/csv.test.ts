import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { COLUMNS, cmdletRow } from '../../src/reporters/cmdlet.ts';
import { csv } from '../../src/reporters/csv.ts';
import { table } from '../../src/reporters/table.ts';
import { gather, judge, refuse, testsIn, type Verdict } from '../../src/verdict/judge.ts';
import { missing } from '../support/installed.ts';
import { failed, GOOD, HOSTILE, hostile, made, PIPED, policy, REFUSED, SWEEP, skipped } from '../support/people.ts';
import { PYTHON } from '../support/python.ts';
import { readTable } from '../support/read-table.ts';

/** Python's csv module, strict: whole documents in, their rows out. */
function readCsv(documents: readonly string[]): readonly (readonly (readonly string[])[])[] {
  const program = `
import csv, io, json, sys
documents = json.loads(sys.stdin.buffer.read().decode('utf-8'))
print(json.dumps([list(csv.reader(io.StringIO(each, newline=''), strict=True)) for each in documents]))`;
  const input = JSON.stringify(documents);
  return JSON.parse(execFileSync('python3', ['-c', program], { encoding: 'utf8', input, maxBuffer: 1 << 28 }));
}
const readOne = (document: string) => readCsv([document])[0] as readonly (readonly string[])[];

test('a sweep, whole', () => {
  const golden = readFileSync(new URL('../golden/people/sweep.csv', import.meta.url), 'utf8');
  const { stdout, stderr, exitCode } = csv(SWEEP, PIPED);
  expect(stdout).toBe(golden);
  expect(stderr).toBe(
    'WARNING: ex02.contoso.com: altered, 2 lines were added after its text - look for a disclaimer\n' +
      'NOTE: a password on the command line is seen by everyone on this machine\n',
  );
  expect(exitCode).toBe(2);
});

describe.skipIf(missing(PYTHON))('read back by Python', () => {
  test('nothing tested is a head alone, and why beside it', () => {
    const report = csv(refuse({ phase: null, reason: 'usage', message: 'no server', hint: 'see --help' }), PIPED);
    expect(readOne(report.stdout)).toHaveLength(1);
    expect(report.stderr).toBe('ERROR: usage, no server - see --help\n');
    expect(report.exitCode).toBe(3);
  });

  test('a good run says nothing beside it', () => {
    expect(csv(judge(GOOD, policy()), PIPED).stderr).toBeUndefined();
  });

  test('every line ends in CR LF, and there is no other line end', () => {
    const { stdout } = csv(gather('', HOSTILE.map(hostile)), { ...PIPED, monitoringContext: true });
    expect(stdout.replace(/\r\n/g, '')).not.toMatch(/[\r\n]/);
    expect(stdout.endsWith('\r\n')).toBe(true);
  });

  test('events and performance counters are columns that do not depend on what was reached', () => {
    const manner = { ...PIPED, monitoringContext: true };
    const read = (verdict: Verdict) => {
      const [names = [], ...rows] = readOne(csv(verdict, manner).stdout);
      return { names, rows: rows.map((row) => Object.fromEntries(names.map((name, at) => [name, row[at]]))) };
    };
    const { names, rows } = read(SWEEP);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual(read(judge(skipped('a'), policy())).names);
    expect(rows[0]).toMatchObject({
      EventSource: 'MSExchange Monitoring POPConnectivity',
      EventId: '1000',
      EventLogType: 'Information',
      EventMessage: 'ex01.contoso.com: succeeded in 2310.40 ms',
      CounterObject: 'MSExchange Monitoring POPConnectivity',
      CounterInstance: 'ex01.contoso.com|Berlin',
      'Counter dns': '2.40',
      'Counter login': '84.00',
      'Counter verify': '',
      'Counter Latency': '2310.40',
    });
    expect(rows[2]).toMatchObject({ EventId: '1001', 'Counter dns': '2.40', 'Counter Latency': '' });
    expect(rows[3]).toMatchObject({ EventId: '1002', CounterInstance: '', 'Counter dns': '' });
  });

  describe('a spreadsheet', () => {
    test('calculates nothing of what a server says', () => {
      const rows = readCsv(
        HOSTILE.map((words) => csv(hostile(words), { ...PIPED, monitoringContext: true }).stdout),
      ).flat();
      expect(rows).toHaveLength(2 * HOSTILE.length);
      for (const cell of rows.flat()) if (!/^-?[0-9.]+$/.test(cell)) expect(cell).not.toMatch(/^[=+\-@\t\r\n＝＋－＠]/);
    });
    test('gets numbers as numbers', () => {
      const [names = [], row = []] = readOne(csv(judge(made({ userName: '-5' }), policy()), PIPED).stdout);
      const cell = (name: string) => row[names.indexOf(name)];
      expect([cell('Latency(MS)'), cell('Port'), cell('UserName')]).toEqual(['2310.40', '110', '-5']);
    });
    test('gets a formula as its text', () => {
      const [names = [], row = []] = readOne(csv(judge(made({ userName: '=1+1' }), policy()), PIPED).stdout);
      expect(row[names.indexOf('UserName')]).toBe("'=1+1");
    });
  });

  test('CSV and table read back give the same values', () => {
    const words = fc.oneof(
      fc.constantFrom(...HOSTILE),
      fc
        .array(fc.oneof(fc.nat(0x7f), fc.nat(0x10ffff)), { maxLength: 30 })
        .map((all) => String.fromCodePoint(...all))
        // An apostrophe of its own before a sign could not be told from the spreadsheet's.
        .filter((text) => !/^\s*'/.test(text)),
    );
    const verdicts = fc
      .array(
        fc.oneof(
          words.map(hostile),
          words.map((message) => judge(failed({ ...REFUSED, message }), policy())),
          fc
            .tuple(words, fc.double({ min: 0, max: 3.6e6, noNaN: true }))
            .map(([localSite, latencyMs]) => judge(made({ localSite, latencyMs }), policy())),
        ),
        { minLength: 1, maxLength: 4 },
      )
      .map((tests) => gather('sweep', tests));
    const sample = fc.sample(verdicts, 400);
    const read = readCsv(sample.map((verdict) => csv(verdict, PIPED).stdout));
    for (const [at, verdict] of sample.entries()) {
      const [names = [], ...rows] = read[at] as readonly (readonly string[])[];
      expect(names.slice(0, COLUMNS.length)).toEqual(COLUMNS);
      // The apostrophe is the spreadsheet's, not the value's.
      const values = rows.map((row) =>
        Object.fromEntries(COLUMNS.map((name, column) => [name, row[column]?.replace(/^'(?=[=+\-@＝＋－＠])/, '')])),
      );
      expect(values).toEqual(readTable(table(verdict, PIPED).stdout));
      expect(values).toEqual(testsIn(verdict).map(({ result }) => cmdletRow(result)));
    }
  });
});
