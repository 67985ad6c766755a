import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CHECKMK_FORMATS } from '../../src/reporters/checkmk.ts';
import type { Manner } from '../../src/reporters/reporter.ts';
import { gather, judge, type Policy, refuse, remark, type TestVerdict, type Verdict } from '../../src/verdict/judge.ts';
import { parseRange, type Range } from '../../src/verdict/range.ts';
import { failed, GOOD, HOSTILE, hostile, made, PIPED, policy, REFUSED, SWEEP, skipped } from '../support/people.ts';

const write = (verdict: Verdict, format = 'local', manner: Manner = PIPED): string => {
  const reporter = CHECKMK_FORMATS[format];
  if (reporter === undefined) throw new Error(`no such format: ${format}`);
  const { stdout, stderr, exitCode } = reporter(verdict, manner);
  // Whatever exits with more is thrown away.
  expect([exitCode, stderr]).toEqual([0, undefined]);
  return stdout;
};

const ranges = (set: Readonly<Record<string, string>>): Policy['warning'] =>
  new Map(Object.entries(set).map(([name, text]) => [name, parseRange(text) as Range])) as Policy['warning'];

/** A sweep as a run makes it: without a name of its own. */
const FARM: Verdict = { ...SWEEP, text: '' };
const NO_SERVER = refuse({ phase: null, reason: 'usage', message: 'no server', hint: 'see --help' });

/** What Checkmk's manual says of a line: STATE, ITEM in quotes, PERFORMANCE without blanks, TEXT. */
interface Service {
  readonly state: string;
  readonly item: string;
  readonly metrics: Readonly<Record<string, Read>>;
  readonly lines: readonly string[];
}

interface Read {
  readonly value: number;
  readonly warning: Levels;
  readonly critical: Levels;
  readonly least: string;
}

interface Levels {
  readonly lower: number | null;
  readonly upper: number | null;
}

const NUMBER = String.raw`-?\d+(?:\.\d+)?`;
const METRIC = new RegExp(
  `^([A-Za-z][A-Za-z0-9_]*)=(${NUMBER})(?:;((?:${NUMBER}:)?(?:${NUMBER})?))?(?:;((?:${NUMBER}:)?(?:${NUMBER})?))?(?:;(${NUMBER}))?$`,
);

function readLevels(text = ''): Levels {
  const number = (part: string | undefined): number | null => (part === undefined || part === '' ? null : Number(part));
  const parts = text.split(':');
  return parts.length === 2
    ? { lower: number(parts[0]), upper: number(parts[1]) }
    : { lower: null, upper: number(parts[0]) };
}

function readLine(line: string): Service {
  const parts = /^([0123P]) "([^"']+)" ([^ ]+) (.+)$/.exec(line);
  if (parts === null) throw new Error(`no line of a local check: ${line}`);
  const [, state = '', item = '', performance = '', text = ''] = parts;
  const metrics = (performance === '-' ? [] : performance.split('|')).map((each): [string, Read] => {
    const read = METRIC.exec(each);
    if (read === null) throw new Error(`no metric: ${each}`);
    const [, name = '', value, warning, critical, least = ''] = read;
    return [name, { value: Number(value), warning: readLevels(warning), critical: readLevels(critical), least }];
  });
  expect(new Set(metrics.map(([name]) => name)).size).toBe(metrics.length);
  return { state, item, metrics: Object.fromEntries(metrics), lines: text.split('\\n') };
}

function readLines(output: string): readonly Service[] {
  expect(output.endsWith('\n')).toBe(true);
  return output.slice(0, -1).split('\n').map(readLine);
}

/** What an agent sends on: which services are whose; '' is the host that the agent runs on. */
function readSections(output: string): Readonly<Record<string, readonly Service[]>> {
  const hosts: Record<string, Service[]> = {};
  let host = '';
  let isLocal = false;
  for (const line of output.slice(0, -1).split('\n')) {
    const [, piggyback] = /^<<<<([A-Za-z0-9_.-]*)>>>>$/.exec(line) ?? [];
    if (piggyback !== undefined) {
      host = piggyback;
      isLocal = false;
    } else if (line === '<<<local:sep(0)>>>') {
      isLocal = true;
    } else {
      expect(isLocal, line).toBe(true);
      hosts[host] = [...(hosts[host] ?? []), readLine(line)];
    }
  }
  // What other checks say is to stay their host's.
  expect(host).toBe('');
  return hosts;
}

/**
 * Golden files were written by hand: one line a server, `STATE "ITEM" name=value;warning;critical;least|… TEXT`, a
 * level as `upper` or `lower:upper`. No unit; what was not measured is not there.
 */
describe('what Checkmk reads, whole', () => {
  const words = "1 'x' y=1;2|z \\nCRIT";
  const CASES: readonly [name: string, verdict: Verdict, format?: string][] = [
    ['success', judge(GOOD, policy({ warning: ranges({ time: '5' }), critical: ranges({ time: '10' }) }))],
    [
      'levels',
      judge(GOOD, policy({ warning: ranges({ time: '2', messages: '1:2' }), critical: ranges({ time: '10' }) })),
      'levels',
    ],
    ['failure', judge(failed(REFUSED), policy())],
    ['skip', judge(skipped('ex03.contoso.com'), policy())],
    ['refusal', NO_SERVER],
    [
      'hostile',
      judge(
        failed({ ...REFUSED, message: `server said "${words}"`, hint: words }, { casServer: 'a\'b" |c|' }),
        policy(),
      ),
    ],
    ['sweep', FARM],
    ['piggyback', FARM, 'piggyback'],
    ['piggyback-refusal', NO_SERVER, 'piggyback'],
  ];
  test.each(CASES)('%s', (name, verdict, format) => {
    expect(write(verdict, format)).toBe(
      readFileSync(new URL(`../golden/checkmk/${name}.txt`, import.meta.url), 'utf8'),
    );
  });
  test('no golden file is left over', () => {
    const files = readdirSync(new URL('../golden/checkmk/', import.meta.url));
    expect(files.sort()).toEqual(CASES.map(([name]) => `${name}.txt`).sort());
  });
});

describe('levels are those of the thresholds', () => {
  test.each<[text: string, lower: number | null, upper: number | null]>([
    ['5', null, 5],
    ['~:5', null, 5],
    ['0:5', null, 5],
    ['1.5:', 1.5, null],
    ['1:5', 1, 5],
    ['@1:5', null, null],
  ])('-w %s is lower %s, upper %s', (text, lower, upper) => {
    const [service] = readLines(write(judge(GOOD, policy({ warning: ranges({ time: text }) }))));
    expect(service?.metrics.time?.warning).toEqual({ lower, upper });
  });

  /** As Checkmk judges: at an upper level already, and below a lower one. */
  const judged = ({ value, warning, critical }: Read): string => {
    const isBeyond = ({ lower, upper }: Levels): boolean =>
      (upper !== null && value >= upper) || (lower !== null && value < lower);
    return isBeyond(critical) ? '2' : isBeyond(warning) ? '1' : '0';
  };

  test('where Checkmk judges by them, it comes to what we come to; elsewhere it is not asked to', () => {
    const bound = fc.integer({ min: 0, max: 9 }).map((tenths) => tenths + 0.05);
    const range = fc
      .tuple(bound, bound, fc.constantFrom('', '@'), fc.constantFrom('from to', 'from', 'to', 'below to'))
      .map(([a, b, at, kind]) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        return `${at}${{ 'from to': `${from}:${to}`, from: `${from}:`, to: `${to}`, 'below to': `~:${to}` }[kind]}`;
      });
    const seen = new Set<string>();
    fc.assert(
      fc.property(fc.nat(100), range, range, (tenths, warning, critical) => {
        const set = { warning: ranges({ time: warning }), critical: ranges({ time: critical }) };
        const verdict = judge(made({ latencyMs: tenths * 100 }), policy(set));
        const [service] = readLines(write(verdict, 'levels')) as [Service];
        seen.add(service.state);
        const ours = ['ok', 'warning', 'critical'].indexOf(verdict.state).toString();
        if (service.state !== 'P') {
          expect(`${warning} ${critical}`).toContain('@');
          expect(service.state).toBe(ours);
          return;
        }
        expect(`${warning} ${critical}`).not.toContain('@');
        const theirs = Object.values(service.metrics).map(judged).sort().pop();
        expect(theirs).toBe(ours);
      }),
      { numRuns: 2000 },
    );
    expect([...seen].sort()).toEqual(expect.arrayContaining(['P', '0', '1', '2']));
  });

  test.each<[what: string, verdict: TestVerdict, state: string]>([
    ['a failure', judge(failed(REFUSED), policy({ warning: ranges({ time: '1' }) })), '2'],
    [
      'a failure that counts as ok',
      judge(failed(REFUSED), policy({ severity: new Map([['login-refused', 'ok']]) })),
      '0',
    ],
    ['a warning', judge(made({ warnings: [{ ...REFUSED, reason: 'altered' }] }), policy()), '1'],
    ['a logon that was to fail', judge(GOOD, policy({ expect: 'login-refused' })), '2'],
    ['a test that was skipped', judge(skipped('a'), policy()), '3'],
  ])('Checkmk does not judge %s', (_, verdict, state) => {
    expect(readLines(write(verdict, 'levels'))[0]?.state).toBe(state);
  });
});

describe('many', () => {
  test('each is a service, and what was said of all is said of each', () => {
    const services = readLines(write(FARM));
    expect(services.map(({ state, item }) => [state, item])).toEqual([
      ['0', 'POP3 ex01.contoso.com'],
      ['1', 'POP3 ex02.contoso.com'],
      ['2', 'POP3 192.0.2.7'],
      ['3', 'POP3 ex03.contoso.com'],
    ]);
    for (const { lines } of services) expect(lines.join()).toContain('(a password on the command line');
  });

  test('addresses of one name are services of that name, also one that was not reached in time', () => {
    const at = (address: string): TestVerdict => ({ ...judge(GOOD, policy()), text: address });
    const farm = gather('farm.example.com', [at('192.0.2.1'), remark('unknown', '2001:db8::1: not tested')]);
    expect(readLines(write(farm)).map(({ state, item }) => [state, item])).toEqual([
      ['0', 'POP3 farm.example.com 192.0.2.1'],
      ['3', 'POP3 farm.example.com 2001:db8::1'],
    ]);
    const sections = readSections(write(gather('', [{ ...at('ex01.contoso.com port 995') }]), 'piggyback'));
    expect(Object.entries(sections).map(([host, services]) => [host, services.map(({ item }) => item)])).toEqual([
      ['ex01.contoso.com', ['POP3 port 995']],
    ]);
  });

  test('of one server that is tested twice there is one section', () => {
    const at = (label: string, more = {}): TestVerdict => ({ ...judge(made(more), policy()), text: label });
    const both = gather('', [at('ex01.contoso.com port 110'), at('ex01.contoso.com port 995', { port: 995 })]);
    const output = write(both, 'piggyback');
    expect(readSections(output)['ex01.contoso.com']?.map(({ item }) => item)).toEqual([
      'POP3 port 110',
      'POP3 port 995',
    ]);
    expect(output.match(/<<<<ex01/g)).toHaveLength(1);
  });

  test('an address is a host of that name as far as Checkmk takes it for one', () => {
    const verdict = judge(made({ casServer: '2001:db8::110' }), policy());
    expect(Object.keys(readSections(write(verdict, 'piggyback')))).toEqual(['2001_db8__110']);
  });
});

test('-v adds lines to the details, none to the output', () => {
  const output = write(FARM, 'local', { ...PIPED, verbosity: 2 });
  const services = readLines(output);
  expect(services).toHaveLength(4);
  expect(services[0]?.lines.some((line) => line.startsWith('phases: dns '))).toBe(true);
});

describe('whatever a server says', () => {
  test.each(HOSTILE)('%j stays in the text of its own service', (words) => {
    for (const format of ['local', 'levels']) {
      const services = readLines(write(gather('', [judge(GOOD, policy()), hostile(words)]), format));
      expect(services).toHaveLength(2);
      expect(services[1]).toMatchObject({ state: '2' });
      expect(services[1]?.lines).toHaveLength(1);
      expect(services[1]?.item).toMatch(/^POP3[^\p{Cc}|;$`'"\\<>]*$/u);
    }
    const sections = readSections(write(gather('', [judge(GOOD, policy()), hostile(words)]), 'piggyback'));
    expect(sections['ex01.contoso.com']).toHaveLength(1);
    expect(Object.values(sections).flat()).toHaveLength(2);
  });

  test('any characters at all', () => {
    const text = fc.array(fc.nat(0x10ffff), { maxLength: 30 }).map((points) => String.fromCodePoint(...points));
    fc.assert(
      fc.property(text, (words) => {
        expect(readLines(write(gather('', [hostile(words), judge(GOOD, policy())])))).toHaveLength(2);
        expect(Object.values(readSections(write(hostile(words), 'piggyback'))).flat()).toHaveLength(1);
      }),
      { numRuns: 500 },
    );
  });
});
